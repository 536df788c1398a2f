"""What goes wrong in a way that a person can put right."""


class ClusterError(Exception):
    """Something expected failed; the message says what is wrong and what to do about it."""
