"""The places that are served: each namespace by itself, or all of them at once.

A place of which one source cannot be read is left out as a whole: to decide with half the sight would be dangerous. It
is tried again every few seconds, and the others go on meanwhile.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

from elt_operator.controller import sources
from elt_operator.controller.sources import Source

logger = logging.getLogger(__name__)

ALL: Final = "all namespaces"


@dataclass
class Place:
    """A namespace, or all of them at once."""

    namespace: str | None
    """``None``: all of them."""
    left_out: str = ""
    """Why it is left out, in the API server's words; empty: it is not."""
    times_left_out: int = 0
    doubted: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when a watch was refused, or the place was left out: it has to be looked whether it can be read."""
    refusal: Exception | None = None
    """What the watch was answered that was refused last."""
    _begun: set[str] = field(default_factory=set)
    """Paths of the collections that a watch has listed since the place was taken up."""

    @property
    def name(self) -> str:
        """The place in words."""
        return self.namespace or ALL

    @property
    def words(self) -> str:
        """Why it is left out, what that means, and what to do about it."""
        who, roles, instead = (
            ("The cluster", "ClusterRole and ClusterRoleBinding", "")
            if self.namespace is None
            else (
                f"Namespace {self.namespace}",
                "Role and RoleBinding there",
                ", or remove the namespace from its settings",
            )
        )
        return (
            f"{who} cannot be read, so the operator neither starts nor ends Jobs there. "
            f"Check the operator's {roles}{instead}. The API server responded: {self.left_out}"
        )

    @cached_property
    def sources(self) -> Sequence[Source]:
        """All that is read in it."""
        return list(sources.of(self.namespace))

    @property
    def is_served(self) -> bool:
        """Whether all of it is seen, so that decisions may be made about it."""
        return not self.left_out and len(self._begun) == len(self.sources)

    def begin(self, source: Source) -> bool:
        """Take notice that the watch on ``source`` runs; return whether it did so before."""
        before = source.path in self._begun
        self._begun.add(source.path)
        return before

    def leave_out(self, why: str) -> None:
        """Serve it no more, until it is taken up."""
        self.left_out = why
        self.times_left_out += 1
        self._begun.clear()
        self.doubted.set()

    def take_up(self) -> None:
        """Serve it again, once all of its watches run."""
        self.left_out = ""
        self.doubted.clear()


class Places:
    """All places, and whether they are served."""

    def __init__(self, namespaces: Sequence[str], restarted: Callable[[str], None] = lambda _plural: None) -> None:
        """Take up ``namespaces``; ``restarted`` is told the plural of what each watch that lists anew is about."""
        self.all: Sequence[Place] = [Place(namespace) for namespace in dict.fromkeys(namespaces)] or [Place(None)]
        self.watching = asyncio.Event()
        """Set once all watches run of all places that are not left out, and there is one: from then on no change there
        goes unseen while the API server can be reached."""
        self._by_namespace = {place.namespace: place for place in self.all}
        self._restarted = restarted

    def of(self, namespace: str | None) -> Place | None:
        """Return the place that a namespace is in; ``None``: nobody looks after it."""
        return self._by_namespace.get(namespace) or self._by_namespace.get(None)

    def serves(self, namespace: str) -> bool:
        """Return whether decisions may be made about what is in ``namespace``: all of it is seen."""
        place = self.of(namespace)
        return place is not None and place.is_served

    @property
    def left_out(self) -> Sequence[Place]:
        """The places that cannot be read at present."""
        return [place for place in self.all if place.left_out]

    def begun(self, source: Source) -> bool:
        """Take notice that the watch on ``source`` runs, after all of it was listed.

        Return whether its place is served from now on.
        """
        place = self.of(source.namespace)
        if place is None or place.left_out:
            return False
        was_served = place.is_served
        if place.begin(source):
            self._restarted(source.plural)
        self._look_whether_all_watch()
        return place.is_served and not was_served

    def doubt(self, source: Source, refusal: Exception) -> None:
        """Have it looked whether the place of ``source`` can still be read: a watch was refused."""
        if place := self.of(source.namespace):
            place.refusal = refusal
            place.doubted.set()

    def leave_out(self, place: Place, error: Exception) -> None:
        """Leave ``place`` out, since ``error`` was the answer to a list."""
        if not place.left_out:
            place.leave_out(f"{error}"[:300])
            logger.error("%s", place.words)
        self._look_whether_all_watch()

    def take_up(self, place: Place) -> None:
        """Serve ``place`` again: all of it could be listed."""
        if place.left_out:
            place.take_up()
            logger.info("watching %s again: it can be read now", place.name)

    def _look_whether_all_watch(self) -> None:
        wanted = [place for place in self.all if not place.left_out]
        if wanted and not self.watching.is_set() and all(place.is_served for place in wanted):
            logger.info("watching %s", ", ".join(place.name for place in wanted))
            self.watching.set()
