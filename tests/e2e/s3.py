"""A real S3 on this machine, in front of a folder; it can be frozen, killed and started again."""

import fcntl
import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from cluster import network, programs
from cluster.components import HOST_ADDRESS
from cluster.console import run_for_long, say
from cluster.settings import Settings

PACKAGE, VERSION = "github.com/versity/versitygw/cmd/versitygw", "v1.8.0"
BUCKET = "logs"
LONGEST_START_SECONDS = 30


def program() -> Path:
    """Return the path of versitygw, built where it is missing; Go's checksum database vouches for the sources."""
    place = Settings.from_environment().cache / "tools" / f"versitygw-{VERSION}"
    place.parent.mkdir(parents=True, exist_ok=True)
    with (place.parent / "versitygw.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # of several that need it at the same time, one makes it
        if not place.exists():
            programs.check_go()
            say(f"building versitygw {VERSION}, which takes two minutes the first time")
            with tempfile.TemporaryDirectory(prefix=".building-", dir=place.parent) as workshop:
                run_for_long(
                    ["go", "install", "-trimpath", "-ldflags", "-s -w", f"{PACKAGE}@{VERSION}"],
                    env=os.environ | {"GOBIN": workshop, "CGO_ENABLED": "0", "GOWORK": "off"},
                    log=Path(workshop) / "build.log",
                )
                (Path(workshop) / "versitygw").replace(place)
    return place


@dataclass
class S3:
    """One server, with one bucket: ``logs``."""

    folder: Path
    """Of the bucket, and of the server's log."""
    host: str
    """Pods of the local cluster reach it there, too, if the cluster is up."""
    port: int
    access_key: str = "e2e-access-key"
    secret_key: str = "e2e-secret-key"
    _server: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def variables(self) -> dict[str, str]:
        """What a program needs in its environment to use it."""
        return {
            "AWS_ENDPOINT_URL": f"http://{self.host}:{self.port}",
            "AWS_ALLOW_HTTP": "true",
            "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
        }

    @property
    def bucket(self) -> Path:
        """The folder with the objects as files."""
        return self.folder / "buckets" / BUCKET

    def start(self) -> None:
        """Start it, with the objects that it had; return when it is responding."""
        self.bucket.mkdir(parents=True, exist_ok=True)
        keys = {"ROOT_ACCESS_KEY": self.access_key, "ROOT_SECRET_KEY": self.secret_key}
        with (self.folder / "log").open("ab") as log:
            self._server = subprocess.Popen(
                [program(), "--quiet", f"--port={self.host}:{self.port}", "posix", self.bucket.parent],
                stdout=log,
                stderr=log,
                env=os.environ | keys,
            )
        deadline = time.monotonic() + LONGEST_START_SECONDS
        while not self._takes_connections():
            assert self._server.poll() is None, f"it has ended: {self._said()}"
            assert time.monotonic() < deadline, f"not responding: {self._said()}"
            time.sleep(0.02)

    def _takes_connections(self) -> bool:
        with suppress(ConnectionRefusedError), socket.create_connection((self.host, self.port), timeout=5):
            return True
        return False

    def _said(self) -> str:
        return (self.folder / "log").read_text(errors="replace")

    def freeze(self) -> None:
        """Let it respond to nothing: connections are made, and remain silent."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it respond again, also to what came meanwhile."""
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it at once: connections are refused. Its objects remain."""
        self._signal(signal.SIGKILL)
        assert self._server
        self._server.wait()

    def _signal(self, number: int) -> None:
        assert self._server
        self._server.send_signal(number)


@contextmanager
def running(folder: Path) -> Iterator[S3]:
    """Have an S3 that keeps its objects in ``folder``."""
    host = HOST_ADDRESS if network.is_connected() else "127.0.0.1"
    with closing(socket.socket()) as probe:
        probe.bind((host, 0))
        server = S3(folder, host, probe.getsockname()[1])
    server.start()
    try:
        yield server
    finally:
        server.kill()
