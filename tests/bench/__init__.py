"""The benchmark: what a controller adds to what Kubernetes itself costs, side by side in one run. ``make bench``."""
