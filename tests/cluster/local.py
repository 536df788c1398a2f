"""A cluster of one node made of plain processes: no container engine, no virtual machine, no registry is needed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from cluster import bringup, cgroups, leftovers, machine, network, prerequisites, programs
from cluster.components import NODE, Layout, all_components
from cluster.console import say, wait_until
from cluster.containerd import ImageStore
from cluster.errors import ClusterError
from cluster.kubectl import Kubectl

if TYPE_CHECKING:
    from cluster.settings import Settings

RECOVERY_SECONDS = 20


class Local:
    """The provider ``local``."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        state = machine.state_of_this_machine(settings.state)
        record = machine.record_of(state)
        self.layout = Layout(state, Path(record.programs) if record else settings.bin)

    @property
    def kubeconfig(self) -> Path:
        """The administrator's."""
        return self.layout.kubeconfig

    @property
    def audit_log(self) -> Path:
        """Who wrote what, one JSON object per line."""
        return self.layout.audit_log

    @property
    def pod_logs(self) -> Path:
        """Where the kubelet keeps the logs of pods."""
        return self.layout.state / "podlogs"

    @property
    def kubectl(self) -> Kubectl:
        """How to ask the cluster."""
        return Kubectl(self.layout.bin / "kubectl", self.kubeconfig)

    def up(self) -> None:
        """Make a healthy cluster be here; one that is healthy already is left as it is."""
        prerequisites.provide()
        with machine.changing("up", self.settings.checkout):
            self._check_owner()
            programs.build(programs.LOCAL, self.settings.bin)
            if self._is_or_gets_healthy():
                say(f"the cluster is up already; KUBECONFIG={self.kubeconfig}")
                return
            for state in (self.layout.state, self.settings.state):
                leftovers.check_is_ours(state)
            if leftovers.found(self.layout.state):
                say("removing what is left of a cluster that was killed or is not healthy")
                leftovers.remove(self.layout.state)
            self.layout = Layout(self.settings.state, self.settings.bin)
            network.check_address_is_free()
            try:
                bringup.start(self.settings, self.layout, self.kubectl)
            except ClusterError as error:
                raise ClusterError(
                    f"{error}\nwhat runs is left as it is: look with `make cluster-status` and into "
                    f"{self.layout.state}/log, then remove it with `make cluster-down`"
                ) from None
        say(f"the cluster is up; KUBECONFIG={self.kubeconfig}")

    def down(self) -> None:
        """Take the cluster down and leave nothing of it."""
        prerequisites.check_user()
        with machine.changing("down", self.settings.checkout):
            self._check_owner()
            if not leftovers.found(self.layout.state):
                say("there is no cluster to take down")
                return
            leftovers.remove(self.layout.state)
        say("the cluster is down; nothing of it is left")

    def load_image(self, archive: Path) -> None:
        """Make the images of ``archive`` usable by pods."""
        prerequisites.check_user()
        with machine.changing("load-image", self.settings.checkout):
            self._check_owner()
            if not cgroups.processes("containerd"):
                raise ClusterError("there is no cluster to load the image into; start one: make cluster-up")
            loaded = ImageStore.behind(self.layout.socket).load(archive)
        say(f"loaded {', '.join(image.reference for image in loaded)}" if loaded else f"{archive} is loaded already")

    def status(self) -> bool:
        """Print one line for everything the cluster consists of; return whether it is healthy."""
        prerequisites.check_user()
        record = machine.record_of(self.layout.state)
        if record is None:
            print("there is no cluster; start one: make cluster-up")
            self.leftovers()
            return False
        healthy = self._is_healthy()
        answered = self._api_server_is_ready()
        rows = [(component.name, state_of(component.name)) for component in all_components(self.layout)]
        rows += [
            ("API server", "ready" if answered else "no answer"),
            (f"node {NODE}", "Ready" if answered and self.kubectl.node_is_ready(NODE) else "not Ready"),
            ("memory", f"{megabytes(cgroups.processes())} MB, pods included"),
            ("started from", record.checkout),
            ("Kubernetes", record.kubernetes),
            ("kubeconfig", str(self.kubeconfig)),
            ("state and logs", str(self.layout.state)),
            ("programs", str(self.layout.bin)),
        ]
        for name, text in rows:
            print(f"{name:<24} {text}")
        return healthy

    def leftovers(self) -> bool:
        """Print what a cluster has put on this machine; return whether that is nothing."""
        things = leftovers.found(self.layout.state)
        for thing in things:
            print(f"left over: {thing}")
        return not things

    def _check_owner(self) -> None:
        """Raise ``ClusterError`` when a running cluster was started from another checkout that is still there."""
        if cgroups.processes():
            machine.check_owner(machine.record_of(self.layout.state), self.settings.checkout)

    def _is_or_gets_healthy(self) -> bool:
        """Tell whether a good cluster is here; one whose component was killed just now gets time to start it again."""
        record = machine.record_of(self.layout.state)
        if record is None or not record.ready or not cgroups.processes("node"):
            return False
        try:
            wait_until(self._is_healthy, "the cluster to be healthy", seconds=RECOVERY_SECONDS)
        except ClusterError:
            return False
        return True

    def _is_healthy(self) -> bool:
        record = machine.record_of(self.layout.state)
        return (
            record is not None
            and record.ready
            and all(cgroups.processes(component.name) for component in all_components(self.layout))
            and self._api_server_is_ready()
            and self.kubectl.node_is_ready(NODE)
        )

    def _api_server_is_ready(self) -> bool:
        return bool(cgroups.processes("kube-apiserver")) and self.kubectl.is_answered()


def state_of(component: str) -> str:
    """Return whether ``component`` runs, as which process, and how much memory it has."""
    name = component[:15]  # the kernel keeps no more of it
    pids = {pid for pid in cgroups.processes(component) if name_of(pid) == name}  # without containerd's shims
    return f"running, process {min(pids)}, {megabytes(pids)} MB" if pids else "not running"


def name_of(pid: int) -> str:
    """Return the name of the program that ``pid`` runs; empty when it has ended."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def megabytes(pids: set[int]) -> int:
    """Return the memory that ``pids`` have in use, what they share counted for each."""
    return sum(resident_pages(pid) for pid in pids) * os.sysconf("SC_PAGE_SIZE") >> 20


def resident_pages(pid: int) -> int:
    """Return the pages of ``pid`` that are in memory; 0 when it has ended."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except OSError:
        return 0
