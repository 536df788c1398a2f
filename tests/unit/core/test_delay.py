"""Why a run has not started yet."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from builders import a_job, a_pod, a_run, a_situation, an_end, another, at
from elt_operator.core import delay
from elt_operator.core.model import Pod
from elt_operator.core.situation import Situation

RUN = a_run(created=0, retries=1)


UNREADY = another(prepares=True, unready=True)


def waiting(**state: Any) -> Pod:
    return a_pod(phase="Pending", **{"created": RUN.created, **state})


def seen(*pods: Pod, now: float = 30, warning: str = "") -> Situation:
    about = pods[-1].uid if pods else RUN.uid
    return a_situation(a_job(), runs=[RUN], pods=pods, now=now, warnings={about: warning})


PULL = 'failed to pull and unpack image "x": not found'


@pytest.mark.parametrize(
    ("situation", "reason", "words"),
    [
        pytest.param(seen(a_pod()), None, "", id="started"),
        pytest.param(
            seen(a_pod(), waiting(number=2, unschedulable="0/3 nodes")), None, "", id="started, and a pod beside it"
        ),
        pytest.param(seen(a_pod(ended=an_end(1)), now=22), None, "", id="ended"),
        pytest.param(seen(a_pod(ended=an_end(7)), now=25), "Starting", "exit code 7; the next", id="between attempts"),
        pytest.param(seen(waiting(), now=4), None, "", id="not late yet"),
        pytest.param(seen(), "Starting", "has not been created yet", id="no pod"),
        pytest.param(seen(now=29), None, "", id="no pod, and no sign of trouble"),
        pytest.param(seen(waiting(), now=29), None, "", id="slow, and no sign of trouble"),
        pytest.param(seen(waiting(), now=6, warning="a warning"), "Starting", "a warning", id="a sign of trouble"),
        pytest.param(seen(warning="exceeded quota: pods"), "Rejected", "exceeded quota: pods", id="pod refused"),
        pytest.param(
            seen(waiting(unschedulable="0/3 nodes are available")), "Unschedulable", "0/3 nodes", id="no node"
        ),
        pytest.param(
            seen(waiting(waiting_reason="ErrImagePull", waiting_message=PULL)), "ImagePullFailed", PULL, id="no image"
        ),
        pytest.param(seen(waiting(waiting_reason="InvalidImageName")), "ImagePullFailed", "InvalidImageName", id="?"),
        pytest.param(
            seen(waiting(waiting_reason="CreateContainerConfigError", waiting_message='secret "s" not found')),
            "StartError", 'secret "s" not found', id="no secret",
        ),
        pytest.param(
            seen(waiting(waiting_reason="ContainerCreating"), warning="MountVolume.SetUp failed"),
            "Starting", "MountVolume.SetUp failed", id="no volume",
        ),
        pytest.param(seen(waiting()), "Starting", "is being started on its node.", id="just slow"),
        pytest.param(seen(waiting(others=[UNREADY]), now=29), None, "", id="a slow sidecar"),
        pytest.param(
            seen(waiting(others=[UNREADY])),
            "StartError", "sidecar proxy is running, but its startup probe has not", id="one that is too slow",
        ),
        pytest.param(
            seen(waiting(others=[another("vault", prepares=True, running=False, reason="CrashLoopBackOff")])),
            "StartError", "init container vault is not done: CrashLoopBackOff", id="what others added is in the way",
        ),
        pytest.param(
            seen(waiting(others=[another(prepares=True, sidecar=True, running=False, reason="ErrImageNeverPull")])),
            "ImagePullFailed", "sidecar proxy is not running: ErrImageNeverPull", id="a sidecar without its image",
        ),
        pytest.param(
            seen(a_pod(answers=False, node="n1")), "NodeLost", "kubectl delete node n1", id="the node does not answer"
        ),
        pytest.param(
            seen(waiting(), warning='Error: environment variable "TOKEN=canary-4711" is no text'),
            "Starting", 'environment variable "…"', id="a warning that quotes a variable",
        ),
    ],
)  # fmt: skip
def test_a_start_is_held_up_by(situation: Situation, reason: str | None, words: str) -> None:
    found = delay.first_delay(situation, RUN).finding

    assert (found and found.reason) == reason
    assert words in (found.message if found else "")


def test_a_pull_and_the_pause_before_the_next_one_are_told_alike() -> None:
    backing_off = f'Back-off pulling image "x": ErrImagePull: {PULL}'
    told = [
        delay.first_delay(seen(waiting(waiting_reason=reason, waiting_message=message)), RUN).finding
        for reason, message in (("ErrImagePull", PULL), ("ImagePullBackOff", backing_off))
    ]

    assert told[0] == told[1]


@pytest.mark.parametrize(
    ("situation", "asked"),
    [
        pytest.param(seen(now=4), False, id="not late yet"),
        pytest.param(seen(), True, id="no pod"),
        pytest.param(seen(waiting(waiting_reason="ContainerCreating")), True, id="silent kubelet"),
        pytest.param(seen(waiting(waiting_reason="ErrImagePull")), False, id="the kubelet says why"),
        pytest.param(seen(waiting(unschedulable="no node")), False, id="the scheduler says why"),
        pytest.param(seen(a_pod()), False, id="started"),
    ],
)
def test_warnings_are_read_only_where_nothing_else_says_why(situation: Situation, asked: bool) -> None:
    assert (delay.unexplained(situation, RUN) is not None) is asked


@pytest.mark.parametrize(
    ("situation", "seconds"),
    [
        pytest.param(seen(now=2), 3, id="when patience ends"),
        pytest.param(seen(now=5), 10, id="then every 10 s"),
        pytest.param(seen(a_pod()), None, id="never, once it has started"),
    ],
)
def test_the_next_look(situation: Situation, seconds: int | None) -> None:
    until = delay.first_delay(situation, RUN).until

    assert (until and until - situation.now) == (None if seconds is None else timedelta(seconds=seconds))


@pytest.mark.parametrize(
    ("queue", "words"),
    [
        pytest.param("", "Somebody suspended batch Job weather-r1. To resume it:", id="by somebody"),
        pytest.param("nightly", "is waiting for Kueue queue nightly to admit it.", id="by its queue"),
    ],
)
def test_a_suspended_run_waits_for_whoever_suspended_it(queue: str, words: str) -> None:
    run = a_run(created=0, suspended=True, queue=queue)
    found = delay.first_delay(a_situation(a_job(), runs=[run], now=9999), run).finding

    assert found
    assert words in found.message
    assert delay.waiting_since(a_situation(a_job(), runs=[run], now=9999), run) is None


def test_an_init_container_of_the_pipeline_takes_its_time_and_what_follows_it_has_all_of_its_own() -> None:
    run = replace(RUN, preparations={"fetch"})
    fetching = waiting(others=[another("fetch", prepares=True)])
    fetched = waiting(others=[another("fetch", prepares=True, exit_code=0, ended_at=at(590))])

    at_work = a_situation(a_job(), runs=[run], pods=[fetching], now=9999)
    assert delay.waiting_since(at_work, run) is None
    found = delay.first_delay(at_work, run).finding
    assert found
    assert found.message.startswith("Init container fetch is running;")
    assert delay.waiting_since(a_situation(a_job(), runs=[run], pods=[fetched], now=600), run) == at(590)
    of_others = replace(run, preparations=frozenset())
    assert (
        delay.waiting_since(a_situation(a_job(), runs=[of_others], pods=[fetching], now=600), of_others) == RUN.created
    )


def test_a_run_that_was_resumed_has_all_of_its_time_once_its_controller_has_seen_it() -> None:
    resumed, seen_by_it = replace(RUN, no_more_pods=True), replace(RUN, started=at(9990))

    assert delay.waiting_since(a_situation(a_job(), runs=[resumed], now=9999), resumed) is None
    assert delay.waiting_since(a_situation(a_job(), runs=[seen_by_it], now=9999), seen_by_it) == at(9990)
