"""What the chart renders for the Jobs API, and what it may do."""

from pathlib import Path
from urllib.parse import urlsplit

import pytest

from chart.helm import (
    API,
    CLUSTER_WIDE,
    FOLLOW,
    LOGS,
    NAMESPACE,
    SOME,
    Manifest,
    component,
    container,
    environment,
    granted,
    objects,
    of_kind,
    parts_of,
    pod,
    rendered,
    set_variables,
    value_set,
    workload,
)
from elt_operator.settings.api import Settings

ACCOUNT = "elt-operator-api"
TLS = "--set=api.tls.secretName=api-tls"


def service_of(text: str, program: str) -> Manifest:
    """Return the only Service of a program."""
    (found,) = [body for body in of_kind(objects(text), "Service") if component(body) == program]
    return found


def mounted(text: str) -> dict[str, Manifest]:
    """Return the volumes of the API's pod by where they are mounted; all but /tmp only to be read."""
    volumes = {volume["name"]: volume for volume in pod(text, "api")["volumes"]}
    mounts = container(text, "api")["volumeMounts"]
    assert volumes.keys() == {mount["name"] for mount in mounts}
    assert all(mount.get("readOnly") for mount in mounts if mount["mountPath"] != "/tmp")  # noqa: S108 - the pod's
    return {mount["mountPath"]: volumes[mount["name"]] for mount in mounts}


def test_by_default_there_is_no_api() -> None:
    options = ("logs", "serviceMonitor", "networkPolicy", "prometheusRule", "podDisruptionBudget")
    text = rendered(*(f"--set={option}.enabled=true" for option in options))

    assert parts_of(text, "api") == []


def test_it_takes_one_option_to_have_it() -> None:
    assert parts_of(rendered(API), "api") == [
        ("ClusterRole", "elt-operator-elt-operator-api"),
        ("ClusterRoleBinding", "elt-operator-elt-operator-api"),
        ("Deployment", ACCOUNT),
        ("Service", ACCOUNT),
        ("ServiceAccount", ACCOUNT),
    ]


def test_nothing_else_changes_with_it() -> None:
    alone, beside = (
        [body for body in objects(rendered(LOGS, *more)) if component(body) != "api"] for more in ([], [API])
    )

    assert alone == beside


# ---------------------------------------------------------------------------- what it may do in Kubernetes

OURS = {("elt-operator.io", plural, verb) for plural in ("eltpipelines", "eltjobs") for verb in ("list", "watch")}
NAMESPACES = {("", "namespaces", "list"), ("", "namespaces", "watch")}


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        pytest.param([], {"": OURS | NAMESPACES}, id="all namespaces"),
        pytest.param([SOME], {"team-a": OURS, "team-b": OURS}, id="some namespaces"),
        pytest.param([LOGS], {"": OURS | NAMESPACES}, id="with logs"),
        pytest.param(["--set=rbac.create=false"], {}, id="without rbac"),
    ],
)
def test_the_api_may_list_and_watch_and_nothing_else(
    arguments: list[str], expected: dict[str, set[tuple[str, str, str]]]
) -> None:
    assert granted(objects(rendered(API, *arguments)), ACCOUNT) == expected


def test_with_a_list_of_namespaces_nothing_of_the_api_is_cluster_wide() -> None:
    assert of_kind(objects(rendered(API, SOME)), *CLUSTER_WIDE) == []


def test_the_account_is_the_apis_own() -> None:
    text = rendered(API, values=value_set("own-service-account"))

    assert of_kind(objects(text), "Role", "RoleBinding", *CLUSTER_WIDE) == []
    assert pod(text, "api")["serviceAccountName"] == ACCOUNT
    assert ("ServiceAccount", ACCOUNT) in parts_of(text, "api")


# ---------------------------------------------------------------------------- its settings


def test_the_settings_reach_the_api(monkeypatch: pytest.MonkeyPatch) -> None:
    text = rendered(SOME, values=value_set("api"))
    set_variables(monkeypatch, text, "api")

    settings = Settings()

    assert settings.namespaces == ["team-a", "team-b"]
    assert settings.origins == ["https://data.example.com"]
    assert (settings.reads_per_second, settings.changes_per_second) == (20, 0.5)
    assert settings.logs_url == "https://elt-operator-logs.elt-operator.svc:8081"
    assert (settings.tls_folder, settings.logs_ca) == (Path("/tls"), Path("/logs-tls/ca.crt"))


def test_without_values_the_api_has_its_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    set_variables(monkeypatch, rendered(API), "api")

    assert Settings() == Settings.model_construct()


def test_several_origins_and_large_numbers_reach_the_api(monkeypatch: pytest.MonkeyPatch) -> None:
    given = "--set=api.corsOrigins={https://a.example.com,https://b.example.com:8443},api.readsPerSecond=100000"
    set_variables(monkeypatch, rendered(API, given), "api")

    assert Settings().origins == ["https://a.example.com", "https://b.example.com:8443"]
    assert Settings().reads_per_second == 100_000


def test_the_variables_of_all_programs_come_last() -> None:
    names = [variable["name"] for variable in container(rendered(API, values=value_set("settings")), "api")["env"]]

    assert names[-2:] == ["TZ", "TOKEN"]


# ---------------------------------------------------------------------------- how it is reached


@pytest.mark.parametrize(
    ("arguments", "port", "folder"),
    [pytest.param([], 80, None, id="plain"), pytest.param([TLS], 443, Path("/tls"), id="TLS")],
)
def test_the_service_leads_to_the_port_of_the_api(
    arguments: list[str], port: int, folder: Path | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = rendered(API, *arguments)
    set_variables(monkeypatch, text, "api")
    (found,) = service_of(text, "api")["spec"]["ports"]
    ports = {named["name"]: named["containerPort"] for named in container(text, "api")["ports"]}

    assert found["port"] == port
    assert (ports[found["targetPort"]], ports["http"]) == (Settings().api_port, Settings().health_port)
    assert Settings().tls_folder == folder


def test_a_client_stays_with_a_replica() -> None:
    assert service_of(rendered(API), "api")["spec"]["sessionAffinity"] == "ClientIP"


def test_the_service_has_annotations_for_a_load_balancer() -> None:
    assert service_of(rendered(values=value_set("api")), "api")["metadata"]["annotations"] == {"example.com/a": "b"}


@pytest.mark.parametrize(
    ("arguments", "spec"),
    [
        pytest.param([], {"replicas": 1}, id="one by default"),
        pytest.param(["--set=api.replicas=3"], {"replicas": 3}, id="several"),
        pytest.param(["--set=api.replicas=0"], {"replicas": 0}, id="none for now"),
        pytest.param(["--set=api.replicas=null"], {}, id="a HorizontalPodAutoscaler's"),
    ],
)
def test_how_many_replicas_there_are(arguments: list[str], spec: dict[str, int]) -> None:
    found = workload(rendered(API, "--set=replicaCount=2", *arguments), "api")["spec"]

    assert {name: value for name, value in found.items() if name == "replicas"} == spec


@pytest.mark.parametrize("version", [3, 4])
def test_a_file_of_values_may_leave_the_number_of_replicas_out(version: int) -> None:
    assert "replicas" not in workload(rendered(values=value_set("api"), by=version), "api")["spec"]


# ---------------------------------------------------------------------------- TLS, and the keeper


def test_the_api_has_its_certificate_and_of_the_keepers_only_what_is_public() -> None:
    found = mounted(rendered(values=value_set("api")))

    assert found["/tls"]["secret"] == {"secretName": "api-tls"}
    assert found["/logs-tls"]["secret"] == {
        "secretName": "logs-tls",
        "items": [{"key": "ca.crt", "path": "ca.crt"}],
    }


def test_without_certificates_nothing_is_mounted_but_a_folder_to_write_to() -> None:
    assert mounted(rendered(API, LOGS)) == {"/tmp": {"name": "tmp", "emptyDir": {"sizeLimit": "64Mi"}}}  # noqa: S108 - the pod's


def test_a_certificate_for_a_keeper_that_there_is_not_is_not_asked_for() -> None:
    text = rendered(API, "--set=logs.tls.secretName=logs-tls")

    assert mounted(text).keys() == {"/tmp"}  # noqa: S108 - the pod's
    assert not environment(text, "api").keys() & {"ELT_OPERATOR_LOGS_URL", "ELT_OPERATOR_LOGS_CA"}


@pytest.mark.parametrize("logs", [LOGS, FOLLOW], ids=["read on the nodes", "followed"])
@pytest.mark.parametrize(
    ("arguments", "scheme", "certificates"),
    [
        pytest.param([], "http", None, id="plain"),
        pytest.param(["--set=logs.tls.secretName=logs-tls"], "https", Path("/logs-tls/ca.crt"), id="TLS"),
    ],
)
@pytest.mark.parametrize("release", ["elt-operator", "team-a"])
def test_with_logs_the_api_finds_their_keeper(
    release: str,
    arguments: list[str],
    scheme: str,
    certificates: Path | None,
    logs: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    text = rendered(API, logs, *arguments, release=release)
    set_variables(monkeypatch, text, "api")
    door = service_of(text, "logs")
    (port,) = door["spec"]["ports"]

    url = urlsplit(Settings().logs_url)

    assert (url.scheme, url.hostname, url.port) == (scheme, f"{door['metadata']['name']}.{NAMESPACE}.svc", port["port"])
    assert Settings().logs_ca == certificates
