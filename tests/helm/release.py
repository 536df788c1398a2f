"""A release of the chart on the cluster, by a real Helm."""

import json
import os
import subprocess
import tempfile
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from chart.helm import CHART, ROOT, tool
from e2e.world import Refused, kubectl

NAME = NAMESPACE = "elt-operator"
OF_CHART = "--selector=app.kubernetes.io/name=elt-operator"
RELEASED = "0.1.0"
"""The newest release: its chart and its image are used as they were."""
RELEASED_CHART = Path(__file__).parent / "releases" / f"elt-operator-{RELEASED}.tgz"


def settings(tag: str) -> dict[str, Any]:
    """Return values for a release of the image with this tag."""
    repository = f"{os.environ.get('IMAGES_FROM', 'localhost')}/elt-operator"
    return {"image": {"repository": repository, "tag": tag}, "settings": {"auditSeconds": 5}}


@cache
def environment() -> dict[str, str]:
    """Return Helm's environment, which leaves the files of whoever runs the tests alone."""
    home = tempfile.mkdtemp(prefix="helm-")
    return {**os.environ, **{f"HELM_{what}_HOME": f"{home}/{what}" for what in ("CACHE", "CONFIG", "DATA")}}


@dataclass(frozen=True)
class Release:
    """A release; by default that of the operator."""

    version: int
    """Helm's: 3 or 4."""
    name: str = NAME
    namespace: str = NAMESPACE
    folder: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="release-")))

    def helm(self, verb: str, *arguments: str | Path) -> str:
        """Return what Helm prints; raises ``Refused`` with its words."""
        command = [tool(f"helm{self.version}"), verb, self.name, *arguments, f"--namespace={self.namespace}"]
        ended = subprocess.run(
            command, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment()
        )
        if ended.returncode:
            raise Refused(f"helm{self.version} {verb}: {ended.stdout}")
        return ended.stdout

    def _values(self, chart: Path, **values: Any) -> str:
        path = self.folder / "values.yaml"
        path.write_text(yaml.safe_dump(settings(RELEASED if chart == RELEASED_CHART else "dev") | values))
        return f"--values={path}"

    def install(self, chart: Path = CHART, *arguments: str, **values: Any) -> None:
        """Install the chart, in a namespace that admits restricted pods only."""
        kubectl("create", "namespace", NAMESPACE)
        kubectl("label", "namespace", NAMESPACE, "pod-security.kubernetes.io/enforce=restricted")
        self.helm("install", chart, self._values(chart, **values), *arguments)

    def upgrade(self, chart: Path = CHART, *arguments: str, **values: Any) -> None:
        """Upgrade to the chart."""
        self.helm("upgrade", chart, self._values(chart, **values), "--wait", "--timeout=120s", *arguments)


def pods() -> set[str]:
    """Return the names of the operator's pods."""
    printed = kubectl("get", "pods", f"--namespace={NAMESPACE}", OF_CHART, "--output=name")
    return set(printed.split())


def images(of_pods: set[str]) -> set[str]:
    """Return the tags of the images that some of the operator's pods run."""
    printed = kubectl("get", f"--namespace={NAMESPACE}", *sorted(of_pods), "--output=json")
    found = json.loads(printed)
    bodies = found.get("items", [found])
    return {body["spec"]["containers"][0]["image"].rpartition(":")[2] for body in bodies}


def holder() -> str:
    """Return which of the operator's pods acts; empty: none."""
    return kubectl("get", "lease", f"--namespace={NAMESPACE}", NAME, "--output=jsonpath={.spec.holderIdentity}")


def log() -> str:
    """Return what the operator's pods have logged; nothing while one of them does not run yet."""
    with suppress(Refused):
        return kubectl("logs", f"--namespace={NAMESPACE}", OF_CHART, "--tail=-1")
    return ""


def clear() -> None:
    """Take away whatever installed the operator, and all that is of its resource types."""
    for file in (ROOT / "manifests" / "install" / "cluster.yaml", ROOT / "crds"):
        kubectl("delete", "--ignore-not-found", f"--filename={file}", "--timeout=120s")
    kubectl("delete", "clusterroles,clusterrolebindings", OF_CHART)
