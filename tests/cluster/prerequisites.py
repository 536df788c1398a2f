"""What the local cluster takes from the operating system."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from cluster.console import say
from cluster.errors import ClusterError
from cluster.settings import HERE

if TYPE_CHECKING:
    from collections.abc import Mapping

CNI_FOLDERS = (Path("/usr/lib/cni"), Path("/opt/cni/bin"))  # Debian's; everybody else's
DEBIAN_PACKAGES: Mapping[str, str] = {
    "containerd": "containerd",
    "ctr": "containerd",
    "ip": "iproute2",
    "iptables": "iptables",  # the CNI bridge plugin masquerades with it
    "mount": "mount",
    "nft": "nftables",  # kube-proxy's
    "nsenter": "util-linux",
    "openssl": "openssl",
    "runc": "runc",
    "unshare": "util-linux",
}
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def provide() -> None:
    """Make every program the cluster needs be here; raise ``ClusterError`` with the command that does it otherwise."""
    check_user()
    packages = missing_packages()
    if not packages:
        return
    say(f"installing {' '.join(packages)}")
    if subprocess.run([HERE / "install-packages", *packages], check=False).returncode != 0 or missing_packages():
        raise ClusterError(f"the local cluster needs: {' '.join(missing_packages())}")


def check_user() -> None:
    """Raise ``ClusterError`` for somebody who may not do what the local cluster takes."""
    if sys.platform != "linux" or os.geteuid() != 0:
        raise ClusterError(
            "CLUSTER=local makes network interfaces and containers, which only root on Linux may: "
            "use sudo, or CLUSTER=kind with a Docker engine, or CLUSTER=existing with your own cluster"
        )


def missing_packages() -> list[str]:
    """Return the Debian packages of which something is not here, sorted."""
    missing = {package for program, package in DEBIAN_PACKAGES.items() if not shutil.which(program, path=SYSTEM_PATH)}
    if cni_folder() is None:
        missing.add("containernetworking-plugins")
    return sorted(missing)


def cni_folder() -> Path | None:
    """Return the folder of the CNI plugins, or ``None`` when they are not installed."""
    return next((folder for folder in CNI_FOLDERS if (folder / "bridge").exists()), None)
