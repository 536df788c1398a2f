"""The log reader: on each node, it reads the logs of runs from the kubelet's files and hands them to the keeper."""
