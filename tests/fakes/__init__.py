"""Stand-ins at the one seam between decisions and the cluster: kube.cluster.Cluster."""
