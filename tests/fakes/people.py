"""An API server over HTTP that has objects, watches on them, and people with rights: what the API's own tests need.

A token is somebody's name. Who is not known is nobody; a write of somebody without the right is refused.
"""

import asyncio
import copy
import itertools
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer
from kubernetes.aio.client import Configuration

from elt_operator.kube.client import Client
from elt_operator.resources import names

Body = dict[str, Any]
OWN = "the-api"
"""The token of the API's own service account: it may list and watch, and nothing else."""
READS = frozenset({"get", "list", "watch"})
EVERYTHING = READS | {"create", "patch", "delete"}


@dataclass
class Person:
    """Somebody, and what they may do: verbs by namespace; empty: in all of them."""

    rights: dict[str, frozenset[str]]
    only: str = ""
    """The only Job that they may see."""
    resource: str = ""
    """Of what they are the rights; empty: of everything."""
    also: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """More verbs, by resource."""

    def may(self, verb: str, namespace: str, name: str, resource: str) -> bool:
        if verb in self.also.get(resource, frozenset()):
            return True
        if (self.only and name != self.only) or self.resource not in {"", resource}:
            return False
        return verb in self.rights.get("", frozenset()) or verb in self.rights.get(namespace, frozenset())


@dataclass
class ApiServer:
    """The objects, and who may do what with them."""

    people: dict[str, Person] = field(default_factory=dict)
    objects: dict[str, dict[str, Body]] = field(default_factory=dict)
    """By the path of their collection, and their name."""
    away: bool = False
    reviews_fail_with: int = 0
    writes_conflict: bool = False
    closed: set[str] = field(default_factory=set)
    """Namespaces that the API itself may not read."""
    requests: list[tuple[str, str, str]] = field(default_factory=list)
    """Method, path and token of each."""
    _versions: "itertools.count[int]" = field(default_factory=lambda: itertools.count(101))
    _events: list[tuple[int, str, Body]] = field(default_factory=list)
    """Version, collection and event."""
    _more: asyncio.Event = field(default_factory=asyncio.Event)
    _life: int = 0
    """Grows when all watches end."""
    _expired: set[str] = field(default_factory=set)
    """Collections whose next watch is told that its version is too old."""

    # -- what tests do -------------------------------------------------------------------------------------------------

    def put(self, plural: str, body: Body) -> Body:
        """Store an object, and tell whoever watches."""
        body = copy.deepcopy(body)
        metadata = body["metadata"]
        there = self.objects.setdefault(self.path(plural, metadata.get("namespace", "")), {})
        known = there.get(metadata["name"])
        metadata.setdefault("uid", known["metadata"]["uid"] if known else f"uid-of-{metadata['name']}")
        metadata.setdefault("creationTimestamp", "2026-01-01T00:00:00Z")
        there[metadata["name"]] = body
        self._tell(plural, "MODIFIED" if known else "ADDED", body)
        return body

    def remove(self, plural: str, namespace: str, name: str) -> None:
        self._tell(plural, "DELETED", self.objects[self.path(plural, namespace)].pop(name))

    @staticmethod
    def path(plural: str, namespace: str) -> str:
        root = "/api/v1" if plural in {"namespaces", "pods"} else names.API_ROOT
        return f"{root}/namespaces/{namespace}/{plural}" if namespace else f"{root}/{plural}"

    def _tell(self, plural: str, kind: str, body: Body) -> None:
        version = next(self._versions)
        body["metadata"]["resourceVersion"] = str(version)
        self._events.append((version, plural, {"type": kind, "object": copy.deepcopy(body)}))
        self._more.set()
        self._more = asyncio.Event()

    def break_watches(self) -> None:
        """End all watches; those that go on have to list anew."""
        self._life += 1
        self._expired = {"namespaces", names.PIPELINES, names.JOBS}
        self._more.set()
        self._more = asyncio.Event()

    def asked_by(self, token: str) -> list[str]:
        return [f"{method} {path}" for method, path, whose in self.requests if whose == token]

    # -- what it answers -----------------------------------------------------------------------------------------------

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        token = request.headers.get("Authorization", f"Bearer {OWN}").removeprefix("Bearer ")
        self.requests.append((request.method, request.path, token))
        refusal = self._refusal(request.path, token)
        if refusal:
            return refusal
        if request.path.endswith("/selfsubjectreviews"):
            return web.json_response({"status": {"userInfo": {"username": token, "uid": f"uid-of-{token}"}}})
        if request.path.endswith("/selfsubjectaccessreviews"):
            wanted = (await request.json())["spec"]["resourceAttributes"]
            resource = "/".join(filter(None, [wanted["resource"], wanted["subresource"]]))
            allowed = self.people[token].may(wanted["verb"], wanted["namespace"], wanted["name"], resource)
            return web.json_response({"status": {"allowed": allowed}})
        return await self._of_objects(request, token)

    def _refusal(self, path: str, token: str) -> web.Response | None:
        if token == OWN and any(f"/namespaces/{one}/" in path for one in self.closed):
            return _status(403, "Forbidden", "the API may not read it")
        if self.away:
            return _status(503, "ServiceUnavailable", "it is away")
        if token != OWN and token not in self.people:
            return _status(401, "Unauthorized", "Unauthorized")
        if self.reviews_fail_with and "/selfsubject" in path:
            return _status(self.reviews_fail_with, "No", "no")
        return None

    async def _of_objects(self, request: web.Request, token: str) -> web.StreamResponse:
        root = names.API_ROOT if request.path.startswith(names.API_ROOT) else "/api/v1"
        parts = request.path.removeprefix(f"{root}/").split("/")
        namespace, plural, *rest = parts[1:] if parts[0] == "namespaces" and len(parts) > 2 else ["", *parts]
        name = rest[0] if rest else ""
        verb = {"POST": "create", "PATCH": "patch", "DELETE": "delete"}.get(request.method, "get" if name else "list")
        may = verb in READS if token == OWN else self.people[token].may(verb, namespace, name, plural)
        if not may:
            return _status(403, "Forbidden", f'{plural} is forbidden: User "{token}" cannot {verb}')
        if "watch" in request.query:
            return await self._watch(request, plural, namespace)
        if verb == "list":
            return self._list(plural, namespace)
        there = self.objects.setdefault(self.path(plural, namespace), {})
        if verb == "create":
            return self._create(plural, namespace, await request.json())
        if name not in there:
            return _status(404, "NotFound", f"{plural} {name!r} not found")
        return await self._of_one(request, plural, there[name])

    async def _of_one(self, request: web.Request, plural: str, known: Body) -> web.Response:
        if self.writes_conflict and request.method != "GET":
            return _status(409, "Conflict", "the object has been modified")
        match request.method:
            case "PATCH":
                return self._patch(plural, known, await request.json())
            case "DELETE":
                return self._delete(plural, known, await request.json())
            case _:
                return web.json_response(known)

    def _list(self, plural: str, namespace: str) -> web.Response:
        ending, begin = f"/{plural}", f"/namespaces/{namespace}/" if namespace else ""
        items = [
            body for path, there in self.objects.items() if path.endswith(ending) and begin in path
            for body in there.values()
        ]  # fmt: skip
        version = self._events[-1][0] if self._events else 100
        return web.json_response({"items": items, "metadata": {"resourceVersion": str(version)}})

    async def _watch(self, request: web.Request, plural: str, namespace: str) -> web.StreamResponse:
        version = int(request.query["resourceVersion"])
        if plural in self._expired:
            self._expired.discard(plural)
            return _status(410, "Expired", "too old resource version")
        response = web.StreamResponse()
        await response.prepare(request)
        life = self._life
        while not self.away and life == self._life:
            more = self._more
            for at, of, event in self._events:
                inside = not namespace or event["object"]["metadata"].get("namespace") == namespace
                if at > version and of == plural and inside:
                    await response.write(json.dumps(event).encode() + b"\n")
            version = self._events[-1][0] if self._events else version
            await more.wait()
        return response

    def _create(self, plural: str, namespace: str, body: Body) -> web.Response:
        metadata = body["metadata"]
        metadata["namespace"] = namespace
        metadata.setdefault("name", f"{metadata.get('generateName', '')}{next(self._versions)}")
        if metadata["name"] in self.objects.get(self.path(plural, namespace), {}):
            return _status(409, "AlreadyExists", f"{plural} {metadata['name']!r} already exists")
        if "" in body["spec"].get("arguments", []):
            causes = [{"field": "spec.arguments[0]", "message": "it must not be empty"}]
            return _status(422, "Invalid", "the Job is invalid", causes)
        return web.json_response(self.put(plural, body), status=201)

    def _patch(self, plural: str, known: Body, patch: Body) -> web.Response:
        if patch.get("metadata", {}).get("uid", known["metadata"]["uid"]) != known["metadata"]["uid"]:
            return _status(409, "Conflict", "another UID")
        return web.json_response(self.put(plural, {**known, "spec": {**known["spec"], **patch.get("spec", {})}}))

    def _delete(self, plural: str, known: Body, options: Body) -> web.Response:
        if options.get("preconditions", {}).get("uid") != known["metadata"]["uid"]:
            return _status(409, "Conflict", "another UID")
        self.remove(plural, known["metadata"]["namespace"], known["metadata"]["name"])
        return web.json_response({"kind": "Status", "status": "Success"})

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[Client]:
        """Serve for as long as the context lasts; give the API's own client."""
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._answer)
        async with TestServer(app, shutdown_timeout=0) as server:
            configuration = Configuration(host=str(server.make_url("")).rstrip("/"))
            async with Client(configuration, "test") as client:
                yield client


def _status(code: int, reason: str, message: str, causes: Any = ()) -> web.Response:
    body = {"kind": "Status", "code": code, "reason": reason, "message": message, "details": {"causes": list(causes)}}
    return web.json_response(body, status=code)
