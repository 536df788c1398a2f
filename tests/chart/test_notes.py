"""What Helm prints after an installation."""

import functools

import pytest

from chart.helm import API, CHART, FOLLOW, LOGS, run, tool

PRIVILEGED = "kubectl label namespace elt-operator --overwrite pod-security.kubernetes.io/enforce=privileged"

TLS = "--set=api.tls.secretName=api-tls"


@functools.cache
def notes(*arguments: str) -> str:
    """Return what Helm prints after an installation."""
    installed = run(
        tool("helm4"), "install", "elt-operator", CHART, "--namespace=elt-operator", "--dry-run=client", *arguments
    )
    return installed.stdout.partition("NOTES:")[2]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param([], "--all-namespaces", id="all namespaces"),
        pytest.param(["--set=namespaces={team-a,team-b}"], "-n team-a", id="some namespaces"),
        pytest.param(["--set=crds.enabled=false"], "kubectl apply --server-side -f crds/", id="no resource types"),
        pytest.param([], "No image has been published yet", id="the default image"),
        pytest.param([LOGS], "port-forward service/elt-operator-logs 8081", id="how logs are read"),
        pytest.param([LOGS], "kept in the claim elt-operator-logs.", id="a claim that is made for logs"),
        pytest.param([LOGS, "--set=logs.store.existingClaim=ours"], "kept in the claim ours.", id="a claim for logs"),
        pytest.param([LOGS, "--set=logs.store.url=s3://ours/elt"], "kept in s3://ours/elt.", id="a bucket for logs"),
        pytest.param([LOGS, "--set=logs.store.volume.nfs.path=/"], "kept in the volume of", id="a volume for logs"),
        pytest.param([LOGS], PRIVILEGED, id="log readers"),
        pytest.param([API], "at http://elt-operator-api.elt-operator.svc/api;", id="where the Jobs API is"),
        pytest.param([API], "port-forward service/elt-operator-api 8082:80\n", id="how the Jobs API is reached"),
        pytest.param([API, TLS], "at https://elt-operator-api.elt-operator.svc/api;", id="the Jobs API with TLS"),
        pytest.param([API, TLS], "port-forward service/elt-operator-api 8082:443\n", id="its other port"),
    ],
)
def test_the_notes_say_what_comes_next(arguments: list[str], said: str) -> None:
    assert "kubectl get eltpipelines.elt-operator.io" in notes(*arguments)
    assert said in notes(*arguments)


@pytest.mark.parametrize("arguments", [[], [FOLLOW]], ids=["no logs", "followed"])
def test_without_log_readers_the_notes_ask_for_no_privileges(arguments: list[str]) -> None:
    assert PRIVILEGED not in notes(*arguments)


def test_without_the_jobs_api_the_notes_do_not_name_it() -> None:
    assert "Jobs API" not in notes(LOGS)
