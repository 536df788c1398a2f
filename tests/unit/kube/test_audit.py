"""What a complete list tells the cache, and when all watches run."""

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import pytest

from builders import KEY
from elt_operator.api import names
from elt_operator.core.situation import FinishedJob, Key
from elt_operator.kube import sources
from elt_operator.kube.audit import Audit
from elt_operator.kube.cache import Cache
from elt_operator.kube.client import Page
from elt_operator.kube.queue import WorkQueue
from elt_operator.kube.sources import Source

OURS, KUBERNETES = sources.OURS, sources.KUBERNETES


class Lists:
    """Answers each list with these pages; something may happen while the first one is read."""

    def __init__(self, *pages: Sequence[dict[str, Any]]) -> None:
        self.read = pages
        self.meanwhile: Callable[[], object] = lambda: None

    async def pages(self, _source: Source) -> AsyncIterator[Page]:
        self.meanwhile()
        for items in self.read:
            yield Page(list(items), "100")

    async def finished(self, _namespace: str | None) -> AsyncIterator[FinishedJob]:
        nothing: Sequence[FinishedJob] = ()
        for job in nothing:
            yield job


class World:
    """An audit of all namespaces, or of these."""

    def __init__(self, lists: Lists, *namespaces: str) -> None:
        self.cache, self.queue = Cache(), WorkQueue[Key]()
        self.restarted: list[str] = []
        self.audit = Audit(lists, self.cache, self.queue, namespaces, 300, restarted=self.restarted.append)  # type: ignore[arg-type]  # only its lists are asked


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

    assert await world.audit.compare(OURS[0]) == "100"

    assert uids(world.cache) == {"kept", "new", "came meanwhile"}


async def test_a_list_of_one_namespace_says_nothing_of_another() -> None:
    world = World(Lists([]), "here", "there")
    for namespace in ("here", "there"):
        world.cache.pipelines.take(a_pipeline(f"of {namespace}", namespace))

    here, _there = sources.within(["here", "there"], OURS[:1])
    await world.audit.compare(here)

    assert uids(world.cache) == {"of there"}


async def test_a_whole_audit_forgets_what_was_learned_of_what_is_gone() -> None:
    world = World(Lists([]))
    world.cache.taken_numbers[KEY] = {7}

    await world.audit.once()

    assert world.cache.taken_numbers == {}


async def begin_all(world: World, *namespaces: str) -> None:
    for source in sources.within(namespaces, OURS):
        assert not world.audit.watching.is_set()
        world.audit.listed_anew(source.path)
    for source in sources.within(namespaces, KUBERNETES):
        assert not world.audit.watching.is_set()
        await world.audit.begin(source)


@pytest.mark.parametrize("namespaces", [(), ("here", "there")], ids=["all namespaces", "two"])
async def test_all_watches_run_once_each_has_listed(namespaces: tuple[str, ...]) -> None:
    world = World(Lists([]), *namespaces)
    world.audit.listed_anew("/apis/elt-operator.io/v1alpha1")

    await begin_all(world, *namespaces)

    assert world.audit.watching.is_set()
    assert world.restarted == []


async def test_a_watch_that_lists_anew_was_restarted_once() -> None:
    world = World(Lists([]))
    await begin_all(world)

    await world.audit.begin(KUBERNETES[1])
    world.audit.listed_anew(OURS[1].path)

    assert world.restarted == ["jobs", names.JOBS]
