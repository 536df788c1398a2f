"""What a local cluster leaves on the machine when it is killed, and how that goes away."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from cluster import cgroups, machine, network
from cluster.console import wait_until
from cluster.errors import ClusterError

if TYPE_CHECKING:
    from collections.abc import Iterable


def found(state: Path) -> list[str]:
    """Return one line for each thing of a local cluster that is on this machine; none after ``down``."""
    things = [f"process {pid}: {command_of(pid)}" for pid in sorted(cgroups.processes())]
    things += [f"mount {point}" for point in mounts_below(state)]
    things += [f"cgroup {folder}" for folder in cgroups.tops()]
    if network.is_connected():
        things.append(f"network interface {network.LINK}")
    things += [
        f"file {path}"
        for path in (machine.POINTER, state, *folders_made_for(state))
        if path.exists() or path.is_symlink()
    ]
    return things


def remove(state: Path) -> None:
    """Remove all that ``found`` names; raise ``ClusterError`` when ``state`` is a folder that we did not make."""
    check_is_ours(state)
    cgroups.end_processes()
    network.disconnect()
    wait_until(lambda: not mounts_below(state), f"the end of the mounts below {state}", seconds=30)
    cgroups.remove()
    made = folders_made_for(state)
    remove_folder(state)
    for folder in made:
        with contextlib.suppress(OSError):  # somebody else uses it by now, or it is gone
            folder.rmdir()
    machine.point_to(None)


def remove_folder(state: Path) -> None:
    """Remove ``state`` with all that is in it; the record goes last, so that who is killed here can be followed up."""
    record = state / machine.RECORD
    for path in state.iterdir() if state.exists() else ():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif path != record:
            path.unlink()
    record.unlink(missing_ok=True)
    with contextlib.suppress(FileNotFoundError):
        state.rmdir()


def folders_made_for(state: Path) -> list[Path]:
    """Return the folders of the machine that were made for the cluster of ``state``, inner ones first."""
    record = machine.record_of(state)
    return [Path(folder) for folder in record.made_folders] if record else []


def check_is_ours(state: Path) -> None:
    """Raise ``ClusterError`` when ``state`` holds something that is not a cluster's."""
    if machine.record_of(state) or machine.state_of_this_machine(otherwise=Path()) == state:
        return
    if state.exists() and any(path.name != machine.RECORD_DRAFT for path in state.iterdir()):
        raise ClusterError(
            f"{state} is not empty and not the folder of a test cluster; "
            "remove it, or name another folder in CLUSTER_STATE"
        )


def command_of(pid: int) -> str:
    """Return the command line of ``pid``; empty when it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").replace("\0", " ").strip()
    except OSError:
        return ""


def mounts_below(state: Path, table: Iterable[str] | None = None) -> list[str]:
    """Return the mount points below ``state`` that ``table``, in the form of /proc/self/mountinfo, names."""
    lines = Path("/proc/self/mountinfo").read_text().splitlines() if table is None else table
    points = (line.split()[4] for line in lines)
    return [point for point in points if Path(point).is_relative_to(state)]
