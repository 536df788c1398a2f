"""What the chart renders for logs: the keeper, the log readers, and what each of them may do."""

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from chart.helm import (
    CLUSTER_WIDE,
    FOLLOW,
    LOGS,
    NAMESPACE,
    SOME,
    VALUE_SETS,
    component,
    container,
    environment,
    granted,
    objects,
    of_kind,
    parts_of,
    pod,
    rendered,
    rights,
    set_variables,
    value_set,
    workload,
)
from elt_operator.archive.exchange import AUDIENCE
from elt_operator.settings.controller import Settings as OperatorSettings
from elt_operator.settings.log_reader import Settings as ReaderSettings
from elt_operator.settings.logs import Settings as KeeperSettings

KEEPER, READER = "elt-operator-logs", "elt-operator-log-reader"
OPENSHIFT = "--set=podSecurityContext.runAsUser=null,podSecurityContext.runAsGroup=null"


def test_by_default_no_logs_are_kept() -> None:
    text = rendered()

    assert parts_of(text, "logs", "log-reader") == []
    assert "ELT_OPERATOR_KEEP_LOGS" not in environment(text, "operator")


def test_nobody_reads_on_the_nodes_if_logs_are_followed() -> None:
    text = rendered(FOLLOW, "--set=serviceMonitor.enabled=true,networkPolicy.enabled=true")

    assert ("Deployment", KEEPER) in parts_of(text, "logs")
    assert parts_of(text, "log-reader") == []


# ---------------------------------------------------------------------------- what they may do on their node


def test_a_log_reader_may_read_files_and_nothing_else() -> None:
    text = rendered(LOGS)
    spec = pod(text, "log-reader")
    (token,) = [volume for volume in spec["volumes"] if "projected" in volume]
    (host,) = [volume for volume in spec["volumes"] if "hostPath" in volume]
    writable = {
        mount["name"] for mount in container(text, "log-reader")["volumeMounts"] if not mount.get("readOnly", False)
    }

    assert spec["securityContext"] == {
        "runAsUser": 0,
        "runAsGroup": 0,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert container(text, "log-reader")["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert not spec.keys() & {"hostNetwork", "hostPID", "hostIPC", "initContainers"}
    assert spec["automountServiceAccountToken"] is False
    assert token["projected"]["sources"] == [
        {"serviceAccountToken": {"audience": AUDIENCE, "expirationSeconds": 3600, "path": "token"}}
    ]
    assert host["hostPath"] == {"path": "/var/log/pods", "type": "Directory"}
    assert writable == {"spool"}


@pytest.mark.parametrize("values", VALUE_SETS, ids=lambda path: path.name.removesuffix("-values.yaml"))
def test_a_log_reader_may_do_nothing_in_kubernetes(values: Path) -> None:
    text = rendered(values=values)

    assert granted(objects(text), READER) == {}
    for account in of_kind(objects(text), "ServiceAccount"):
        assert account["automountServiceAccountToken"] is False


def test_the_spools_volume_has_room_for_the_spool() -> None:
    for mebibytes in (16, 1024):
        text = rendered(LOGS, f"--set=logs.reader.spoolBytes={mebibytes * 1024 * 1024}")
        (spool,) = [volume for volume in pod(text, "log-reader")["volumes"] if volume["name"] == "spool"]
        assert spool["emptyDir"] == {"sizeLimit": f"{mebibytes + 64}Mi"}


@pytest.mark.parametrize(
    ("arguments", "group"),
    [
        pytest.param([], 65532, id="the operator's group"),
        pytest.param(["--set=podSecurityContext.runAsGroup=1000700000"], 1_000_700_000, id="another one"),
        pytest.param([OPENSHIFT], None, id="OpenShift's choice"),
        pytest.param(["--set=podSecurityContext=null"], None, id="no context at all"),
    ],
)
def test_the_volume_belongs_to_the_keepers_group(arguments: list[str], group: int | None) -> None:
    context = pod(rendered(LOGS, *arguments), "logs")["securityContext"]

    assert (context.get("fsGroup"), context.get("runAsGroup")) == (group, group)
    assert context["runAsNonRoot"] is True


# ---------------------------------------------------------------------------- what they may do in Kubernetes

OURS = "elt-operator.io"
WATCHES = {
    (OURS, "eltjobs", "list"),
    (OURS, "eltjobs", "watch"),
    (OURS, "eltpipelines", "list"),
    (OURS, "eltjobs/status", "patch"),
    ("", "pods", "list"),
    ("", "pods", "watch"),
}
FOLLOWS = WATCHES | {("", "pods/log", "get")}
REVIEWS = {("authentication.k8s.io", "tokenreviews", "create")}


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        pytest.param([LOGS], {"": WATCHES | REVIEWS}, id="all namespaces"),
        pytest.param([LOGS, SOME], {"team-a": WATCHES, "team-b": WATCHES, "": REVIEWS}, id="some namespaces"),
        pytest.param([FOLLOW], {"": FOLLOWS}, id="all namespaces, followed"),
        pytest.param([FOLLOW, SOME], {"team-a": FOLLOWS, "team-b": FOLLOWS}, id="some namespaces, followed"),
        pytest.param([LOGS, "--set=rbac.create=false"], {}, id="without rbac"),
    ],
)
def test_the_keeper_may_do_what_it_needs_and_no_more(
    arguments: list[str], expected: dict[str, set[tuple[str, str, str]]]
) -> None:
    assert granted(objects(rendered(*arguments)), KEEPER) == expected


def test_with_a_list_of_namespaces_only_the_review_of_readers_tokens_is_cluster_wide() -> None:
    bodies = of_kind(objects(rendered(LOGS, SOME)), *CLUSTER_WIDE)

    assert {body["kind"] for body in bodies} == set(CLUSTER_WIDE)
    assert rights(of_kind(bodies, "ClusterRole")) == REVIEWS
    assert of_kind(objects(rendered(FOLLOW, SOME)), *CLUSTER_WIDE) == []


def test_the_operator_may_do_the_same_whether_logs_are_kept_or_not() -> None:
    assert granted(objects(rendered(LOGS)), "elt-operator") == granted(objects(rendered()), "elt-operator")


@pytest.mark.parametrize("source", ["node", "follow"])
def test_without_rbac_no_role_is_made_for_logs(source: str) -> None:
    text = rendered(LOGS, f"--set=logs.source={source}", values=value_set("own-service-account"))

    assert of_kind(objects(text), "Role", "RoleBinding", *CLUSTER_WIDE) == []
    assert pod(text, "logs")["serviceAccountName"] == KEEPER


def test_the_keepers_account_is_known_to_a_cloud() -> None:
    (account,) = [body for body in of_kind(objects(rendered(values=value_set("logs"))), "ServiceAccount")
                  if body["metadata"]["name"] == KEEPER]  # fmt: skip

    assert account["metadata"]["annotations"] == {
        "eks.amazonaws.com/role-arn": "arn:aws:iam::111122223333:role/elt-logs"
    }


# ---------------------------------------------------------------------------- the store

LOG_VOLUME = {
    "claim": {"name": "logs", "persistentVolumeClaim": {"claimName": KEEPER}},
    "theirs": {"name": "logs", "persistentVolumeClaim": {"claimName": "ours"}},
    "nfs": {"name": "logs", "nfs": {"server": "nfs.example.com", "path": "/logs"}},
}


@pytest.mark.parametrize(
    ("arguments", "volume", "claims"),
    [
        pytest.param([], LOG_VOLUME["claim"], [KEEPER], id="a claim that is made"),
        pytest.param(["--set=logs.store.existingClaim=ours"], LOG_VOLUME["theirs"], [], id="a claim that exists"),
        pytest.param(
            ["--set=logs.store.volume.nfs.server=nfs.example.com,logs.store.volume.nfs.path=/logs"],
            LOG_VOLUME["nfs"],
            [],
            id="a volume",
        ),
        pytest.param(["--set=logs.store.url=gs://logs/elt"], None, [], id="a bucket"),
    ],
)
def test_where_logs_are_kept(arguments: list[str], volume: Any, claims: list[str]) -> None:
    text = rendered(LOGS, *arguments)
    volumes = [found for found in pod(text, "logs")["volumes"] if found["name"] == "logs"]
    mounts = [found for found in container(text, "logs")["volumeMounts"] if found["name"] == "logs"]

    assert volumes == ([volume] if volume else [])
    assert mounts == ([{"name": "logs", "mountPath": KeeperSettings.model_fields["store"].default}] if volume else [])
    assert environment(text, "logs").get("ELT_OPERATOR_STORE") == (None if volume else "gs://logs/elt")
    assert [body["metadata"]["name"] for body in of_kind(objects(text), "PersistentVolumeClaim")] == claims


@pytest.mark.parametrize("storage_class", ["", "fast"])
def test_the_claim_outlives_the_release(storage_class: str) -> None:
    size = "--set=logs.store.size=100Gi"
    text = rendered(LOGS, size, f"--set=logs.store.storageClass={storage_class}")
    (claim,) = of_kind(objects(text), "PersistentVolumeClaim")

    assert claim["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}
    assert claim["spec"] == {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": "100Gi"}},
        **({"storageClassName": storage_class} if storage_class else {}),
    }


def test_two_keepers_never_write_at_the_same_time() -> None:
    spec = workload(rendered(LOGS, "--set=replicaCount=3"), "logs")["spec"]

    assert (spec["replicas"], spec["strategy"]) == (1, {"type": "Recreate"})


# ---------------------------------------------------------------------------- their settings


@pytest.mark.parametrize(("arguments", "kept"), [([], False), ([LOGS], True), ([FOLLOW], True)])
def test_the_operator_is_told_that_logs_are_kept(
    arguments: list[str], kept: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_variables(monkeypatch, rendered(*arguments), "operator")

    assert OperatorSettings().keep_logs is kept


def test_the_settings_reach_the_keeper(monkeypatch: pytest.MonkeyPatch) -> None:
    set_variables(monkeypatch, rendered(values=value_set("logs")), "logs")

    settings = KeeperSettings()

    assert settings.namespaces == ["team-a", "team-b"]
    assert (settings.store, settings.log_source, settings.retention_days) == ("s3://logs/elt", "node", 90)
    assert settings.tls_folder == Path("/tls")


def test_the_settings_reach_a_keeper_that_follows(monkeypatch: pytest.MonkeyPatch) -> None:
    set_variables(monkeypatch, rendered(values=value_set("logs-follow")), "logs")

    settings = KeeperSettings()

    assert (settings.store, settings.log_source, settings.retention_days) == ("/logs", "follow", 7)
    assert settings.mask_patterns == ["customer-[0-9]+"]
    assert settings.reader_user == ""


def test_the_settings_reach_a_log_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    text = rendered(values=value_set("logs"))
    set_variables(monkeypatch, text, "log-reader")
    mounts = {mount["mountPath"] for mount in container(text, "log-reader")["volumeMounts"]}

    settings = ReaderSettings()

    assert settings.mask_patterns == ["customer-[0-9]+", 'pin: "?([0-9]{4})']
    assert settings.spool_bytes == 268_435_456
    assert settings.keeper_ca == Path("/tls/ca.crt")
    assert {str(settings.pod_logs), str(settings.spool), str(settings.keeper_token.parent), "/tls"} == mounts


def test_the_keepers_own_variables_override_those_of_all() -> None:
    given = '--set-json=logs.keeper.env=[{"name":"TZ","value":"UTC"}]'
    variables = {
        variable["name"]: variable
        for variable in container(rendered(LOGS, given, values=value_set("settings")), "logs")["env"]
    }

    assert variables["TZ"] == {"name": "TZ", "value": "UTC"}
    assert "valueFrom" in variables["TOKEN"]


# ---------------------------------------------------------------------------- how they meet


@pytest.mark.parametrize(
    ("arguments", "scheme"),
    [pytest.param([], "http", id="plain"), pytest.param(["--set=logs.tls.secretName=elt-logs"], "https", id="TLS")],
)
@pytest.mark.parametrize("release", ["elt-operator", "team-a"])
def test_a_log_reader_finds_its_keeper_and_is_known_to_it(release: str, arguments: list[str], scheme: str) -> None:
    text = rendered(LOGS, *arguments, release=release)
    (door,) = [body for body in of_kind(objects(text), "Service") if component(body) == "logs"]
    (port,) = door["spec"]["ports"]
    ports = {found["name"]: found["containerPort"] for found in container(text, "logs")["ports"]}

    url = urlsplit(environment(text, "log-reader")["ELT_OPERATOR_KEEPER_URL"])

    assert (url.scheme, url.hostname, url.port) == (scheme, f"{door['metadata']['name']}.{NAMESPACE}.svc", port["port"])
    assert ports[port["targetPort"]] == KeeperSettings.model_fields["door_port"].default
    account = pod(text, "log-reader")["serviceAccountName"]
    assert environment(text, "logs")["ELT_OPERATOR_READER_USER"] == f"system:serviceaccount:{NAMESPACE}:{account}"


def test_only_the_keeper_has_the_key_of_its_certificate() -> None:
    text = rendered(values=value_set("logs"))
    keepers, readers = (
        next(volume["secret"] for volume in pod(text, program)["volumes"] if volume["name"] == "tls")
        for program in ("logs", "log-reader")
    )

    assert keepers == {"secretName": "elt-logs"}
    assert readers == {"secretName": "elt-logs", "items": [{"key": "ca.crt", "path": "ca.crt"}]}


def test_there_is_a_log_reader_on_each_node_whatever_its_taints() -> None:
    spec = pod(rendered(LOGS, values=value_set("placement")), "log-reader")

    assert spec["tolerations"] == [{"operator": "Exists"}]
    assert "nodeSelector" not in spec
