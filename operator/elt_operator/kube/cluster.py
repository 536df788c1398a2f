"""What the reconciler asks of the cluster: a Protocol, so that it can be tested against a fake at this one seam."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Protocol, Self

import aiohttp

from elt_operator.api import names
from elt_operator.api.fields import Json
from elt_operator.core.events import Event
from elt_operator.core.situation import CronJob, FinishedJob, Job, Key, Pipeline, Run, Slot, Stop
from elt_operator.errors import Refused, Stale
from elt_operator.kube import snapshots
from elt_operator.kube.client import (
    EVENTS_PATH,
    JOBS_PATH,
    MERGE_PATCH,
    PIPELINES_PATH,
    PODS_PATH,
    RUNS_PATH,
    ApiError,
    Client,
    Conflict,
    Forbidden,
    Invalid,
    NotFound,
    Page,
)
from elt_operator.kube.sources import Source
from elt_operator.kube.warnings import NewestWarnings

Body = Mapping[str, Any]

_EVENT_MESSAGE_CHARACTERS: Final = 1024
"""The API server's limit (pkg/apis/core/validation/events.go)."""


class Cluster(Protocol):
    """Reads and writes of one reconciliation."""

    async def create_run(self, key: Key, manifest: Json) -> Body:
        """Create a batch Job. ``Refused``: quota or admission said no. ``Stale``: the name is taken."""

    async def stop_run(self, run: Run, stop: Stop) -> Body:
        """Suspend a batch Job and write down why; ``Stale``: it is gone, or another one has its name."""

    async def delete_run(self, run: Run) -> None:
        """Delete a batch Job and its pods; one that is gone, or another one by now, is left as it is."""

    async def delete_job(self, job: FinishedJob) -> None:
        """Delete a Job; one that is gone, or another one by now, is left as it is."""

    async def create_job(self, key: Key, manifest: Json) -> Body:
        """Create a Job. ``Refused``: quota or admission said no. ``Stale``: the name is taken."""

    async def delete_slot(self, slot: Slot) -> None:
        """Delete a slot; one that is gone, or another one by now, is left as it is."""

    async def create_cron_job(self, key: Key, manifest: Json) -> Body:
        """Create a CronJob. ``Refused``: quota or admission said no. ``Stale``: the name is taken."""

    async def change_cron_job(self, cron_job: CronJob, manifest: Json) -> Body:
        """Patch a CronJob. ``Refused``: admission said no. ``Stale``: it is gone, or another one has its name."""

    async def delete_cron_job(self, cron_job: CronJob) -> None:
        """Delete a CronJob and its slots; one that is gone, or another one by now, is left as it is."""

    async def cron_job(self, key: Key) -> Body | None:
        """Return the CronJob of a Pipeline's name; ``None``: there is none."""

    async def post_event(self, about: Job | Pipeline, event: Event, now: datetime) -> None:
        """Tell of something that happened to an object; the same reason told again is counted."""

    async def write_job_status(self, namespace: str, name: str, version: str, patch: Json) -> Body:
        """Patch a Job's status if it still has this version; else ``Stale``."""

    async def write_pipeline_status(self, namespace: str, name: str, version: str, patch: Json) -> Body:
        """Patch a Pipeline's status if it still has this version; else ``Stale``."""

    async def run(self, namespace: str, name: str) -> Body | None:
        """Return a batch Job; ``None``: there is none."""

    async def job(self, namespace: str, name: str) -> Body | None:
        """Return a Job; ``None``: there is none."""

    async def runs_of_job(self, namespace: str, job_name: str) -> Sequence[Body]:
        """Return the batch Jobs that were made for Jobs of this name."""

    async def pods_of_run(self, namespace: str, run_name: str) -> Sequence[Body]:
        """Return the pods of a run."""

    async def log(self, namespace: str, pod_name: str) -> str | None:
        """Return the end of a pod's log; ``None``: it is lost."""

    async def newest_warning(self, namespace: str, uid: str) -> str:
        """Return what Kubernetes last warned of about an object; empty: nothing."""


@dataclass(frozen=True)
class LiveCluster:
    """The cluster behind an API server."""

    client: Client
    warnings: NewestWarnings

    @classmethod
    def behind(cls, client: Client) -> Self:
        """Return the cluster that ``client`` is connected to."""
        return cls(client, NewestWarnings(client))

    async def create_run(self, key: Key, manifest: Json) -> Body:
        """See ``Cluster``."""
        return await self._create(f"{RUNS_PATH}/namespaces/{key.namespace}/jobs", manifest)

    async def create_job(self, key: Key, manifest: Json) -> Body:
        """See ``Cluster``."""
        return await self._create(f"{JOBS_PATH}/namespaces/{key.namespace}/{names.JOBS}", manifest)

    async def create_cron_job(self, key: Key, manifest: Json) -> Body:
        """See ``Cluster``."""
        return await self._create(f"{RUNS_PATH}/namespaces/{key.namespace}/cronjobs", manifest)

    async def _create(self, path: str, manifest: Json) -> Body:
        try:
            return await self.client.request("POST", path, manifest)  # type: ignore[no-any-return]  # JSON
        except Conflict as error:
            raise Stale(error.message) from error
        except (Forbidden, Invalid) as error:
            raise Refused(error.message) from error

    async def change_cron_job(self, cron_job: CronJob, manifest: Json) -> Body:
        """See ``Cluster``."""
        body = {**manifest, "metadata": {**manifest["metadata"], "uid": cron_job.uid}}
        path = _cron_job_path(cron_job.key)
        try:
            answer = await self.client.request("PATCH", path, body, content_type=MERGE_PATCH)
        except (Conflict, NotFound) as error:
            raise Stale(error.message) from error
        except (Forbidden, Invalid) as error:
            raise Refused(error.message) from error
        return answer  # type: ignore[no-any-return]  # JSON

    async def delete_cron_job(self, cron_job: CronJob) -> None:
        """See ``Cluster``."""
        await self._delete(_cron_job_path(cron_job.key), cron_job.uid)

    async def cron_job(self, key: Key) -> Body | None:
        """See ``Cluster``."""
        return await self._get(_cron_job_path(key))

    async def delete_slot(self, slot: Slot) -> None:
        """See ``Cluster``."""
        await self._delete(f"{RUNS_PATH}/namespaces/{slot.key.namespace}/jobs/{slot.name}", slot.uid)

    async def write_job_status(self, namespace: str, name: str, version: str, patch: Json) -> Body:
        """See ``Cluster``."""
        return await self._write_status(f"{JOBS_PATH}/namespaces/{namespace}/{names.JOBS}/{name}", version, patch)

    async def write_pipeline_status(self, namespace: str, name: str, version: str, patch: Json) -> Body:
        """See ``Cluster``."""
        path = f"{PIPELINES_PATH}/namespaces/{namespace}/{names.PIPELINES}/{name}"
        return await self._write_status(path, version, patch)

    async def stop_run(self, run: Run, stop: Stop) -> Body:
        """See ``Cluster``."""
        annotations = {names.STOP_REASON_ANNOTATION: stop.reason, names.STOP_MESSAGE_ANNOTATION: stop.message}
        body = {"metadata": {"uid": run.uid, "annotations": annotations}, "spec": {"suspend": True}}
        path = f"{RUNS_PATH}/namespaces/{run.key.namespace}/jobs/{run.name}"
        try:
            answer = await self.client.request("PATCH", path, body, content_type=MERGE_PATCH)
        except (Conflict, NotFound) as error:
            raise Stale(error.message) from error
        return answer  # type: ignore[no-any-return]  # JSON

    async def delete_run(self, run: Run) -> None:
        """See ``Cluster``."""
        await self._delete(f"{RUNS_PATH}/namespaces/{run.key.namespace}/jobs/{run.name}", run.uid)

    async def delete_job(self, job: FinishedJob) -> None:
        """See ``Cluster``."""
        await self._delete(f"{JOBS_PATH}/namespaces/{job.key.namespace}/{names.JOBS}/{job.name}", job.uid)

    async def _delete(self, path: str, uid: str) -> None:
        options = {"preconditions": {"uid": uid}, "propagationPolicy": "Background"}
        with suppress(NotFound, Conflict):
            await self.client.request("DELETE", path, options)

    async def post_event(self, about: Job | Pipeline, event: Event, now: datetime) -> None:
        """See ``Cluster``."""
        namespace = about.key.namespace
        manifest = event_manifest(about, event, now)
        events = f"{EVENTS_PATH}/namespaces/{namespace}/events"
        try:
            await self.client.request("POST", events, manifest)
        except Conflict:
            path = f"{events}/{manifest['metadata']['name']}"
            before = await self._get(path) or {}
            again = {name: manifest[name] for name in ("message", "lastTimestamp")}
            counted = {**again, "count": before.get("count", 0) + 1}
            await self.client.request("PATCH", path, counted, content_type=MERGE_PATCH)

    async def _write_status(self, path: str, version: str, patch: Json) -> Body:
        body = {"metadata": {"resourceVersion": version}, "status": patch}
        try:
            answer = await self.client.request("PATCH", f"{path}/status", body, content_type=MERGE_PATCH)
        except (Conflict, NotFound) as error:
            raise Stale(error.message) from error
        return answer  # type: ignore[no-any-return]  # JSON

    async def _get(self, path: str) -> Body | None:
        try:
            return await self.client.request("GET", path)  # type: ignore[no-any-return]  # JSON
        except NotFound:
            return None

    async def run(self, namespace: str, name: str) -> Body | None:
        """See ``Cluster``."""
        return await self._get(f"{RUNS_PATH}/namespaces/{namespace}/jobs/{name}")

    async def job(self, namespace: str, name: str) -> Body | None:
        """See ``Cluster``."""
        return await self._get(f"{JOBS_PATH}/namespaces/{namespace}/{names.JOBS}/{name}")

    async def runs_of_job(self, namespace: str, job_name: str) -> list[Body]:
        """See ``Cluster``."""
        path = f"{RUNS_PATH}/namespaces/{namespace}/jobs"
        selector = f"{names.JOB_LABEL}={job_name},{names.PIPELINE_LABEL}"
        return [body async for body in self.client.objects(path, labelSelector=selector)]

    async def pods_of_run(self, namespace: str, run_name: str) -> list[Body]:
        """See ``Cluster``."""
        path = f"{PODS_PATH}/namespaces/{namespace}/pods"
        selector = f"batch.kubernetes.io/job-name={run_name},{names.PIPELINE_LABEL}"
        return [body async for body in self.client.objects(path, labelSelector=selector)]

    async def log(self, namespace: str, pod_name: str) -> str | None:
        """See ``Cluster``. A kubelet that does not answer is asked three times; a Job must end without its log, too."""
        for pause in (0.5, 2.0, None):
            try:
                return await self.client.log(namespace, pod_name)
            except (NotFound, Invalid):
                return None
            except (ApiError, aiohttp.ClientError, TimeoutError):
                if pause is None:
                    return None
                await asyncio.sleep(pause)
        return None

    async def newest_warning(self, namespace: str, uid: str) -> str:
        """See ``Cluster``."""
        return await self.warnings.about(namespace, uid)

    async def finished(self, namespace: str | None) -> AsyncIterator[FinishedJob]:
        """Yield the Jobs that have ended and that the operator made itself; only their metadata is read."""
        place = f"/namespaces/{namespace}" if namespace else ""
        path = f"{JOBS_PATH}{place}/{names.JOBS}"
        label = f"{names.MANAGED_BY_LABEL}={names.MANAGER}"
        for selector, succeeded in HISTORY:
            async for body in self.client.objects(
                path, metadata_only=True, fieldSelector=selector, labelSelector=label
            ):
                if job := snapshots.finished_job(body, succeeded=succeeded):
                    yield job

    def pages(self, source: Source) -> AsyncIterator[Page]:
        """Yield all objects of ``source``, page by page."""
        return self.client.pages(source.path, source.selectors)

    def watch(self, source: Source, version: str) -> AsyncIterator[dict[str, Any]]:
        """Yield what happens to the objects of ``source`` after ``version``; see ``Client.watch``."""
        return self.client.watch(source.path, source.selectors, version)


def _cron_job_path(key: Key) -> str:
    return f"{RUNS_PATH}/namespaces/{key.namespace}/cronjobs/{key.pipeline}"


HISTORY: Final = (
    ("status.phase=COMPLETE", True),
    *((f"status.phase={phase}", False) for phase in ("ERROR", "STOPPED", "UNKNOWN")),
)
"""Field selectors of Jobs that have ended, and whether they succeeded."""


def event_manifest(about: Job | Pipeline, event: Event, now: datetime) -> Json:
    """Return an event; its name is that of the object and the reason, so that the same told again is one event."""
    kind, name = ("Job", about.name) if isinstance(about, Job) else ("Pipeline", about.key.pipeline)
    moment = now.isoformat().replace("+00:00", "Z")
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": f"{name}.{about.uid[:8]}.{event.reason.lower()}", "namespace": about.key.namespace},
        "involvedObject": {
            "apiVersion": names.API_VERSION,
            "kind": kind,
            "name": name,
            "namespace": about.key.namespace,
            "uid": about.uid,
        },
        "type": event.type,
        "reason": event.reason,
        "message": event.message[:_EVENT_MESSAGE_CHARACTERS],
        "source": {"component": names.MANAGER},
        "reportingComponent": names.MANAGER,
        "firstTimestamp": moment,
        "lastTimestamp": moment,
        "count": 1,
    }
