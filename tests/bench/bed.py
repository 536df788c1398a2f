"""Where it is measured: a cluster with a fake node, and the operator as a process beside it when it is asked for."""

import asyncio
import re
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.api import Audit, Process
from cluster.local import Local
from e2e.world import Operator
from elt_operator.kube.client import Client

USER: Final = "system:serviceaccount:elt-operator:elt-operator"
READY: Final = "looking after"
TESTS: Final = Path(__file__).resolve().parent.parent


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

    def audit(self) -> Audit:
        """Return what counts the operator's writes from now on."""
        return Audit(self.local.audit_log, USER)

    @asynccontextmanager
    async def operator(self, **settings: str) -> AsyncIterator[Running]:
        """Run the operator from the working tree, with exactly its rights, for all namespaces."""
        operator = Operator("", settings={"WORKERS": "16", "AUDIT_SECONDS": "300", **settings})
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
    tool = [sys.executable, "-m", "cluster", "status"]
    told = subprocess.run(tool, capture_output=True, text=True, check=False, cwd=TESTS).stdout
    found = re.search(r"^kube-apiserver +running, process (\d+)", told, re.MULTILINE)
    if not found:
        raise RuntimeError(f"there is no API server at {local.kubeconfig}:\n{told}")
    return Process(int(found[1]))


@contextmanager
def environment(variables: dict[str, str], target: dict[str, str]) -> Iterator[None]:
    """Have ``variables`` in ``target`` for a while."""
    before = {name: target.get(name) for name in variables}
    target.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                target.pop(name, None)
            else:
                target[name] = value
