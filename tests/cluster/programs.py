"""The programs of a cluster, built from the versions that programs/go.mod and programs/go.sum pin."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from cluster.console import output_of, run_for_long, say
from cluster.errors import ClusterError
from cluster.settings import KUBERNETES_VERSION, PROGRAMS

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

PACKAGES: Mapping[str, str] = {
    "etcd": "go.etcd.io/etcd/server/v3",
    "kind": "sigs.k8s.io/kind",
    "kube-apiserver": "k8s.io/kubernetes/cmd/kube-apiserver",
    "kube-controller-manager": "k8s.io/kubernetes/cmd/kube-controller-manager",
    "kube-proxy": "k8s.io/kubernetes/cmd/kube-proxy",
    "kube-scheduler": "k8s.io/kubernetes/cmd/kube-scheduler",
    "kubectl": "k8s.io/kubernetes/cmd/kubectl",
    "kubelet": "k8s.io/kubernetes/cmd/kubelet",
    "names": "./names",
    "pause": "./pause",
    "volumes": "./volumes",
}
LOCAL = frozenset(PACKAGES) - {"kind"}

OLDEST_GO = (1, 21)  # the first that fetches the newer toolchain go.mod asks for by itself
HOW_TO_GET_GO = (
    "install it with:\n"
    "  curl -fsSL https://go.dev/dl/go1.26.8.linux-amd64.tar.gz | tar -C /usr/local -xz\n"
    "  export PATH=$PATH:/usr/local/go/bin"
)


def build(names: Collection[str], folder: Path) -> None:
    """Make every program of ``names`` be in ``folder``; one that is there already is not built again."""
    missing = sorted(name for name in names if not (folder / name).exists())
    if not missing:
        return
    check_go()
    say(f"building Kubernetes {KUBERNETES_VERSION} (5 to 15 minutes the first time): {', '.join(missing)}")
    folder.mkdir(parents=True, exist_ok=True)
    for half_done in folder.parent.glob(".building-*"):
        shutil.rmtree(half_done, ignore_errors=True)  # a build that was killed; the lock is ours, so none is running
    workshop = Path(tempfile.mkdtemp(prefix=".building-", dir=folder.parent))
    run_for_long(
        ["go", "install", "-trimpath", "-ldflags", linker_flags(), *(PACKAGES[name] for name in missing)],
        env=os.environ | {"GOBIN": str(workshop), "CGO_ENABLED": "0", "GOWORK": "off"},
        cwd=PROGRAMS,
        log=workshop / "build.log",
    )
    for name in missing:
        (workshop / installed_name(PACKAGES[name])).replace(folder / name)  # atomic: the same file system
    shutil.rmtree(workshop)


def linker_flags() -> str:
    """Return flags that make the programs say their version: without, it is v0.0.0 and Helm refuses the server."""
    major, minor, _ = KUBERNETES_VERSION.removeprefix("v").split(".")
    stamps = {
        "k8s.io/component-base/version.gitVersion": KUBERNETES_VERSION,
        "k8s.io/component-base/version.gitMajor": major,
        "k8s.io/component-base/version.gitMinor": minor,
        "k8s.io/client-go/pkg/version.gitVersion": KUBERNETES_VERSION,
    }
    return " ".join(["-s -w", *(f"-X {variable}={value}" for variable, value in stamps.items())])


def installed_name(package: str) -> str:
    """Return the file name that ``go install`` gives to ``package``: its last word that is not a major version."""
    return next(word for word in reversed(package.split("/")) if not re.fullmatch(r"v\d+", word))


def check_go() -> None:
    """Raise ``ClusterError`` unless a Go is here that can build."""
    if shutil.which("go") is None:
        raise ClusterError(f"Go is not installed; {HOW_TO_GET_GO}")
    version = output_of(["go", "env", "GOVERSION"]).strip()
    if go_version(version) < OLDEST_GO:
        raise ClusterError(f"Go {version} is too old; {HOW_TO_GET_GO}")


def go_version(text: str) -> tuple[int, ...]:
    """Return major and minor of a version as ``go env GOVERSION`` prints it; zeros for one it cannot read."""
    found = re.match(r"go(\d+)\.(\d+)", text)
    return tuple(int(number) for number in found.groups()) if found else (0, 0)
