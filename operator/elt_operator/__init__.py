"""elt-operator: runs ELT pipelines on Kubernetes from two resources, Pipeline and Job."""
