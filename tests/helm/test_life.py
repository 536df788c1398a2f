"""The life of a release for all namespaces, in this order: installed, upgraded, rolled back, at work, uninstalled."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from chart.helm import ROOT
from e2e.clock import DAILY, HOUR, lately, minutes_from_now, now, sleep_until
from e2e.demo import demo
from e2e.world import IMAGE, USER, Namespace, Refused, audit_events, ended, kubectl, phase, scale_operator
from helm.release import NAMESPACE, RELEASED, RELEASED_CHART, Release, holder, images, pods

pytestmark = pytest.mark.timeout(600)

Right = tuple[str, str, str]
"""API group, resource, verb."""

FINALIZERS = "only clusters with the admission plugin OwnerReferencesPermissionEnforcement ask for it"
TOLD_AGAIN = "only where an event happens to an object for the second time"
NOT_ASKED_EACH_TIME: dict[Right, str] = {
    ("elt-operator.io", "eltpipelines/finalizers", "update"): FINALIZERS,
    ("elt-operator.io", "eltjobs/finalizers", "update"): FINALIZERS,
    ("", "events", "get"): TOLD_AGAIN,
    ("", "events", "patch"): TOLD_AGAIN,
    ("", "pods", "delete"): "only where a container that others added outlives the work",
    ("", "events", "list"): "only while a run does not start",
    ("coordination.k8s.io", "leases", "create"): "only by the first operator in its namespace",
    ("batch", "cronjobs", "get"): "only after somebody else has changed or taken the CronJob",
    ("batch", "jobs", "get"): "only where the cache does not know a run that has to be there",
}

HOURS_LATER = f"0 {(HOUR + 3) % 24} * * *"


def granted() -> set[Right]:
    """Return what the operator may do by the roles that are bound to it."""
    bindings = json.loads(kubectl("get", "clusterrolebindings,rolebindings", "--all-namespaces", "--output=json"))
    found: set[Right] = set()
    for binding in bindings["items"]:
        subjects = {(who["kind"], who.get("namespace"), who["name"]) for who in binding.get("subjects", [])}
        if ("ServiceAccount", NAMESPACE, NAMESPACE) in subjects:
            role, place = binding["roleRef"], binding["metadata"].get("namespace", "")
            at = [f"--namespace={place}"] if role["kind"] == "Role" else []
            for rule in json.loads(kubectl("get", role["kind"], role["name"], *at, "--output=json"))["rules"]:
                found |= {(g, r, v) for g in rule["apiGroups"] for r in rule["resources"] for v in rule["verbs"]}
    return found


def asked(since: datetime, *, code: int = 0, namespace: str = "") -> set[Right]:
    """Return what the operator has asked for, by the API server's audit log; a watch is in there once it has ended.

    ``code``: what was answered so; ``namespace``: what was asked about it, or about no namespace at all.
    """
    events = [
        (event, event["objectRef"])
        for event in audit_events()
        if event["user"]["username"] == USER
        and datetime.fromisoformat(event["requestReceivedTimestamp"]) >= since
        and "resource" in event.get("objectRef", {})
        and code in {0, event["responseStatus"]["code"]}
        and (not namespace or event["objectRef"].get("namespace", namespace) == namespace)
    ]
    return {
        (
            about.get("apiGroup", ""),
            "/".join(filter(None, (about["resource"], about.get("subresource")))),
            event["verb"],
        )
        for event, about in events
    }


def test_the_released_chart_is_installed_and_tests_itself(release: Release) -> None:
    release.install(RELEASED_CHART, "--wait", "--timeout=120s")

    assert "Phase:          Succeeded" in release.helm("test", "--timeout=60s")


LONG, OFTEN = [f"long-{number}" for number in range(20)], [f"often-{number}" for number in range(20)]


def scheduled(namespace: Namespace) -> dict[str, list[datetime]]:
    """Return the times of the schedule that have become Jobs, by Pipeline."""
    times: dict[str, list[datetime]] = {name: [] for name in OFTEN}
    for job in namespace.jobs():
        if trigger := job["spec"].get("trigger"):
            times[job["spec"]["pipelineName"]].append(datetime.fromisoformat(trigger["scheduledTime"]))
    return {name: sorted(of_pipeline) for name, of_pipeline in times.items()}


def test_an_upgrade_and_a_rollback_interrupt_nothing_and_lose_no_slot(release: Release, namespace: Namespace) -> None:
    for name in LONG:
        namespace.pipeline(name, command=["sleep", "100"])
        namespace.job(name, name)
    for name in OFTEN:
        namespace.pipeline(name, schedule="* * * * *")
    for name in LONG:
        namespace.wait(name, phase("RUNNING"))
    namespace.until(lambda: len(namespace.cron_jobs()) == len(OFTEN))
    # So that the next minute begins while one operator goes and the other one comes.
    sleep_until(minutes_from_now(1) - timedelta(seconds=5))
    before = pods()

    release.upgrade()
    upgraded = pods() - before
    assert upgraded
    assert images(upgraded) == {"dev"}
    release.helm("rollback", "--wait", "--timeout=120s")

    assert images(pods() - upgraded - before) == {RELEASED}
    rolled_back = now()
    namespace.until(lambda: all(times and times[-1] > rolled_back for times in scheduled(namespace).values()), 90)
    for name in OFTEN:
        namespace.pipeline(name, schedule="* * * * *", suspend=True)
    for name in LONG:
        assert namespace.wait(name, ended, 150)["status"]["phase"] == "COMPLETE"
    namespace.until(lambda: not namespace.slots() and all(ended(job) for job in namespace.jobs()))
    for name, times in scheduled(namespace).items():
        cron_job = namespace.cron_job(name) or {}
        created, last = cron_job["metadata"]["creationTimestamp"], cron_job["status"]["lastScheduleTime"]
        assert times[0] - datetime.fromisoformat(created) <= timedelta(minutes=1), (name, times)
        assert all(after - before == timedelta(minutes=1) for before, after in pairwise(times)), (name, times)
        assert times[-1] == datetime.fromisoformat(last)
        assert not namespace.get(name, "eltpipelines")["status"].get("skippedSlots")
    assert len(namespace.runs()) == len(namespace.jobs()), "a run for each Job"
    assert namespace.pods_made() == len(namespace.jobs()), "a pod for each run"
    namespace.check_invariants()


def test_it_works_with_exactly_its_rights(release: Release, namespace: Namespace) -> None:
    begun = now()
    release.upgrade()
    namespace.pipeline("works")
    namespace.pipeline("fails", command=["false"])
    namespace.pipeline("stopped", command=["sleep", "120"], pod={"terminationGracePeriodSeconds": 1})
    namespace.pipeline("scheduled", schedule=DAILY, successfulJobsHistoryLimit=0)

    with ThreadPoolExecutor() as pool:
        loads = pool.submit(demo, DEMO_LOADS_IN=namespace.name)
        make_use_of_it(namespace)
        loads.result()

    replace_pods()  # which ends its watches
    namespace.until(lambda: len(pods()) == 1, 30)

    # In the namespace of the test before, which is on its way out, nothing can be created any more: that is a 403, too.
    assert asked(begun, code=403, namespace=namespace.name) == set()
    rights = granted()
    assert rights - asked(begun) <= NOT_ASKED_EACH_TIME.keys(), "granted, and never used"
    assert NOT_ASKED_EACH_TIME.keys() <= rights


def make_use_of_it(namespace: Namespace) -> None:
    """Have Jobs complete, fail and stop, and a schedule that makes one, changes and goes."""
    assert namespace.run("works", pipeline="works")["status"]["phase"] == "COMPLETE"
    assert namespace.run("fails", pipeline="fails")["status"]["phase"] == "ERROR"
    namespace.job("stopped", "stopped")
    namespace.wait("stopped", phase("RUNNING"))
    namespace.patch("stopped", {"spec": {"stop": True}})
    assert namespace.wait("stopped", ended)["status"]["phase"] == "STOPPED"
    made = namespace.slot(lately(0), "scheduled")
    namespace.until(lambda: namespace.get("scheduled", "eltpipelines")["status"].get("lastSuccessfulTime") is not None)
    namespace.until(lambda: made not in {job["metadata"]["name"] for job in namespace.jobs()}, 30)  # by its limit
    namespace.pipeline("scheduled", schedule=HOURS_LATER)
    namespace.until(lambda: (namespace.cron_job("scheduled") or {})["spec"]["schedule"] == HOURS_LATER)
    namespace.pipeline("scheduled")
    namespace.until(lambda: namespace.cron_job("scheduled") is None)


def replace_pods() -> None:
    """Have all pods of the operator replaced, and wait for that."""
    kubectl("rollout", "restart", f"--namespace={NAMESPACE}", f"deployment/{NAMESPACE}")
    kubectl("rollout", "status", f"--namespace={NAMESPACE}", f"deployment/{NAMESPACE}", "--timeout=60s")


def test_of_two_replicas_the_other_one_goes_on_at_once(release: Release, namespace: Namespace) -> None:
    release.upgrade(replicaCount=2, podDisruptionBudget={"enabled": True})
    for name in LONG:
        namespace.pipeline(name, command=["sleep", "15"])
        namespace.job(name, name)
    for name in LONG:
        namespace.wait(name, phase("RUNNING"))
    first = holder()

    kubectl("delete", f"--namespace={NAMESPACE}", "pod", first, "--wait=false")
    namespace.until(lambda: holder() not in {"", first}, 5)
    replace_pods()

    for name in LONG:
        assert namespace.wait(name, ended)["status"]["phase"] == "COMPLETE"
    assert namespace.run("after", pipeline=LONG[0])["status"]["phase"] == "COMPLETE"
    assert len(namespace.runs()) == len(namespace.jobs()) == namespace.pods_made()
    namespace.check_invariants()


USERS_CHART = {
    "Chart.yaml": "{apiVersion: v2, name: users, version: 1.0.0}",
    "templates/pipelines.yaml": """
apiVersion: elt-operator.io/v1alpha1
kind: Pipeline
metadata: {name: works}
spec: {image: {{ .Values.image }}, command: [sleep, "5"]}
---
apiVersion: elt-operator.io/v1alpha1
kind: Pipeline
metadata: {name: fails}
spec: {image: {{ .Values.image }}, command: ["false"]}
---
apiVersion: elt-operator.io/v1alpha1
kind: Job
metadata: {name: {{ .Values.runs }}-now}
spec: {pipelineName: {{ .Values.runs }}}
""",
}


def test_helm_waits_as_its_page_says(release: Release, namespace: Namespace, tmp_path: Path) -> None:
    for name, text in USERS_CHART.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    users = Release(release.version, "users", namespace.name)

    def apply(runs: str, timeout: int) -> None:
        values = [f"--set=image={IMAGE}", f"--set=runs={runs}"]
        users.helm("upgrade", tmp_path, "--install", "--wait", f"--timeout={timeout}s", *values)

    def fails(runs: str, timeout: int, words: str) -> None:
        if release.version == 3:  # it does not know the kinds, and does not wait for them
            apply(runs, timeout)
        else:
            with pytest.raises(Refused, match=words):
                apply(runs, timeout)

    scale_operator(0)
    fails("works", 10, "works-now.*InProgress")
    scale_operator(1)
    apply("works", 60)
    if release.version == 4:
        assert namespace.get("works-now")["status"]["phase"] == "COMPLETE"
    fails("fails", 60, "fails-now.*Failed")
    namespace.wait("fails-now", phase("ERROR"))


def test_uninstalled_it_leaves_the_data_and_nothing_hangs(release: Release, namespace: Namespace) -> None:
    namespace.pipeline(command=["sleep", "60"], schedule=DAILY, pod={"terminationGracePeriodSeconds": 1})
    namespace.job("at-work")
    namespace.wait("at-work", phase("RUNNING"))
    namespace.job("waits")
    namespace.wait("waits", phase("QUEUED"))

    release.helm("uninstall", "--wait", "--timeout=60s")

    namespace.until(lambda: pods() == set(), 40)
    assert {job["metadata"]["name"] for job in namespace.jobs()} == {"at-work", "waits"}
    assert [pod["status"]["phase"] for pod in namespace.pods()] == ["Running"]
    kubectl("delete", f"--namespace={namespace.name}", "eltjobs,eltpipelines", "--all", "--timeout=30s")
    namespace.until(lambda: not namespace.batch_jobs() and not namespace.cron_jobs() and not namespace.pods(), 30)
    kubectl("delete", f"--filename={ROOT / 'crds'}", "--timeout=30s")
    kubectl("delete", "namespace", NAMESPACE, "--timeout=60s")
    with pytest.raises(Refused):
        kubectl("get", "eltjobs")
