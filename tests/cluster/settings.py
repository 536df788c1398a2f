"""What a person may choose, and where everything lies; the only reader of environment variables."""

from __future__ import annotations

import hashlib
import os
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cluster.errors import ClusterError

if TYPE_CHECKING:
    from collections.abc import Mapping

PROVIDERS = ("local", "kind", "existing")
KUBERNETES_VERSION = "v1.36.3"  # programs/go.mod names the same one; a unit test holds them together

FLAGS = {
    "CLUSTER_API_SERVER_FLAGS": "kube-apiserver",
    "CLUSTER_KCM_FLAGS": "kube-controller-manager",
    "CLUSTER_SCHEDULER_FLAGS": "kube-scheduler",
}
"""Variables with further flags, and for which component."""

HERE = Path(__file__).resolve().parent
PROGRAMS = HERE / "programs"
TEMPLATES = HERE / "templates"
KUBELETS_POD_LOGS = Path("/var/log/pods")

LONGEST_STATE_PATH = 70  # below it lies a Unix socket, whose path may have 107 characters


@dataclass(frozen=True)
class Settings:
    """One person's choices on one machine."""

    provider: str | None
    """``local``, ``kind`` or ``existing``; ``None`` means: choose what this machine can do."""
    checkout: Path
    state: Path
    """Folder of everything that lives as long as a cluster; removed with it."""
    cache: Path
    """Folder of what outlives clusters and checkouts: the built programs."""
    kubeconfig: Path
    """Where the person's own cluster is described; for ``existing`` only."""
    flags: Mapping[str, tuple[str, ...]]
    """Further flags of components, by their name, for benchmarks."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Settings:
        """Read the choices; raise ``ClusterError`` for one that cannot be."""
        home = Path(environment.get("HOME") or Path.home())
        caches = Path(environment.get("XDG_CACHE_HOME") or home / ".cache")
        provider = environment.get("CLUSTER") or None
        if provider not in (None, *PROVIDERS):
            raise ClusterError(f"CLUSTER={provider} is not known; use one of {', '.join(PROVIDERS)}, or leave it unset")
        state = Path(environment.get("CLUSTER_STATE") or "/var/lib/elt-operator/cluster")
        if not state.is_absolute() or len(str(state)) > LONGEST_STATE_PATH:
            raise ClusterError(
                f"CLUSTER_STATE={state} must be an absolute path of at most {LONGEST_STATE_PATH} characters"
            )
        return cls(
            provider=provider,
            checkout=HERE.parent.parent,
            state=state,
            cache=Path(environment.get("CLUSTER_CACHE") or caches / "elt-operator"),
            kubeconfig=Path((environment.get("KUBECONFIG") or str(home / ".kube/config")).split(":")[0]),
            flags={
                component: tuple(shlex.split(environment.get(variable, ""))) for variable, component in FLAGS.items()
            },
        )

    @property
    def bin(self) -> Path:
        """Folder of the built programs; another one for every version of their sources."""
        return self.cache / "bin" / f"{KUBERNETES_VERSION}-{fingerprint(PROGRAMS)}"


def fingerprint(sources: Path) -> str:
    """Return a short digest of everything that decides what is built from ``sources``."""
    digest = hashlib.sha256()
    for path in sorted(sources.rglob("*")):
        if path.is_file():
            digest.update(f"{path.relative_to(sources)}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()[:12]
