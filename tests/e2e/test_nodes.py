"""A node that does not answer: the Job says so, nothing runs twice, and it goes on once the node is back or gone."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from e2e.clock import now, sleep_until
from e2e.endings import CLAIM, ON_CLAIM, SLEEPS_ONCE, working
from e2e.launcher import forked
from e2e.world import Namespace, Operator, ended, kubectl, message, reason

pytestmark = [pytest.mark.serial, pytest.mark.timeout(400)]

SOON = [
    {"key": f"node.kubernetes.io/{word}", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 2}
    for word in ("unreachable", "not-ready")
]
STAYS = [{"operator": "Exists", "effect": "NoExecute"}]
NODE = "elt-node"
OUT_OF_SERVICE = "node.kubernetes.io/out-of-service"


@pytest.fixture
def staying() -> Iterator[Namespace]:
    """Another namespace."""
    made = Namespace.create("stays-on-its-node")
    yield made
    made.check_invariants()
    made.delete()


@contextmanager
def silent_kubelet() -> Iterator[None]:
    """Let the kubelet do nothing, as if its machine were cut off; its containers go on."""
    tests = Path(__file__).resolve().parent.parent
    tool = [sys.executable, "-m", "cluster", "status"]
    told = subprocess.run(tool, capture_output=True, text=True, check=True, cwd=tests).stdout
    found = re.search(r"^kubelet +running, process (\d+)", told, re.MULTILINE)
    assert found, told
    os.kill(int(found[1]), signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(int(found[1]), signal.SIGCONT)


@pytest.fixture
def elsewhere(namespace: Namespace, staying: Namespace, no_operator: None) -> Iterator[Operator]:  # noqa: ARG001 - it has to be away
    """An operator that is not on the node, and so is not given up with it."""
    own = Operator(f"{namespace.name},{staying.name}", launch=forked)
    own.start()
    yield own
    own.kill()


def test_a_node_that_falls_silent_and_comes_back_or_is_given_up(
    namespace: Namespace, staying: Namespace, elsewhere: Operator
) -> None:
    """Two Jobs on one node; the second one's run stays on it even when it is given up.

    node         up      | silent, NodeLost | taint "out of service"        | up, no taint
    job-1        works   | works            | its pod is given up, a second | the second pod completes
    stays        works   | works            | stays, nothing is made        | tells the end of its only pod
    """
    staying.pipeline(script="echo working; sleep 30; exit 4", pod={"tolerations": STAYS})
    staying.job("stays")
    namespace.apply(CLAIM)
    namespace.pipeline(script=SLEEPS_ONCE, **{**ON_CLAIM, "pod": {"fsGroup": 65532, "tolerations": SOON}})
    namespace.job()
    for each in (staying, namespace):
        each.wait_for_pod(working)
    namespace.job("second")

    with silent_kubelet():
        for each, name in ((staying, "stays"), (namespace, "job-1")):
            lost = each.wait(name, reason("NodeLost"), 180)
            assert lost["status"]["phase"] == "RUNNING"
            assert NODE in message(lost)
        sleep_until(now() + timedelta(seconds=8))  # long enough for a second pod to be made, were one to be made
        assert namespace.pods_made() == 1
        assert namespace.get("second")["status"]["phase"] == "QUEUED"
        kubectl("taint", "node", NODE, f"{OUT_OF_SERVICE}=nodeshutdown:NoExecute")
        try:
            # The taint says that the machine is off; only then may a new attempt start.
            namespace.until(lambda: namespace.pods_made() == 2, 120)
        finally:
            kubectl("taint", "node", NODE, f"{OUT_OF_SERVICE}-")
        assert reason("NodeLost")(staying.get("stays"))

    back = staying.wait("stays", lambda job: job["status"]["reason"] != "NodeLost", 120)
    assert back["status"]["phase"] in {"RUNNING", "ERROR"}
    stayed = staying.wait("stays", ended, 120)
    assert (stayed["status"]["phase"], stayed["status"]["exitCode"]) == ("ERROR", 4)
    assert staying.pods_made() == 1
    job = namespace.wait("job-1", ended, 180)
    tried = [(attempt["reason"], attempt.get("exitCode")) for attempt in job["status"]["attempts"]]
    assert (job["status"]["phase"], tried) == ("COMPLETE", [("NodeLost", None), ("Completed", 0)])
    assert namespace.wait("second", ended, 60)["status"]["phase"] == "COMPLETE"
    assert "Traceback" not in elsewhere.log()
