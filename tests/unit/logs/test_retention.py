"""Which logs go: those that are older, or more, than their Pipeline, or else the keeper, says."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from elt_operator.archive.manifest import JobName, folder
from elt_operator.kube.answers import Page
from elt_operator.logs.jobs import Watched
from elt_operator.logs.metrics import Metrics
from elt_operator.logs.open_logs import OpenLogs
from elt_operator.logs.retention import Limits, PipelineName, logs_of, surplus
from elt_operator.logs.store import Volume
from elt_operator.logs.sweeping import Sweep
from elt_operator.logs.views import Views

NOW = datetime(2026, 6, 1, tzinfo=UTC)


def key(pipeline: str, days: float, job: str) -> str:
    name = JobName(namespace="team", name="x", uid=job, pipeline=pipeline)
    return folder(name, NOW - timedelta(days=days))


def gone(keys: list[str], limits: dict[PipelineName, Limits], days: int = 90) -> set[str]:
    logs = logs_of(f"{one}/log.zst" for one in keys)
    return {log.job for log in surplus(logs, limits, Limits(days), NOW)}


def test_a_log_goes_after_its_days() -> None:
    keys = [key("a", 91, "old"), key("a", 89, "young")]

    assert gone(keys, {}) == {"old"}


def test_a_pipeline_may_say_how_many_logs_are_kept() -> None:
    keys = [key(pipeline, days, f"{pipeline}{days}") for pipeline in ("a", "b") for days in (1, 2, 3)]

    assert gone(keys, {PipelineName("team", "a"): Limits(90, 1)}) == {"a2", "a3"}


def test_a_pipeline_may_say_how_many_days() -> None:
    keys = [key("a", 10, "a"), key("b", 10, "b")]

    assert gone(keys, {PipelineName("team", "a"): Limits(7)}) == {"a"}
    assert gone(keys, {PipelineName("team", "a"): Limits(30)}, days=7) == {"b"}


def test_what_is_none_of_ours_is_left_alone() -> None:
    assert logs_of(["v1/ns/team/a/readme", "v1/ids/x", "other/v1/ns/team/a/20260101T000000Z-x/log.zst"]) == set()


class ApiServer:
    """Has one Pipeline that keeps one log."""

    async def pages(self, path: str, _selectors: dict[str, str], **_how: int) -> Any:
        assert path.endswith("/eltpipelines")
        metadata = {"namespace": "team", "name": "a", "uid": "1"}
        yield Page([{"metadata": metadata, "spec": {"logRetention": {"count": 1}}}], "1")


async def test_the_sweep_deletes_all_of_a_log(tmp_path: Path) -> None:
    store, metrics = Volume(tmp_path), Metrics()
    watched = Watched(lambda: NOW)
    views = Views(store, OpenLogs(store, metrics), watched, lambda _job: {}, lambda: NOW)
    sweep = Sweep(store, views, ApiServer(), ["team"], 90, lambda: NOW, metrics)  # type: ignore[arg-type]  # what it needs
    for days, job in ((1, "new"), (2, "old")):
        for name in ("log.zst", "log.json", "job.json"):
            await store.put(f"{key('a', days, job)}/{name}", b"x")
        await store.put(f"v1/ids/{job}", key("a", days, job).encode())
    await store.put(f"{key('a', 3, 'new')}/log.zst", b"x")  # what was stored twice
    await store.put("v1/ns/others/a/20200101T000000Z-other/log.zst", b"x")  # not ours to delete

    assert await sweep.once() == 2

    left = [name for name, _ in await store.keys("v1")]
    assert [name for name in left if "new" not in name] == ["v1/ns/others/a/20200101T000000Z-other/log.zst"]
    assert len(left) == 5
    assert await sweep.once() == 0
