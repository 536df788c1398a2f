"""The archive of logs: what a log file of a kubelet says, what is hidden of it, and how it is stored. Pure."""
