"""A cluster that somebody else looks after."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cluster import programs
from cluster.console import say
from cluster.errors import ClusterError
from cluster.images import images_in
from cluster.kubectl import Kubectl
from cluster.settings import KUBELETS_POD_LOGS

if TYPE_CHECKING:
    from pathlib import Path

    from cluster.settings import Settings


class Existing:
    """The provider ``existing``: what KUBECONFIG describes."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    @property
    def kubeconfig(self) -> Path:
        """The person's own."""
        return self.settings.kubeconfig

    @property
    def audit_log(self) -> Path:
        """Out of our reach."""
        raise ClusterError("the audit log of a cluster of yours cannot be read from here; use CLUSTER=local")

    @property
    def pod_logs(self) -> Path:
        """Where a kubelet keeps the logs of pods unless it is told otherwise."""
        return KUBELETS_POD_LOGS

    def up(self) -> None:
        """Check that the cluster answers."""
        programs.build({"kubectl"}, self.settings.bin)
        if not self._answers():
            raise ClusterError(
                f"no cluster answers with the kubeconfig {self.kubeconfig}; "
                "name another one in KUBECONFIG, or use CLUSTER=local"
            )
        say(f"your cluster answers; KUBECONFIG={self.kubeconfig}")

    def down(self) -> None:
        """Leave the cluster alone."""
        say(f"CLUSTER=existing: the cluster of {self.kubeconfig} is yours and is left as it is")

    def status(self) -> bool:
        """Say whether the cluster answers."""
        healthy = self._answers()
        print(f"{'API server':<24} {'ready' if healthy else 'no answer'}")
        print(f"{'kubeconfig':<24} {self.kubeconfig}")
        return healthy

    def load_image(self, archive: Path) -> None:
        """Say how the person does it."""
        pushes = "\n".join(
            f"  skopeo copy oci-archive:{archive} docker://REGISTRY/{image.reference.rpartition('/')[2]}"
            for image in images_in(archive)
        )
        raise ClusterError(
            "CLUSTER=existing: images reach your cluster through a registry it can pull from; "
            f"push them and use those names:\n{pushes}"
        )

    def _answers(self) -> bool:
        return self.kubeconfig.exists() and Kubectl(self.settings.bin / "kubectl", self.kubeconfig).is_answered()
