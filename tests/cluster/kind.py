"""A cluster in containers of a Docker engine."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from cluster import machine, programs
from cluster.console import output_of, say
from cluster.errors import ClusterError
from cluster.images import images_in
from cluster.kubectl import Kubectl
from cluster.settings import HERE, KUBELETS_POD_LOGS

if TYPE_CHECKING:
    from collections.abc import Callable

    from cluster.settings import Settings

NAME = "elt-operator"
CONFIG = HERE / "kind.yaml"
CREATE_SECONDS = 900  # most of it is the download of the node's image


class Kind:
    """The provider ``kind``."""

    def __init__(self, settings: Settings, run: Callable[..., str] = output_of) -> None:
        self.settings = settings
        self.run = run
        self.state = settings.cache / "kind"  # not settings.state: a person who may use Docker need not be root

    @property
    def kubeconfig(self) -> Path:
        """The administrator's; the person's own is not touched."""
        return self.state / "kubeconfig"

    @property
    def audit_log(self) -> Path:
        """Out of our reach."""
        raise ClusterError("there is no audit log with CLUSTER=kind; use CLUSTER=local")

    @property
    def program(self) -> str:
        """The person's own kind, or else ours."""
        return shutil.which("kind") or str(self.settings.bin / "kind")

    @property
    def kubectl(self) -> Kubectl:
        """How to ask the cluster."""
        return Kubectl(self.settings.bin / "kubectl", self.kubeconfig)

    @property
    def pod_logs(self) -> Path:
        """Where a kubelet keeps the logs of pods unless it is told otherwise."""
        return KUBELETS_POD_LOGS

    def up(self) -> None:
        """Make a healthy cluster be there; one that is healthy already is left as it is."""
        with machine.changing("up", self.settings.checkout):
            programs.build({"kubectl"} if shutil.which("kind") else {"kubectl", "kind"}, self.settings.bin)
            exists = self._exists()
            if exists:
                machine.check_owner(machine.record_of(self.state), self.settings.checkout)
                if self.kubectl.is_answered():
                    say(f"the cluster is up already; KUBECONFIG={self.kubeconfig}")
                    return
                say("the cluster does not answer; it is made anew")
                self._delete()
            self._create()
        say(f"the cluster is up; KUBECONFIG={self.kubeconfig}")

    def down(self) -> None:
        """Take the cluster down and leave nothing of it."""
        with machine.changing("down", self.settings.checkout):
            if not self._exists():
                say("there is no cluster to take down")
                return
            machine.check_owner(machine.record_of(self.state), self.settings.checkout)
            self._delete()
        say("the cluster is down; nothing of it is left")

    def status(self) -> bool:
        """Say whether the cluster answers."""
        exists = self._exists()
        healthy = exists and self.kubectl.is_answered()
        print(f"{'kind cluster ' + NAME:<24} {'there' if exists else 'not there; start it: make cluster-up'}")
        print(f"{'API server':<24} {'ready' if healthy else 'no answer'}")
        print(f"{'kubeconfig':<24} {self.kubeconfig}")
        return healthy

    def load_image(self, archive: Path) -> None:
        """Make the images of ``archive`` usable by pods."""
        images = images_in(archive)  # a nameless one would be loaded without a complaint, and never be found
        with machine.changing("load-image", self.settings.checkout):
            self._kind("load", "image-archive", str(archive), f"--name={NAME}")
        say(f"loaded {', '.join(image.reference for image in images)}")

    def _exists(self) -> bool:
        return Path(self.program).exists() and NAME in self._kind("get", "clusters").split()

    def _create(self) -> None:
        say("creating the kind cluster (a few minutes the first time)")
        self.state.mkdir(parents=True, exist_ok=True)
        record = machine.Record(str(self.settings.checkout), "kind's default", str(self.settings.bin), ready=True)
        machine.write_record(self.state, record)
        options = (f"--name={NAME}", f"--config={CONFIG}", f"--kubeconfig={self.kubeconfig}", "--wait=180s")
        self._kind("create", "cluster", *options)

    def _delete(self) -> None:
        self._kind("delete", "cluster", f"--name={NAME}", f"--kubeconfig={self.kubeconfig}")
        shutil.rmtree(self.state, ignore_errors=True)

    def _kind(self, *arguments: str) -> str:
        return self.run([self.program, *arguments], timeout_seconds=CREATE_SECONDS)
