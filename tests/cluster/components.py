"""The processes of a local cluster and how each is started; pure, so that a test can read it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

NODE = "elt-node"
CGROUP = "elt-operator"
PAUSE_IMAGE = "localhost/pause:1"

# A cluster of an unusual address, so that it meets no other network of the machine.
HOST_ADDRESS = "172.31.255.2"
NODE_ADDRESS = "172.31.255.1"
SERVER = f"https://{NODE_ADDRESS}:6443"
API_SERVER_READY = f"{SERVER}/readyz"
SERVICE_NETWORK = "10.96.0.0/16"
SERVER_SERVICE_ADDRESS = "10.96.0.1"
NAMES_ADDRESS = "10.96.0.10"
POD_NETWORK = "10.244.0.0/24"

NODE_LOST_AFTER = "16s"
"""How long the node may be silent before it counts as lost."""

ETCD = "127.0.0.1:23790"
ETCD_PEERS = "127.0.0.1:23800"

# Folders of the machine that components write to whatever they are told; inside, each is a folder of the state.
MACHINE_FOLDERS = ("/var/lib/cni", "/var/lib/kubelet", "/var/log/containers")


@dataclass(frozen=True)
class Component:
    """One process."""

    name: str
    argv: tuple[str, ...]
    after: str | None = None
    """URL that must give a good answer first; ``None`` for a component that needs nobody."""


@dataclass(frozen=True)
class Layout:
    """Where the files of one cluster lie."""

    state: Path
    bin: Path

    @property
    def kubeconfig(self) -> Path:
        """The administrator's."""
        return self.state / "kubeconfigs" / "admin"

    @property
    def socket(self) -> Path:
        """The containerd's."""
        return self.state / "run" / "containerd.sock"

    @property
    def audit_log(self) -> Path:
        """One JSON object per line; templates/audit-policy.yaml says of which requests."""
        return self.state / "log" / "audit.jsonl"

    def log(self, component: str) -> Path:
        """What ``component`` prints."""
        return self.state / "log" / f"{component}.log"

    def certificate(self, name: str) -> Path:
        return self.state / "pki" / f"{name}.crt"

    def key(self, name: str) -> Path:
        return self.state / "pki" / f"{name}.key"

    def kubeconfig_of(self, name: str) -> Path:
        return self.state / "kubeconfigs" / name

    def config(self, name: str) -> Path:
        return self.state / "config" / name


def all_components(layout: Layout, flags: Mapping[str, tuple[str, ...]] | None = None) -> list[Component]:
    """Return every process of the cluster in the order in which they are best started; ``flags``: further ones."""
    components = [
        etcd(layout),
        api_server(layout),
        Component("containerd", ("containerd", f"--config={layout.config('containerd.toml')}")),
        controller_manager(layout),
        scheduler(layout),
        kubelet(layout),
        kube_proxy(layout),
        names(layout),
        volumes(layout),
    ]
    return [
        replace(component, argv=(*component.argv, *(flags or {}).get(component.name, ()))) for component in components
    ]


def etcd(layout: Layout) -> Component:
    return Component(
        "etcd",
        (
            f"{layout.bin}/etcd",
            f"--data-dir={layout.state}/etcd",
            f"--listen-client-urls=http://{ETCD}",
            f"--advertise-client-urls=http://{ETCD}",
            f"--listen-peer-urls=http://{ETCD_PEERS}",
            f"--initial-advertise-peer-urls=http://{ETCD_PEERS}",
            f"--initial-cluster=default=http://{ETCD_PEERS}",
            "--unsafe-no-fsync",  # nothing here outlives the cluster
            "--log-level=warn",
        ),
    )


def api_server(layout: Layout) -> Component:
    return Component(
        "kube-apiserver",
        (
            f"{layout.bin}/kube-apiserver",
            f"--etcd-servers=http://{ETCD}",
            f"--bind-address={NODE_ADDRESS}",
            f"--advertise-address={NODE_ADDRESS}",
            "--secure-port=6443",
            f"--client-ca-file={layout.certificate('ca')}",
            f"--tls-cert-file={layout.certificate('apiserver')}",
            f"--tls-private-key-file={layout.key('apiserver')}",
            f"--kubelet-client-certificate={layout.certificate('apiserver-kubelet')}",
            f"--kubelet-client-key={layout.key('apiserver-kubelet')}",
            f"--kubelet-certificate-authority={layout.certificate('ca')}",
            "--kubelet-preferred-address-types=InternalIP",  # the node's name does not resolve; `kubectl logs` needs it
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={layout.state}/pki/sa.pub",
            f"--service-account-signing-key-file={layout.key('sa')}",
            f"--service-cluster-ip-range={SERVICE_NETWORK}",
            "--authorization-mode=Node,RBAC",
            "--enable-admission-plugins=NodeRestriction",
            "--profiling=false",
            f"--audit-policy-file={layout.config('audit-policy.yaml')}",
            f"--audit-log-path={layout.audit_log}",
            "--audit-log-maxsize=100000",  # MB: a log that is turned over in the middle of a test loses its count
        ),
        after=f"http://{ETCD}/health",
    )


def controller_manager(layout: Layout) -> Component:
    return Component(
        "kube-controller-manager",
        (
            f"{layout.bin}/kube-controller-manager",
            f"--kubeconfig={layout.kubeconfig_of('controller-manager')}",
            f"--service-account-private-key-file={layout.key('sa')}",
            f"--root-ca-file={layout.certificate('ca')}",
            f"--cluster-signing-cert-file={layout.certificate('ca')}",
            f"--cluster-signing-key-file={layout.key('ca')}",
            "--use-service-account-credentials",
            "--leader-elect=false",
            "--bind-address=127.0.0.1",
            # A node counts as lost sooner than after Kubernetes' own 50 s; kubelet.yaml has it report often enough.
            f"--node-monitor-grace-period={NODE_LOST_AFTER}",
            "--node-monitor-period=2s",
            f"--flex-volume-plugin-dir={layout.state}/kubelet/plugins",
        ),
        after=API_SERVER_READY,
    )


def scheduler(layout: Layout) -> Component:
    return Component(
        "kube-scheduler",
        (
            f"{layout.bin}/kube-scheduler",
            f"--kubeconfig={layout.kubeconfig_of('scheduler')}",
            "--leader-elect=false",
            "--bind-address=127.0.0.1",
        ),
        after=API_SERVER_READY,
    )


def kubelet(layout: Layout) -> Component:
    return Component(
        "kubelet",
        (
            f"{layout.bin}/kubelet",
            f"--config={layout.config('kubelet.yaml')}",
            f"--kubeconfig={layout.kubeconfig_of('kubelet')}",
            f"--hostname-override={NODE}",
            f"--node-ip={NODE_ADDRESS}",
            f"--root-dir={layout.state}/kubelet",
        ),
        after=API_SERVER_READY,
    )


def kube_proxy(layout: Layout) -> Component:
    return Component(
        "kube-proxy",
        (
            f"{layout.bin}/kube-proxy",
            f"--kubeconfig={layout.kubeconfig_of('proxy')}",
            f"--hostname-override={NODE}",
            "--proxy-mode=nftables",
            f"--cluster-cidr={POD_NETWORK}",
            f"--healthz-bind-address={NODE_ADDRESS}:10256",
            "--metrics-bind-address=127.0.0.1:10249",
            "--conntrack-max-per-core=0",  # 0: leave the machine's limit alone
        ),
        after=API_SERVER_READY,
    )


def names(layout: Layout) -> Component:
    return Component("names", (f"{layout.bin}/names", f"-conf={layout.config('Corefile')}"), after=API_SERVER_READY)


def volumes(layout: Layout) -> Component:
    return Component(
        "volumes",
        (
            f"{layout.bin}/volumes",
            f"--kubeconfig={layout.kubeconfig_of('volumes')}",
            "--provisioner=elt-operator.io/local-folders",
            f"--root={layout.state}/volumes",
            f"--node={NODE}",
        ),
        after=API_SERVER_READY,
    )
