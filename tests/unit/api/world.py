"""The API as people use it, over HTTP; its API server is one in memory."""

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple

import aiohttp
import orjson

from elt_operator.api import program
from elt_operator.api.app import app
from elt_operator.api.parts import Parts
from elt_operator.resources import names
from elt_operator.settings.api import Settings
from fakes.people import EVERYTHING, READS, ApiServer, Person

Body = dict[str, Any]
NOW = datetime(2026, 1, 1, 6, tzinfo=UTC)


def a_pipeline(name: str = "weather", namespace: str = "team-a", **spec: Any) -> Body:
    """Return a Pipeline that is ready."""
    return {
        "metadata": {"namespace": namespace, "name": name, "uid": f"uid-of-{namespace}-{name}"},
        "spec": {"image": "x", "maxRetries": 2, **spec},
        "status": {"conditions": [{"type": "Ready", "status": "True"}]},
    }


def a_job(name: str = "weather-1", namespace: str = "team-a", phase: str = "COMPLETE", **status: Any) -> Body:
    """Return a Job of it that has ended."""
    times = {} if phase == "QUEUED" else {"startTime": "2026-01-01T05:00:00Z"}
    times |= {} if phase in {"QUEUED", "RUNNING"} else {"endTime": "2026-01-01T05:01:00Z"}
    return {
        "metadata": {"namespace": namespace, "name": name, "uid": f"uid-of-{namespace}-{name}"},
        "spec": {"pipelineName": "weather"},
        "status": {
            "phase": phase,
            "reason": "Completed",
            **times,
            **({"exitCode": 0} if "endTime" in times else {}),
            **status,
        },
    }


class Answer(NamedTuple):
    """What the API answers."""

    code: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)


@dataclass
class World:
    """The API, its API server, and who uses it."""

    api_server: ApiServer
    parts: Parts
    url: str
    clock: list[float] = field(default_factory=lambda: [0.0])

    async def ask(
        self, method: str, path: str, who: str = "admin", json: Any = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Return what somebody is answered."""
        sent = {**({"Authorization": f"Bearer {who}"} if who else {}), **(headers or {})}
        async with (
            aiohttp.ClientSession() as session,
            session.request(method, f"{self.url}{path}", json=json, headers=sent, allow_redirects=False) as answer,
        ):
            return Answer(answer.status, answer.headers.copy(), await answer.read())

    async def get(self, path: str, who: str = "admin", **headers: str) -> Answer:
        return await self.ask(
            "GET", path, who, headers={name.replace("_", "-"): text for name, text in headers.items()}
        )

    async def until(self, holds: Any) -> None:
        async with asyncio.timeout(10):
            while not holds():  # noqa: ASYNC110 - what is waited for has no event of its own
                await asyncio.sleep(0.005)

    def put(self, plural: str, body: Body) -> Body:
        return self.api_server.put(plural, body)


PEOPLE = {
    "admin": Person({"": EVERYTHING}),
    "editor": Person({"team-a": EVERYTHING}),
    "viewer": Person({"team-a": READS}),
    "one-job": Person({"team-a": EVERYTHING}, only="weather-1"),
    "stranger": Person({}),
}


@asynccontextmanager
async def a_world(*, namespaces: str = "", logs_url: str = "", closed: Collection[str] = ()) -> AsyncIterator[World]:
    """Start the API with a Pipeline and a Job in two namespaces; it may not read those that are ``closed``."""
    api_server = ApiServer(dict(PEOPLE), closed=set(closed))
    for namespace in ("team-a", "team-b"):
        api_server.put("namespaces", {"metadata": {"name": namespace}})
        api_server.put(names.PIPELINES, a_pipeline(namespace=namespace))
        api_server.put(names.JOBS, a_job(namespace=namespace))
    async with api_server.serving() as client:
        settings = Settings(
            watch_namespaces=namespaces, logs_url=logs_url, reads_per_second=10_000, changes_per_second=10_000
        )
        parts = program.parts(client, settings)
        parts.now = lambda: NOW
        async with parts.logs.kept, serving(parts) as url:
            tasks = [asyncio.create_task(one.run()) for one in parts.watching.reflectors()]
            tasks.append(asyncio.create_task(parts.feed.send()))
            world = World(api_server, parts, url)
            try:
                await asyncio.wait_for(parts.watching.listed.wait(), 10)
                yield world
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)


@asynccontextmanager
async def serving(parts: Parts) -> AsyncIterator[str]:
    """Serve the application on a port of this machine."""
    server = program.server(app(parts, ["https://data.example.com"]), 0, "127.0.0.1")
    task = asyncio.create_task(server.serve())
    try:
        async with asyncio.timeout(10):
            while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
                await asyncio.sleep(0.005)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        await task
