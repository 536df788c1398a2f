"""The cluster as the benchmark sees it: requests, watches, and what processes cost."""

import asyncio
import json
import os
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import aiohttp

from elt_operator.kube.client import Client

Body = dict[str, Any]
Seen = Callable[[str, Body, float], None]
"""Is told of each event of a watch: its type, the object, and when it came (monotonic seconds)."""

SIDE_BY_SIDE = 48
"""How many requests are under way at the same time when many objects are made."""

_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Place:
    """A namespace of one measurement."""

    client: Client
    name: str

    def collection(self, path: str, plural: str) -> str:
        """Return the path of a collection in this namespace."""
        return f"{path}/namespaces/{self.name}/{plural}"

    async def create(self, path: str, plural: str, body: Body) -> Body:
        """Create an object."""
        made: Body = await self.client.request("POST", self.collection(path, plural), body)
        return made

    async def each(self, work: Iterable[Callable[[], Awaitable[Any]]]) -> None:
        """Do all of ``work``, many at a time."""
        free = asyncio.Semaphore(SIDE_BY_SIDE)

        async def one(do: Callable[[], Awaitable[Any]]) -> None:
            async with free:
                await do()

        await asyncio.gather(*(one(do) for do in work))

    @asynccontextmanager
    async def watching(self, path: str, plural: str, seen: Seen) -> AsyncIterator[None]:
        """Tell ``seen`` of all that happens in a collection."""
        # A list of one object is enough to know where to begin.
        start = await self.client.request("GET", self.collection(path, plural), limit="1")
        version = start["metadata"]["resourceVersion"]
        session = self.client.new_session("bench")
        url = self.client.server + self.collection(path, plural)

        async def follow() -> None:
            """Watch for ever: the API server ends the watch of a reader that it finds too slow."""
            last = version
            while True:
                query = {"watch": "1", "resourceVersion": last, "timeoutSeconds": "3600"}
                async with session.get(url, params=query, timeout=aiohttp.ClientTimeout(total=None)) as stream:
                    rest = b""
                    async for chunk in stream.content.iter_any():
                        came = time.monotonic()
                        *lines, rest = (rest + chunk).split(b"\n")
                        for line in lines:
                            event = json.loads(line)
                            if event["type"] == "ERROR":
                                raise RuntimeError(f"the watch of {plural} ended: {event['object']}")
                            last = event["object"]["metadata"]["resourceVersion"]
                            seen(event["type"], event["object"], came)

        try:
            async with asyncio.TaskGroup() as group:  # an error of the watch ends what waits for it
                task = group.create_task(follow())
                try:
                    yield
                finally:
                    task.cancel()
        finally:
            await session.close()


COLLECTIONS: Final = (
    ("/apis/elt-operator.io/v1alpha1", "eltpipelines"),
    ("/apis/elt-operator.io/v1alpha1", "eltjobs"),
    ("/apis/batch/v1", "cronjobs"),
    ("/apis/batch/v1", "jobs"),
    ("/api/v1", "pods"),
    ("/api/v1", "events"),
)
"""What a measurement leaves behind, owners first."""


@asynccontextmanager
async def namespace(client: Client, label: str, *, emptied: bool = True) -> AsyncIterator[Place]:
    """Make a namespace, and empty it afterwards; it goes with the cluster."""
    place = Place(client, f"bench-{label}-{uuid.uuid4().hex[:6]}")
    await client.request("POST", "/api/v1/namespaces", {"metadata": {"name": place.name}})
    try:
        yield place
    finally:
        while emptied and await _left(place):
            for path, plural in COLLECTIONS:
                options = {"propagationPolicy": "Background", "gracePeriodSeconds": 0}
                with suppress(TimeoutError):  # of many objects; it is asked again
                    await client.request("DELETE", place.collection(path, plural), options)
            await asyncio.sleep(1)


async def _left(place: Place) -> bool:
    """Return whether there is anything in a namespace."""
    for path, plural in COLLECTIONS:
        page = await place.client.request("GET", place.collection(path, plural), limit="1")
        if page["items"]:
            return True
    return False


@dataclass(frozen=True)
class Process:
    """A process, by what the kernel knows of it."""

    pid: int

    @property
    def cpu_seconds(self) -> float:
        """The time that it has had of a core, its system calls included."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def _status(self, name: str) -> float:
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:")) / 1024

    @property
    def peak_megabytes(self) -> float:
        """The most memory that it has had, MiB."""
        return self._status("VmHWM")

    @property
    def megabytes(self) -> float:
        """The memory that it has now, MiB."""
        return self._status("VmRSS")


@dataclass
class Audit:
    """What the API server has written down of the operator's requests since this was made."""

    log: Path
    user: str
    _from: int = field(init=False)

    def __post_init__(self) -> None:
        self._from = self.log.stat().st_size

    def writes(self, of_namespace: str | None = None) -> Counter[str]:
        """Return how many writes there were, by verb and kind."""
        found: Counter[str] = Counter()
        with self.log.open() as lines:
            lines.seek(self._from)
            for line in lines:
                if self.user not in line:
                    continue
                event = json.loads(line)
                what = event.get("objectRef", {})
                mine = event["user"]["username"] == self.user and of_namespace in {None, what.get("namespace")}
                if mine and event["verb"] in {"create", "update", "patch", "delete", "deletecollection"}:
                    kind = "/".join(word for word in (what.get("resource"), what.get("subresource")) if word)
                    found[f"{event['verb']} {kind}"] += 1
        return found
