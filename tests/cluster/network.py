"""The cable between the machine and the cluster's network namespace."""

from __future__ import annotations

import json
import socket
import subprocess
from typing import Any

from cluster.components import HOST_ADDRESS, NODE_ADDRESS, SERVICE_NETWORK
from cluster.console import output_of
from cluster.errors import ClusterError

LINK = "elt-host"


def check_address_is_free() -> None:
    """Raise ``ClusterError`` when an interface that is not ours uses the cluster's addresses."""
    if name := owner_of_our_addresses(json.loads(output_of(["ip", "-json", "address"]))):
        raise ClusterError(
            f"the interface {name} has one of the addresses {HOST_ADDRESS} and {NODE_ADDRESS}, which the local cluster "
            f"needs; remove it (ip link delete {name}) or use CLUSTER=kind"
        )


def owner_of_our_addresses(links: list[dict[str, Any]]) -> str | None:
    """Return the name of one of ``links``, in the form of ``ip -json address``, that has an address we need."""
    return next(
        (
            link["ifname"]
            for link in links
            for address in link.get("addr_info", ())
            if link["ifname"] != LINK and address.get("local") in (HOST_ADDRESS, NODE_ADDRESS)
        ),
        None,
    )


def connect(pid: int) -> None:
    """Join the network namespace of the process ``pid`` to the machine's by one pair of interfaces."""
    output_of(["ip", "link", "add", LINK, "type", "veth", "peer", "name", "eth0", "netns", str(pid)])
    output_of(["ip", "address", "add", f"{HOST_ADDRESS}/30", "dev", LINK])
    output_of(["ip", "link", "set", LINK, "up"])
    # nsenter, not `ip netns exec`, which mounts /sys anew and so hides the cgroups
    inside = ["nsenter", f"--net=/proc/{pid}/ns/net", "ip"]
    output_of([*inside, "link", "set", "lo", "up"])
    output_of([*inside, "address", "add", f"{NODE_ADDRESS}/30", "dev", "eth0"])
    output_of([*inside, "link", "set", "eth0", "up"])
    # Without a route a service that has no pod yet is "unreachable"; with one, kube-proxy refuses, as on any node.
    # There is no default route: nothing in here reaches anything outside, on every machine alike.
    output_of([*inside, "route", "add", SERVICE_NETWORK, "dev", "eth0"])


def is_connected() -> bool:
    """Tell whether the machine's end of the pair is there."""
    return any(name == LINK for _, name in socket.if_nameindex())


def disconnect() -> None:
    """Remove the pair; its other end goes with it."""
    if is_connected():
        # Fails when the kernel has just removed it by itself, which follows the end of the other namespace.
        subprocess.run(["ip", "link", "delete", LINK], check=False, capture_output=True)
