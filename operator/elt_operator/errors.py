"""Errors, named by what happens next. Anything else is a bug or an outage: the work queue backs off."""


class OperatorError(Exception):
    """Base of the operator's own errors."""


class NotSetUp(OperatorError):
    """A program cannot start; the message says what is missing, or wrong."""


class Stale(OperatorError):
    """Our view of the cluster is out of date: look again in a moment."""


class Refused(OperatorError):
    """The API server accepted the request's form and refused what it asks for; its words are the message."""


class FailsOn(OperatorError):
    """Looking at a Pipeline failed on one object; the cause is what went wrong."""

    def __init__(self, uid: str, generation: int, words: str) -> None:
        super().__init__(words)
        self.uid = uid
        self.generation = generation


class NotLeading(OperatorError):
    """Another replica acts now, or may: nothing is to be done here until the Lease is ours again."""
