"""Keeping something in memory like a collection of the API server."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from elt_operator.kube import foreign
from elt_operator.kube.client import Client
from elt_operator.kube.reflector import Reflector

_PAGE: Final = 50
"""An object may have a megabyte, and a page is held whole while it is read."""

Take = Callable[[Mapping[str, Any]], None]


@dataclass(frozen=True)
class Mirror:
    """What is done with the objects of a collection."""

    path: str
    take: Take
    """Takes what is told of an object."""
    deleted: Take
    """Takes the last that is told of an object that was deleted."""
    forget: Callable[[str], None]
    """Takes notice that the object with this UID is gone, of which nobody has told."""
    known: Callable[[], Sequence[str]]
    """Returns the UIDs of the objects that are here."""
    selectors: Mapping[str, str] = field(default_factory=dict)
    agrees: Callable[[], None] = lambda: None
    """Is called whenever all is known to be as it is there, or was a moment ago."""
    listed: Callable[[str], None] = lambda _version: None
    """Is called with the version of each list, when all of it was taken."""
    refused: Callable[[Exception], None] = lambda _error: None
    """Is called when there is no such collection, or it may not be read."""

    def reflector(self, client: Client, *, seconds: int = 0) -> Reflector:
        """Return what watches the collection; ``seconds``: how long one watch lasts, whose end also ``agrees``."""

        async def compare() -> str:
            gone, version = set(self.known()), ""
            async for page in client.pages(self.path, self.selectors, limit=_PAGE):
                version = page.version
                for body in page.items:
                    self.take(body)
                    gone.discard(foreign.uid(body))
            for uid in gone:
                self.forget(uid)
            self.listed(version)
            self.agrees()
            return version

        async def watch(version: str) -> AsyncIterator[dict[str, Any]]:
            async for event in client.watch(self.path, self.selectors, version, seconds=seconds):
                self.agrees()
                yield event
            self.agrees()

        return Reflector(self.path, list=compare, watch=watch, take=self._take_event, refused=self.refused)

    def _take_event(self, event: dict[str, Any]) -> None:
        body = foreign.part(event, "object")
        if event.get("type") == "DELETED":
            self.deleted(body)
        else:
            self.take(body)
