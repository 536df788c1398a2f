"""Two replicas: one acts, the other takes over; and one that was frozen writes nothing that wins."""

import json
import signal
import time
from collections.abc import Iterator
from datetime import timedelta

import pytest

from e2e.clock import now, sleep_until
from e2e.launcher import forked
from e2e.world import Body, Namespace, Operator, ended, kubectl, phase

pytestmark = [pytest.mark.alone, pytest.mark.timeout(300)]

ACTS = "holds the Lease now"


def grant_lease(namespace: Namespace) -> None:
    """Give the operator the rights to a Lease that the installed one has, in a test's namespace: each has its own."""
    for kind in ("role", "rolebinding"):
        name = "elt-operator-lease"
        body = json.loads(kubectl("get", kind, name, "--namespace=elt-operator", "--output=json"))
        body["metadata"] = {"name": name}
        namespace.apply(body)


@pytest.fixture
def replicas(namespace: Namespace, no_operator: None) -> Iterator[tuple[Operator, Operator]]:  # noqa: ARG001 - it has to be away
    """Two replicas with the rights of the installed one; the first one acts."""
    grant_lease(namespace)
    settings = {"LEASE_NAMESPACE": namespace.name}
    first, second = (
        Operator(namespace.name, settings=settings, identity=name, launch=forked) for name in ("first", "second")
    )
    first.start()
    first.wait_for_line(ACTS)
    second.start()
    second.wait_for_line("watching")
    yield first, second
    for replica in (first, second):
        replica.kill()


def seconds_until(namespace: Namespace, name: str) -> float:
    """Create a Job; return how long it takes until its run is created."""
    begun = time.monotonic()
    namespace.job(name)
    namespace.wait(name, phase("RUNNING", "COMPLETE"), 60)
    return time.monotonic() - begun


def runs_of(namespace: Namespace) -> dict[str, int]:
    found: dict[str, int] = {}
    for run in namespace.runs():
        job: Body = run["metadata"]["labels"]
        found[job["elt-operator.io/job"]] = found.get(job["elt-operator.io/job"], 0) + 1
    return found


@pytest.mark.long(1)
def test_the_standby_does_nothing_until_the_other_one_is_killed(
    namespace: Namespace, replicas: tuple[Operator, Operator]
) -> None:
    first, second = replicas
    namespace.pipeline()
    namespace.run("before")
    assert ACTS not in second.log()
    assert "before" not in second.log()

    first.kill()

    assert seconds_until(namespace, "after") <= 20
    assert namespace.wait("after", ended)["status"]["phase"] == "COMPLETE"
    assert runs_of(namespace) == {"before": 1, "after": 1}


def test_one_that_ends_in_peace_is_followed_at_once(namespace: Namespace, replicas: tuple[Operator, Operator]) -> None:
    first, second = replicas
    namespace.pipeline(script="sleep 15")
    namespace.job("running")
    namespace.wait("running", phase("RUNNING"))

    first.signal(signal.SIGTERM)
    begun = time.monotonic()
    second.wait_for_line(ACTS)

    assert time.monotonic() - begun <= 5
    assert namespace.wait("running", ended)["status"]["phase"] == "COMPLETE"
    assert runs_of(namespace) == {"running": 1}


@pytest.mark.long(2)
def test_one_that_was_frozen_leaves_it_to_the_other(namespace: Namespace, replicas: tuple[Operator, Operator]) -> None:
    first, second = replicas
    namespace.pipeline(script="sleep 2")
    for number in range(6):
        namespace.job(f"job-{number}")
    namespace.wait("job-0", phase("RUNNING"))

    first.signal(signal.SIGSTOP)
    wakes_up = now() + timedelta(seconds=60)
    second.wait_for_line(ACTS, 40)
    namespace.wait("job-1", ended, 60)
    sleep_until(wakes_up)
    for number in range(6, 9):  # there is something to do when it wakes up
        namespace.job(f"job-{number}")
    first.signal(signal.SIGCONT)
    first.wait_for_line("lost the Lease", 30)
    said = len(first.log().splitlines())

    for number in range(9):
        assert namespace.wait(f"job-{number}", ended, 60)["status"]["phase"] == "COMPLETE"
    assert runs_of(namespace) == {f"job-{number}": 1 for number in range(9)}
    assert not [line for line in first.log().splitlines()[said:] if "Job " in line], "it stands by"
    for replica in replicas:
        assert "Traceback" not in replica.log()
