"""Whatever others have written is taken into the cache, or skipped and told; nothing of it raises."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders import KEY, a_pod
from elt_operator.controller import intake as module
from elt_operator.controller import pod_snapshots, sources
from elt_operator.controller.cache import Cache
from elt_operator.controller.intake import Intake, Unreadable
from elt_operator.controller.places import Places
from elt_operator.controller.queue import WorkQueue
from elt_operator.controller.resync import Resync
from elt_operator.controller.sources import Source
from elt_operator.core.model import PipelineKey, Pod
from elt_operator.kube.answers import Page
from elt_operator.resources import names

SECRET = "Tr0ub4dor"
SOURCES = list(sources.of(None))


def a_body(name: str, version: str = "1", uid: str = "") -> dict[str, Any]:
    metadata = {"name": name, "namespace": KEY.namespace, "uid": uid or f"{name}-uid", "resourceVersion": version}
    return {"metadata": metadata, "spec": {"password": SECRET}}


class World:
    """A cache whose snapshots of pods cannot be made of what is called bad: as if there were a bug in them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def pod(body: Any, *_: Any) -> Pod | None:
            if body["metadata"]["name"] == "bad":
                raise ValueError(SECRET)
            return replace(a_pod(), uid=body["metadata"]["uid"])

        monkeypatch.setattr(pod_snapshots, "pod", pod)
        self.woken, self.counted = list[PipelineKey](), list[str]()
        self.unreadable = Unreadable(self.counted.append)
        self.cache = Cache(self.unreadable.tell)
        self.intake = Intake(self.cache, self.woken.append, self.unreadable.tell)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World(monkeypatch)


def test_what_cannot_be_read_is_told_once_for_each_version(world: World, caplog: pytest.LogCaptureFixture) -> None:
    for version in ("1", "1", "2"):
        world.intake.take("pods", a_body("bad", version))
        world.intake.take_event("pods", {"type": "MODIFIED", "object": a_body("bad", version)})
        world.intake.take_event("pods", {"type": "DELETED", "object": a_body("bad", version)})

    assert world.counted == ["pods", "pods"]
    assert caplog.text.count("skipped pods default/bad: it cannot be read (ValueError)") == 2
    assert "Traceback" not in caplog.text
    assert SECRET not in caplog.text


def test_what_is_remembered_of_it_is_bounded(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_REMEMBERED", 3)

    for number in range(9):
        world.intake.take("pods", a_body("bad", uid=f"uid-{number}"))

    assert len(world.unreadable._told) == 3


def test_control_characters_do_not_reach_the_log(world: World, caplog: pytest.LogCaptureFixture) -> None:
    body = a_body("bad")
    body["metadata"]["namespace"] = "a\x1b[2J\nERROR forged\u202e"

    world.intake.take("pods", body)

    assert "skipped pods a?[2J?ERROR forged?/bad" in caplog.text


def test_an_object_that_was_known_goes_though_its_last_words_cannot_be_read(world: World) -> None:
    world.intake.take("pods", a_body("good", uid="u"))
    assert world.cache.pods.keys() == {KEY}

    world.intake.take_event("pods", {"type": "DELETED", "object": a_body("bad", uid="u")})

    assert world.cache.pods.keys() == set()
    assert world.woken == [KEY, KEY]


# --- whole bodies

_HUGE = "9" * 5000
_TIMES = st.sampled_from(
    [
        "2026-01-05T06:00:00Z",
        "0001-01-01T00:00:00+23:59",
        "9999-12-31T23:59:59-23:59",
        "2026-01-05t06:00:00z",
        _HUGE,
        "",
    ]
)
_LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(st.characters(), max_size=20),
    st.sampled_from([_HUGE, "\ud83d", f"p-r{_HUGE}", "../../../api/v1/pods", 2**63, -1]),
    _TIMES,
)
_ANYTHING = st.recursive(
    _LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)  # fmt: skip


def some(**fields: Any) -> Any:
    """Objects with some of these fields, each as it should be or not at all so."""
    return st.fixed_dictionaries({}, optional={name: field | _ANYTHING for name, field in fields.items()}) | _ANYTHING


_CAUSES = st.sampled_from(["Error", "OOMKilled", "Completed", "Evicted", "CrashLoopBackOff", "FailureTarget"])
_ENDED = some(exitCode=st.integers(0, 255), reason=_CAUSES, startedAt=_TIMES, finishedAt=_TIMES, message=_LEAVES)
_STATE = some(terminated=_ENDED, running=some(startedAt=_TIMES), waiting=some(reason=_CAUSES, message=_LEAVES))
_CONTAINERS = st.lists(
    some(name=st.just("elt"), state=_STATE, lastState=_STATE, restartCount=st.integers()), max_size=2
)
_CONDITIONS = st.lists(
    some(type=_CAUSES, status=st.sampled_from(["True", "False"]), reason=_CAUSES, lastTransitionTime=_TIMES), max_size=2
)
_KINDS = [(names.API_VERSION, "Job"), (names.API_VERSION, "Pipeline"), ("batch/v1", "Job"), ("batch/v1", "CronJob")]
_OWNERS = st.lists(
    st.builds(
        lambda kind, name, uid: {"apiVersion": kind[0], "kind": kind[1], "name": name, "uid": uid, "controller": True},
        st.sampled_from(_KINDS),
        st.just("p-r1") | _LEAVES,
        st.just("u") | _LEAVES,
    ),
    max_size=2,
)
_ANNOTATIONS = [value for name, value in vars(names).items() if name.endswith(("_ANNOTATION", "_LABEL"))]
_LABELS = st.dictionaries(st.sampled_from(_ANNOTATIONS), st.just("p") | st.just("1") | _LEAVES, max_size=9) | _ANYTHING
_METADATA = st.fixed_dictionaries(
    {"name": st.just("p-r1") | _ANYTHING, "namespace": st.just("a") | _ANYTHING, "uid": st.just("u") | _ANYTHING},
    optional={
        "resourceVersion": st.just("7") | _ANYTHING,
        "labels": _LABELS,
        "annotations": _LABELS,
        "ownerReferences": _OWNERS | _ANYTHING,
        "creationTimestamp": _TIMES | _ANYTHING,
        "deletionTimestamp": _TIMES | _ANYTHING,
        "generation": _ANYTHING,
    },
)
_TRIGGER = some(type=st.just("Schedule"), scheduledTime=_TIMES, previousScheduledTime=_TIMES)
_BODIES = _ANYTHING | st.fixed_dictionaries(
    {
        "metadata": _METADATA | _ANYTHING,
        "spec": some(
            pipelineName=st.just("p"),
            trigger=_TRIGGER,
            suspend=st.booleans(),
            schedule=st.just("* * * * *"),
            containers=_CONTAINERS,
            image=_LEAVES,
            script=_LEAVES,
            properties=_ANYTHING,
            jobTemplate=some(metadata=some(annotations=_LABELS)),
        ),
        "status": some(
            phase=st.sampled_from(["RUNNING", "QUEUED", "Running", "Failed", "COMPLETE"]),
            reason=_CAUSES,
            conditions=_CONDITIONS,
            containerStatuses=_CONTAINERS,
            initContainerStatuses=_CONTAINERS,
            startTime=_TIMES,
            attempts=st.lists(some(number=st.integers(), exitCode=st.integers(), startTime=_TIMES), max_size=2),
            lastRunNumber=st.integers(),
        ),
    }
)


class Lists:
    def __init__(self, *items: Any) -> None:
        self.items = items

    async def pages(self, _source: Source) -> AsyncIterator[Page]:
        yield Page(list(self.items), "100")


@settings(max_examples=150, deadline=None)
@given(source=st.sampled_from(SOURCES), body=_BODIES, kind=st.sampled_from(["ADDED", "MODIFIED"]) | _LEAVES)
def test_no_body_is_too_odd_for_a_list_or_a_watch(source: Source, body: Any, kind: Any) -> None:
    counted = list[str]()
    cache, queue, unreadable = Cache(), WorkQueue[PipelineKey](), Unreadable(counted.append)
    intake = Intake(cache, queue.add, unreadable.tell)
    resync = Resync(Lists(body, None, body), cache, intake, Places([]), 300)  # type: ignore[arg-type]  # only its lists are asked

    assert asyncio.run(resync.compare(source)) == "100"
    for event in ({"type": kind, "object": body}, {"type": "DELETED", "object": body}, {"type": kind}, {}):
        intake.take_event(source.plural, event)

    assert set(counted) <= {source.plural}
