"""What the chart renders, with Helm 3 and Helm 4, for each of its value sets."""

import re
from pathlib import Path

import pytest
import yaml

from chart.helm import (
    CHART,
    CLUSTER_WIDE,
    NAMESPACE,
    OLDEST_KUBERNETES,
    ROOT,
    VALUE_SETS,
    container,
    helm,
    identity,
    objects,
    of_kind,
    pod,
    rendered,
    rights,
    run,
    tool,
    value_set,
    workload,
)
from elt_operator.settings.controller import Settings

ABOUT = yaml.safe_load((CHART / "Chart.yaml").read_text())
SELECTOR = {
    "app.kubernetes.io/name": "elt-operator",
    "app.kubernetes.io/instance": "elt-operator",
    "app.kubernetes.io/component": "operator",
}

each_value_set = pytest.mark.parametrize("values", VALUE_SETS, ids=lambda path: path.name.removesuffix("-values.yaml"))
each_helm = pytest.mark.parametrize("version", [3, 4])


def yaml_blocks(page: Path) -> list[str]:
    """Return the blocks of a page that are marked as YAML."""
    return re.findall(r"^```yaml\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)


@each_helm
@each_value_set
def test_helm_finds_no_fault(version: int, values: Path) -> None:
    linted = helm(version, "lint", CHART, "--strict", f"--values={values}")

    assert linted.returncode == 0, linted.stdout


@each_value_set
def test_both_helms_render_the_same(values: Path) -> None:
    assert objects(rendered(values=values, by=3)) == objects(rendered(values=values, by=4))


@each_helm
@each_value_set
def test_two_renders_are_equal(version: int, values: Path) -> None:
    first, second = (rendered.__wrapped__(values=values, by=version) for _ in range(2))

    assert first == second


@pytest.fixture(scope="module")
def all_rendered(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A file for each value set, without the Prometheus operator's types, of which the validators know nothing."""
    folder = tmp_path_factory.mktemp("rendered")
    for values in VALUE_SETS:
        known = [body for body in objects(rendered(values=values)) if "monitoring.coreos.com" not in body["apiVersion"]]
        (folder / values.name).write_text(yaml.safe_dump_all(known))
    return sorted(folder.iterdir())


@pytest.mark.parametrize("kubernetes", [OLDEST_KUBERNETES, "1.37.0"])
def test_kubernetes_knows_each_field(all_rendered: list[Path], kubernetes: str) -> None:
    judged = run(tool("kubernetes-validate"), "--kubernetes-version", kubernetes, "--strict", "--quiet", *all_rendered)

    assert (judged.returncode, judged.stdout) == (0, "")


def test_kubernetes_own_validation_accepts_it(all_rendered: list[Path], tmp_path: Path) -> None:
    for (
        path
    ) in all_rendered:  # but the resource types: it knows 1.30 at the newest, which takes their rules for too costly
        bodies = [body for body in yaml.safe_load_all(path.read_text()) if body["kind"] != "CustomResourceDefinition"]
        (tmp_path / path.name).write_text(yaml.safe_dump_all(bodies))

    judged = run(tool("kubectl-validate"), "--version=1.30", tmp_path)

    assert judged.returncode == 0, judged.stdout


def test_the_oldest_supported_api_server_accepts_the_resource_types() -> None:
    judged = run(tool("crdrules"), *sorted((CHART / "files" / "crds").iterdir()))

    assert (judged.returncode, judged.stdout) == (0, "")


def test_checkov_finds_no_fault(all_rendered: list[Path]) -> None:
    config = ROOT / "tests" / "chart" / "checkov.yaml"

    judged = run(tool("checkov"), "--config-file", config, "--directory", all_rendered[0].parent)

    assert "Failed checks: 0" in judged.stdout, judged.stdout


@pytest.mark.parametrize("folder", ["manifests/samples", "demo"])
def test_kubernetes_own_validation_accepts_what_users_copy(folder: str) -> None:
    files = sorted((ROOT / folder).glob("*.yaml"))

    judged = run(tool("kubectl-validate"), "--version=1.30", "--local-crds", ROOT / "crds", *files)

    assert judged.returncode == 0, judged.stdout


def test_kubernetes_own_validation_accepts_the_policy_that_is_recommended(tmp_path: Path) -> None:
    (shown,) = yaml_blocks(ROOT / "SECURITY.md")
    (tmp_path / "policy.yaml").write_text(shown)

    judged = run(tool("kubectl-validate"), "--version=1.30", tmp_path)

    assert {body["kind"] for body in objects(shown)} == {
        "ValidatingAdmissionPolicy",
        "ValidatingAdmissionPolicyBinding",
    }
    assert judged.returncode == 0, judged.stdout


@each_value_set
def test_each_object_tells_whose_it_is(values: Path) -> None:
    for body in objects(rendered(values=values)):
        labels = body["metadata"]["labels"]
        assert labels["app.kubernetes.io/instance"] == "elt-operator"
        assert labels["app.kubernetes.io/managed-by"] == "Helm"
        assert labels["helm.sh/chart"] == f"elt-operator-{ABOUT['version']}"
        assert {"app.kubernetes.io/name", "app.kubernetes.io/version"} <= labels.keys()
        if body["kind"] not in {*CLUSTER_WIDE, "CustomResourceDefinition"}:
            assert body["metadata"]["namespace"]


@each_value_set
def test_no_two_objects_are_one(values: Path) -> None:
    names = [identity(body) for body in objects(rendered(values=values))]

    assert len(names) == len(set(names))


@each_value_set
def test_each_pod_but_the_log_readers_is_restricted(values: Path) -> None:
    bodies = objects(rendered(values=values))
    pods = [body["spec"] for body in of_kind(bodies, "Pod")]
    deployed = [body["spec"]["template"]["spec"] for body in of_kind(bodies, "Deployment")]

    for restricted in (*deployed, *pods):
        (only,) = restricted["containers"]
        assert restricted["securityContext"]["runAsNonRoot"] is True
        assert restricted["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert not restricted.keys() & {"hostNetwork", "hostPID", "hostIPC"}
        assert all("hostPath" not in volume for volume in restricted.get("volumes", []))
        assert only["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }


def test_the_user_is_no_one_elses() -> None:
    assert pod(rendered())["securityContext"]["runAsUser"] > 10000


def test_the_cluster_may_choose_the_user() -> None:
    context = pod(rendered(values=value_set("openshift")))["securityContext"]

    assert not context.keys() & {"runAsUser", "runAsGroup"}


def test_the_operators_own_pods_are_found_whatever_labels_there_are() -> None:
    spec = workload(rendered(values=value_set("labels")))["spec"]

    assert spec["selector"]["matchLabels"] == SELECTOR
    assert spec["template"]["metadata"]["labels"].items() >= SELECTOR.items()
    assert spec["template"]["metadata"]["labels"]["team"] == "data-platform"


def test_with_a_list_of_namespaces_nothing_of_the_operators_is_cluster_wide() -> None:
    bodies = objects(rendered(values=value_set("namespaces")))

    assert of_kind(bodies, *CLUSTER_WIDE) == []


@pytest.mark.parametrize("kind", ["Role", "RoleBinding"])
def test_with_a_list_of_namespaces_each_has_its_rights(kind: str) -> None:
    found = of_kind(objects(rendered(values=value_set("namespaces"))), kind)

    assert {body["metadata"]["namespace"] for body in found} == {"team-a", "team-b", "team-c", NAMESPACE}


def test_the_operator_is_told_which_namespaces_are_its_own() -> None:
    (told,) = [
        variable["value"]
        for variable in container(rendered(values=value_set("namespaces")))["env"]
        if variable["name"] == "ELT_OPERATOR_WATCH_NAMESPACES"
    ]

    assert told == "team-a,team-b,team-c"


def test_the_operator_may_do_the_same_in_some_namespaces_as_in_all() -> None:
    everywhere = of_kind(objects(rendered("--set=rbac.aggregate=false")), "ClusterRole")
    roles = of_kind(objects(rendered(values=value_set("namespaces"))), "Role")
    in_one = [role for role in roles if role["metadata"]["namespace"] == "team-a"]

    assert rights(in_one) == rights(everywhere)


@pytest.mark.parametrize("values", ["defaults", "namespaces"])
def test_in_its_own_namespace_the_operator_has_a_lease_and_events_about_itself(values: str) -> None:
    roles = of_kind(objects(rendered("--skip-tests", values=value_set(values))), "Role")
    events, lease = (role for role in roles if role["metadata"]["namespace"] == NAMESPACE)

    assert rights([lease]) == {("coordination.k8s.io", "leases", verb) for verb in ("create", "get", "update")}
    assert rights([events]) == {("", "events", verb) for verb in ("create", "get", "patch")}


@pytest.mark.parametrize("values", ["defaults", "namespaces"])
def test_each_role_is_bound_to_the_operator_alone(values: str) -> None:
    bodies = objects(rendered("--skip-tests", "--set=rbac.aggregate=false", values=value_set(values)))
    roles = of_kind(bodies, "Role", "ClusterRole")
    bindings = of_kind(bodies, "RoleBinding", "ClusterRoleBinding")

    assert [identity(role)[1:] for role in roles] == [identity(binding)[1:] for binding in bindings]
    for binding in bindings:
        assert binding["roleRef"]["name"] == binding["metadata"]["name"]
        assert binding["subjects"] == [{"kind": "ServiceAccount", "name": "elt-operator", "namespace": NAMESPACE}]


def test_the_operator_may_end_a_pod_and_change_none() -> None:
    (role,) = of_kind(objects(rendered("--set=rbac.aggregate=false")), "ClusterRole")

    assert {verb for _, resource, verb in rights([role]) if resource == "pods"} == {"list", "watch", "delete"}


def test_helm_test_may_read_the_deployment_and_no_more() -> None:
    hooks = [body for body in objects(rendered()) if "helm.sh/hook" in body["metadata"].get("annotations", {})]
    (role,) = of_kind(hooks, "Role")

    assert {body["kind"] for body in hooks} == {"Pod", "Role", "RoleBinding", "ServiceAccount"}
    assert {body["metadata"]["annotations"]["helm.sh/hook"] for body in hooks} == {"test"}
    assert rights([role]) == {("apps", "deployments", "get")}
    assert role["rules"][0]["resourceNames"] == ["elt-operator"]


def test_the_pod_of_helm_test_is_none_of_the_operators() -> None:
    (hook,) = of_kind(objects(rendered()), "Pod")

    assert not hook["metadata"]["labels"].items() >= SELECTOR.items()


def test_people_get_rights_on_pipelines_and_jobs_by_the_roles_they_have() -> None:
    aggregated = {
        label.removeprefix("rbac.authorization.k8s.io/aggregate-to-"): rights([role])
        for role in of_kind(objects(rendered()), "ClusterRole")
        for label in role["metadata"]["labels"]
        if "aggregate-to" in label
    }

    assert {verb for _, _, verb in aggregated["view"]} == {"get", "list", "watch"}
    assert {verb for _, _, verb in aggregated["edit"]} == {"create", "update", "patch", "delete", "deletecollection"}
    assert aggregated["admin"] == aggregated["edit"]
    assert {group for granted in aggregated.values() for group, _, _ in granted} == {"elt-operator.io"}
    assert ("elt-operator.io", "eltjobs/log", "get") in aggregated["view"]


def test_without_rbac_no_right_is_granted() -> None:
    bodies = objects(rendered(values=value_set("own-service-account")))

    assert {body["kind"] for body in bodies} == {"Deployment"}
    assert bodies[0]["spec"]["template"]["spec"]["serviceAccountName"] == "made-elsewhere"


def test_the_crds_are_those_of_the_repository() -> None:
    ours = objects("\n---\n".join(path.read_text() for path in sorted((ROOT / "crds").glob("*.yaml"))))
    charts = of_kind(objects(rendered()), "CustomResourceDefinition")

    assert [{**body, "metadata": {"name": body["metadata"]["name"]}} for body in charts] == ours


@pytest.mark.parametrize(
    ("arguments", "policies"),
    [
        pytest.param([], ["keep", "keep"], id="kept when nothing is said"),
        pytest.param(["--set=crds.keep=false"], [None, None], id="not kept"),
        pytest.param(["--set=crds.enabled=false"], [], id="not there"),
    ],
)
def test_the_crds_outlive_the_release(arguments: list[str], policies: list[str | None]) -> None:
    crds = of_kind(objects(rendered(*arguments)), "CustomResourceDefinition")

    assert [body["metadata"].get("annotations", {}).get("helm.sh/resource-policy") for body in crds] == policies


@pytest.mark.parametrize(
    ("arguments", "image"),
    [
        pytest.param([], f"localhost/elt-operator:{ABOUT['appVersion']}", id="the version of the chart"),
        pytest.param(["--set=image.tag=1.2.3"], "localhost/elt-operator:1.2.3", id="a tag"),
        pytest.param(
            ["--set=image.tag=1.2.3", f"--set=image.digest=sha256:{'a' * 64}"],
            f"localhost/elt-operator@sha256:{'a' * 64}",
            id="a digest wins",
        ),
    ],
)
def test_the_image(arguments: list[str], image: str) -> None:
    assert container(rendered(*arguments))["image"] == image


def test_the_settings_reach_the_operator(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in container(rendered(values=value_set("settings")))["env"]:
        if "value" in variable:
            monkeypatch.setenv(variable["name"], variable["value"])

    settings = Settings()

    assert (settings.default_timeout_seconds, settings.run_retention_seconds) == (1_000_000, 0)
    assert (settings.pipeline_wait_seconds, settings.audit_seconds) == (60, 60)
    assert (settings.workers, settings.log_level) == (256, "DEBUG")
    assert settings.pipeline_metrics is True


def test_more_variables_come_last() -> None:
    names = [variable["name"] for variable in container(rendered(values=value_set("settings")))["env"]]

    assert names[:3] == ["POD_NAME", "ELT_OPERATOR_LEASE_NAMESPACE", "ELT_OPERATOR_LEASE_NAME"]
    assert names[-2:] == ["TZ", "TOKEN"]


def test_a_proxy_is_set_as_the_documentation_shows_it() -> None:
    (shown,) = [text for text in yaml_blocks(ROOT / "docs" / "install.md") if "PROXY" in text]
    given = yaml.safe_load(shown)

    assert given == yaml.safe_load(value_set("proxy").read_text())
    environment = container(rendered(values=value_set("proxy")))["env"]
    assert [variable for variable in environment if "PROXY" in variable["name"]] == given["env"]


EVERYTHING = tuple(
    f"--set={name}.enabled=true"
    for name in ("api", "logs", "networkPolicy", "serviceMonitor", "prometheusRule", "dashboard", "podDisruptionBudget")
)


def test_two_releases_in_one_namespace_do_not_meet() -> None:
    one, other = (
        {identity(body) for body in objects(rendered("--set=crds.enabled=false", *EVERYTHING, release=release))}
        for release in ("team-a", "team-b")
    )

    assert not one & other


def test_two_releases_in_one_namespace_have_a_lease_each() -> None:
    for release in ("team-a", "team-b"):
        printed, name = rendered("--skip-tests", release=release), f"{release}-elt-operator"
        lease = next(role for role in of_kind(objects(printed), "Role") if role["metadata"]["name"] == f"{name}-lease")
        assert lease["rules"][1]["resourceNames"] == [name]
        assert {"name": "ELT_OPERATOR_LEASE_NAME", "value": name} in container(printed)["env"]


def test_two_releases_of_one_name_in_two_namespaces_do_not_meet() -> None:
    one, other = (
        {identity(body) for body in objects(rendered("--set=crds.enabled=false", *EVERYTHING, namespace=namespace))}
        for namespace in ("one", "other")
    )

    assert not one & other


@pytest.mark.parametrize("release", ["elt-operator", "elt", "my-elt-operator", "r" * 53])
def test_names_are_not_too_long(release: str) -> None:
    bodies = objects(rendered(*EVERYTHING, release=release, namespace="n" * 63))

    for body in bodies:
        longest = 63 if body["kind"] in {"DaemonSet", "Deployment", "Service"} else 253
        assert len(body["metadata"]["name"]) <= longest


def test_each_alert_is_documented() -> None:
    (rules,) = of_kind(objects(rendered(values=value_set("monitoring"))), "PrometheusRule")
    text = (ROOT / "docs" / "install.md").read_text()

    for group in rules["spec"]["groups"]:
        for alert in group["rules"]:
            assert f"| `{alert['alert']}` | {alert['labels']['severity']} | " in text
