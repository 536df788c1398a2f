"""What each program of the cluster has: probes and metrics over HTTP, log lines, tasks that never end."""
