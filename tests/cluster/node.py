"""The first process inside the cluster's own namespaces: what init is to a machine.

``unshare`` starts it in a new process, mount and network namespace. That makes the end simple: when this process is
killed the kernel kills everything else in here, pods included, and mounts, interfaces and rules go with the
namespaces. Nothing of it can be left behind on the machine, whoever is killed when.

It starts each component once the one before it answers, starts it again when it ends, and buries orphans.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import subprocess
import sys
import time
from pathlib import Path

from cluster import cgroups
from cluster.components import MACHINE_FOLDERS, Component
from cluster.prerequisites import SYSTEM_PATH
from cluster.probes import answers

GO = "go"
PAUSE_SECONDS = 1.0
LOOK_SECONDS = 0.1

# The kubelet sets these for the whole machine and for good. It finds a file with the value it wants in their place.
KERNEL_SETTINGS = {
    "kernel/keys/root_maxbytes": "25000000",
    "kernel/keys/root_maxkeys": "1000000",
    "kernel/panic": "10",
    "kernel/panic_on_oops": "1",
    "vm/overcommit_memory": "1",
}


@dataclasses.dataclass(frozen=True)
class Plan:
    """What this process is told by the one that started it."""

    state: Path
    components: list[Component]

    def dump(self) -> str:
        return json.dumps({"state": str(self.state), "components": [dataclasses.asdict(c) for c in self.components]})

    @classmethod
    def load(cls, text: str) -> Plan:
        plan = json.loads(text)
        components = [Component(c["name"], tuple(c["argv"]), c["after"]) for c in plan["components"]]
        return cls(Path(plan["state"]), components)


def main() -> None:
    """Wait until the network is there, then keep the components running until killed."""
    plan = Plan.load(Path(sys.argv[1]).read_text())
    join(cgroups.home_of("node"), 0)
    if sys.stdin.readline().strip() != GO:
        return  # the one who started us was killed before the network was there: leave nothing behind
    prepare_mounts(plan.state)
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
    supervise(plan)


def join(cgroup: Path, pid: int) -> None:
    """Move the process ``pid``, 0 being this one, to ``cgroup``."""
    (cgroup / "cgroup.procs").write_text(str(pid))


def prepare_mounts(state: Path) -> None:
    """Hide from the machine what the components write outside of the state folder, and from them what is not theirs."""
    mount("--make-rshared", "/")  # pods may ask for mount propagation; it ends at this namespace
    mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", "/run")
    for folder in MACHINE_FOLDERS:
        ours = state / "machine" / folder.lstrip("/")
        ours.mkdir(parents=True)
        mount("--bind", ours, folder)
    for name, value in KERNEL_SETTINGS.items():
        stand_in = state / "run" / "kernel" / name
        stand_in.parent.mkdir(parents=True, exist_ok=True)
        stand_in.write_text(value)
        mount("--bind", stand_in, f"/proc/sys/{name}")


def mount(*arguments: str | Path) -> None:
    subprocess.run(["mount", *arguments], check=True)


def supervise(plan: Plan) -> None:
    """Keep every component of ``plan`` running; return never."""
    running: dict[int, Component] = {}
    waiting = dict.fromkeys(plan.components, 0.0)
    while True:
        for component in [c for c, due in waiting.items() if due <= time.monotonic() and may_start(c, plan.state)]:
            running[start(component, plan.state)] = component
            del waiting[component]
        for pid, status in ended_children():
            if component_ended := running.pop(pid, None):
                code = os.waitstatus_to_exitcode(status)
                print(f"{component_ended.name} ended with exit code {code}; it is started again", flush=True)
                waiting[component_ended] = time.monotonic() + PAUSE_SECONDS
        time.sleep(LOOK_SECONDS)


def may_start(component: Component, state: Path) -> bool:
    """Tell whether what ``component`` needs is there."""
    return component.after is None or answers(component.after, authority=state / "pki" / "ca.crt")


def start(component: Component, state: Path) -> int:
    """Start ``component`` with an environment of its own: the person's proxies and tokens are none of its business."""
    with Path(state, "log", f"{component.name}.log").open("ab") as log:
        child = subprocess.Popen(
            component.argv,
            cwd=state,
            env={"PATH": SYSTEM_PATH, "HOME": str(state)},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    child.returncode = 0  # ended_children() buries it; without this Python would complain that nobody does
    with contextlib.suppress(ProcessLookupError):  # it has ended already: ended_children() will tell
        join(cgroups.home_of(component.name), child.pid)
    return child.pid


def ended_children() -> list[tuple[int, int]]:
    """Return id and wait status of the children that have ended, orphans that became ours included."""
    ended = []
    try:
        while (found := os.waitpid(-1, os.WNOHANG))[0]:
            ended.append(found)
    except ChildProcessError:
        pass  # there is no child at all
    return ended


if __name__ == "__main__":
    main()
