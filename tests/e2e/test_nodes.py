"""A node that does not answer: the Job says so, nothing runs twice, and it goes on once the node is back or gone."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from e2e.endings import CLAIM, ON_CLAIM, SLEEPS_ONCE, working
from e2e.world import Namespace, ended, kubectl, message, phase, reason

pytestmark = [pytest.mark.serial, pytest.mark.timeout(400)]

SOON = [
    {"key": f"node.kubernetes.io/{word}", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 2}
    for word in ("unreachable", "not-ready")
]
NODE = "elt-node"
OUT_OF_SERVICE = "node.kubernetes.io/out-of-service"


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


def test_a_node_that_comes_back(namespace: Namespace) -> None:
    namespace.pipeline(script="echo working; sleep 100; exit 4")
    namespace.job()
    namespace.wait_for_pod(working)

    with silent_kubelet():
        lost = namespace.wait("job-1", reason("NodeLost"), 180)
        assert lost["status"]["phase"] == "RUNNING"
        assert NODE in message(lost)

    back = namespace.wait("job-1", lambda job: job["status"]["reason"] != "NodeLost", 120)
    assert back["status"]["phase"] in {"RUNNING", "ERROR"}
    job = namespace.wait("job-1", ended, 120)
    assert (job["status"]["phase"], job["status"]["exitCode"]) == ("ERROR", 4)
    assert namespace.pods_made() == 1


def test_a_node_that_is_given_up(namespace: Namespace) -> None:
    """The taint says that the machine is off; only then may a new attempt start."""
    namespace.apply(CLAIM)
    namespace.pipeline(script=SLEEPS_ONCE, **{**ON_CLAIM, "pod": {"fsGroup": 65532, "tolerations": SOON}})
    namespace.job()
    namespace.wait_for_pod(working)
    namespace.job("second")

    with silent_kubelet():
        namespace.wait("job-1", reason("NodeLost"), 180)
        time.sleep(10)  # long enough for a second pod to be made, were one to be made
        assert namespace.pods_made() == 1
        assert namespace.get("second")["status"]["phase"] == "QUEUED"
        kubectl("taint", "node", NODE, f"{OUT_OF_SERVICE}=nodeshutdown:NoExecute")
        namespace.until(lambda: namespace.pods_made() == 2, 120)
        kubectl("taint", "node", NODE, f"{OUT_OF_SERVICE}-")

    job = namespace.wait("job-1", ended, 180)
    tried = [(attempt["reason"], attempt.get("exitCode")) for attempt in job["status"]["attempts"]]
    assert (job["status"]["phase"], tried) == ("COMPLETE", [("NodeLost", None), ("Completed", 0)])
    assert namespace.wait("second", ended, 60)["status"]["phase"] == "COMPLETE"
    assert phase("COMPLETE")(namespace.get("second"))
