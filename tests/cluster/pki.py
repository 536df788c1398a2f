"""Certificates and kubeconfigs of a local cluster."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING

from cluster.components import HOST_ADDRESS, NODE, NODE_ADDRESS, SERVER, SERVER_SERVICE_ADDRESS, Layout
from cluster.console import output_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    Command = list[str | Path]

DAYS = "365"

CLIENTS: Mapping[str, str] = {
    "admin": "/O=system:masters/CN=admin",
    "apiserver-kubelet": "/O=system:masters/CN=kube-apiserver-kubelet",
    "controller-manager": "/CN=system:kube-controller-manager",
    "kubelet": f"/O=system:nodes/CN=system:node:{NODE}",
    # Administrators: a role of their own would come after them, and they would wait seconds for their second try.
    "names": "/O=system:masters/CN=elt-test-cluster:names",
    "proxy": "/CN=system:kube-proxy",
    "scheduler": "/CN=system:kube-scheduler",
    "volumes": "/O=system:masters/CN=elt-test-cluster:volumes",
}
SERVERS: Mapping[str, str] = {
    "apiserver": (
        f"IP:127.0.0.1,IP:{NODE_ADDRESS},IP:{SERVER_SERVICE_ADDRESS},DNS:localhost,DNS:kubernetes,"
        "DNS:kubernetes.default,DNS:kubernetes.default.svc,DNS:kubernetes.default.svc.cluster.local"
    ),
    "kubelet": f"DNS:{NODE},IP:{NODE_ADDRESS}",
    "fake-kubelet": f"IP:{HOST_ADDRESS}",  # of the benchmark's fake node, which runs on the host
}


def make(layout: Layout) -> None:
    """Write the keys, certificates and kubeconfigs of every component and of the administrator."""
    for folder in ("pki", "kubeconfigs"):
        (layout.state / folder).mkdir(parents=True, mode=0o700)
    new_key: Command = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    ca: Command = ["-keyout", layout.key("ca"), "-out", layout.certificate("ca"), "-subj", "/CN=elt-test-cluster"]
    output_of(["openssl", "req", "-x509", *new_key, *ca, "-days", DAYS])
    for name in sorted(CLIENTS.keys() | SERVERS.keys()):
        request = layout.state / "pki" / f"{name}.csr"
        subject = CLIENTS.get(name, f"/CN={name}")
        output_of(["openssl", "req", *new_key, "-keyout", layout.key(name), "-out", request, "-subj", subject])
        sign(layout, request, name)
    output_of(["openssl", "genrsa", "-out", layout.key("sa"), "2048"])
    output_of(["openssl", "rsa", "-in", layout.key("sa"), "-pubout", "-out", layout.state / "pki/sa.pub"])
    for name in CLIENTS:
        write_private(layout.kubeconfig_of(name), kubeconfig(layout, name))


def sign(layout: Layout, request: Path, name: str) -> None:
    """Sign ``request`` with the cluster's authority, for the uses and the addresses that ``name`` has."""
    extensions = request.with_suffix(".ext")
    lines = ["extendedKeyUsage=serverAuth,clientAuth"]
    if name in SERVERS:
        lines.append(f"subjectAltName={SERVERS[name]}")
    extensions.write_text("\n".join(lines))
    authority: Command = ["-CA", layout.certificate("ca"), "-CAkey", layout.key("ca"), "-CAcreateserial", "-days", DAYS]
    signed: Command = ["-out", layout.certificate(name), "-extfile", extensions]
    output_of(["openssl", "x509", "-req", "-in", request, *authority, *signed])


def kubeconfig(layout: Layout, name: str) -> str:
    """Return a kubeconfig for the client ``name``, which needs no other file; JSON, which is YAML as well."""

    def embedded(path: Path) -> str:
        return base64.b64encode(path.read_bytes()).decode()

    server = {"server": SERVER, "certificate-authority-data": embedded(layout.certificate("ca"))}
    user = {
        "client-certificate-data": embedded(layout.certificate(name)),
        "client-key-data": embedded(layout.key(name)),
    }
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "elt-operator", "cluster": server}],
            "users": [{"name": name, "user": user}],
            "contexts": [{"name": "elt-operator", "context": {"cluster": "elt-operator", "user": name}}],
            "current-context": "elt-operator",
        },
        indent=1,
    )


def write_private(path: Path, text: str) -> None:
    """Write ``text`` so that only the owner of ``path`` can ever read it."""
    path.touch(mode=0o600)
    path.write_text(text)
