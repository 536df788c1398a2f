"""What Argo CD, Flux and Helm make of Pipelines and Jobs in each state that the operator writes."""

import importlib.util
from pathlib import Path
from typing import Any

import cel
import pytest
import yaml

from builders import START, states
from fakes import argo_cd
from fakes.kstatus import kstatus

ROOT = Path(__file__).resolve().parents[2]
ARGO_CD = ROOT / "gitops" / "argo-cd"
SCRIPTS = ARGO_CD / "resource_customizations" / "elt-operator.io"
FLUX = ROOT / "gitops" / "flux"
STATES = {"Job": states.jobs(), "Pipeline": states.pipelines()}

VERDICTS = {
    "Job": {
        # state: kstatus (Helm 4, Flux), Argo CD
        "new": ("InProgress", "Progressing"),
        "queued": ("InProgress", "Progressing"),
        "running": ("InProgress", "Progressing"),
        "to-be-stopped": ("InProgress", "Progressing"),
        "complete": ("Current", "Healthy"),
        "complete-and-told-to-stop-later": ("InProgress", "Healthy"),  # the operator does not look at it any more
        "error": ("Failed", "Degraded"),
        "stopped": ("Failed", "Degraded"),
        "refused": ("Failed", "Degraded"),
        "unknown": ("Failed", "Degraded"),
    },
    "Pipeline": {
        "new": ("InProgress", "Progressing"),
        "ready": ("Current", "Healthy"),
        "scheduled": ("Current", "Healthy"),
        "changed": ("InProgress", "Progressing"),
        "suspended": ("Current", "Healthy"),
        "last-job-complete": ("Current", "Healthy"),
        "last-job-failed": ("Current", "Healthy"),
        "schedule-that-never-comes": ("Failed", "Degraded"),
        "name-taken": ("Failed", "Degraded"),
        "name-not-free-yet": ("InProgress", "Progressing"),
    },
}
CASES = [
    pytest.param(kind, state, *verdicts, id=f"{kind} {state}")
    for kind, of_kind in VERDICTS.items()
    for state, verdicts in of_kind.items()
]


def lua(kind: str, script: str, body: dict[str, Any]) -> Any:
    return argo_cd.run((SCRIPTS / kind / script).read_text(), body, START)


def health_cases() -> list[Any]:
    return [
        pytest.param(path.parent, case, id=f"{path.parent.name} {Path(case['inputPath']).stem}")
        for path in sorted(SCRIPTS.glob("*/health_test.yaml"))
        for case in yaml.safe_load(path.read_text())["tests"]
    ]


def action_cases(which: str) -> list[Any]:
    return [
        pytest.param(
            path.parent, case, id=f"{path.parents[1].name} {case.get('action', '')} {Path(case['inputPath']).stem}"
        )
        for path in sorted(SCRIPTS.glob("*/actions/action_test.yaml"))
        for case in yaml.safe_load(path.read_text())[which]
    ]


def test_each_state_has_its_verdicts() -> None:
    assert {kind: found.keys() for kind, found in STATES.items()} == {
        kind: verdicts.keys() for kind, verdicts in VERDICTS.items()
    }


@pytest.mark.parametrize(("kind", "state", "by_kstatus", "by_argo_cd"), CASES)
def test_tools_understand_each_state(kind: str, state: str, by_kstatus: str, by_argo_cd: str) -> None:
    body = STATES[kind][state]

    assert kstatus(body) == by_kstatus
    assert lua(kind, "health.lua", body)["status"] == by_argo_cd


@pytest.mark.parametrize(
    ("state", "verdict"),
    [
        ("queued", "InProgress"),
        ("running", "Current"),
        ("complete", "Current"),
        ("error", "Failed"),
        ("unknown", "Failed"),
    ],
)
def test_flux_may_take_a_started_job_for_enough(state: str, verdict: str) -> None:
    (checks,) = yaml.safe_load((FLUX / "pipelines-without-waiting.yaml").read_text())["spec"]["healthCheckExprs"]

    assert by_expressions(checks, STATES["Job"][state]) == verdict


def by_expressions(checks: dict[str, str], body: dict[str, Any]) -> str:
    """Return what Flux says by its expressions: github.com/fluxcd/pkg, runtime/cel/status_evaluator.go."""
    if body["status"]["observedGeneration"] != body["metadata"]["generation"]:
        return "InProgress"
    order = {"inProgress": "InProgress", "failed": "Failed", "current": "Current"}
    holding = (said for name, said in order.items() if name in checks and cel.evaluate(checks[name], body))
    return next(holding, "InProgress")


@pytest.mark.parametrize(("folder", "case"), health_cases())
def test_a_case_for_argo_cd_is_a_state_and_has_its_health(folder: Path, case: dict[str, Any]) -> None:
    body = yaml.safe_load((folder / case["inputPath"]).read_text())

    assert body == STATES[folder.name][Path(case["inputPath"]).stem]
    assert lua(folder.name, "health.lua", body) == case["healthStatus"]


def test_argo_cd_has_a_case_for_each_state() -> None:
    for kind, found in STATES.items():
        assert {path.stem for path in (SCRIPTS / kind / "testdata").iterdir()} == found.keys()


@pytest.mark.parametrize(("folder", "case"), action_cases("discoveryTests"))
def test_argo_cd_offers_the_actions(folder: Path, case: dict[str, Any]) -> None:
    body = yaml.safe_load((folder / case["inputPath"]).read_text())

    offered = argo_cd.run((folder / "discovery.lua").read_text(), body, START)

    assert [{"name": name, **offered[name]} for name in sorted(offered)] == case["result"]


@pytest.mark.parametrize(("folder", "case"), action_cases("actionTests"))
def test_an_action_does_what_it_says(folder: Path, case: dict[str, Any]) -> None:
    script = (folder / case["action"] / "action.lua").read_text()
    body, expected = (yaml.safe_load((folder / case[path]).read_text()) for path in ("inputPath", "expectedOutputPath"))

    made = argo_cd.run(script, body, START)

    if isinstance(made, list):
        made = [{"k8sOperation": each["operation"], "unstructuredObj": each["resource"]} for each in made]
    assert made == expected


def test_the_longest_name_still_makes_a_job() -> None:
    pipeline = states.pipelines()["ready"]
    pipeline["metadata"]["name"] = "p" * 52

    (made,) = lua("Pipeline", "actions/run-now/action.lua", pipeline)

    assert len(made["resource"]["metadata"]["name"]) <= 63


def test_the_patch_for_argo_cd_is_up_to_date() -> None:
    spec = importlib.util.spec_from_file_location("generate", ARGO_CD / "generate.py")
    assert spec
    assert spec.loader
    generate = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generate)

    assert (ARGO_CD / "argocd-cm-patch.yaml").read_text() == generate.patch(), "run `make gitops`"
