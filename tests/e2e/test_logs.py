"""Logs that outlive their pods: complete, or honest about what is missing; read through one door by who may."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from e2e import kept
from e2e.endings import HOG, LITTLE_MEMORY, under_way, working
from e2e.kept import Door, is_equal, settled
from e2e.served import account, token_of
from e2e.world import USER, Body, Namespace, audit_events, ended, kubectl

LAST_WORDS = (
    "trap 'for i in $(seq 500); do echo last word $i; done; echo END; exit 3' TERM; echo working; sleep 300 & wait"
)
"""Says a lot when it is told to end."""


@pytest.fixture(scope="module")
def door() -> Iterator[Door]:
    with kept.door() as opened:
        yield opened


def run(namespace: Namespace, *, act: Callable[[Body], object] = lambda _pod: None, **pipeline: Any) -> Body:
    """Run a Job, do something to its pod once it is at work, and return the Job once its log is settled."""
    namespace.pipeline(**pipeline)
    namespace.job()
    act(under_way(namespace))
    return namespace.wait("job-1", settled, 90)


@pytest.mark.long(1)
def test_a_log_that_is_rotated_is_kept_as_it_was_written(namespace: Namespace, door: Door) -> None:
    namespace.pipeline(command=["python3", "-c", kept.WRITER, "50", "5"])

    namespace.job()
    job = namespace.wait("job-1", settled, 90)

    log = door.log(job)
    assert job["status"]["log"] == {"state": "Kept", "lines": log.body.count(b"\n"), "bytes": len(log.body)}
    assert is_equal(log.body)
    assert log.headers["X-Log-State"] == "Kept"


def delete(grace: int) -> Callable[[Namespace, Body], object]:
    def act(namespace: Namespace, pod: Body) -> None:
        name = pod["metadata"]["name"]
        options = ["--force"] if grace == 0 else []
        kubectl(
            "delete", "pod", name, f"--namespace={namespace.name}", f"--grace-period={grace}", "--wait=false", *options
        )

    return act


def evict(namespace: Namespace, pod: Body) -> None:
    """Evict it, and stop the attempt that follows."""
    namespace.evict(pod["metadata"]["name"])
    namespace.wait_for_pod(lambda other: working(other) and other["metadata"]["uid"] != pod["metadata"]["uid"])
    stop(namespace, pod)


def stop(namespace: Namespace, _pod: Body) -> None:
    namespace.patch("job-1", {"spec": {"stop": True}})


def replace(namespace: Namespace, _pod: Body) -> None:
    namespace.job("job-2")


ENDS = [
    pytest.param(delete(5), {}, id="deleted"),
    pytest.param(evict, {}, id="evicted"),
    pytest.param(stop, {}, id="stopped"),
    pytest.param(replace, {"concurrencyPolicy": "Replace"}, id="replaced"),
    pytest.param(lambda *_: None, {"timeoutSeconds": 3}, id="timed-out"),
]


@pytest.mark.parametrize(("act", "spec"), ENDS)
def test_the_last_words_of_a_run_are_kept(
    namespace: Namespace, door: Door, act: Callable[[Namespace, Body], object], spec: dict[str, Any]
) -> None:
    namespace.leftovers_allowed = True  # the second Job of two

    job = run(namespace, act=lambda pod: act(namespace, pod), script=LAST_WORDS, **spec)

    text = door.log(job, query="?limit=502").body.decode()
    words = [f"last word {number}" for number in range(1, 501)]
    assert text.splitlines() == ["working", *words, "END"]
    assert job["status"]["log"]["state"] == "Kept" or job["status"]["attempts"][-1].get("endTime") is None


def test_what_was_written_before_the_kernel_kills_is_kept(namespace: Namespace, door: Door) -> None:
    job = run(
        namespace,
        script=f"for i in $(seq 300); do echo line $i; done; {HOG}; echo not reached",
        resources=LITTLE_MEMORY,
    )

    text = door.log(job).body.decode()
    assert text.splitlines()[:300] == [f"line {number}" for number in range(1, 301)]
    assert job["status"]["log"]["state"] == "Kept"


def test_all_attempts_are_in_one_log(namespace: Namespace, door: Door) -> None:
    namespace.pipeline(script="echo try; exit 9", maxRetries=1)

    namespace.job()
    job = namespace.wait("job-1", settled, 90)

    assert door.log(job).body == b"try\ntry\n"
    lines = door.ask(f"/v1/logs/{job['metadata']['uid']}", kept.administrator(), accept="application/x-ndjson").body
    told = [json.loads(line) for line in lines.splitlines()]
    assert [(line["sequence"], line["attempt"], line["message"]) for line in told] == [(0, 1, "try"), (1, 2, "try")]


def test_a_log_is_followed_while_it_is_written(namespace: Namespace, door: Door) -> None:
    namespace.pipeline(script="for i in 1 2 3 4 5; do echo line $i; sleep 1; done")
    namespace.job()
    job = namespace.wait("job-1", lambda body: "startTime" in body.get("status", {}))

    followed = door.log(job, query="?follow=true")

    assert followed.headers["X-Log-State"] == "Collecting"
    assert followed.body == b"".join(b"line %d\n" % number for number in range(1, 6))


def test_the_log_of_a_job_that_is_gone_can_be_read(namespace: Namespace, door: Door) -> None:
    namespace.pipeline(script="echo one; echo two")
    namespace.job()
    job = namespace.wait("job-1", settled, 60)

    namespace.delete_job("job-1")
    namespace.until(lambda: not namespace.jobs())

    assert door.log(job).body == b"one\ntwo\n"


def test_the_log_of_a_job_that_is_deleted_at_work_is_kept(namespace: Namespace, door: Door) -> None:
    namespace.pipeline(script=LAST_WORDS)
    namespace.job()
    under_way(namespace)
    job = namespace.get("job-1")

    namespace.delete_job("job-1")

    namespace.until(lambda: not namespace.jobs())
    namespace.until(lambda: door.log(job).headers.get("X-Log-State") == "Kept")
    assert door.log(job).body.splitlines()[-1] == b"END"


def test_only_who_may_read_it_reads_a_log(namespace: Namespace, door: Door) -> None:
    namespace.pipeline(script="echo one; echo two; echo three")
    viewer, nobody = account(namespace, "viewer", "view"), account(namespace, "nobody")
    namespace.job()
    job = namespace.wait("job-1", settled, 60)
    unknown = {"metadata": {"uid": "00000000-0000-4000-8000-000000000000"}}

    assert door.log(job, viewer, "?sequence=1&limit=1").body == b"two\n"
    assert door.log(job, viewer, "?tail=1").body == b"three\n"
    assert door.log(job, viewer, "?sequence=3").code == 204
    assert door.log(job, viewer, "?sequence=-1").code == 400
    assert door.log(job, nobody)[::2] == door.log(unknown, viewer)[::2] == door.log(unknown, nobody)[::2]
    assert door.log(job, nobody).code == 404
    assert door.log(job, "no.such.token").code == 401


def test_a_secret_that_a_run_prints_is_neither_stored_nor_shown(namespace: Namespace, door: Door) -> None:
    canary = f"canary{namespace.name[-6:]}"
    namespace.pipeline(
        script=f"echo postgresql://elt:{canary}@db/x; echo password={canary}; echo {canary} is no secret by its form"
    )
    namespace.job()
    job = namespace.wait("job-1", settled, 60)

    assert door.log(job).body.decode().splitlines()[:2] == ["postgresql://elt:***@db/x", "password=***"]
    assert all("/open/" not in path for path in kept.in_store(f"elt:{canary}"))
    assert not kept.in_store(f":{canary}")
    assert not kept.in_store(f"={canary}")


def test_what_is_not_of_a_reader_is_refused(namespace: Namespace, door: Door) -> None:
    namespace.pipeline(script="sleep 5")
    namespace.job()
    pod = namespace.wait_for_pod(working)["metadata"]["uid"]
    frames, reader = f"/v1/frames?pod={pod}", "elt-operator-log-reader"
    audience = "--audience=elt-operator-logs"
    unbound = token_of("elt-operator", reader, audience)
    other_audience = token_of("elt-operator", reader)
    kubectl("create", "serviceaccount", "somebody", f"--namespace={namespace.name}")
    somebody = token_of(namespace.name, "somebody", audience)

    for token in (unbound, other_audience, somebody, "no.such.token"):
        assert door.ask(frames, token, b"x", method="POST").code == 401

    name = kubectl("get", "pods", "--namespace=elt-operator", "--selector=app.kubernetes.io/component=log-reader",
                   "-o", "name").split()[0].removeprefix("pod/")  # fmt: skip
    bound = token_of("elt-operator", reader, audience, "--bound-object-kind=Pod", f"--bound-object-name={name}")
    assert door.ask(frames, bound, b"x" * 100, method="POST").code == 400
    assert door.ask(frames, bound, b"x" * (9 * 2**20), method="POST").code == 413
    assert door.ask("/v1/frames?pod=unknown", bound, b"x", method="POST").code == 404
    assert namespace.wait("job-1", ended)["status"]["phase"] == "COMPLETE"


def test_the_keeper_writes_what_became_of_a_log_and_nothing_else(namespace: Namespace) -> None:
    namespace.pipeline(script="echo one")
    namespace.job()
    namespace.wait("job-1", settled, 60)
    seen: list[tuple[str, str]] = []
    for event in audit_events():
        what = event.get("objectRef", {})
        if event["user"]["username"].startswith(f"{USER}-log") and what.get("namespace") in {None, namespace.name}:
            seen.append((event["verb"], "/".join(filter(None, (what.get("resource"), what.get("subresource"))))))

    reads = {(verb, resource) for verb in ("list", "watch") for resource in ("eltjobs", "pods", "eltpipelines")}
    assert set(seen) - reads == {("patch", "eltjobs/status"), ("create", "tokenreviews")}
    assert seen.count(("patch", "eltjobs/status")) == 1
