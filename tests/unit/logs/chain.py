"""Reader, HTTP, keeper and store in one process: all but the API server is real; and each of them can be killed."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web
from yarl import URL

from elt_operator.archive.exchange import AUDIENCE
from elt_operator.kube.errors import ApiError
from elt_operator.log_reader.keeper import Away, Keeper
from elt_operator.log_reader.pod_folders import PodFolders
from elt_operator.log_reader.reader import Reader
from elt_operator.log_reader.spool import Spool
from elt_operator.logs import program
from elt_operator.logs.metrics import Metrics
from elt_operator.logs.store import Store, Volume
from elt_operator.settings.logs import Settings
from fakes.kubelet_logs import ContainerLog

Body = dict[str, Any]
JOB, POD = "6a0d3f0e-0000-4000-8000-000000000001", "6a0d3f0e-0000-4000-8000-00000000000a"
READER = "system:serviceaccount:elt-operator:log-reader"


def job(phase: str = "RUNNING", **status: Any) -> Body:
    """Return the Job, which runs, or has ended and waits for its log."""
    told: Body = {
        "phase": phase, "startTime": "2026-01-01T00:00:00Z",
        "attempts": [{"number": 1, "pod": "weather-1-abcde", "startTime": "2026-01-01T00:00:00Z"}],
    }  # fmt: skip
    if phase != "RUNNING":
        told |= {"endTime": "2026-01-01T00:01:00Z", "log": {"state": "Collecting"}}
    return {
        "metadata": {"namespace": "team", "name": "weather-1", "uid": JOB, "creationTimestamp": "2026-01-01T00:00:00Z"},
        "spec": {"pipelineName": "weather"}, "status": told | status,
    }  # fmt: skip


def pod(*, ended: bool = False, node: str = "node-1") -> Body:
    """Return its pod."""
    state = (
        {"terminated": {"exitCode": 0, "startedAt": "2026-01-01T00:00:00Z"}}
        if ended
        else {"running": {"startedAt": "2026-01-01T00:00:00Z"}}
    )
    labels = {"elt-operator.io/job-uid": JOB}
    return {
        "metadata": {"namespace": "team", "name": "weather-1-abcde", "uid": POD, "labels": labels},
        "spec": {"nodeName": node}, "status": {"containerStatuses": [{"name": "elt", "state": state}]},
    }  # fmt: skip


@dataclass
class ApiServer:
    """Answers reviews, and remembers what is written. A token of a reader is its name, an @ and its node."""

    written: list[tuple[str, Any]] = field(default_factory=list)
    may_read: set[str] = field(default_factory=lambda: {"alice"})
    away: bool = False

    async def request(self, method: str, path: str, body: Any = None, *, token: str = "", **_: str) -> Body:
        if self.away:
            raise ApiError(503, "ServiceUnavailable", "it is away")
        if path.endswith("/tokenreviews"):
            user, _, node = body["spec"]["token"].partition("@")
            good = body["spec"]["audiences"] == [AUDIENCE] and bool(node)
            who = {"username": user, "extra": {"authentication.kubernetes.io/node-name": [node]}}
            return {"status": {"authenticated": good, "audiences": [AUDIENCE], "user": who}}
        if path.endswith("/selfsubjectaccessreviews"):
            if token == "nobody":
                raise ApiError(401, "Unauthorized", "")
            return {"status": {"allowed": token in self.may_read}}
        self.written.append((f"{method} {path}", body))
        return {}

    @property
    def told(self) -> Body:
        """What was last written into the Job's status."""
        told: Body = self.written[-1][1]["status"]["log"]
        return told


@dataclass
class Chain:
    """From a kubelet's files to whoever reads the log, step by step."""

    folder: Path
    wrapped: Callable[[Store], Store] = lambda store: store
    """Puts something between the keeper and its store."""
    api_server: ApiServer = field(default_factory=ApiServer)
    job: Body = field(default_factory=job)
    pods: list[Body] = field(default_factory=lambda: [pod()])
    clock: float = 0.0
    token: str = f"{READER}@node-1"
    reader: Reader | None = None
    url: str = ""
    _connection: Keeper | None = None
    _server: web.AppRunner | None = None
    _port: int = 0

    def __post_init__(self) -> None:
        (self.folder / "token").write_text(self.token)
        self.store: Store = Volume(self.folder / "store")
        self.log = self.new_log()
        self.start_parts()

    def new_log(self, uid: str = POD, name: str = "weather-1-abcde") -> ContainerLog:
        return ContainerLog(self.folder / f"pods/team_{name}_{uid}/elt")

    def start_parts(self) -> None:
        """Make a keeper that knows nothing but what the store and the API server tell."""
        self.metrics = Metrics()
        store, settings = self.wrapped(self.store), Settings(reader_user=READER)
        self.parts = program.parts(self.api_server, store, self.metrics, settings)  # type: ignore[arg-type]  # a client
        self.watched = self.parts.keeper.watched
        self.watch()

    def watch(self) -> None:
        """Have the keeper's watches tell what there is."""
        if self.job:
            self.watched.take_job(self.job)
        for body in self.pods:
            self.watched.take_pod(body)

    async def start_keeper(self) -> None:
        """Have its door open; raises what the store does."""
        self._server = web.AppRunner(self.parts.door.app(), shutdown_timeout=0.1)
        await self._server.setup()
        site = web.TCPSite(self._server, "127.0.0.1", self._port)
        await site.start()
        self._port = self._server.addresses[0][1]
        self.url = f"http://127.0.0.1:{self._port}"
        await self.parts.keeper.adopt()
        self.parts.door.is_open = True

    async def stop_keeper(self) -> None:
        if self._server:
            await self._server.cleanup()
        self._server = None

    async def restart_keeper(self) -> None:
        """Kill it and start it again; what it has in memory is lost."""
        await self.stop_keeper()
        self.start_parts()
        await self.start_keeper()

    async def start_reader(self) -> None:
        """Start a reader that knows nothing but what is in its spool."""
        await self.stop_reader()
        self._connection = Keeper(self.url, self.folder / "token")
        await self._connection.__aenter__()
        spool = Spool(self.folder / "spool", 64 * 2**20, 32 * 2**20)
        spool.load()
        self.reader = Reader(PodFolders(self.folder / "pods"), spool, self._connection, (), lambda: self.clock)

    async def stop_reader(self) -> None:
        if self.reader:
            for log in self.reader.logs.values():
                log.files.close()
        if self._connection:
            await self._connection.__aexit__(None, None, None)
        self.reader = self._connection = None

    async def turn(self, seconds: float = 1.0) -> None:
        """Let the reader look, ask and push; and the keeper settle what has ended."""
        assert self.reader
        self.clock += seconds
        await self.reader.step()
        with suppress(Away):
            await self.reader.sync_once()
        await self.reader.push_all()
        for facts in self.watched.unsettled():
            if facts.ended:
                await self.parts.keeper.settle(facts)

    def end(self) -> None:
        """Have the process end, and the Job say so."""
        self.pods = [pod(ended=True)]
        self.job = job("COMPLETE")
        self.watch()

    async def finish(self) -> Body:
        """Go on until the Job says what became of its log; return that."""
        for _ in range(60):
            await self.turn()
            if self.api_server.written and not self.watched.unsettled():
                return self.api_server.told
        raise AssertionError("the log was not settled")

    async def read_path(self, path: str, who: str) -> tuple[int, bytes]:
        """Ask for a path as it is, whatever is quoted in it."""
        headers = {"Authorization": f"Bearer {who}"}
        async with (
            aiohttp.ClientSession() as session,
            session.get(URL(f"{self.url}{path}", encoded=True), headers=headers) as answer,
        ):
            return answer.status, await answer.read()

    async def read(self, who: str = "alice", job: str = JOB, accept: str = "*/*", **query: str) -> tuple[int, bytes]:
        headers = {"Authorization": f"Bearer {who}", "Accept": accept}
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"{self.url}/v1/logs/{job}", params=query, headers=headers) as answer,
        ):
            return answer.status, await answer.read()


@asynccontextmanager
async def running(chain: Chain) -> AsyncIterator[Chain]:
    """Start reader and keeper; stop them at the end."""
    try:
        await chain.start_keeper()
        await chain.start_reader()
        yield chain
    finally:
        await chain.stop_reader()
        await chain.stop_keeper()
