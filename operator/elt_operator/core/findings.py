"""What a rule finds, and how a list of rules is asked: in order, until the first that finds something."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, ParamSpec, TypeVar

from elt_operator.resources.reasons import Reason


@dataclass(frozen=True)
class Finding:
    """Why something is as it is."""

    reason: Reason
    message: str
    """The same for people, with what to do if anything must be done."""
    until: datetime | None = None
    """When it may be otherwise though nothing is reported; ``None``: whatever changes it will be."""


@dataclass(frozen=True)
class NotYet:
    """Nothing is found now; ``until`` is when something may be, though nothing is reported."""

    until: datetime


F = TypeVar("F", bound=Finding)
P = ParamSpec("P")


@dataclass(frozen=True)
class Answer(Generic[F]):
    """What a list of rules says."""

    finding: F | None = None
    """``None``: none of them finds anything."""
    until: datetime | None = None
    """When they may say something else though nothing is reported; ``None``: not before something is."""


def first(rules: Iterable[Callable[P, F | NotYet | None]], *seen: P.args, **named: P.kwargs) -> Answer[F]:
    """Return what the first of ``rules`` finds that finds anything, and when to ask them again."""
    moments: list[datetime] = []
    for rule in rules:
        match rule(*seen, **named):
            case NotYet(until):
                moments.append(until)
            case None:
                pass
            case finding:
                moments += [finding.until] if finding.until else []
                return Answer(finding, min(moments, default=None))
    return Answer(None, min(moments, default=None))
