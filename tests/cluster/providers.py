"""Where the cluster comes from."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING, Protocol

from cluster.existing import Existing
from cluster.kind import Kind
from cluster.local import Local

if TYPE_CHECKING:
    from pathlib import Path

    from cluster.settings import Settings

DOCKER_SECONDS = 20


class Provider(Protocol):
    """What every kind of cluster can do; raises ``ClusterError`` with what to do instead when it cannot."""

    @property
    def kubeconfig(self) -> Path:
        """Return the path of the administrator's kubeconfig."""

    @property
    def audit_log(self) -> Path:
        """Return the path of the API server's audit log."""

    @property
    def pod_logs(self) -> Path:
        """Return the path of the nodes' folder of the logs of pods."""

    def up(self) -> None:
        """Make a healthy cluster be there; one that is healthy already is left as it is."""

    def down(self) -> None:
        """Take the cluster down and leave nothing of it."""

    def status(self) -> bool:
        """Print what of the cluster is there; return whether it is healthy."""

    def load_image(self, archive: Path) -> None:
        """Make the images of ``archive`` usable by pods."""


def chosen(settings: Settings) -> Provider:
    """Return the provider that the person or, when they chose none, this machine asks for."""
    match settings.provider or ("kind" if docker_answers() else "local"):
        case "kind":
            return Kind(settings)
        case "existing":
            return Existing(settings)
        case _:
            return Local(settings)


def docker_answers() -> bool:
    """Tell whether there is a Docker engine, not only its client."""
    if shutil.which("docker") is None:
        return False
    try:
        done = subprocess.run(["docker", "info"], check=False, capture_output=True, timeout=DOCKER_SECONDS)
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0
