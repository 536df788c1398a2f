"""The chart as both Helms render it, and the programs that judge what they rendered."""

import functools
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "charts" / "elt-operator"
VALUE_SETS = sorted((CHART / "ci").glob("*-values.yaml"))
OLDEST_KUBERNETES = "1.34.0"
NAMESPACE = "elt-operator"
API = "--set=api.enabled=true"
LOGS = "--set=logs.enabled=true"
FOLLOW = "--set=logs.enabled=true,logs.source=follow"
SOME = "--set=namespaces={team-a,team-b}"
CLUSTER_WIDE = ("ClusterRole", "ClusterRoleBinding")

Manifest = dict[str, Any]


@functools.cache
def tool(name: str) -> str:
    """Return the path of a program of tests/chart/tool, which builds it where it is missing."""
    made = subprocess.run([ROOT / "tests" / "chart" / "tool", name], check=True, stdout=subprocess.PIPE, text=True)
    return made.stdout.strip()


def run(*command: str | Path, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run a program to its end, whatever that is; its output is one text."""
    return subprocess.run(
        command, check=False, input=stdin, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def helm(version: int, verb: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    # A Helm that is built by `go install` takes itself for one of Kubernetes 1.20.
    return run(tool(f"helm{version}"), verb, *arguments, f"--kube-version={OLDEST_KUBERNETES}")


@functools.cache
def rendered(
    *arguments: str, values: Path | None = None, release: str = "elt-operator", namespace: str = NAMESPACE, by: int = 4
) -> str:
    """Return what `helm template` prints with a value set, a release of this name and more arguments."""
    file = [f"--values={values}"] if values else []
    printed = helm(by, "template", release, CHART, f"--namespace={namespace}", *file, *arguments)
    assert printed.returncode == 0, printed.stdout
    return printed.stdout


def objects(text: str) -> list[Manifest]:
    """Return the objects of a text, in an order of their own."""
    found = [body for body in yaml.safe_load_all(text) if body]
    return sorted(found, key=identity)


def identity(body: Manifest) -> tuple[str, str, str]:
    return body["kind"], body["metadata"].get("namespace", ""), body["metadata"]["name"]


def of_kind(bodies: Iterable[Manifest], *kinds: str) -> list[Manifest]:
    return [body for body in bodies if body["kind"] in kinds]


def value_set(name: str) -> Path:
    return CHART / "ci" / f"{name}-values.yaml"


def component(body: Manifest) -> str:
    """Return whose an object is: operator, api, logs (the keeper's), log-reader or test."""
    return str(body["metadata"]["labels"]["app.kubernetes.io/component"])


def parts_of(text: str, *programs: str) -> list[tuple[str, str]]:
    """Return kind and name of the objects of some programs."""
    return [(body["kind"], body["metadata"]["name"]) for body in objects(text) if component(body) in programs]


def workload(text: str, program: str = "operator") -> Manifest:
    """Return the Deployment or DaemonSet of a program: operator, api, logs or log-reader."""
    (found,) = (body for body in of_kind(objects(text), "Deployment", "DaemonSet") if component(body) == program)
    return found


def pod(text: str, program: str = "operator") -> Manifest:
    """Return the specification of a program's pods."""
    return dict(workload(text, program)["spec"]["template"]["spec"])


def container(text: str, program: str = "operator") -> Manifest:
    (found,) = pod(text, program)["containers"]
    return dict(found)


def environment(text: str, program: str) -> dict[str, str]:
    """Return the variables of a program that have a value."""
    return {variable["name"]: variable["value"] for variable in container(text, program)["env"] if "value" in variable}


def set_variables(monkeypatch: pytest.MonkeyPatch, text: str, program: str) -> None:
    """Have the variables of a program that have a value be those of this process."""
    for name, value in environment(text, program).items():
        monkeypatch.setenv(name, value)


def rights(roles: Iterable[Manifest]) -> set[tuple[str, str, str]]:
    """Return group, resource and verb of all that some roles grant."""
    return {
        (group, resource, verb)
        for role in roles
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def granted(bodies: list[Manifest], account: str) -> dict[str, set[tuple[str, str, str]]]:
    """Return what a service account may do, by namespace; empty: in the whole cluster."""
    found: dict[str, set[tuple[str, str, str]]] = {}
    who = {"kind": "ServiceAccount", "name": account, "namespace": NAMESPACE}
    for binding in of_kind(bodies, "RoleBinding", "ClusterRoleBinding"):
        place, role = binding["metadata"].get("namespace", ""), binding["roleRef"]
        if who in binding["subjects"]:
            assert binding["subjects"] == [who], "a role for each program"
            bound = [
                body
                for body in of_kind(bodies, role["kind"])
                if (body["metadata"]["name"], body["metadata"].get("namespace", "")) == (role["name"], place)
            ]
            found[place] = found.get(place, set()) | rights(bound)
    return found
