"""What Kubernetes last warned of about each object: only its events say why a run does not start, now and then."""

import asyncio
import logging
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from elt_operator.core import words
from elt_operator.errors import OperatorError
from elt_operator.kube import foreign, paths
from elt_operator.kube.answers import printable
from elt_operator.kube.client import Client

logger = logging.getLogger(__name__)

MAX_AGE_SECONDS: Final = 5.0
"""How old an answer may be. The API server reads all events of a namespace for each list of them, whatever is asked."""
_MESSAGE_CHARACTERS: Final = 1024
_TIME_CHARACTERS: Final = 64
_MOST_OBJECTS: Final = 5_000
"""Of how many objects the warnings are kept: those that were warned of last."""


class _Warning(NamedTuple):
    """What sorts by its time."""

    time: str
    message: str


@dataclass
class _Known:
    """The warnings of one namespace."""

    read_at: float = float("-inf")
    by_uid: Mapping[str, str] = field(default_factory=dict)
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    def is_old(self) -> bool:
        """Return whether they have to be read again."""
        return time.monotonic() - self.read_at > MAX_AGE_SECONDS


class NewestWarnings:
    """Answers from one list for each namespace, however many objects are asked about."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._known: dict[str, _Known] = {}

    async def about(self, namespace: str, uid: str) -> str:
        """Return the newest warning about an object; empty: there is none."""
        known = self._known.setdefault(namespace, _Known())
        async with known.lock:
            if known.is_old():
                known.by_uid = await self._read(namespace)
                known.read_at = time.monotonic()
                self._forget_old()
        return printable(known.by_uid.get(uid), _MESSAGE_CHARACTERS)

    def _forget_old(self) -> None:
        """Forget what is too old and not being read again: it holds all warnings of a namespace."""
        self._known = {name: known for name, known in self._known.items() if known.lock.locked() or not known.is_old()}

    async def _read(self, namespace: str) -> Mapping[str, str]:
        """Return the newest warning by UID; what cannot be read explains nothing, and is no reason to wait."""
        newest: dict[str, _Warning] = {}
        try:
            path = paths.EVENTS.collection(namespace)
            async for page in self._client.pages(path, {"fieldSelector": "type=Warning"}):
                newest = _with_newer(newest, page.items)
        except OperatorError as error:
            logger.warning("the warnings in namespace %s cannot be read: %s", namespace, error)
        return {uid: warning.message for uid, warning in newest.items()}


def _with_newer(newest: dict[str, _Warning], events: Iterable[Mapping[str, Any]]) -> dict[str, _Warning]:
    """Return ``newest`` with what ``events`` add to it, of the objects that were warned of last."""
    for event in events:
        uid = foreign.text(foreign.part(event, "involvedObject").get("uid"))
        told = _Warning(_event_time(event), _message(event)[:_MESSAGE_CHARACTERS])
        if uid and told >= newest.get(uid, told):
            newest[uid] = told
    if len(newest) <= _MOST_OBJECTS:
        return newest
    return dict(sorted(newest.items(), key=lambda one: one[1].time)[-_MOST_OBJECTS:])


def _message(event: Mapping[str, Any]) -> str:
    reason, about = foreign.text(event.get("reason")), foreign.part(event, "involvedObject")
    return words.of_an_event(reason, foreign.text(about.get("fieldPath")), foreign.text(event.get("message")))


def _event_time(event: Mapping[str, Any]) -> str:
    """Return when an event last happened, as text that sorts; old and new form of events keep it in other places."""
    known = (
        foreign.part(event, "series").get("lastObservedTime"),
        event.get("lastTimestamp"),
        event.get("eventTime"),
        foreign.part(event, "metadata").get("creationTimestamp"),
    )
    first = next((time for time in known if time and isinstance(time, str)), "")
    return foreign.text(first)[:_TIME_CHARACTERS].rstrip("Z")  # then seconds sort before their fractions
