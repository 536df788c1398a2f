"""The steps that make a local cluster out of an empty state folder."""

from __future__ import annotations

import os
import string
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from cluster import cgroups, images, machine, network, node, pki, prerequisites
from cluster.components import (
    CGROUP,
    MACHINE_FOLDERS,
    NAMES_ADDRESS,
    NODE,
    NODE_ADDRESS,
    PAUSE_IMAGE,
    POD_NETWORK,
    Component,
    Layout,
    all_components,
)
from cluster.console import say, wait_until
from cluster.containerd import ImageStore
from cluster.probes import answers
from cluster.settings import HERE, KUBERNETES_VERSION, TEMPLATES

if TYPE_CHECKING:
    from cluster.kubectl import Kubectl
    from cluster.settings import Settings

FOLDERS = ("config", "etcd", "kubelet/plugins", "log", "podlogs", "run", "volumes")
NAMESPACES = ("--pid", "--fork", "--kill-child", "--mount", "--mount-proc", "--net")


def start(settings: Settings, layout: Layout, kubectl: Kubectl) -> None:
    """Start a cluster in ``layout.state`` and return when pods can use all of it."""
    say(f"starting Kubernetes {KUBERNETES_VERSION} in {layout.state}")
    made = [str(path) for path in (*layout.state.parents, *map(Path, MACHINE_FOLDERS)) if not path.exists()]
    layout.state.mkdir(parents=True, exist_ok=True)
    record = machine.Record(str(settings.checkout), KUBERNETES_VERSION, str(layout.bin), made_folders=made)
    machine.write_record(layout.state, record)
    machine.point_to(layout.state)
    for folder in made:
        Path(folder).mkdir(parents=True, exist_ok=True)
    for folder in FOLDERS:
        (layout.state / folder).mkdir(parents=True)
    pki.make(layout)
    write_config(layout)
    cgroups.make()
    start_node(layout, all_components(layout, settings.flags))
    load_pause_image(layout)
    wait_until_usable(layout, kubectl)
    machine.write_record(layout.state, replace(record, ready=True))


def write_config(layout: Layout) -> None:
    """Write the components' configuration from the templates."""
    values = {
        "cgroup": CGROUP,
        "cni_folder": prerequisites.cni_folder(),
        "names_address": NAMES_ADDRESS,
        "node_address": NODE_ADDRESS,
        "pause_image": PAUSE_IMAGE,
        "pod_network": POD_NETWORK,
        "state": layout.state,
    }
    for template in (path for path in TEMPLATES.rglob("*") if path.is_file()):
        config = layout.config(str(template.relative_to(TEMPLATES)))
        config.parent.mkdir(parents=True, exist_ok=True)
        config.write_text(string.Template(template.read_text()).substitute(values))


def start_node(layout: Layout, components: list[Component]) -> None:
    """Start the node's first process in namespaces of its own, connect them, and let it go on."""
    plan = layout.config("plan.json")
    plan.write_text(node.Plan(layout.state, components).dump())
    log = layout.log("node")
    theirs, ours = os.pipe()
    with log.open("ab") as output:
        first = subprocess.Popen(
            ["unshare", *NAMESPACES, sys.executable, "-m", "cluster.node", plan],
            env={"PATH": prerequisites.SYSTEM_PATH, "PYTHONPATH": str(HERE.parent), "PYTHONDONTWRITEBYTECODE": "1"},
            cwd="/",
            stdin=theirs,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    os.close(theirs)
    with os.fdopen(ours, "w") as to_node:
        wait_until(lambda: bool(cgroups.processes("node")), "the node's first process", seconds=30, logs=[log])
        network.connect(min(cgroups.processes("node")))
        to_node.write(f"{node.GO}\n")
    first.returncode = 0  # it outlives us; without this Python would complain that nobody waits for it


def load_pause_image(layout: Layout) -> None:
    """Give containerd the image of which every pod has one container."""
    archive = layout.state / "pause.tar"
    images.write_single_file_image(archive, PAUSE_IMAGE, layout.bin / "pause")
    wait_until(layout.socket.is_socket, "containerd's socket", logs=[layout.log("node"), layout.log("containerd")])
    ImageStore.behind(layout.socket).load(archive)


def wait_until_usable(layout: Layout, kubectl: Kubectl) -> None:
    """Return when the API server answers and pods can start, find each other and get volumes."""
    log = layout.log
    wait_until(kubectl.is_answered, "the API server", logs=[log("node"), log("etcd"), log("kube-apiserver")])
    say("the API server answers")
    addons = ("apply", f"--filename={layout.config('addons.yaml')}")
    wait_until(lambda: kubectl.answer(*addons) is not None, "the first namespaces", logs=[log("kube-apiserver")])
    wait_until(
        lambda: kubectl.node_is_ready(NODE), f"node {NODE} to be Ready", logs=[log("containerd"), log("kubelet")]
    )
    say("the node is Ready")
    account = ("get", "serviceaccount", "default", "--namespace=default")
    kcm = "kube-controller-manager"
    wait_until(
        lambda: kubectl.answer(*account) is not None, f"the first service account, made by {kcm}", logs=[log(kcm)]
    )
    for component, path in (("names", "8181/ready"), ("kube-proxy", "10256/healthz")):
        url = f"http://{NODE_ADDRESS}:{path}"
        wait_until(partial(answers, url), f"{component} at {url}", logs=[log(component)])
