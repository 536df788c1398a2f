"""The cache: snapshots of what the watches last told, by Pipeline. It may make us look; it never proves an absence."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Generic, Protocol, TypeVar

from elt_operator.core.situation import Job, Key, Pipeline, Pod, Refusal, Run
from elt_operator.kube import snapshots


class Snapshot(Protocol):
    """What all snapshots have."""

    @property
    def key(self) -> Key:
        """The Pipeline that it belongs to."""

    @property
    def uid(self) -> str:
        """Its UID."""


S = TypeVar("S", bound=Snapshot)


def _version(body: Mapping[str, Any]) -> int:
    """Return the resourceVersion as a number, 0 where it is none.

    They compare as numbers within one kind (https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-versions).
    """
    text = body["metadata"].get("resourceVersion", "")
    return int(text) if text.isascii() and text.isdigit() else 0


class Store(Generic[S]):
    """The snapshots of one kind, by the Pipeline they belong to and their UID."""

    def __init__(self, read: Callable[[Mapping[str, Any]], S | None]) -> None:
        self._read = read
        self._by_key: dict[Key, dict[str, S]] = {}
        self._keys: dict[str, Key] = {}
        self._versions: dict[str, int] = {}

    def of(self, key: Key) -> list[S]:
        """Return what belongs to the Pipeline ``key``."""
        return list(self._by_key.get(key, {}).values())

    def keys(self) -> set[Key]:
        """Return the Pipelines that anything here belongs to."""
        return set(self._by_key)

    def take(self, body: Mapping[str, Any]) -> Key | None:
        """Remember ``body`` unless something newer is known; return the Pipeline that it belongs to, if any."""
        uid, version = body["metadata"]["uid"], _version(body)
        if version and version < self._versions.get(uid, 0):
            return self._keys.get(uid)
        # The version is kept for what is not, too: else an older event that comes late would bring it back.
        self._versions[uid] = version
        snapshot = self._read(body)
        dropped = self._drop(uid) if snapshot is None or self._keys.get(uid, snapshot.key) != snapshot.key else None
        if snapshot is None:
            return dropped
        self._by_key.setdefault(snapshot.key, {})[uid] = snapshot
        self._keys[uid] = snapshot.key
        return snapshot.key

    def forget(self, uid: str) -> Key | None:
        """Forget the object ``uid``, which is gone; return the Pipeline that it belonged to, if it was known."""
        self._versions.pop(uid, None)
        return self._drop(uid)

    def _drop(self, uid: str) -> Key | None:
        key = self._keys.pop(uid, None)
        if key is None:
            return None
        of_key = self._by_key[key]
        del of_key[uid]
        if not of_key:
            del self._by_key[key]
        return key

    def take_event(self, event: Mapping[str, Any]) -> Key | None:
        """Remember what a watch event says; return the Pipeline that it is about, if any."""
        body = event["object"]
        if event["type"] == "DELETED":
            return self.forget(body["metadata"]["uid"])
        return self.take(body)

    def uids(self) -> set[str]:
        """Return the UIDs of all that is, or was, known."""
        return set(self._versions)

    def sync(self, bodies: Iterable[Mapping[str, Any]], known_before: set[str]) -> None:
        """Take a complete list; forget what was known before it was asked for and is not in it.

        Watches do not report each deletion: kopf tells of none that happened while its stream was broken.
        """
        listed: set[str] = set()
        for body in bodies:
            listed.add(body["metadata"]["uid"])
            self.take(body)
        for uid in known_before - listed:
            self.forget(uid)


class Cache:
    """All that is known without asking."""

    def __init__(self) -> None:
        self.pipelines: Store[Pipeline] = Store(snapshots.pipeline)
        self.jobs: Store[Job] = Store(_active_job)
        self.runs: Store[Run] = Store(snapshots.run)
        self.pods: Store[Pod] = Store(snapshots.pod)
        self.refusals: dict[str, Refusal] = {}
        """What the API server refused lately, by the UID of the Job."""
        self.taken_numbers: dict[Key, set[int]] = {}
        """Numbers of runs whose name belongs to a stranger."""
        self.last_ended: dict[Key, Job] = {}
        """The Job of each Pipeline that we saw end last."""

    def all_keys(self) -> set[Key]:
        """Return all Pipelines that anything is known of."""
        return self.pipelines.keys() | self.jobs.keys() | self.runs.keys() | self.pods.keys()


def _active_job(body: Mapping[str, Any]) -> Job | None:
    """Return the snapshot of a Job that has not ended: ended ones stay out of memory."""
    job = snapshots.job(body)
    return None if job is None or job.ended else job
