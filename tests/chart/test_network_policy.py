"""What the network policies allow: to each program what it needs, and no more."""

from pathlib import Path
from typing import Any

from chart.helm import API, FOLLOW, LOGS, component, objects, of_kind, rendered, value_set, workload

DNS = {"ports": [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}]}
API_SERVER = {"ports": [{"port": 443}, {"port": 6443}]}
METRICS = {"ports": [{"port": "http"}]}
DOOR = {"ports": [{"port": "door"}]}
REQUESTS = {"ports": [{"port": "api"}]}
STORE = {"ports": [{"port": 443}]}


def policies(*arguments: str, values: Path | None = None) -> dict[str, Any]:
    """Return the rules of the network policies by program."""
    bodies = of_kind(objects(rendered("--set=networkPolicy.enabled=true", *arguments, values=values)), "NetworkPolicy")
    assert all(body["spec"]["policyTypes"] == ["Ingress", "Egress"] for body in bodies)
    return {component(body): (body["spec"]["ingress"], body["spec"]["egress"]) for body in bodies}


def to_the_keeper() -> dict[str, Any]:
    keepers = workload(rendered(LOGS), "logs")["spec"]["selector"]["matchLabels"]
    return {"ports": [{"port": 8081}], "to": [{"podSelector": {"matchLabels": keepers}}]}


def test_a_network_policy_allows_a_program_what_it_needs() -> None:
    assert policies(LOGS) == {
        "operator": ([METRICS], [API_SERVER, DNS]),
        "logs": ([DOOR, METRICS], [API_SERVER, DNS]),
        "log-reader": ([METRICS], [to_the_keeper(), DNS]),
    }


def test_anyone_may_ask_the_jobs_api_which_asks_the_api_server_and_the_keeper_if_there_is_one() -> None:
    assert policies(API)["api"] == ([REQUESTS, METRICS], [API_SERVER, DNS])
    assert policies(API, LOGS)["api"] == ([REQUESTS, METRICS], [API_SERVER, to_the_keeper(), DNS])
    assert policies(API, FOLLOW)["api"] == policies(API, LOGS)["api"]


def test_the_jobs_api_changes_no_policy_of_others() -> None:
    found = policies(API, LOGS)

    assert {program: rules for program, rules in found.items() if program != "api"} == policies(LOGS)


def test_only_with_a_bucket_the_keeper_may_go_out() -> None:
    bucket = "--set=logs.store.url=s3://logs/elt"

    assert policies(LOGS, bucket)["logs"] == ([DOOR, METRICS], [API_SERVER, DNS, STORE])
    assert policies(LOGS, bucket)["operator"] == policies()["operator"]


def test_for_a_program_that_there_is_not_there_is_no_policy() -> None:
    assert policies().keys() == {"operator"}
    assert policies(API).keys() == {"operator", "api"}
    assert policies(FOLLOW).keys() == {"operator", "logs"}


def test_metrics_are_for_some_and_logs_and_the_jobs_api_for_anyone() -> None:
    found = policies(API, values=value_set("network-policy"))

    for ingress, _ in found.values():
        (metrics,) = [rule for rule in ingress if rule["ports"] == METRICS["ports"]]
        assert [set(peer) for peer in metrics["from"]] == [{"namespaceSelector", "podSelector"}, {"ipBlock"}]
    assert DOOR in found["logs"][0]
    assert REQUESTS in found["api"][0]
    assert found["logs"][1] == [{"ports": [{"port": 6443}]}, DNS, {"ports": [{"port": 80}, {"port": 9000}]}]
