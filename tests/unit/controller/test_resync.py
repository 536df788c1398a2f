"""What complete lists tell the cache, and what becomes of a namespace that cannot be read."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import pytest

from builders import KEY, START
from elt_operator.controller import resync, sources, watches
from elt_operator.controller.cache import Cache
from elt_operator.controller.intake import Intake, Unreadable
from elt_operator.controller.places import Places
from elt_operator.controller.queue import WorkQueue
from elt_operator.controller.resync import Resync
from elt_operator.controller.sources import Source
from elt_operator.controller.watches import Watches
from elt_operator.core.model import EndedJob, PipelineKey
from elt_operator.kube.answers import Page
from elt_operator.kube.errors import ApiError, Forbidden, NotFound
from elt_operator.resources import names

PIPELINES, PODS = sources.BY_REFLECTORS[0], sources.BY_REFLECTORS[3]
FORBIDDEN = Forbidden(403, "Forbidden", "pods is forbidden")
OUTAGE = ApiError(500, "InternalError", "etcd is away")


class Lists:
    """Answers each list with these pages, or an error; something may happen while the first one is read."""

    def __init__(self, *pages: Sequence[Any]) -> None:
        self.read = pages
        self.meanwhile: Callable[[], object] = lambda: None
        self.refused: dict[str | None, Exception] = {}
        """What a list of pods is answered, by its namespace."""
        self.ended: dict[str | None, list[EndedJob] | Exception] = {}
        self.answers: list[Exception] = []
        """What the next lists of pods are answered."""
        self.asked: list[str | None] = []
        self.unwatchable: set[str] = set()
        """Plurals of what must not be watched."""

    def recover(self, when: bool) -> None:
        if when:
            self.refused = {}

    async def pages(self, source: Source) -> AsyncIterator[Page]:
        self.meanwhile()
        self.asked.append(source.namespace)
        if source.plural == "pods" and (self.answers or source.namespace in self.refused):
            raise self.answers.pop(0) if self.answers else self.refused[source.namespace]
        for items in self.read:
            yield Page(list(items), "100")

    async def watch(self, source: Source, _version: str) -> AsyncIterator[Any]:
        if source.plural in self.unwatchable:
            raise FORBIDDEN
        yield {"type": "BOOKMARK", "object": {}}

    async def ended_jobs(self, namespace: str | None) -> AsyncIterator[EndedJob]:
        jobs = self.ended.get(namespace, [])
        if isinstance(jobs, Exception):
            raise jobs
        for job in jobs:
            yield job


class World:
    """The resync and the watches of all namespaces, or of these."""

    def __init__(self, lists: Lists, *namespaces: str) -> None:
        self.cache, self.queue, self.lists = Cache(), WorkQueue[PipelineKey](), lists
        self.restarted: list[str] = []
        self.unreadable: list[str] = []
        self.places = Places(namespaces, self.restarted.append)
        intake = Intake(self.cache, self.queue.add, Unreadable(self.unreadable.append).tell)
        self.resync = Resync(lists, self.cache, intake, self.places, 300)  # type: ignore[arg-type]  # only its lists are asked
        self.watches = Watches(lists, intake, self.places, self.resync)  # type: ignore[arg-type]  # only lists and watches

    async def begin(self, *namespaces: str | None) -> None:
        for namespace in namespaces:
            for source in sources.of(namespace, sources.BY_KOPF):
                self.watches.listed_anew(source)
            for source in sources.of(namespace, sources.BY_REFLECTORS):
                await self.watches.reflector(source).list()

    @property
    def left_out(self) -> list[str]:
        return [place.name for place in self.places.left_out]


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (resync, watches):
        for name in [name for name in vars(module) if name.endswith("_SECONDS")]:
            monkeypatch.setattr(module, name, 0)


def a_pipeline(uid: str, namespace: str = KEY.namespace) -> dict[str, Any]:
    metadata = {"name": KEY.pipeline, "namespace": namespace, "uid": uid, "resourceVersion": "7", "generation": 1}
    return {"metadata": metadata, "spec": {"image": "elt:1", "command": ["true"]}}


def uids(cache: Cache) -> set[str]:
    return {pipeline.uid for pipeline in cache.pipelines.all()}


async def test_a_complete_list_shows_what_is_gone() -> None:
    lists = Lists([a_pipeline("kept")], [a_pipeline("new")])
    world = World(lists)
    for uid in ("gone", "kept"):
        world.cache.pipelines.take(a_pipeline(uid))
    lists.meanwhile = lambda: world.cache.pipelines.take(a_pipeline("came meanwhile"))

    assert await world.resync.compare(PIPELINES) == "100"

    assert uids(world.cache) == {"kept", "new", "came meanwhile"}


async def test_a_list_of_one_namespace_says_nothing_of_another() -> None:
    world = World(Lists([]), "here", "there")
    for namespace in ("here", "there"):
        world.cache.pipelines.take(a_pipeline(f"of {namespace}", namespace))

    (here,) = sources.of("here", [PIPELINES])
    await world.resync.compare(here)

    assert uids(world.cache) == {"of there"}


async def test_a_whole_resync_forgets_what_was_learned_of_what_is_gone() -> None:
    world = World(Lists([]))
    world.cache.taken_numbers[KEY] = {7}

    await world.resync.once()

    assert world.cache.taken_numbers == {}


@pytest.mark.parametrize("namespaces", [(), ("here", "there"), ("here", "here")], ids=["all", "two", "one twice"])
async def test_all_watches_run_once_each_has_listed(namespaces: tuple[str, ...]) -> None:
    world = World(Lists([]), *namespaces)
    places: Sequence[str | None] = namespaces or [None]
    missing = [source for place in dict.fromkeys(places) for source in sources.of(place)]
    for source in missing:
        assert not world.places.watching.is_set()
        await world.watches.reflector(source).list()

    assert world.places.watching.is_set()
    assert world.restarted == []


async def test_a_watch_that_lists_anew_was_restarted_once() -> None:
    world = World(Lists([]))
    await world.begin(None)

    await world.watches.reflector(PODS).list()
    world.watches.listed_anew(sources.BY_KOPF[0])

    assert world.restarted == ["pods", names.JOBS]


# --- objects that cannot be read

ODD: list[Any] = [
    pytest.param(None, id="null"),
    pytest.param("text", id="a text"),
    pytest.param([], id="a list"),
    pytest.param({}, id="nothing in it"),
    pytest.param({"metadata": None}, id="no metadata"),
    pytest.param({"metadata": {"uid": 7, "namespace": [], "name": {}}}, id="metadata of other types"),
    pytest.param({"metadata": {"uid": "u", "namespace": "a", "resourceVersion": "9" * 5000}}, id="a huge version"),
    pytest.param({"metadata": {"name": "\ud83d", "namespace": "a", "uid": "\ud83d"}}, id="half an emoji"),
]


@pytest.mark.parametrize("body", ODD)
@pytest.mark.parametrize("source", list(sources.of(None)), ids=lambda source: source.path.rsplit("/", 1)[1])
async def test_an_object_that_cannot_be_read_hides_no_other(source: Source, body: Any) -> None:
    world = World(Lists([body, a_pipeline("other")], [a_pipeline("next page")]))

    assert await world.resync.compare(source) == "100"

    if source.plural == names.PIPELINES:
        assert uids(world.cache) >= {"other", "next page"}


# --- a namespace that cannot be read


async def test_a_namespace_that_cannot_be_read_is_left_out_and_the_others_go_on() -> None:
    world = World(Lists([]), "a", "b")
    world.lists.refused = {"b": FORBIDDEN}

    await world.resync.until_done()
    await world.begin("a")

    assert world.left_out == ["b"]
    assert [world.places.serves(namespace) for namespace in ("a", "b", "elsewhere")] == [True, False, False]
    assert world.places.watching.is_set()


async def test_what_is_known_of_a_namespace_stays_while_it_is_left_out() -> None:
    world = World(Lists([]), "a", "b")
    world.lists.refused = {"b": FORBIDDEN}
    await world.resync.once()
    world.cache.pipelines.take(a_pipeline("of b", "b"))
    world.lists.asked.clear()

    await world.resync.once()

    assert uids(world.cache) == {"of b"}
    assert "b" not in world.lists.asked


@pytest.mark.parametrize(
    "error", [FORBIDDEN, NotFound(404, "NotFound", "the server could not find the requested resource")], ids=str
)
async def test_all_namespaces_at_once_that_cannot_be_read_are_waited_for(error: Exception) -> None:
    world = World(Lists([]))
    world.lists.refused = {None: error}

    await world.resync.until_done()

    assert world.left_out == ["all namespaces"]
    assert not world.places.serves("anywhere")
    assert not world.places.watching.is_set()


async def test_a_refusal_of_a_moment_leaves_nothing_out() -> None:
    world = World(Lists([]), "a", "b")
    world.lists.refused = {"b": FORBIDDEN}
    world.lists.meanwhile = lambda: world.lists.recover(world.lists.asked.count("b") >= 5)

    await world.resync.once()

    assert world.left_out == []


async def test_an_outage_leaves_nothing_out() -> None:
    world = World(Lists([]), "a", "b")
    await world.resync.once()
    world.lists.refused = {"a": OUTAGE}
    world.lists.asked.clear()

    with pytest.raises(ApiError, match="etcd is away"):
        await world.resync.once()

    assert world.left_out == []
    assert "b" in world.lists.asked, "the others are listed all the same"


async def test_a_start_does_not_wait_for_one_namespace_whose_lists_fail() -> None:
    world = World(Lists([]), "a", "b")
    world.lists.refused = {"b": OUTAGE}

    await world.resync.once()

    assert world.left_out == ["b"]


async def test_a_start_waits_while_the_api_server_answers_nothing(caplog: pytest.LogCaptureFixture) -> None:
    world = World(Lists([]), "a", "b")
    world.lists.refused = {"a": OUTAGE, "b": OUTAGE}
    world.lists.meanwhile = lambda: world.lists.recover(len(world.lists.asked) > 30)

    await world.resync.until_done()

    assert world.left_out == []
    assert "the cluster cannot be listed yet; trying again: ApiError: 500 InternalError: etcd is away" in caplog.text


async def test_a_bug_in_a_resync_is_told_once_with_its_traceback(caplog: pytest.LogCaptureFixture) -> None:
    world = World(Lists([]))
    world.lists.refused = {None: ValueError("no number")}
    world.lists.meanwhile = lambda: world.lists.recover(len(world.lists.asked) > 20)

    await world.resync.until_done()

    assert caplog.text.count("this is a bug in the operator: ValueError: no number") > 1
    assert caplog.text.count("Traceback") == 1


async def test_a_namespace_is_taken_up_again_by_itself() -> None:
    world = World(Lists([]), "a", "b")
    world.lists.refused = {"b": FORBIDDEN}
    await world.resync.once()
    (place,) = world.places.left_out
    world.lists.refused, world.lists.answers = {}, [FORBIDDEN, OUTAGE, ValueError("odd")]

    await asyncio.wait_for(world.watches.take_up(place), 5)

    assert world.left_out == []
    assert not world.places.serves("b"), "its watches do not run yet"
    world.cache.pipelines.take(a_pipeline("of b", "b"))
    await world.begin("b")
    assert world.places.serves("b")
    assert world.queue.depth == 1, "its Pipelines are looked at"


async def test_a_right_that_is_taken_away_is_noticed_though_the_watches_go_on() -> None:
    world = World(Lists([]), "a", "b")
    await world.resync.once()
    await world.begin("a", "b")
    world.lists.refused = {"b": FORBIDDEN}

    place = world.places.of("b")
    assert place
    await asyncio.wait_for(world.watches.until_left_out(place), 5)

    assert world.left_out == ["b"]
    assert [world.places.serves(namespace) for namespace in ("a", "b")] == [True, False]


async def test_a_watch_that_is_refused_has_its_place_looked_at() -> None:
    world = World(Lists([]))
    await world.begin(None)
    (place,) = world.places.all
    looking = asyncio.create_task(world.watches.until_left_out(place))
    world.lists.refused = {None: FORBIDDEN}

    world.places.doubt(PODS, FORBIDDEN)
    await asyncio.wait_for(looking, 5)

    assert world.left_out == ["all namespaces"]


async def test_what_may_be_listed_but_not_watched_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watches, "_REPEATED_SECONDS", 5)
    world = World(Lists([]))
    await world.begin(None)
    (place,) = world.places.all
    world.places.doubt(PODS, FORBIDDEN)
    looking = asyncio.create_task(world.watches.until_left_out(place))
    await asyncio.sleep(0)
    assert not place.doubted.is_set(), "the first refusal is looked into"

    world.places.doubt(PODS, FORBIDDEN)
    await asyncio.wait_for(looking, 5)

    assert place.left_out == "403 Forbidden: pods is forbidden"


async def test_what_may_not_be_watched_is_not_taken_up() -> None:
    world = World(Lists([]), "a")
    (place,) = world.places.all
    world.places.leave_out(place, FORBIDDEN)
    world.lists.unwatchable = {"cronjobs"}
    world.lists.meanwhile = lambda: world.lists.unwatchable.clear() if len(world.lists.asked) > 20 else None

    await asyncio.wait_for(world.watches.take_up(place), 5)

    assert len(world.lists.asked) >= 25, "five lists for each try"


async def test_the_history_of_one_namespace_is_read_by_itself() -> None:
    world = World(Lists([]), "a", "b", "c")
    old = [EndedJob(PipelineKey(place, "p"), "old", f"old of {place}", START, succeeded=True) for place in "abc"]
    world.cache.history = {job.key: {job.uid: job} for job in old}
    world.lists.ended = {"a": [], "b": ValueError("odd")}
    world.lists.refused = {"c": FORBIDDEN}

    await world.resync.once()

    assert set(world.cache.history) == {PipelineKey("b", "p"), PipelineKey("c", "p")}
