"""Where it is measured: a cluster with a fake node, and the operator as a process beside it when it is asked for."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from bench.api import Audit, Process
from cluster import cgroups
from cluster.local import Local
from e2e.world import Operator
from elt_operator.kube.client import Client

USER: Final = "system:serviceaccount:elt-operator:elt-operator"
FOLDER: Final = Path(__file__).resolve().parent.parent.parent / "docs" / "performance"
READY: Final = "looking after"


@dataclass(frozen=True)
class Running:
    """The operator at work."""

    process: Process
    seconds_to_ready: float
    """From its start until all is listed and its watches run."""


@dataclass(frozen=True)
class Bed:
    """The cluster of one run."""

    client: Client
    local: Local
    api_server: Process
    before: Mapping[str, Path] = field(default_factory=dict)
    """Where the operator's code is as it was earlier, by its revision."""
    folder: Path = FOLDER
    """Where what was found is written."""

    def audit(self) -> Audit:
        """Return what counts the operator's writes from now on."""
        return Audit(self.local.audit_log, USER)

    async def api_server_profile(self, seconds: int, file: Path) -> None:
        """Write what the API server spends its CPU time on in the next ``seconds``: for `go tool pprof -top`."""
        command = ("get", "--raw", f"/debug/pprof/profile?seconds={seconds}")
        kubectl = await asyncio.create_subprocess_exec("kubectl", *command, stdout=asyncio.subprocess.PIPE)
        printed, _ = await kubectl.communicate()
        assert kubectl.returncode == 0, "the API server gave no profile"
        await asyncio.to_thread(file.write_bytes, printed)

    @asynccontextmanager
    async def operator(self, code: Path | None = None) -> AsyncIterator[Running]:
        """Run the operator from ``code``, or the working tree, with exactly its rights, for all namespaces."""
        operator = Operator("", settings={"WORKERS": "16", "AUDIT_SECONDS": "300"}, code=code)
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


def api_server_of(local: Local) -> Process:
    """Return the API server's process."""
    running = cgroups.processes("kube-apiserver")
    if not running:
        raise RuntimeError(f"there is no API server at {local.kubeconfig}")
    return Process(min(running))
