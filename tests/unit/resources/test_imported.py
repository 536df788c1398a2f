"""Pipelines that say what CronJobs, Meltano's schedules and tasks of other schedulers said, as a person writes them.

tests/e2e/test_imported.py asks a real API server whether it accepts them.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from builders import START, a_job
from elt_operator.controller import snapshots
from elt_operator.core import cron, render
from elt_operator.core.model import Pipeline
from elt_operator.core.situation import Limits
from elt_operator.resources.pipeline import PipelineSpec
from fakes.admission import complaints

FILES = sorted((Path(__file__).resolve().parents[2] / "e2e" / "imported").glob("*.yaml"))

WHAT_A_POD_SAYS = (
    "automountServiceAccountToken",
    "hostAliases",
    "nodeSelector",
    "serviceAccountName",
    "terminationGracePeriodSeconds",
    "tolerations",
)
WHAT_ITS_SECURITY_SAYS = ("fsGroup", "runAsNonRoot", "runAsUser", "supplementalGroups")

Body = dict[str, Any]


def manifests() -> Iterator[tuple[str, Body]]:
    for path in FILES:
        for body in yaml.safe_load_all(path.read_text()):
            yield f"{path.stem}: {body['metadata']['name']}", body


IMPORTED = pytest.mark.parametrize("manifest", [pytest.param(body, id=name) for name, body in manifests()])


def read(manifest: Body) -> tuple[Pipeline, PipelineSpec]:
    """Return what the operator makes of a manifest that was applied."""
    metadata = {**manifest["metadata"], "namespace": "imported", "uid": "pipeline-uid", "generation": 1}
    pipeline = snapshots.pipeline({**manifest, "metadata": metadata})
    assert pipeline is not None
    assert pipeline.spec is not None, pipeline.problem
    return pipeline, pipeline.spec


def run_of(manifest: Body) -> Body:
    pipeline, _ = read(manifest)
    return render.run(pipeline, replace(a_job(), key=pipeline.key), 1, Limits())


def containers(manifest: Body) -> dict[str, Body]:
    """Return the containers of a run by their name."""
    pod = run_of(manifest)["spec"]["template"]["spec"]
    return {one["name"]: one for one in (*pod.get("initContainers", []), *pod["containers"])}


def said(manifest: Body) -> dict[str, Body]:
    """Return what a Pipeline says of each container, by the container's name."""
    spec = manifest["spec"]
    return {"elt": spec} | {one["name"]: one for one in (*spec.get("initContainers", []), *spec.get("sidecars", []))}


@IMPORTED
def test_each_word_of_it_is_understood(manifest: Body) -> None:
    _, spec = read(manifest)

    assert spec.model_dump(mode="json", by_alias=True, exclude_unset=True) == manifest["spec"]
    assert complaints(manifest) == []


@IMPORTED
def test_its_schedule_is_one_that_kubernetes_can_carry_out(manifest: Body) -> None:
    _, spec = read(manifest)

    if spec.schedule:
        found = cron.parse(spec.schedule, spec.time_zone)
        assert found.next_after(START), "or `parse` has raised"


@IMPORTED
def test_its_containers_start_what_it_says(manifest: Body) -> None:
    made = containers(manifest)

    assert made.keys() == said(manifest).keys()
    for name, words in said(manifest).items():
        same = {"image", "imagePullPolicy", "envFrom", "resources", "workingDir"} & words.keys()
        if "actions" not in words:
            same |= {"command", "args"} & words.keys()
            assert made[name].keys() & {"command", "args"} == same & {"command", "args"}, "the rest is the image's"
        assert {field: made[name][field] for field in same} == {field: words[field] for field in same}
        given = {entry["name"]: entry for entry in made[name]["env"]}
        assert [given[entry["name"]] for entry in words.get("env", [])] == words.get("env", [])


@IMPORTED
def test_all_its_containers_see_its_volumes(manifest: Body) -> None:
    paths = {volume["mountPath"] for volume in manifest["spec"].get("volumes", [])}

    for made in containers(manifest).values():
        assert paths <= {mount["mountPath"] for mount in made.get("volumeMounts", [])}


@IMPORTED
def test_its_pod_is_as_it_says(manifest: Body) -> None:
    run, settings = run_of(manifest)["spec"], manifest["spec"].get("pod", {})
    pod, metadata = run["template"]["spec"], run["template"]["metadata"]

    assert run["backoffLimit"] == manifest["spec"].get("maxRetries", 0)
    for words, made in ((WHAT_A_POD_SAYS, pod), (WHAT_ITS_SECURITY_SAYS, pod["securityContext"])):
        told = {name: settings[name] for name in words if name in settings}
        assert {name: made.get(name) for name in told} == told
    assert pod.get("affinity", {}).get("nodeAffinity") == settings.get("nodeAffinity")
    assert metadata["labels"].items() >= settings.get("labels", {}).items()
    assert metadata.get("annotations", {}) == settings.get("annotations", {})


@IMPORTED
def test_its_passwords_are_in_secrets(manifest: Body) -> None:
    for made in containers(manifest).values():
        secret = [entry for entry in made["env"] if "PASSWORD" in entry["name"]]
        assert [entry for entry in secret if "secretKeyRef" not in entry.get("valueFrom", {})] == []
        assert [word for word in made.get("args", []) if "password=" in word and "password=$(" not in word] == []


def test_all_that_people_use_is_among_them() -> None:
    specs = [body["spec"] for _, body in manifests()]

    assert {"actions", "args", "command", "initContainers", "sidecars", "timeZone", "volumes", "workingDir"} <= {
        name for spec in specs for name in spec
    }
    assert {"hostAliases", "nodeAffinity", "supplementalGroups"} <= {
        name for spec in specs for name in spec.get("pod", {})
    }
    assert [spec for spec in specs if not spec.keys() & {"actions", "args", "command", "script"}], "the image's own"
