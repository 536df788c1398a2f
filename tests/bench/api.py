"""The cluster as the benchmark sees it: requests and watches."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp

from elt_operator.kube.client import Client

Body = dict[str, Any]
Seen = Callable[[str, Body, float], None]
"""Is told of each event of a watch: its type, the object, and when it came (monotonic seconds)."""

SIDE_BY_SIDE = 48
"""How many requests are under way at the same time when many objects are made."""


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


async def namespace(client: Client, name: str) -> Place:
    """Make a namespace; it goes with the cluster."""
    await client.request("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
    return Place(client, name)
