"""What the reconciler asks of the cluster, against a small HTTP server."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestServer
from hypothesis import example, given, settings
from hypothesis import strategies as st
from kubernetes.aio.client import Configuration

from builders import KEY, a_cron_job, a_job, a_pipeline, a_pod, a_run, a_slot, at
from elt_operator.controller import cluster as cluster_module
from elt_operator.controller.cluster import LiveCluster, event_manifest
from elt_operator.controller.sources import Source
from elt_operator.core.events import Event
from elt_operator.core.findings import Finding
from elt_operator.core.model import EndedJob, PipelineKey, PodLog
from elt_operator.errors import Refused, Stale
from elt_operator.kube import paths
from elt_operator.kube.client import Client
from elt_operator.kube.errors import ApiError
from elt_operator.resources.reasons import Reason

BATCH, OURS, CORE = (
    f"{root}/namespaces/{KEY.namespace}" for root in ("/apis/batch/v1", "/apis/elt-operator.io/v1alpha1", "/api/v1")
)
EVENT = Event("Warning", "Rejected", "no")
ODD = PipelineKey(KEY.namespace, "../../../../api/v1/pods")


@dataclass
class Server:
    """An API server that gives these answers, in order, and then empty objects."""

    answers: list[tuple[int, Any]] = field(default_factory=list)
    asked: list[tuple[str, str, Any]] = field(default_factory=list)
    """Method, path with query, and body of each request."""

    async def answer(self, request: web.Request) -> web.Response:
        body = await request.json() if request.can_read_body else None
        self.asked.append((request.method, request.raw_path, body))
        status, said = self.answers.pop(0) if self.answers else (200, {})
        return web.json_response(said, status=status)

    @property
    def lines(self) -> list[str]:
        """Method and path of each request."""
        return [f"{method} {path}" for method, path, _ in self.asked]


@pytest_asyncio.fixture
async def made() -> AsyncIterator[tuple[LiveCluster, Server]]:
    server = Server()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", server.answer)
    async with TestServer(app) as listening, Client(Configuration(host=str(listening.make_url(""))), "test") as client:
        yield LiveCluster.behind(client), server


def a_finished_job() -> EndedJob:
    return EndedJob(KEY, "job-1", "job-1-uid", at(0), succeeded=True)


Act = Callable[[LiveCluster], Awaitable[Any]]
MANIFEST = {"metadata": {"name": "x"}}
STOP = Finding(Reason.STOPPED, "told to")
CREATES: list[Any] = [
    pytest.param(lambda live: live.create_run(KEY, MANIFEST), id="create a run"),
    pytest.param(lambda live: live.create_job(KEY, MANIFEST), id="create a Job"),
    pytest.param(lambda live: live.create_cron_job(KEY, MANIFEST), id="create a CronJob"),
]
CHANGES: list[Any] = [
    pytest.param(lambda live: live.change_cron_job(a_cron_job(), MANIFEST), id="change a CronJob"),
    pytest.param(lambda live: live.stop_run(a_run(), STOP), id="stop a run"),
]
STATUSES: list[Any] = [
    pytest.param(lambda live: live.write_job_status(KEY.namespace, "job-1", "7", {"phase": "RUNNING"}), id="Job"),
    pytest.param(lambda live: live.write_pipeline_status(KEY.namespace, "weather", "7", {}), id="Pipeline"),
]
DELETES: list[Any] = [
    pytest.param(lambda live: live.delete_run(a_run()), f"{BATCH}/jobs/weather-r1", id="run"),
    pytest.param(lambda live: live.delete_slot(a_slot()), f"{BATCH}/jobs/weather-1", id="slot"),
    pytest.param(lambda live: live.delete_cron_job(a_cron_job()), f"{BATCH}/cronjobs/weather", id="CronJob"),
    pytest.param(lambda live: live.delete_job(a_finished_job()), f"{OURS}/eltjobs/job-1", id="Job"),
    pytest.param(lambda live: live.delete_pod(KEY.namespace, "pod-1", "pod-uid"), f"{CORE}/pods/pod-1", id="pod"),
]
NO_QUOTA = (403, {"reason": "Forbidden", "message": "exceeded quota"})
ENDING = (403, {"reason": "Forbidden", "message": "unable to create: because it is being terminated"})
WRONG = (422, {"reason": "Invalid", "message": "spec is wrong"})
TOO_LARGE = (413, {"reason": "RequestEntityTooLarge", "message": "limit is 3145728"})
TOO_LARGE_FOR_ETCD = (500, {"message": "etcdserver: request is too large"})
TAKEN = (409, {"reason": "AlreadyExists", "message": "exists"})
GONE = (404, {"reason": "NotFound", "message": "no such namespace"})
AWAY = (503, {"reason": "ServiceUnavailable", "message": "away"})


@pytest.mark.parametrize("answer", [NO_QUOTA, ENDING, WRONG, TOO_LARGE, TOO_LARGE_FOR_ETCD])
@pytest.mark.parametrize("act", CREATES + CHANGES)
async def test_a_no_to_what_is_asked_for_is_a_refusal_with_words(
    made: tuple[LiveCluster, Server], act: Act, answer: tuple[int, Any]
) -> None:
    live, server = made
    server.answers = [answer]

    with pytest.raises(Refused, match=answer[1]["message"]):
        await act(live)


@pytest.mark.parametrize("answer", [WRONG, TOO_LARGE, TOO_LARGE_FOR_ETCD])
@pytest.mark.parametrize("act", STATUSES)
async def test_a_status_that_will_never_be_taken_is_a_refusal(
    made: tuple[LiveCluster, Server], act: Act, answer: tuple[int, Any]
) -> None:
    live, server = made
    server.answers = [answer]

    with pytest.raises(Refused, match=answer[1]["message"]):
        await act(live)


@pytest.mark.parametrize("act", STATUSES)
async def test_no_right_to_a_status_is_an_outage(made: tuple[LiveCluster, Server], act: Act) -> None:
    live, server = made
    server.answers = [NO_QUOTA]

    with pytest.raises(ApiError):
        await act(live)


@pytest.mark.parametrize("answer", [TAKEN, GONE])
@pytest.mark.parametrize("act", CREATES + CHANGES + STATUSES)
async def test_what_is_not_as_we_saw_it_is_looked_at_again(
    made: tuple[LiveCluster, Server], act: Act, answer: tuple[int, Any]
) -> None:
    live, server = made
    server.answers = [answer]

    with pytest.raises(Stale, match=answer[1]["message"]):
        await act(live)


@pytest.mark.parametrize("act", CREATES + CHANGES + STATUSES)
async def test_an_outage_stays_one(made: tuple[LiveCluster, Server], act: Act) -> None:
    live, server = made
    server.answers = [AWAY]

    with pytest.raises(ApiError, match="503 ServiceUnavailable: away"):
        await act(live)


@pytest.mark.parametrize("answer", [(200, {}), TAKEN, GONE])
@pytest.mark.parametrize(("act", "path"), DELETES)
async def test_only_the_object_that_is_meant_is_deleted(
    made: tuple[LiveCluster, Server], act: Act, path: str, answer: tuple[int, Any]
) -> None:
    live, server = made
    server.answers = [answer]

    await act(live)

    ((method, asked, body),) = server.asked
    assert (method, asked) == ("DELETE", path)
    assert body["preconditions"]["uid"].endswith("-uid")


async def test_a_no_to_the_end_of_a_pod_is_a_refusal(made: tuple[LiveCluster, Server]) -> None:
    live, server = made
    server.answers = [NO_QUOTA]

    with pytest.raises(Refused, match="exceeded quota"):
        await live.delete_pod(KEY.namespace, "pod-1", "uid")


async def test_a_status_is_written_over_the_version_that_was_read(made: tuple[LiveCluster, Server]) -> None:
    live, server = made

    await live.write_job_status(KEY.namespace, "job-1", "7", {"phase": "RUNNING"})

    body = {"metadata": {"resourceVersion": "7"}, "status": {"phase": "RUNNING"}}
    assert server.asked == [("PATCH", f"{OURS}/eltjobs/job-1/status", body)]


NOWHERE: list[Any] = [
    pytest.param(lambda live: live.job(KEY.namespace, ODD.pipeline), None, id="a Job"),
    pytest.param(lambda live: live.job(ODD.pipeline, "job"), None, id="a namespace"),
    pytest.param(lambda live: live.run(KEY.namespace, ".."), None, id="a run"),
    pytest.param(lambda live: live.cron_job(ODD), None, id="a CronJob"),
    pytest.param(lambda live: live.pod(KEY.namespace, "a,status.phase=Running"), None, id="a pod"),
    pytest.param(lambda live: live.log(replace(a_pod(), name="../a")), PodLog(None), id="a log"),
    pytest.param(lambda live: live.runs_of_job(KEY.namespace, "a,b"), [], id="runs of a Job"),
    pytest.param(lambda live: live.pods_of_run(KEY.namespace, "a in (b)"), [], id="pods of a run"),
    pytest.param(lambda live: live.newest_warning("a/b", "uid"), "", id="a warning"),
    pytest.param(lambda live: live.delete_pod(KEY.namespace, "..", "uid"), None, id="a pod to be deleted"),
]


@pytest.mark.parametrize(("act", "answer"), NOWHERE)
async def test_what_no_object_can_be_named_is_not_there_and_not_asked_for(
    made: tuple[LiveCluster, Server], act: Act, answer: Any
) -> None:
    live, server = made

    assert await act(live) == answer

    assert server.asked == []


@pytest.mark.parametrize(
    "act",
    [
        pytest.param(lambda live: live.create_run(PipelineKey("..", "a"), MANIFEST), id="create"),
        pytest.param(lambda live: live.write_job_status(KEY.namespace, ODD.pipeline, "7", {}), id="write a status"),
    ],
)
async def test_what_no_object_can_be_named_is_not_written(made: tuple[LiveCluster, Server], act: Act) -> None:
    live, server = made

    with pytest.raises(Stale, match="no object can be named"):
        await act(live)

    assert server.asked == []


async def test_pods_are_found_whatever_labels_were_taken_off(made: tuple[LiveCluster, Server]) -> None:
    live, server = made
    pod = {"metadata": {"name": "weather-r1-abc"}}
    server.answers = [(200, {"items": [pod], "metadata": {}})] * 2

    assert await live.pods_of_run(KEY.namespace, "weather-r1") == [pod]
    assert await live.pod(KEY.namespace, "weather-r1-abc") == pod
    by_label, by_name = server.lines
    assert "labelSelector=batch.kubernetes.io%2Fjob-name%3Dweather-r1" in by_label
    assert "elt-operator.io" not in by_label
    assert by_name == f"GET {CORE}/pods?limit=500&fieldSelector=metadata.name%3Dweather-r1-abc"


async def test_a_pod_that_is_not_there_is_none(made: tuple[LiveCluster, Server]) -> None:
    live, server = made
    server.answers = [(200, {"items": [], "metadata": {}})]

    assert await live.pod(KEY.namespace, "weather-r1-abc") is None


async def test_a_source_says_how_large_its_pages_are(made: tuple[LiveCluster, Server]) -> None:
    live, server = made
    server.answers = [(200, {"items": [], "metadata": {}})]

    _ = [page async for page in live.pages(Source(paths.PODS, page_size=50))]

    assert server.lines == ["GET /api/v1/pods?limit=50"]


# --- logs


@pytest.mark.parametrize(
    ("answers", "requests"),
    [
        pytest.param([GONE], 1, id="gone"),
        pytest.param([(400, {"message": "container is waiting to start"})], 1, id="not started"),
        pytest.param([AWAY, AWAY, AWAY], 3, id="a kubelet that is away"),
        pytest.param([(302, {}), (302, {}), (302, {})], 3, id="redirects"),
    ],
)
async def test_a_log_that_cannot_be_read_is_none(
    made: tuple[LiveCluster, Server], monkeypatch: pytest.MonkeyPatch, answers: list[Any], requests: int
) -> None:
    live, server = made
    server.answers = answers
    monkeypatch.setattr(cluster_module, "_LOG_PAUSES_SECONDS", (0.0, 0.0))

    assert await live.log(a_pod()) == PodLog(None)

    assert len(server.asked) == requests


async def test_a_log_that_the_kubelet_has_removed_is_what_was_followed_of_it(
    made: tuple[LiveCluster, Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    live, server = made

    async def follow(_namespace: str, _pod: str, _container: str, take: Callable[[bytes], None]) -> None:
        take(b"2026-01-05T07:00:00.5Z tidied up\n")

    monkeypatch.setattr(live.client, "follow_log", follow)
    live.follow_log(a_pod())
    server.answers = [GONE]

    assert (await live.log(a_pod())).text == "tidied up\n"


async def test_what_was_followed_of_a_log_is_dropped_once_it_could_be_read(
    made: tuple[LiveCluster, Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    live, server = made

    async def follow(_namespace: str, _pod: str, _container: str, take: Callable[[bytes], None]) -> None:
        take(b"2026-01-05T07:00:00.5Z working\n")

    monkeypatch.setattr(live.client, "follow_log", follow)
    live.follow_log(a_pod())
    await live.log(a_pod())
    server.answers = [GONE]

    assert await live.log(a_pod()) == PodLog(None)


async def test_a_bug_in_reading_a_log_is_no_reason_for_a_job_not_to_end(
    made: tuple[LiveCluster, Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    live, _ = made
    monkeypatch.setattr(cluster_module, "LOG_SECONDS", 0.1)

    async def broken(*_: Any) -> str:
        raise ValueError("a bug")

    monkeypatch.setattr(live.client, "log", broken)

    assert await live.log(a_pod()) == PodLog(None)


# --- events


async def test_an_event_is_about_its_object(made: tuple[LiveCluster, Server]) -> None:
    live, server = made

    await live.post_event(a_job(), EVENT, at(0))
    await live.post_event(a_pipeline(), EVENT, at(0))
    await live.post_own_event("elt-operator", "elt-operator-5f7", EVENT, at(0))

    assert server.lines == [f"POST {CORE}/events"] * 2 + ["POST /api/v1/namespaces/elt-operator/events"]
    about_job, about_pipeline, about_us = (body for _, _, body in server.asked)
    assert about_job["metadata"]["name"] == "job-1.job-1-ui.rejected"
    assert about_job["involvedObject"]["uid"] == "job-1-uid"
    assert about_pipeline["involvedObject"]["kind"] == "Pipeline"
    assert about_us["metadata"] == {"name": "elt-operator-5f7.rejected", "namespace": "elt-operator"}
    assert about_us["involvedObject"] == {
        "apiVersion": "v1",
        "kind": "Pod",
        "name": "elt-operator-5f7",
        "namespace": "elt-operator",
    }


@pytest.mark.parametrize(
    ("before", "count"),
    [
        pytest.param({"count": 4}, 5, id="told before"),
        pytest.param({}, 1, id="no count"),
        pytest.param({"count": "4"}, 1, id="text"),
        pytest.param({"count": None}, 1, id="null"),
        pytest.param({"count": -7}, 1, id="negative"),
        pytest.param({"count": 2**31 - 1}, 2**31 - 1, id="the most there can be"),
        pytest.param({"count": [1]}, 1, id="a list"),
    ],
)
async def test_an_event_that_is_told_again_is_counted(
    made: tuple[LiveCluster, Server], before: dict[str, Any], count: int
) -> None:
    live, server = made
    server.answers = [TAKEN, (200, before)]

    await live.post_event(a_job(), EVENT, at(60))

    path = f"{CORE}/events/job-1.job-1-ui.rejected"
    assert server.lines == [f"POST {CORE}/events", f"GET {path}", f"PATCH {path}"]
    assert server.asked[-1][2] == {"message": "no", "lastTimestamp": "2026-01-05T06:01:00Z", "count": count}


@settings(deadline=None)
@given(st.text(st.characters()), st.text())
@example("a" * 1025, "Rejected")
@example("\x1b[31mé\ud83d\n" + "ß" * 1023, "../..")
@example("😀" * 300, "")
def test_the_words_of_an_event_are_as_the_api_server_takes_them(message: str, reason: str) -> None:
    regarding = {"name": "weather", "namespace": "default", "uid": "0123456789"}

    event = event_manifest(regarding, Event("Warning", reason, message), at(0))

    assert event["message"].isprintable()
    assert len(event["message"].encode()) <= 1024
    assert set(event["metadata"]["name"]) <= set("abcdefghijklmnopqrstuvwxyz0123456789.")
    assert event["metadata"]["name"].startswith("weather.01234567.")


async def test_the_history_is_read_as_metadata_alone(made: tuple[LiveCluster, Server]) -> None:
    live, server = made
    server.answers = [(200, {"items": None, "metadata": {}})] * 4

    assert [job async for job in live.ended_jobs(None)] == []

    assert len(server.asked) == 4
    assert all(line.startswith("GET /apis/elt-operator.io/v1alpha1/eltjobs?limit=500&") for line in server.lines)
