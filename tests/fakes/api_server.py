"""An API server over HTTP that knows as much as the watches ask for: discovery, and the Jobs of some namespaces.

There is nothing of any other resource.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer
from kubernetes.aio.client import Configuration

from elt_operator.kube.client import Client
from elt_operator.resources import names

_CORE = [{"name": "namespaces", "kind": "Namespace", "singularName": "", "namespaced": False, "verbs": ["list"]}]
_OURS = [{"name": names.JOBS, "kind": "Job", "singularName": "job", "namespaced": True, "verbs": ["list", "watch"]}]
_CRDS = [{"name": "customresourcedefinitions", "kind": "CRD", "singularName": "", "namespaced": False, "verbs": []}]


@dataclass
class Jobs:
    """The Jobs of one namespace."""

    items: list[Any] = field(default_factory=list)
    """What a list answers."""
    code: int = 200
    """What each request about the namespace is answered."""
    lists: int = 0
    streams: list[asyncio.Queue[Any]] = field(default_factory=list)
    """What each watch will be told; ``None`` ends it."""
    watched: asyncio.Event = field(default_factory=asyncio.Event)
    """Set while a watch goes on."""

    def tell(self, kind: str, body: Any) -> None:
        """Have the last watch told of ``body``."""
        self.streams[-1].put_nowait({"type": kind, "object": body})

    def close(self) -> None:
        """End the last watch."""
        self.watched.clear()
        self.streams[-1].put_nowait(None)


class ApiServer:
    """The server's answers."""

    def __init__(self, *namespaces: str) -> None:
        self.jobs = {namespace: Jobs() for namespace in namespaces}

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        found: dict[str, Any] = {
            "/api": {"versions": ["v1"]},
            "/api/v1": {"resources": _CORE},
            "/apis": {"groups": [_group(names.GROUP, names.VERSION), _group("apiextensions.k8s.io", "v1")]},
            f"/apis/{names.API_VERSION}": {"resources": _OURS},
            "/apis/apiextensions.k8s.io/v1": {"resources": _CRDS},
        }
        if request.path in found:
            return web.json_response(found[request.path])
        *_, namespace, plural = request.path.split("/")
        jobs = self.jobs[namespace] if plural == names.JOBS else Jobs(code=self.jobs[namespace].code)
        if jobs.code != web.HTTPOk.status_code:
            return web.json_response(
                {"kind": "Status", "reason": "No", "message": "said no", "code": jobs.code}, status=jobs.code
            )
        return await (self._watch if "watch" in request.query else self._list)(request, jobs)

    async def _list(self, request: web.Request, jobs: Jobs) -> web.StreamResponse:
        jobs.lists += 1
        start, size = int(request.query.get("continue", "0")), int(request.query["limit"])
        rest = {"continue": str(start + size)} if len(jobs.items) > start + size else {}
        items = jobs.items[start : start + size]
        return web.json_response({"kind": "JobList", "items": items, "metadata": {"resourceVersion": "100", **rest}})

    async def _watch(self, request: web.Request, jobs: Jobs) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        jobs.streams.append(asyncio.Queue())
        jobs.watched.set()
        while (event := await jobs.streams[-1].get()) is not None:
            await response.write(json.dumps(event).encode() + b"\n")
        return response

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[Client]:
        """Serve for as long as the context lasts; give a client."""
        app = web.Application()
        app.router.add_get("/{path:.*}", self._answer)
        async with (
            TestServer(app, shutdown_timeout=0) as server,
            Client(Configuration(host=str(server.make_url("")).rstrip("/")), "test") as client,
        ):
            yield client


def _group(name: str, version: str) -> dict[str, Any]:
    of_it: Sequence[dict[str, str]] = [{"version": version}]
    return {"name": name, "versions": of_it, "preferredVersion": of_it[0]}
