"""What the local cluster is made of."""

import json
import os
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from cluster import bringup, cgroups, network, pki, prerequisites
from cluster.components import API_SERVER_READY, HOST_ADDRESS, NODE_ADDRESS, SERVER, Component, Layout, all_components
from cluster.console import end_of, output_of, wait_until
from cluster.errors import ClusterError
from cluster.node import Plan
from cluster.settings import HERE, TEMPLATES


def a_layout(state: Path) -> Layout:
    return Layout(state=state, bin=Path("/cache/bin"))


def argv_of(name: str, flags: tuple[str, ...] = ()) -> tuple[str, ...]:
    return next(c.argv for c in all_components(a_layout(Path("/state")), {name: flags}) if c.name == name)


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Layout:
    """The layout of a cluster whose configuration has been written."""
    monkeypatch.setattr(prerequisites, "CNI_FOLDERS", (tmp_path,))
    (tmp_path / "bridge").touch()
    layout = a_layout(tmp_path / "state")
    bringup.write_config(layout)
    return layout


def test_the_components_are_those_of_a_real_cluster() -> None:
    assert [component.name for component in all_components(a_layout(Path("/state")))] == [
        "etcd",
        "kube-apiserver",
        "containerd",
        "kube-controller-manager",
        "kube-scheduler",
        "kubelet",
        "kube-proxy",
        "names",
        "volumes",
    ]


def test_who_talks_to_the_api_server_waits_for_it() -> None:
    for component in all_components(a_layout(Path("/state"))):
        if any("--kubeconfig" in word for word in component.argv):
            assert component.after == API_SERVER_READY


def test_a_benchmark_may_give_the_controller_manager_more_flags() -> None:
    assert argv_of("kube-controller-manager", ("--kube-api-qps=500",))[-1] == "--kube-api-qps=500"
    assert not any("qps" in word for word in argv_of("kube-controller-manager"))


def test_a_node_is_lost_only_when_it_has_missed_several_reports(config: Layout) -> None:
    kubelet = yaml.safe_load(config.config("kubelet.yaml").read_text())
    (grace,) = [word for word in argv_of("kube-controller-manager") if word.startswith("--node-monitor-grace-period=")]

    renewed_every = kubelet["nodeLeaseDurationSeconds"] / 4
    assert int(grace.partition("=")[2].removesuffix("s")) >= 5 * renewed_every


def test_a_plan_comes_back_as_it_was_written() -> None:
    plan = Plan(Path("/state"), [Component("etcd", ("etcd", "--x")), Component("b", ("b",), after="http://x")])

    assert Plan.load(plan.dump()) == plan


def test_every_template_is_written_without_a_gap(config: Layout) -> None:
    for template in (path for path in TEMPLATES.rglob("*") if path.is_file()):
        written = config.config(str(template.relative_to(TEMPLATES))).read_text()
        assert "$" not in written, template


def test_the_configuration_is_well_formed(config: Layout) -> None:
    kubelet = yaml.safe_load(config.config("kubelet.yaml").read_text())
    network = json.loads(config.config("cni/10-elt.conflist").read_text())
    addons = list(yaml.safe_load_all(config.config("addons.yaml").read_text()))

    assert kubelet["cgroupRoot"] == "/elt-operator"
    assert kubelet["containerRuntimeEndpoint"] == f"unix://{config.socket}"
    assert network["plugins"][0]["ipam"]["ranges"] == [[{"subnet": "10.244.0.0/24"}]]
    assert [addon["kind"] for addon in addons] == ["Service", "EndpointSlice", "StorageClass"]
    assert f"--provisioner={addons[2]['provisioner']}" in argv_of("volumes")


def audited(user_groups: list[str], verb: str, group: str, resource: str, namespace: str) -> bool:
    """Tell whether the policy writes such a request, reading it as the API server does: the first rule decides."""

    def fits(rule: dict[str, Any]) -> bool:
        resources = rule.get("resources", [{"group": group}])
        return (
            set(rule.get("userGroups", user_groups)) <= set(user_groups)
            and verb in rule.get("verbs", [verb])
            and namespace in rule.get("namespaces", [namespace])
            and any(r["group"] == group and resource in r.get("resources", [resource]) for r in resources)
        )

    policy = yaml.safe_load((TEMPLATES / "audit-policy.yaml").read_text())
    return next((rule["level"] for rule in policy["rules"] if fits(rule)), "None") == "Metadata"


OPERATOR = ["system:serviceaccounts", "system:serviceaccounts:elt-operator"]


@pytest.mark.parametrize(
    ("groups", "verb", "group", "resource", "namespace", "written"),
    [
        pytest.param(OPERATOR, "list", "", "pods", "x", True, id="the operator reads"),
        pytest.param(
            OPERATOR, "update", "coordination.k8s.io", "leases", "kube-system", True, id="the operator's lease"
        ),
        pytest.param([], "patch", "elt-operator.io", "eltjobs", "x", True, id="a Job's status"),
        pytest.param([], "create", "batch", "jobs", "x", True, id="a run"),
        pytest.param([], "create", "", "events", "x", True, id="an event of the old kind"),
        pytest.param([], "create", "events.k8s.io", "events", "x", True, id="an event of the new kind"),
        pytest.param([], "update", "coordination.k8s.io", "leases", "x", True, id="a lease"),
        pytest.param(
            [], "update", "coordination.k8s.io", "leases", "kube-system", False, id="the control plane's lease"
        ),
        pytest.param([], "update", "coordination.k8s.io", "leases", "kube-node-lease", False, id="the node's lease"),
        pytest.param([], "list", "elt-operator.io", "eltjobs", "x", False, id="somebody reads"),
        pytest.param([], "create", "", "pods", "x", False, id="a pod"),
    ],
)
def test_the_audit_log_holds_what_tests_count(
    groups: list[str], verb: str, group: str, resource: str, namespace: str, *, written: bool
) -> None:
    assert audited(groups, verb, group, resource, namespace) is written


def test_certificates_and_kubeconfigs_are_complete_and_private(tmp_path: Path) -> None:
    layout = a_layout(tmp_path)

    pki.make(layout)

    for name in pki.CLIENTS.keys() | pki.SERVERS.keys():
        output_of(["openssl", "verify", "-CAfile", layout.certificate("ca"), layout.certificate(name)])
    server = output_of(["openssl", "x509", "-noout", "-text", "-in", layout.certificate("apiserver")])
    assert f"IP Address:{NODE_ADDRESS}" in server
    admin = json.loads(layout.kubeconfig.read_text())
    assert admin["clusters"][0]["cluster"]["server"] == SERVER
    assert stat.S_IMODE(layout.kubeconfig.stat().st_mode) == 0o600


def test_cgroup_hierarchies_of_both_versions_are_found(tmp_path: Path) -> None:
    for name in ("pids", "memory"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "cgroup.procs").touch()
    (tmp_path / "other").mkdir()
    (tmp_path / "cpu").symlink_to(tmp_path / "memory")

    assert cgroups.hierarchies(tmp_path) == [tmp_path / "memory", tmp_path / "pids"]
    (tmp_path / "cgroup.controllers").touch()
    assert cgroups.hierarchies(tmp_path) == [tmp_path]


def a_link(name: str, address: str) -> dict[str, Any]:
    return {"ifname": name, "addr_info": [{"family": "inet", "local": address}]}


@pytest.mark.parametrize(
    ("links", "owner"),
    [
        pytest.param([{"ifname": "lo"}, a_link("eth0", "192.168.1.2")], None, id="nobody"),
        pytest.param([a_link("elt-host", HOST_ADDRESS)], None, id="we ourselves"),
        pytest.param([a_link("eth0", "10.0.0.1"), a_link("vpn0", NODE_ADDRESS)], "vpn0", id="somebody"),
    ],
)
def test_who_has_the_addresses_that_we_need(links: list[dict[str, Any]], owner: str | None) -> None:
    assert network.owner_of_our_addresses(links) == owner


def test_a_wait_in_vain_names_what_it_waited_for_and_shows_the_log(tmp_path: Path) -> None:
    log = tmp_path / "kubelet.log"
    log.write_text("first\nlast")

    with pytest.raises(ClusterError, match=r"in vain for: the node\n--- the end of .*kubelet.log\nfirst\nlast"):
        wait_until(lambda: False, "the node", seconds=0, logs=[log])

    assert end_of(log, lines=1) == "last"


def test_a_failed_command_is_shown_with_its_complaint() -> None:
    with pytest.raises(ClusterError, match=r"failed with exit code 3: sh -c 'echo no >&2; exit 3'\nno"):
        output_of(["sh", "-c", "echo no >&2; exit 3"])
    with pytest.raises(ClusterError, match="cannot run /no/such/program"):
        output_of(["/no/such/program"])


def test_missing_packages_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prerequisites, "SYSTEM_PATH", "/nonexistent")
    monkeypatch.setattr(prerequisites, "CNI_FOLDERS", ())

    assert {"containerd", "containernetworking-plugins", "nftables", "runc"} <= set(prerequisites.missing_packages())


def test_where_packages_cannot_be_installed_the_command_is_named(tmp_path: Path) -> None:
    user = tmp_path / "id"
    user.write_text("#!/bin/sh\necho 1000\n")
    user.chmod(0o755)

    done = subprocess.run(
        [HERE / "install-packages", "nftables", "runc"],
        env={"PATH": f"{tmp_path}:{os.environ['PATH']}"},
        check=False,
        capture_output=True,
        text=True,
    )

    assert done.returncode == 1
    assert "apt-get update && apt-get install --yes --no-install-recommends nftables runc" in done.stderr
