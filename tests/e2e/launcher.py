"""Starts operators sooner than Python can: by forks of a process that has imported all of one and run none of it.

Half of what an operator's start costs is its imports, and tests that kill it start it some hundred times.
"""

import atexit
import importlib
import json
import os
import random
import select
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import NoReturn

from kubernetes.aio.config import kube_config

ENTRY, PROGRAM = "elt_operator.__main__", "elt_operator.controller.program"
_one_at_a_time = threading.Lock()


class Forked:
    """An operator's process, which is no child of ours."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._handle = os.pidfd_open(pid)

    def send_signal(self, number: int) -> None:
        """Send it a signal; may raise ``ProcessLookupError`` when it has ended."""
        signal.pidfd_send_signal(self._handle, number)

    def kill(self) -> None:
        """Kill it; may raise ``ProcessLookupError`` when it has ended."""
        self.send_signal(signal.SIGKILL)

    def wait(self) -> None:
        """Return when it has ended."""
        select.select([self._handle], [], [])

    def poll(self) -> int | None:
        """Return ``None`` while it runs; how it ended is not known."""
        return 0 if select.select([self._handle], [], [], 0)[0] else None


def forked(environment: Mapping[str, str], log: Path) -> Forked:
    """Start an operator of the working tree, which appends what it says to ``log``."""
    launcher = _launcher()
    assert launcher.stdin
    assert launcher.stdout
    with _one_at_a_time:
        launcher.stdin.write(json.dumps([dict(environment), str(log)]) + "\n")
        launcher.stdin.flush()
        return Forked(int(launcher.stdout.readline()))


@cache
def _launcher() -> subprocess.Popen[str]:
    without_rights = {name: value for name, value in os.environ.items() if name != "KUBECONFIG"}
    launcher = subprocess.Popen(
        [sys.executable, "-P", __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=without_rights
    )
    atexit.register(launcher.communicate)  # the end of its input is its own
    return launcher


# --- in the process of its own


def serve() -> None:
    """Fork an operator for each line that comes in: its environment and its log; print the process's number."""
    for module in (ENTRY, PROGRAM):
        importlib.import_module(module)
    assert threading.active_count() == 1, "a fork has no other threads"
    children: list[int] = []
    for line in sys.stdin:
        children = [child for child in children if not ended(child)]
        if not (child := os.fork()):
            be_an_operator(*json.loads(line))
        children.append(child)
        print(child, flush=True)


def ended(child: int) -> bool:
    """Whether a child has ended, and been waited for."""
    return os.waitpid(child, os.WNOHANG)[0] == child


def be_an_operator(environment: Mapping[str, str], log: str) -> NoReturn:
    """Do what ``python -m elt_operator`` does."""
    os.environ.clear()
    os.environ.update(environment)
    said = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    for number, place in enumerate((os.open(os.devnull, os.O_RDONLY), said, said)):
        os.dup2(place, number)
    # The only value that a package has taken from the environment when it was imported.
    kube_config.KUBE_CONFIG_DEFAULT_LOCATION = environment["KUBECONFIG"]
    random.seed()
    sys.argv = ["elt-operator"]
    try:
        importlib.import_module(ENTRY).main()
    except SystemExit as exit_:
        print(exit_.code or "", file=sys.stderr)
    except BaseException:  # noqa: BLE001 - as an interpreter does, at its end
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)


if __name__ == "__main__":
    serve()
