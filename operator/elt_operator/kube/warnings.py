"""What Kubernetes last warned of about each object: only its events say why a run does not start, now and then."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from elt_operator.kube.client import EVENTS_PATH, Client

MAX_AGE_SECONDS: Final = 5.0
"""How old an answer may be. The API server reads all events of a namespace for each list of them, whatever is asked."""


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
        return known.by_uid.get(uid, "")

    def _forget_old(self) -> None:
        """Forget what is too old and not being read again: it holds all warnings of a namespace."""
        self._known = {name: known for name, known in self._known.items() if known.lock.locked() or not known.is_old()}

    async def _read(self, namespace: str) -> Mapping[str, str]:
        path = f"{EVENTS_PATH}/namespaces/{namespace}/events"
        newest: dict[str, tuple[str, str]] = {}
        async for event in self._client.objects(path, fieldSelector="type=Warning"):
            uid, told = event["involvedObject"].get("uid", ""), (_event_time(event), event.get("message", ""))
            newest[uid] = max(newest.get(uid, told), told)
        return {uid: message for uid, (_, message) in newest.items()}


def _event_time(event: Mapping[str, Any]) -> str:
    """Return when an event last happened, as text that sorts; old and new form of events keep it in other places."""
    series = event.get("series") or {}
    return (
        series.get("lastObservedTime")
        or event.get("lastTimestamp")
        or event.get("eventTime")
        or event["metadata"].get("creationTimestamp")
        or ""
    )
