"""Kueue on the cluster: the manifests of its release, and its program, built from the same version of its Go module."""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import yaml

from chart.helm import ROOT, tool
from cluster.images import write_single_file_image
from e2e.world import Refused, kubectl

MODULE = "sigs.k8s.io/kueue"
NAMESPACE = "kueue-system"
LONGEST_START_SECONDS = 180
WEBHOOKS = "validatingwebhookconfigurations,mutatingwebhookconfigurations"
OF_KUEUE = "--selector=app.kubernetes.io/name=kueue"

Body = dict[str, Any]


def object_of(kind: str, name: str, **spec: Any) -> Body:
    """Return an object of one of Kueue's kinds."""
    return {"apiVersion": "kueue.x-k8s.io/v1beta2", "kind": kind, "metadata": {"name": name}, "spec": spec}


def output_of(*command: str | Path) -> str:
    """Return what a program prints; fails when it does."""
    ended = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=os.environ | {"GOWORK": "off"})
    return ended.stdout


def program() -> Path:
    """Return Kueue's program, whose name ends with its version; it is built where it is missing."""
    return Path(tool("kueue"))


def version() -> str:
    return program().name.partition("-")[2]


def image() -> str:
    return f"localhost/kueue:{version()}"


def load_image() -> None:
    """Make Kueue's image usable by the cluster's pods."""
    with tempfile.TemporaryDirectory() as folder:
        archive, manager = Path(folder) / "kueue.tar", Path(folder) / "manager"  # as its manifests call the program
        manager.symlink_to(program())
        write_single_file_image(archive, image(), manager)
        subprocess.run([sys.executable, "-m", "cluster", "load-image", archive], check=True, cwd=ROOT / "tests")


def manifests() -> str:
    """Return what a user applies to install Kueue with its default configuration, but with the image of our making."""
    module = json.loads(output_of("go", "mod", "download", "-json", f"{MODULE}@{version()}"))
    printed = kubectl("kustomize", f"{module['Dir']}/config/default")
    # Its view of pending workloads is an API of its own, which takes an API server that is set up for aggregation.
    bodies: list[Body] = [body for body in yaml.safe_load_all(printed) if body["kind"] != "APIService"]
    (deployment,) = (body for body in bodies if body["kind"] == "Deployment")
    pod = deployment["spec"]["template"]["spec"]
    pod["securityContext"]["runAsUser"] = 65532  # as its own image says
    pod["containers"][0] |= {"image": image(), "imagePullPolicy": "IfNotPresent"}
    return yaml.safe_dump_all(bodies)


def install() -> None:
    """Install Kueue; return when it admits."""
    load_image()
    kubectl("apply", "--server-side", "--filename=-", stdin=manifests())
    kubectl("rollout", "status", f"--namespace={NAMESPACE}", "deployment/kueue-controller-manager",
            f"--timeout={LONGEST_START_SECONDS}s")  # fmt: skip
    deadline = time.monotonic() + LONGEST_START_SECONDS
    while words := refusal():
        assert time.monotonic() < deadline, words
        time.sleep(0.3)  # the way to a Service has no watch


def refusal() -> str:
    """Return why the API server takes no object of Kueue; empty when it does."""
    try:
        kubectl("create", "--dry-run=server", "--filename=-", stdin=yaml.safe_dump(object_of("ResourceFlavor", "try")))
    except Refused as error:
        return str(error)
    return ""


def remove() -> None:
    """Take Kueue away, and all of its kinds. What is of them has finalizers that only Kueue itself takes off."""
    kinds = kubectl("get", "customresourcedefinitions", OF_KUEUE, "--output=name").split()
    for kind in kinds:
        plural = kind.partition("/")[2]
        kubectl("delete", plural, "--all", "--all-namespaces", "--ignore-not-found", "--timeout=60s")
    kubectl("delete", WEBHOOKS, OF_KUEUE)  # before what answers them: else nobody could create a pod any more
    kubectl("delete", "--ignore-not-found", "--filename=-", "--timeout=120s", stdin=manifests())
