"""Where it is measured: a cluster with a fake node, and the operator as a process beside it when it is asked for."""

import asyncio
import os
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from unittest.mock import patch

from bench.api import Place, namespace
from bench.costs import Audit, Meter, Process
from bench.kwok import fake_node
from cluster import cgroups
from cluster.local import Local
from cluster.settings import Settings
from e2e.world import USER, Operator
from elt_operator.kube import login
from elt_operator.kube.client import Client

ROOT: Final = Path(__file__).resolve().parent.parent.parent
FOLDER: Final = ROOT / "docs" / "performance"
READY: Final = "watching"
COMPONENTS: Final = {
    "API server": "kube-apiserver",
    "etcd": "etcd",
    "controllers": "kube-controller-manager",
    "scheduler": "kube-scheduler",
}
REST_SECONDS: Final = 2
REST_SHARE: Final = 0.1
"""Of a core, that an API server needs which is asked for nothing but watches and leases."""


@dataclass(frozen=True)
class Running:
    """The operator at work."""

    process: Process
    seconds_to_ready: float
    """From its start until all is listed and its watches run."""


@dataclass(frozen=True)
class Bed:
    """A cluster that nothing has been measured on yet."""

    client: Client
    local: Local
    place: Place
    """A namespace of it."""
    processes: Mapping[str, Process]
    """Those of the cluster, and this one, by what the tables call them."""

    def meter(self, running: Running | None) -> Meter:
        """Return what counts costs from now on; ``running``: the operator, where there is one."""
        return Meter(self.processes, running.process if running else None)

    def audit(self) -> Audit:
        """Return what counts the operator's writes from now on."""
        return Audit(self.local.audit_log, USER)

    async def at_rest(self) -> None:
        """Return when the API server has next to nothing to do, and the operator has written nothing for a while."""
        while True:
            audit, meter = self.audit(), self.meter(None)
            await asyncio.sleep(REST_SECONDS)
            if not audit.writes() and meter.read().cpu["API server"] < REST_SHARE * REST_SECONDS:
                return

    async def api_server_profile(self, seconds: int, file: Path) -> None:
        """Write what the API server spends its CPU time on in the next ``seconds``: for `go tool pprof -top`."""
        command = ("get", "--raw", f"/debug/pprof/profile?seconds={seconds}")
        kubectl = await asyncio.create_subprocess_exec("kubectl", *command, stdout=asyncio.subprocess.PIPE)
        printed, _ = await kubectl.communicate()
        assert kubectl.returncode == 0, "the API server gave no profile"
        await asyncio.to_thread(file.write_bytes, printed)

    @asynccontextmanager
    async def operator(self, code: Path | None = None, *, audit_seconds: int = 300) -> AsyncIterator[Running]:
        """Run the operator from ``code``, or the working tree, with exactly its rights, for all namespaces."""
        operator = Operator("", settings={"WORKERS": "16", "AUDIT_SECONDS": str(audit_seconds)}, code=code)
        await asyncio.to_thread(operator.prepare)
        start = time.monotonic()
        operator.start()
        try:
            while READY not in operator.log():
                if time.monotonic() - start > 300:
                    raise RuntimeError(f"the operator did not become ready:\n{operator.log()[-3000:]}")
                await asyncio.sleep(0.05)
            assert operator.process
            yield Running(Process(operator.process.pid), time.monotonic() - start)
            assert operator.process.poll() is None, f"the operator ended:\n{operator.log()[-3000:]}"
            assert "Traceback" not in operator.log(), operator.log()
        finally:
            await asyncio.to_thread(operator.kill)


@dataclass(frozen=True)
class Plane:
    """Makes clusters whose control plane has these flags."""

    flags: Mapping[str, str]
    """By the variables of the cluster tool."""
    before: Mapping[str, Path] = field(default_factory=dict)
    """Where the operator's code is as it was earlier, by its revision."""
    times: int = 0
    """How often makespans are measured; 0: as each part says."""

    @asynccontextmanager
    async def fresh(self) -> AsyncIterator[Bed]:
        """Start a cluster with the resource types and the operator's rights, and take it down in the end.

        Each measurement has one of its own: what an earlier one has left behind would make the next one slower.
        """
        with patch.dict(os.environ, self.flags), tempfile.TemporaryDirectory(prefix="elt-bench-") as work:
            local = Local(Settings.from_environment())
            local.down()
            local = Local(Settings.from_environment())
            local.up()
            try:
                for manifest in (*sorted((ROOT / "crds").glob("elt*.yaml")), ROOT / "manifests/install/cluster.yaml"):
                    local.kubectl("apply", "--server-side", f"--filename={manifest}")
                # The operator that is measured runs beside the cluster, where the kernel counts.
                local.kubectl("scale", "--namespace=elt-operator", "deployment/elt-operator", "--replicas=0")
                with fake_node(local, local.settings.cache, Path(work)) as kwok:
                    async with Client(await login.configuration(), "bench") as client:
                        own = {"fake node": Process(kwok), "benchmark": Process(os.getpid())}
                        processes = {name: Process(min(cgroups.processes(of))) for name, of in COMPONENTS.items()} | own
                        bed = Bed(client, local, await namespace(client, "bench"), processes)
                        await bed.at_rest()
                        yield bed
            finally:
                local.down()
