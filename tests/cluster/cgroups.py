"""The kernel's own list of the cluster's processes.

Every process of a local cluster, its pods' included, lives below one cgroup. So a process identity that was written
down and has been given to somebody else since can never be mistaken for ours, whatever was killed in between.
"""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path

from cluster.components import CGROUP
from cluster.console import wait_until

MOUNT = Path("/sys/fs/cgroup")


def hierarchies(mount: Path = MOUNT) -> list[Path]:
    """Return the roots of all cgroup hierarchies: one of version 2, or one per controller of version 1."""
    if (mount / "cgroup.controllers").exists():
        return [mount]
    return sorted(
        folder for folder in mount.iterdir() if not folder.is_symlink() and (folder / "cgroup.procs").exists()
    )


def make() -> None:
    """Make the cluster's cgroup in every hierarchy; the kubelet refuses to start without."""
    for root in hierarchies():
        if (controllers := root / "cgroup.controllers").exists() and root == MOUNT:
            # Version 2 hands controllers down only when told to, and systemd tells it for those it uses itself.
            for controller in controllers.read_text().split():
                with contextlib.suppress(
                    OSError
                ):  # some controllers cannot be handed down; the kubelet needs none of them
                    (root / "cgroup.subtree_control").write_text(f"+{controller}")
        (root / CGROUP).mkdir(exist_ok=True)


def home_of(component: str) -> Path:
    """Return the cgroup in which ``component`` is started; made when it is not there."""
    roots = hierarchies()
    pids = MOUNT / "pids"
    home = (pids if pids in roots else roots[0]) / CGROUP / component
    home.mkdir(parents=True, exist_ok=True)
    return home


def processes(component: str = "") -> set[int]:
    """Return the ids of all living processes of ``component``, or of the whole cluster."""
    return {
        int(pid)
        for root in hierarchies()
        for procs in (root / CGROUP / component).rglob("cgroup.procs")
        for pid in lines_of(procs)
    }


def lines_of(procs: Path) -> list[str]:
    """Return the lines of ``procs``; none when its cgroup has gone meanwhile."""
    try:
        return procs.read_text().split()
    except OSError:
        return []


def end_processes() -> None:
    """Kill every process of the cluster and return when they are gone.

    No chance to say goodbye is given: nothing they could save is kept, and kube-apiserver takes a minute for it.
    """

    def all_gone() -> bool:
        for pid in (alive := processes()):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return not alive

    wait_until(all_gone, "the end of the cluster's processes", seconds=60)


def tops() -> list[Path]:
    """Return the folder of the cluster's cgroup in every hierarchy that has it."""
    return [top for root in hierarchies() if (top := root / CGROUP).is_dir()]


def remove() -> None:
    """Remove the cluster's cgroups; its processes must have ended."""

    def removed() -> bool:
        for top in tops():
            for folder in [*sorted((path for path in top.rglob("*") if path.is_dir()), reverse=True), top]:
                with contextlib.suppress(OSError):  # busy until the kernel has buried the last process: look again
                    folder.rmdir()
        return not tops()

    wait_until(removed, f"the removal of the cgroups {CGROUP}", seconds=30)
