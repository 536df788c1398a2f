"""Programs of the operator as processes of a test's own, with the rights of the installed ones: tests can kill them."""

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from e2e.served import Server, token_of
from e2e.world import kubectl

OWN = "elt-operator"
"""The operator's namespace."""


def free_port() -> int:
    """Return a port on which nobody listens."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


def kubeconfig_of(account: str, server: str = "") -> str:
    """Return a kubeconfig with the rights of an account of the operator; ``server``: another way to the API server."""
    settings = yaml.safe_load(kubectl("config", "view", "--raw", "--minify", "--flatten"))
    settings["users"][0]["user"] = {"token": token_of(OWN, account)}
    if server:
        settings["clusters"][0]["cluster"] = {"server": server}
    return str(yaml.safe_dump(settings))


@dataclass
class Program:
    """One of the programs as a process."""

    name: str
    environment: Mapping[str, str]
    log: Path
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as output:
            command = [sys.executable, "-m", "elt_operator", self.name]
            self.process = subprocess.Popen(command, stdout=output, stderr=output, env=dict(self.environment))

    def kill(self) -> None:
        if self.process:
            self.process.kill()
            self.process.wait()
        self.process = None

    def restart(self) -> None:
        self.kill()
        self.start()


@dataclass
class OwnApi(Server):
    """An API of a test's own."""

    where: str = ""
    port: int = field(default_factory=free_port)
    api_server: str = ""
    """Another way to the API server."""
    settings: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.url = f"http://127.0.0.1:{self.port}"
        super().__post_init__()
        folder = Path(tempfile.mkdtemp(prefix="elt-api-"))
        (folder / "kubeconfig").write_text(kubeconfig_of("elt-operator-api", self.api_server))
        self.program = Program("api", {
            **os.environ, "KUBECONFIG": str(folder / "kubeconfig"), "ELT_OPERATOR_LOG_FORMAT": "text",
            "ELT_OPERATOR_HEALTH_PORT": "0", "ELT_OPERATOR_API_PORT": str(self.port), **self.settings,
        }, folder / "log")  # fmt: skip

    def start(self, token: str) -> None:
        """Start it; return when it answers the bearer of ``token``."""
        self.program.start()
        deadline = time.monotonic() + 120  # with 100,000 Jobs
        while (answer := self.ask("/api/workspaces", token)).code != 200:
            assert time.monotonic() < deadline, (answer, self.program.log.read_text()[-2000:])
            time.sleep(0.1)

    def close(self) -> None:
        self.program.kill()
        super().close()
