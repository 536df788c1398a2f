"""What the reconciler asks of the cluster: a Protocol, so that it can be tested against a fake at this one seam."""

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Final, Protocol, Self

from elt_operator.controller import snapshots
from elt_operator.controller.last_logs import LastLogs
from elt_operator.controller.sources import Source
from elt_operator.controller.warnings import NewestWarnings
from elt_operator.core import render
from elt_operator.core.events import Event
from elt_operator.core.findings import Finding
from elt_operator.core.model import CronJob, EndedJob, Job, Pipeline, PipelineKey, Pod, PodLog, Run, Slot
from elt_operator.core.whole_log import MOST_BYTES, WholeLog
from elt_operator.errors import NotLeading, Refused, Stale
from elt_operator.kube import foreign, paths
from elt_operator.kube.answers import Page, printable
from elt_operator.kube.client import LOG_SECONDS, MERGE_PATCH, WHOLE_LOG_SECONDS, Client
from elt_operator.kube.errors import ApiError, Conflict, Forbidden, Invalid, NotFound
from elt_operator.kube.paths import Resource, Unaddressable
from elt_operator.objects import JOBS, PIPELINES
from elt_operator.resources import names
from elt_operator.resources.fields import Json

logger = logging.getLogger(__name__)

Body = Mapping[str, Any]

_LOG_PAUSES_SECONDS: Final = (0.5, 2.0)
"""Between tries to read a log."""
_EVENT_MESSAGE_BYTES: Final = 1024
"""The API server's limit (pkg/apis/core/validation/events.go)."""
_EVENT_NAME_CHARACTERS: Final = 200
_EVENT_REASON_CHARACTERS: Final = 40
_NOT_IN_A_NAME: Final = re.compile(r"[^a-z0-9]+")
_LARGEST_COUNT: Final = 2**31 - 1


class Cluster(Protocol):
    """Reads and writes of one reconciliation."""

    async def create_run(self, key: PipelineKey, manifest: Json) -> Body:
        """Create a batch Job.

        ``Refused``: quota, admission or a limit of size said no. ``Stale``: the name is taken, or the namespace gone.
        """

    async def stop_run(self, run: Run, why: Finding) -> Body:
        """Have a batch Job end, for good, and write down why.

        ``Refused``: admission said no. ``Stale``: it is gone, another one has its name, or it has changed.
        """

    async def delete_run(self, run: Run) -> None:
        """Delete a batch Job and its pods; one that is gone, or another one by now, is left as it is.

        ``Refused``: admission said no.
        """

    async def delete_job(self, job: EndedJob) -> None:
        """Delete a Job; one that is gone, or another one by now, is left as it is. ``Refused``: admission said no."""

    async def create_job(self, key: PipelineKey, manifest: Json) -> Body:
        """Create a Job.

        ``Refused``: quota, admission or a limit of size said no. ``Stale``: the name is taken, or the namespace gone.
        """

    async def delete_slot(self, slot: Slot) -> None:
        """Delete a slot; one that is gone, or another one by now, is left as it is. ``Refused``: admission said no."""

    async def create_cron_job(self, key: PipelineKey, manifest: Json) -> Body:
        """Create a CronJob.

        ``Refused``: quota, admission or a limit of size said no. ``Stale``: the name is taken, or the namespace gone.
        """

    async def change_cron_job(self, cron_job: CronJob, manifest: Json) -> Body:
        """Patch a CronJob.

        ``Refused``: admission or a limit of size said no. ``Stale``: it is gone, or another one has its name.
        """

    async def delete_cron_job(self, cron_job: CronJob) -> None:
        """Delete a CronJob and its slots; one that is gone, or another one by now, is left as it is."""

    async def cron_job(self, key: PipelineKey) -> Body | None:
        """Return the CronJob of a Pipeline's name; ``None``: there is none."""

    async def post_event(self, about: Job | Pipeline, event: Event, now: datetime) -> None:
        """Tell of something that happened to an object; the same reason told again is counted."""

    async def post_own_event(self, namespace: str, pod_name: str, event: Event, now: datetime) -> None:
        """Tell of something about the operator as a whole, at its pod; the same reason told again is counted."""

    async def write_job_status(self, namespace: str, name: str, version: str, patch: Json) -> Body:
        """Patch a Job's status if it still has this version; else ``Stale``.

        ``Refused``: it breaks a rule of the resource, or is too large; the same one will never be taken.
        """

    async def write_pipeline_status(self, namespace: str, name: str, version: str, patch: Json) -> Body:
        """Patch a Pipeline's status if it still has this version; else ``Stale``. ``Refused``: as for a Job's."""

    async def run(self, namespace: str, name: str) -> Body | None:
        """Return a batch Job; ``None``: there is none."""

    async def job(self, namespace: str, name: str) -> Body | None:
        """Return a Job; ``None``: there is none."""

    async def runs_of_job(self, namespace: str, job_name: str) -> Sequence[Body]:
        """Return the batch Jobs that were made for Jobs of this name."""

    async def pods_of_run(self, namespace: str, run_name: str) -> Sequence[Body]:
        """Return the pods that say they are of a run of this name, whatever other labels they have."""

    async def pod(self, namespace: str, name: str) -> Body | None:
        """Return a pod; ``None``: there is none."""

    async def delete_pod(self, namespace: str, name: str, uid: str) -> None:
        """Delete a pod; one that is gone, or another one by now, is left as it is. ``Refused``: admission said no."""

    def follow_log(self, pod: Pod) -> None:
        """Begin to read the log of a pod that is about to end, for when nobody can any more; see ``log``."""

    async def log(self, pod: Pod) -> PodLog:
        """Return a pod's log, or what was followed of it."""

    async def newest_warning(self, namespace: str, uid: str) -> str:
        """Return what Kubernetes last warned of about an object; empty: nothing."""


@dataclass(frozen=True)
class LiveCluster:
    """The cluster behind an API server."""

    client: Client
    warnings: NewestWarnings
    last_logs: LastLogs

    @classmethod
    def behind(cls, client: Client) -> Self:
        """Return the cluster that ``client`` is connected to."""
        return cls(client, NewestWarnings(client), LastLogs())

    async def create_run(self, key: PipelineKey, manifest: Json) -> Body:
        """See ``Cluster``."""
        return await self._create(paths.BATCH_JOBS, key, manifest)

    async def create_job(self, key: PipelineKey, manifest: Json) -> Body:
        """See ``Cluster``."""
        return await self._create(JOBS, key, manifest)

    async def create_cron_job(self, key: PipelineKey, manifest: Json) -> Body:
        """See ``Cluster``."""
        return await self._create(paths.CRON_JOBS, key, manifest)

    async def _create(self, resource: Resource, key: PipelineKey, manifest: Json) -> Body:
        with _in_our_words(Forbidden, Invalid):
            return await self.client.request("POST", resource.collection(key.namespace), manifest)

    async def change_cron_job(self, cron_job: CronJob, manifest: Json) -> Body:
        """See ``Cluster``."""
        body = {**manifest, "metadata": {**manifest["metadata"], "uid": cron_job.uid}}
        with _in_our_words(Forbidden, Invalid):
            path = paths.CRON_JOBS.object(cron_job.key.namespace, cron_job.key.pipeline)
            return await self._patch(path, body)

    async def _patch(self, path: str, body: Json) -> Body:
        return await self.client.request("PATCH", path, body, content_type=MERGE_PATCH)

    async def delete_cron_job(self, cron_job: CronJob) -> None:
        """See ``Cluster``."""
        await self._delete(paths.CRON_JOBS, cron_job.key.namespace, cron_job.key.pipeline, cron_job.uid)

    async def cron_job(self, key: PipelineKey) -> Body | None:
        """See ``Cluster``."""
        return await self._get(paths.CRON_JOBS, key.namespace, key.pipeline)

    async def delete_slot(self, slot: Slot) -> None:
        """See ``Cluster``."""
        await self._delete(paths.BATCH_JOBS, slot.key.namespace, slot.name, slot.uid)

    async def write_job_status(self, namespace: str, name: str, version: str, patch: Json) -> Body:
        """See ``Cluster``."""
        return await self._write_status(JOBS, namespace, name, version, patch)

    async def write_pipeline_status(self, namespace: str, name: str, version: str, patch: Json) -> Body:
        """See ``Cluster``."""
        return await self._write_status(PIPELINES, namespace, name, version, patch)

    async def _write_status(self, resource: Resource, namespace: str, name: str, version: str, patch: Json) -> Body:
        body = {"metadata": {"resourceVersion": version}, "status": patch}
        # Forbidden is the operator's own trouble: no right to any status.
        with _in_our_words(Invalid):
            return await self._patch(resource.object(namespace, name, "status"), body)

    async def stop_run(self, run: Run, why: Finding) -> Body:
        """See ``Cluster``."""
        annotations = {names.STOP_REASON_ANNOTATION: why.reason, names.STOP_MESSAGE_ANNOTATION: why.message}
        # How it is ended depends on what it is now: Kueue may be about to start it, or to suspend it.
        whose = {"uid": run.uid, "resourceVersion": run.resource_version or None}
        body = {"metadata": {**whose, "annotations": annotations}, "spec": render.end_of(run)}
        with _in_our_words(Forbidden, Invalid):
            return await self._patch(paths.BATCH_JOBS.object(run.key.namespace, run.name), body)

    async def delete_run(self, run: Run) -> None:
        """See ``Cluster``."""
        await self._delete(paths.BATCH_JOBS, run.key.namespace, run.name, run.uid)

    async def delete_job(self, job: EndedJob) -> None:
        """See ``Cluster``."""
        await self._delete(JOBS, job.key.namespace, job.name, job.uid)

    async def delete_pod(self, namespace: str, name: str, uid: str) -> None:
        """See ``Cluster``."""
        await self._delete(paths.PODS, namespace, name, uid)

    async def _delete(self, resource: Resource, namespace: str, name: str, uid: str) -> None:
        options = {"preconditions": {"uid": uid}, "propagationPolicy": "Background"}
        with _in_our_words(Forbidden, Invalid), suppress(NotFound, Conflict, Unaddressable):
            await self.client.request("DELETE", resource.object(namespace, name), options)

    async def post_event(self, about: Job | Pipeline, event: Event, now: datetime) -> None:
        """See ``Cluster``."""
        kind, name = ("Job", about.name) if isinstance(about, Job) else ("Pipeline", about.key.pipeline)
        regarding = {
            "apiVersion": names.API_VERSION,
            "kind": kind,
            "name": name,
            "namespace": about.key.namespace,
            "uid": about.uid,
        }
        await self._post(event_manifest(regarding, event, now))

    async def post_own_event(self, namespace: str, pod_name: str, event: Event, now: datetime) -> None:
        """See ``Cluster``."""
        regarding = {"apiVersion": "v1", "kind": "Pod", "name": pod_name, "namespace": namespace}
        await self._post(event_manifest(regarding, event, now))

    async def _post(self, manifest: Json) -> None:
        """Post an event; where there is one of its name already, count it."""
        name, namespace = manifest["metadata"]["name"], manifest["metadata"]["namespace"]
        try:
            await self.client.request("POST", paths.EVENTS.collection(namespace), manifest)
        except Conflict:
            before = foreign.integer((await self._get(paths.EVENTS, namespace, name) or {}).get("count"))
            again = {field: manifest[field] for field in ("message", "lastTimestamp")}
            counted = {**again, "count": min(max(before, 0) + 1, _LARGEST_COUNT)}
            await self._patch(paths.EVENTS.object(namespace, name), counted)

    async def _get(self, resource: Resource, namespace: str, name: str) -> Body | None:
        try:
            return await self.client.request("GET", resource.object(namespace, name))
        except (NotFound, Unaddressable):
            return None

    async def _labelled(self, resource: Resource, namespace: str, label: str, value: str) -> list[Body]:
        """Return the objects with this label."""
        try:
            path, selector = resource.collection(namespace), paths.labelled(label, value)
        except Unaddressable:
            return []
        return [body async for body in self.client.objects(path, labelSelector=selector)]

    async def run(self, namespace: str, name: str) -> Body | None:
        """See ``Cluster``."""
        return await self._get(paths.BATCH_JOBS, namespace, name)

    async def job(self, namespace: str, name: str) -> Body | None:
        """See ``Cluster``."""
        return await self._get(JOBS, namespace, name)

    async def runs_of_job(self, namespace: str, job_name: str) -> list[Body]:
        """See ``Cluster``."""
        return await self._labelled(paths.BATCH_JOBS, namespace, names.JOB_LABEL, job_name)

    async def pods_of_run(self, namespace: str, run_name: str) -> list[Body]:
        """See ``Cluster``. Our own label is not asked for: who took it off a pod did not end its process."""
        return await self._labelled(paths.PODS, namespace, "batch.kubernetes.io/job-name", run_name)

    async def pod(self, namespace: str, name: str) -> Body | None:
        """See ``Cluster``. It is listed, since the operator has no right to get one."""
        try:
            path, selector = paths.PODS.collection(namespace), paths.named(name)
        except Unaddressable:
            return None
        return next(iter([body async for body in self.client.objects(path, fieldSelector=selector)]), None)

    def follow_log(self, pod: Pod) -> None:
        """See ``Cluster``."""
        where = (pod.key.namespace, pod.name, names.CONTAINER)
        self.last_logs.follow(pod.uid, pod.started, partial(self.client.follow_log, *where))

    async def log(self, pod: Pod) -> PodLog:
        """See ``Cluster``."""
        read = await self._log_as_it_is(pod.key.namespace, pod.name, pod.started)
        if read.text is None:
            return await self.last_logs.end_of(pod.uid)
        self.last_logs.forget(pod.uid)
        return read

    async def _log_as_it_is(self, namespace: str, pod_name: str, started: datetime | None) -> PodLog:
        """Return a log as the kubelet has it; one that does not answer is asked three times, within 20 s in all."""
        loop = asyncio.get_running_loop()
        until = loop.time() + LOG_SECONDS
        for pause in (*_LOG_PAUSES_SECONDS, LOG_SECONDS):
            try:
                return await self._log(namespace, pod_name, started, until - loop.time())
            except NotLeading:
                raise
            except (NotFound, Invalid, Unaddressable):
                break
            except Exception as error:  # noqa: BLE001 - a Job must end without its log, too
                logger.debug("no log of pod %s/%s: %s: %s", namespace, pod_name, type(error).__name__, error)
            if loop.time() + pause >= until:
                break
            await asyncio.sleep(pause)
        return PodLog(None)

    async def _log(self, namespace: str, pod_name: str, started: datetime | None, seconds: float) -> PodLog:
        """Read a log from its beginning; of one that is larger than that, or slower, the end by itself."""
        whole = WholeLog(started)
        ended = await self.client.log(
            namespace,
            pod_name,
            names.CONTAINER,
            whole.feed,
            most_bytes=MOST_BYTES,
            seconds=min(seconds, WHOLE_LOG_SECONDS),
        )
        read = whole.finish(all_of_it=ended)
        if ended:
            return PodLog(read.end, read.account, read.complete)
        end = await self.client.log_end(namespace, pod_name, names.CONTAINER, seconds)
        return PodLog(end, read.account)

    async def newest_warning(self, namespace: str, uid: str) -> str:
        """See ``Cluster``."""
        return await self.warnings.about(namespace, uid)

    async def ended_jobs(self, namespace: str | None) -> AsyncIterator[EndedJob]:
        """Yield the Jobs that have ended and that the operator made itself; only their metadata is read."""
        path = JOBS.collection(namespace)
        label = f"{names.MANAGED_BY_LABEL}={names.MANAGER}"
        for selector, succeeded in HISTORY:
            async for body in self.client.objects(
                path, metadata_only=True, fieldSelector=selector, labelSelector=label
            ):
                if job := snapshots.ended_job(body, succeeded=succeeded):
                    yield job

    def pages(self, source: Source) -> AsyncIterator[Page]:
        """Yield all objects of ``source``, page by page."""
        return self.client.pages(source.path, source.selectors, limit=source.page_size)

    def watch(self, source: Source, version: str) -> AsyncIterator[dict[str, Any]]:
        """Yield what happens to the objects of ``source`` after ``version``; see ``Client.watch``."""
        return self.client.watch(source.path, source.selectors, version)


@contextmanager
def _in_our_words(*refusals: type[ApiError]) -> Iterator[None]:
    """Raise ``Stale`` where there is no such object, or another one by now, and ``Refused`` for ``refusals``."""
    try:
        yield
    except (Conflict, NotFound) as error:
        raise Stale(error.message) from error
    except Unaddressable as error:
        raise Stale(str(error)) from error
    except refusals as error:
        raise Refused(error.message) from error


HISTORY: Final = (
    ("status.phase=COMPLETE", True),
    *((f"status.phase={phase}", False) for phase in ("ERROR", "STOPPED", "UNKNOWN")),
)
"""Field selectors of Jobs that have ended, and whether they succeeded."""


def event_manifest(regarding: Json, event: Event, now: datetime) -> Json:
    """Return an event about the object that ``regarding`` refers to.

    Its name is that of the object and the reason, so that the same told again is one event.
    """
    moment = now.isoformat().replace("+00:00", "Z")
    reason = _NOT_IN_A_NAME.sub("", event.reason.lower()) or "unknown"
    name = regarding["name"][:_EVENT_NAME_CHARACTERS].rstrip(".-")
    whose = f"{name}.{regarding['uid'][:8]}" if "uid" in regarding else name
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {
            "name": f"{whose}.{reason[:_EVENT_REASON_CHARACTERS]}",
            "namespace": regarding["namespace"],
        },
        "involvedObject": regarding,
        "type": event.type,
        "reason": event.reason,
        "message": _event_message(event.message),
        "source": {"component": names.MANAGER},
        "reportingComponent": names.MANAGER,
        "firstTimestamp": moment,
        "lastTimestamp": moment,
        "count": 1,
    }


def _event_message(message: str) -> str:
    """Return ``message`` as one line that the API server takes."""
    encoded = printable(message, _EVENT_MESSAGE_BYTES).encode()
    if len(encoded) <= _EVENT_MESSAGE_BYTES:
        return encoded.decode()
    return encoded[: _EVENT_MESSAGE_BYTES - len("…".encode())].decode(errors="ignore") + "…"
