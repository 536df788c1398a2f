"""Errors, named by what happens next. Anything else is a bug or an outage: the work queue backs off."""


class OperatorError(Exception):
    """Base of the operator's own errors."""


class Stale(OperatorError):
    """Our view of the cluster is out of date: look again in a moment."""


class Refused(OperatorError):
    """The API server accepted the request's form and refused what it asks for; its words are the message."""


class NotLeading(OperatorError):
    """Another replica acts now, or may: nothing is to be done here until the Lease is ours again."""
