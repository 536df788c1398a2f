"""Whose cluster a machine has, and who is changing it: one at a time."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import tempfile
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING

from cluster.errors import ClusterError

if TYPE_CHECKING:
    from collections.abc import Iterator

LOCK = (Path("/run/lock") if Path("/run/lock").is_dir() else Path(tempfile.gettempdir())) / "elt-operator-cluster"
POINTER = Path("/run/elt-operator-cluster")
"""A link to the state folder of this machine's local cluster, whichever checkout and setting it came from."""

RECORD = "cluster.json"
RECORD_DRAFT = f"{RECORD}.new"


@dataclass(frozen=True)
class Record:
    """What a state folder says about its cluster; a folder without it is not ours and is never removed.

    Another version of this tool may have written it, with fewer facts or with more.
    """

    checkout: str
    kubernetes: str = "of an unknown version"
    programs: str = "/nonexistent"
    """Folder of the programs it runs; another checkout's are elsewhere."""
    ready: bool = False
    """Whether ``up`` came to its end."""
    made_folders: list[str] = field(default_factory=list)
    """Folders of the machine that were not there before; removed with the cluster."""


def record_of(state: Path) -> Record | None:
    """Return what ``state`` says about itself, or ``None`` when it is no cluster's folder."""
    try:
        facts = json.loads((state / RECORD).read_text())
        return Record(**{fact.name: facts[fact.name] for fact in fields(Record) if fact.name in facts})
    except (OSError, ValueError, TypeError):
        return None


def write_record(state: Path, record: Record) -> None:
    """Make ``record_of(state)`` return ``record``; never half of it."""
    draft = state / RECORD_DRAFT
    draft.write_text(json.dumps(asdict(record)))
    draft.replace(state / RECORD)


def check_owner(record: Record | None, checkout: Path) -> None:
    """Raise ``ClusterError`` when ``record`` is of a cluster from another checkout that is still there."""
    if record and Path(record.checkout) != checkout and Path(record.checkout, "Makefile").exists():
        raise ClusterError(
            f"the cluster of this machine was started from {record.checkout}, and there can be only one; "
            f"take it down first: make -C {record.checkout} cluster-down"
        )


def state_of_this_machine(otherwise: Path) -> Path:
    """Return the state folder of the cluster that this machine has, or ``otherwise`` when it has none."""
    return POINTER.readlink() if POINTER.is_symlink() else otherwise


def point_to(state: Path | None) -> None:
    """Make ``state`` the folder of this machine's cluster; ``None``: there is no cluster."""
    POINTER.unlink(missing_ok=True)
    if state:
        POINTER.symlink_to(state)


@contextlib.contextmanager
def changing(verb: str, checkout: Path) -> Iterator[None]:
    """Be the only one on this machine who changes a cluster; raise ``ClusterError`` when somebody else is."""
    file = _taken_lock()
    try:
        os.ftruncate(file, 0)
        os.pwrite(file, f"`{verb}` (process {os.getpid()}) from {checkout}".encode(), 0)
        yield
    finally:
        LOCK.unlink(missing_ok=True)
        os.close(file)


def _taken_lock() -> int:
    while True:
        try:
            file = os.open(LOCK, os.O_RDWR | os.O_CREAT, 0o666)
        except PermissionError:
            raise ClusterError(f"{LOCK} is another user's: wait until they are done, or remove it") from None
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(file, 4096, 0).decode() or "somebody"
            os.close(file)
            raise ClusterError(
                f"{holder} is changing the cluster of this machine now; wait until that is done"
            ) from None
        with contextlib.suppress(FileNotFoundError):
            if LOCK.stat().st_ino == os.fstat(file).st_ino:
                return file
        os.close(file)  # its last holder removed it between our open and our lock: take the new one
