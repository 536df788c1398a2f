"""The bars of kept logs, full size: rotations on a busy node, frozen, killed and replaced readers, killed keepers."""

import json
import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import pytest

from e2e import kept, s3
from e2e.endings import under_way, working
from e2e.kept import Door, is_equal, numbers_of, settled
from e2e.s3 import S3
from e2e.world import Body, Namespace, kubectl
from kept_logs.own import Own, every

TIMES = int(os.environ.get("TIMES", "1"))
LAST_WORDS = (
    "trap 'for i in $(seq 500); do echo last word $i; done; echo END; exit 3' TERM; echo working; sleep 300 & wait"
)

LINES_IN_TIME = 300
TELLS_THE_TIME = f"""
import time
print("working")
time.sleep(5)
for _ in range({LINES_IN_TIME}):
    time.sleep(0.2)
    print(time.monotonic())
"""
FILL_DISK = "head -c 10000000 /dev/zero > /tmp/full; "


def write(namespace: Namespace, name: str, megabytes: int, rate: float) -> None:
    """Begin a run that writes so much."""
    namespace.pipeline(name, command=["python3", "-c", kept.WRITER, str(megabytes), str(rate)])
    namespace.job(f"{name}-1", name)


def log_of(namespace: Namespace, name: str, door: Door, timeout: int = 300) -> tuple[dict[str, Any], bytes]:
    """Return what a Job says of its log, and the log, once that is settled."""
    job = namespace.wait(f"{name}-1", settled, timeout)
    status: dict[str, Any] = job["status"]["log"]
    text = door.log(job).body
    assert (status["lines"], status["bytes"]) == (text.count(b"\n"), len(text))
    return status, text


@contextmanager
def busy() -> Iterator[None]:
    """Keep both cores of the machine busy."""
    hogs = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(2)]
    try:
        yield
    finally:
        for hog in hogs:
            hog.kill()
            hog.wait()


def freeze_reader(own: Own, seconds: float) -> None:
    """Let the reader do nothing for so long."""
    assert own.reader.process
    own.reader.process.send_signal(signal.SIGSTOP)
    time.sleep(seconds)
    own.reader.process.send_signal(signal.SIGCONT)


@pytest.mark.parametrize("turn", range(5))
def test_four_logs_that_rotate_on_a_busy_node_are_equal(namespace: Namespace, door: Door, turn: int) -> None:  # noqa: ARG001 - 20 in all
    with busy():
        for number in range(4):
            write(namespace, f"w{number}", 120, 2)
        logs = [log_of(namespace, f"w{number}", door) for number in range(4)]

    assert [status["state"] for status, _ in logs] == ["Kept"] * 4
    assert all(is_equal(text) for _, text in logs)


def test_a_reader_that_is_frozen_for_25_s_misses_nothing(namespace: Namespace, own: Own) -> None:
    door = own.start()
    write(namespace, "w", 160, 4)
    namespace.wait_for_pod(working)
    time.sleep(8)
    freeze_reader(own, 25)

    status, text = log_of(namespace, "w", door)

    assert status["state"] == "Kept", own.said()
    assert is_equal(text)


def test_a_reader_that_is_frozen_for_90_s_says_what_it_missed(namespace: Namespace, own: Own) -> None:
    door = own.start()
    write(namespace, "w", 480, 4)
    namespace.wait_for_pod(working)
    time.sleep(8)
    freeze_reader(own, 90)

    status, text = log_of(namespace, "w", door)

    numbers = numbers_of(text)
    jumps = [(before, after) for before, after in pairwise(numbers) if after != before + 1]
    assert (status["state"], status["reason"], status["gaps"]) == ("Incomplete", "Rotated", 1)
    assert len(jumps) == 1
    assert numbers[0] == 0
    manifest = json.loads(next((own.folder / "store").rglob("log.json")).read_text())
    (gap,) = manifest["gaps"]
    assert gap["line"] == numbers.index(jumps[0][1])
    assert gap["after"] < gap["before"]


def test_a_reader_that_is_killed_every_5_s_loses_nothing(namespace: Namespace, own: Own) -> None:
    door = own.start()
    write(namespace, "w", 120, 2)
    namespace.wait_for_pod(working)

    with every(5, own.reader.restart):
        status, text = log_of(namespace, "w", door)

    assert status["state"] == "Kept", own.said()
    assert is_equal(text)


def test_a_keeper_that_is_killed_every_3_s_loses_nothing(namespace: Namespace, own: Own) -> None:
    door = own.start()
    write(namespace, "w", 120, 2)
    namespace.wait_for_pod(working)

    with every(3, own.keeper.restart):
        namespace.wait("w-1", lambda body: "endTime" in body.get("status", {}), 120)
    status, text = log_of(namespace, "w", door)

    assert status["state"] == "Kept", own.said()
    assert is_equal(text)


def test_a_reader_whose_pod_is_replaced_every_20_s_loses_nothing(namespace: Namespace, door: Door) -> None:
    write(namespace, "w", 160, 2)
    namespace.wait_for_pod(working)
    selector = "--selector=app.kubernetes.io/component=log-reader"

    with every(20, lambda: kubectl("delete", "--namespace=elt-operator", "pod", selector, "--wait=false")):
        status, text = log_of(namespace, "w", door)

    assert status["state"] == "Kept"
    assert is_equal(text)


def delete(grace: int) -> Any:
    def act(namespace: Namespace, pod: Body) -> None:
        options = ["--force"] if grace == 0 else []
        name = pod["metadata"]["name"]
        kubectl(
            "delete", "pod", name, f"--namespace={namespace.name}", f"--grace-period={grace}", "--wait=false", *options
        )

    return act


def evict(namespace: Namespace, pod: Body) -> None:
    namespace.evict(pod["metadata"]["name"])


def drain(namespace: Namespace, pod: Body) -> None:
    node = pod["spec"]["nodeName"]
    selector = f"--pod-selector=job-name={pod['metadata']['labels']['job-name']}"
    kubectl("drain", node, selector, f"--namespace={namespace.name}", "--delete-emptydir-data", "--timeout=60s")
    kubectl("uncordon", node)


def stop(namespace: Namespace, _pod: Body) -> None:
    namespace.patch("job-1", {"spec": {"stop": True}})


ENDINGS: dict[str, tuple[Any, dict[str, Any]]] = {
    "delete-0": (delete(0), {}),
    "delete-5": (delete(5), {}),
    "evict": (evict, {}),
    "drain": (drain, {}),
    "disk": (lambda *_: None, {"resources": {"limits": {"ephemeral-storage": "2Mi"}}}),
    "stop": (stop, {}),
    "replace": (lambda namespace, _pod: namespace.job("job-2"), {"concurrencyPolicy": "Replace"}),
    "deadline": (lambda *_: None, {"timeoutSeconds": 3}),
}


@pytest.mark.parametrize("name", ENDINGS)
@pytest.mark.parametrize("turn", range(TIMES))
def test_every_last_word_is_kept(namespace: Namespace, door: Door, name: str, turn: int) -> None:  # noqa: ARG001 - again
    act, spec = ENDINGS[name]
    namespace.pipeline(script=f"{FILL_DISK if name == 'disk' else ''}{LAST_WORDS}", **spec)
    namespace.job()
    pod = under_way(namespace)
    act(namespace, pod)
    if name in {"evict", "drain"}:  # another attempt follows
        namespace.wait_for_pod(lambda other: working(other) and other["metadata"]["uid"] != pod["metadata"]["uid"])
        namespace.patch("job-1", {"spec": {"stop": True}})
    job = namespace.wait("job-1", settled, 120)

    words = [f"last word {number}" for number in range(1, 501)]
    said = door.log(job, query="?limit=502").body.decode().splitlines()
    whole = ["working", *words, "END"]
    assert said == (whole if name != "delete-0" else whole[: len(said)])  # which need not be told before it is killed
    assert job["status"]["log"]["state"] == "Kept"


def test_who_follows_sees_a_line_soon_after_it_was_written(namespace: Namespace, door: Door) -> None:
    """99 of 100 lines within 2 s."""
    namespace.pipeline(command=["python3", "-uc", TELLS_THE_TIME])
    namespace.job()
    under_way(namespace)
    job = namespace.get("job-1")

    late = [time.monotonic() - float(line) for line in door.follow(job) if line.strip() != b"working"]

    print(f"a line is seen after {percentiles(late)} s")
    assert len(late) == LINES_IN_TIME
    assert statistics.quantiles(late, n=100)[98] < 2


def test_the_end_of_a_log_is_told_soon(namespace: Namespace) -> None:
    """99 of 100 Jobs say what became of their log within 5 s after their end."""
    for number in range(100):
        namespace.pipeline(f"p{number}", script="echo only line; sleep 3")
    late = []
    for tenth in range(10):
        ended = {f"j{number}": 0.0 for number in range(10 * tenth, 10 * tenth + 10)}
        for name in ended:
            namespace.job(name, f"p{name[1:]}")
        for job in namespace.changes(120):
            name = job["metadata"]["name"]
            if name in ended and job.get("status", {}).get("phase") == "COMPLETE":
                ended[name] = ended[name] or time.monotonic()
                if settled(job):
                    late.append(time.monotonic() - ended.pop(name))
            if not ended:
                break

    print(f"what became of a log is told after {percentiles(late)} s")
    assert len(late) == 100
    assert statistics.quantiles(late, n=100)[98] < 5


def percentiles(seconds: list[float]) -> str:
    cuts = statistics.quantiles(seconds, n=100)
    return f"p50 {cuts[49]:.2f}, p99 {cuts[98]:.2f}"


def test_a_hundred_short_runs_are_kept_or_said_to_be_missing(namespace: Namespace, door: Door) -> None:
    for number in range(100):
        namespace.pipeline(f"p{number}", script="echo only line")
        namespace.job(f"j{number}", f"p{number}")
    jobs = [namespace.wait(f"j{number}", settled, 600) for number in range(100)]

    states = [job["status"]["log"] for job in jobs]
    for job, state in zip(jobs, states, strict=True):
        assert door.log(job).body == (b"only line\n" if state["state"] == "Kept" else b""), state
    assert sum(state["state"] == "Kept" for state in states) == 100


AWAY_SECONDS = float(os.environ.get("AWAY_SECONDS", "60"))
"""How long the store is away; 300 is the bar."""


def on_s3(own: Own, store: S3) -> None:
    """Have the keeper's logs in a bucket."""
    more = {**store.variables, "ELT_OPERATOR_STORE": f"s3://{s3.BUCKET}/elt"}
    own.keeper.environment = {**own.keeper.environment, **more}


@pytest.mark.timeout(AWAY_SECONDS + 300)
def test_while_the_store_is_away_runs_end_as_ever_and_nothing_is_lost(namespace: Namespace, own: Own) -> None:
    with s3.running(own.folder / "s3") as store:
        on_s3(own, store)
        door = own.start()
        write(namespace, "w", 40, 2)
        namespace.wait_for_pod(working)
        time.sleep(5)
        store.kill()
        begun = time.monotonic()
        job = namespace.wait("w-1", lambda body: "endTime" in body.get("status", {}), 120)
        assert job["status"]["phase"] == "COMPLETE"
        time.sleep(max(0.0, AWAY_SECONDS - (time.monotonic() - begun)))
        assert namespace.get("w-1")["status"]["log"] == {"state": "Collecting"}
        store.start()

        status, text = log_of(namespace, "w", door)

    assert status["state"] == "Kept", own.said()
    assert is_equal(text)


def test_a_store_that_stands_still_loses_nothing(namespace: Namespace, own: Own) -> None:
    with s3.running(own.folder / "s3") as store:
        on_s3(own, store)
        door = own.start()
        write(namespace, "w", 60, 2)
        namespace.wait_for_pod(working)
        for _ in range(3):
            time.sleep(3)
            store.freeze()
            time.sleep(5)
            store.thaw()

        status, text = log_of(namespace, "w", door)

    assert status["state"] == "Kept", own.said()
    assert is_equal(text)


def test_a_volume_that_is_full_loses_nothing_once_there_is_room(namespace: Namespace, own: Own) -> None:
    volume = own.folder / "small"
    volume.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", volume], check=True)
    try:
        own.keeper.environment = {**own.keeper.environment, "ELT_OPERATOR_STORE": str(volume)}
        door = own.start()
        write(namespace, "w", 60, 4)
        namespace.wait("w-1", lambda body: "endTime" in body.get("status", {}), 120)
        time.sleep(5)
        assert namespace.get("w-1")["status"]["log"] == {"state": "Collecting"}
        subprocess.run(["mount", "-o", "remount,size=100m", volume], check=True)

        status, text = log_of(namespace, "w", door)

        assert status["state"] == "Kept", own.said()
        assert is_equal(text)
    finally:
        own.end()
        subprocess.run(["umount", "--lazy", volume], check=True)


def test_a_log_that_is_followed_is_kept_or_said_to_be_rotated(namespace: Namespace, own: Own) -> None:
    own.keeper.environment = {**own.keeper.environment, "ELT_OPERATOR_LOG_SOURCE": "follow"}
    kubectl("create", "rolebinding", "logs", "--clusterrole=edit", "--serviceaccount=elt-operator:elt-operator-logs",
            f"--namespace={namespace.name}")  # fmt: skip
    own.keeper.start()
    door = Door(url=own.url)
    write(namespace, "small", 5, 1)
    write(namespace, "large", 60, 4)

    small, text = log_of(namespace, "small", door)
    assert small["state"] == "Kept", own.said()
    assert is_equal(text)
    large, text = log_of(namespace, "large", door)
    assert large["state"] == "Incomplete"
    assert large["reason"] == "Rotated"
