"""The one way of objects into the cache, for lists and watches alike: one that cannot be read is skipped, and told."""

import logging
from collections.abc import Callable
from typing import Any, Final

from elt_operator.controller.cache import Cache, version_of
from elt_operator.core.model import PipelineKey
from elt_operator.kube import foreign

logger = logging.getLogger(__name__)

_REMEMBERED: Final = 10_000
_NAME_CHARACTERS: Final = 253


class Unreadable:
    """Logs and counts the objects that cannot be read: once for each of their versions, without what stands in them."""

    def __init__(self, count: Callable[[str], None]) -> None:
        """``count`` is told the plural of each."""
        self._count = count
        self._told: dict[tuple[str, ...], None] = {}

    def tell(self, plural: str, body: Any, why: str) -> None:
        """Say that ``body`` was skipped."""
        metadata = foreign.part(body, "metadata")
        whose = (plural, *(_printable(metadata.get(name)) for name in ("namespace", "name", "uid", "resourceVersion")))
        if whose in self._told:
            return
        if len(self._told) >= _REMEMBERED:
            del self._told[next(iter(self._told))]
        self._told[whose] = None
        self._count(plural)
        logger.error("skipped %s %s/%s: it cannot be read (%s)", *whose[:3], why)


def _printable(value: Any) -> str:
    shown = foreign.text(value, "?")[:_NAME_CHARACTERS]
    return "".join(character if character.isprintable() else "?" for character in shown)


class Intake:
    """Takes objects into the cache and wakes whom they are about. Nothing here raises, whatever a body looks like."""

    def __init__(
        self, cache: Cache, wake: Callable[[PipelineKey], None], skipped: Callable[[str, Any, str], None]
    ) -> None:
        """``skipped`` is told what cannot be read: its plural, the body, and why."""
        self._cache, self._wake, self._skipped = cache, wake, skipped

    def take(self, plural: str, body: Any) -> str:
        """Take an object of a list; return its UID, empty where it has none."""
        for store in self._cache.stores(plural):
            try:
                for key in store.take(body):
                    self._wake(key)
            except Exception as error:  # noqa: BLE001 - one object that cannot be read must not hide the others
                self._skipped(plural, body, type(error).__name__)
        return foreign.uid(body)

    def take_event(self, plural: str, event: Any) -> None:
        """Take what a watch says of an object."""
        event = foreign.mapping(event)
        try:
            keys = self._cache.take_event(plural, event)
        except Exception as error:  # noqa: BLE001 - one object that cannot be read must not hide the others
            body = event.get("object")
            self._skipped(plural, body, type(error).__name__)
            if event.get("type") == "DELETED":
                self.forget(plural, foreign.uid(body))
            return
        for key in keys:
            self._wake(key)

    def forget(self, plural: str, of_uid: str, at_version: str = "") -> None:
        """Forget an object that was gone at this version of its list."""
        for key in self._cache.forget(plural, of_uid, version_of(at_version)):
            self._wake(key)

    def wake_all(self, namespace: str | None = None) -> None:
        """Have every Pipeline looked at; or those of one namespace."""
        for key in self._cache.all_keys():
            if namespace in {None, key.namespace}:
                self._wake(key)
