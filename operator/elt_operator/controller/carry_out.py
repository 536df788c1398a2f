"""Carrying out: the one place that knows how to perform each action of a plan, and what to remember of it."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, assert_never

from elt_operator.controller import snapshots
from elt_operator.controller.cache import Cache
from elt_operator.controller.cluster import Cluster
from elt_operator.controller.metrics import Metrics
from elt_operator.controller.queue import LONGEST_BACK_OFF_SECONDS, WorkQueue
from elt_operator.core import faults, run_names
from elt_operator.core.actions import (
    Action,
    ChangeCronJob,
    CreateJob,
    CreateRun,
    DeleteJob,
    DeleteRun,
    DeleteSlot,
    EndPod,
    StopRun,
    WriteJobStatus,
    WritePipelineStatus,
)
from elt_operator.core.events import Event
from elt_operator.core.model import EndedJob, Job, Pipeline, PipelineKey, Refusal, Run, Slot
from elt_operator.errors import FailsOn, OperatorError, Refused, Stale
from elt_operator.kube import foreign
from elt_operator.kube.troubles import OUTAGES
from elt_operator.resources import names
from elt_operator.resources.fields import Fields, Json
from elt_operator.resources.reasons import Reason

logger = logging.getLogger(__name__)

_DELETED_AGAIN_AFTER: Final = timedelta(minutes=5)
"""When a deletion that was refused is tried again: no Job waits for it."""


def merge_patch(stored: Json, wanted: Json) -> Json:
    """Return the JSON merge patch (RFC 7386) that turns ``stored`` into ``wanted``."""
    patch: Json = {name: None for name in stored if name not in wanted}
    for name, value in wanted.items():
        before = stored.get(name)
        if isinstance(value, dict) and isinstance(before, dict):
            value = merge_patch(before, value)  # noqa: PLW2901 - the same value, as a patch
            if value:
                patch[name] = value
        elif value != before:
            patch[name] = value
    return patch


def status_patch(stored: Fields, wanted: Fields) -> Json:
    """Return the merge patch from one status to another; what the schema defaults is written out all the same."""
    always = {name: value for name, value in wanted.as_json().items() if name in {"phase", "reason"}}
    return {**merge_patch(stored.as_json(), wanted.as_json()), **always}


@dataclass(frozen=True)
class Executor:
    """Performs actions, and keeps the cache, the metrics and the log up to date with them."""

    cluster: Cluster
    cache: Cache
    queue: WorkQueue[PipelineKey]
    clock: Callable[[], datetime]
    metrics: Metrics
    _undeletable: dict[str, datetime] = field(default_factory=dict)
    """Until when what may not be deleted is left alone, by its UID."""

    async def carry_out(self, actions: Sequence[Action]) -> None:
        """Perform ``actions`` in order; stop at the first error."""
        for action in actions:
            with faults.about(_whose(action), (*OUTAGES, OperatorError)):
                await self._perform(action)

    async def _perform(self, action: Action) -> None:
        match action:
            case CreateRun():
                await self._create_run(action)
            case StopRun():
                await self._stop_run(action)
            case EndPod():
                await self._end_pod(action)
            case CreateJob():
                await self._create_job(action)
            case ChangeCronJob():
                await self._change_cron_job(action)
            case DeleteRun() | DeleteJob() | DeleteSlot():
                await self._delete_or_leave(action)
            case WriteJobStatus():
                await self._write_job_status(action)
            case WritePipelineStatus():
                await self._write_pipeline_status(action)
            case _:
                assert_never(action)

    async def _end_pod(self, action: EndPod) -> None:
        pod, job = action.pod, action.job
        self.cache.pods_told_to_end.add(pod.uid)
        try:
            await self.cluster.delete_pod(pod.key.namespace, pod.name, pod.uid)
        except Refused as refused:
            logger.warning("%s: pod %s cannot be deleted: %s", job.key, pod.name, refused)
            return
        _log(job.key, job.name, "pod %s deleted: containers that are not part of the run kept it alive", pod.name)

    async def _delete_or_leave(self, action: DeleteRun | DeleteJob | DeleteSlot) -> None:
        """Delete what is done with; what may not be deleted is left for a while, so that all else goes on."""
        found = _deleted(action)
        now = self.clock()
        if now < self._undeletable.get(found.uid, now):
            return
        try:
            await self._delete(action)
        except Refused as refused:
            for uid in [uid for uid, until in self._undeletable.items() if until <= now]:
                del self._undeletable[uid]
            self._undeletable[found.uid] = now + _DELETED_AGAIN_AFTER
            self.queue.add_after(found.key, _DELETED_AGAIN_AFTER.total_seconds())
            logger.warning("%s: %s cannot be deleted: %s", found.key, found.name, refused)

    async def _delete(self, action: DeleteRun | DeleteJob | DeleteSlot) -> None:
        match action:
            case DeleteRun(run, job, events):
                await self.cluster.delete_run(run)
                self.cache.runs.forget(run.uid)
                logger.debug("%s: run %s removed; its Job records how it ended", run.key, run.name)
                if job:
                    await self.tell(job, events)
            case DeleteJob(ended):
                await self.cluster.delete_job(ended)
                self.cache.history.get(ended.key, {}).pop(ended.uid, None)
                _log(ended.key, ended.name, "removed (history limits of the Pipeline)")
            case DeleteSlot(pipeline, slot, events):
                await self.cluster.delete_slot(slot)
                self.cache.slots.forget(slot.uid)
                await self.tell(pipeline, events)

    async def _write_pipeline_status(self, action: WritePipelineStatus) -> None:
        pipeline, name = action.pipeline, action.pipeline.key.pipeline
        patch = status_patch(pipeline.status, action.status)
        version = pipeline.resource_version
        try:
            body = await self.cluster.write_pipeline_status(pipeline.key.namespace, name, version, patch)
        except Refused as refused:
            raise FailsOn(pipeline.uid, pipeline.generation, str(refused)) from refused
        self.cache.pipelines.take(body)
        self.metrics.slots_skipped.inc((action.status.skipped_slots or 0) - (pipeline.status.skipped_slots or 0))
        await self.tell(pipeline, action.events)

    async def _create_run(self, action: CreateRun) -> None:
        job = action.job
        try:
            body = await self.cluster.create_run(job.key, action.manifest)
        except Refused as refused:
            self._remember_refusal(job.uid, str(refused))
            return
        except Stale:
            await self._look_at_holder(job.key, action.number)
            raise
        self.cache.refusals.pop(job.uid, None)
        self.cache.runs.take(body)
        self.metrics.queue_wait.observe(max(0.0, (self.clock() - job.created).total_seconds()))
        _log(job.key, job.name, "run %s created", body["metadata"]["name"])

    async def _create_job(self, action: CreateJob) -> None:
        key, name = action.key, action.manifest["metadata"]["name"]
        made = self.cache.caused_jobs.setdefault(key, {})
        try:
            body = await self.cluster.create_job(key, action.manifest)
        except Refused as refused:
            self._remember_refusal(action.cause_uid, str(refused))
            return
        except Stale:
            if live := await self.cluster.job(key.namespace, name):
                causes = foreign.part(live, "metadata", "annotations")
                made[action.cause_uid] = causes.get(names.SLOT_ANNOTATION) == action.cause_uid
            raise
        self.cache.refusals.pop(action.cause_uid, None)
        made[action.cause_uid] = True
        self.cache.jobs.take(body)
        _log(key, name, "created for its slot in the schedule")

    async def _change_cron_job(self, action: ChangeCronJob) -> None:
        """Make, patch or delete a CronJob; a Pipeline whose CronJob is refused says so, and goes on without it."""
        pipeline, found, manifest = action.pipeline, action.change.found, action.change.manifest
        key = pipeline.key
        try:
            if manifest is None:
                if found:
                    await self.cluster.delete_cron_job(found)
                    self.cache.cron_jobs.forget(found.uid)
                    logger.info("%s: CronJob removed", key)
                return
            body = await (
                self.cluster.change_cron_job(found, manifest) if found else self.cluster.create_cron_job(key, manifest)
            )
        except Refused as refused:
            self._remember_refusal(pipeline.uid, str(refused))
            return
        except Stale:
            if found:
                self.cache.cron_jobs.forget(found.uid)
            if live := await self.cluster.cron_job(key):
                self.cache.cron_jobs.take(live)
            raise
        self.cache.refusals.pop(pipeline.uid, None)
        self.cache.cron_jobs.take(body)
        logger.info("%s: CronJob in place: %s", key, manifest["metadata"]["annotations"][names.SCHEDULE_ANNOTATION])

    async def _stop_run(self, action: StopRun) -> None:
        run = action.run
        try:
            body = await self.cluster.stop_run(run, action.why)
        except Stale:
            live = await self.cluster.run(run.key.namespace, run.name)
            if live is None or live["metadata"]["uid"] != run.uid:
                self.cache.forget("jobs", run.uid)
            else:
                self.cache.runs.take(live)
            raise
        except Refused as refused:
            self._remember_refusal(run.uid, str(refused))
            return
        self.cache.refusals.pop(run.uid, None)
        self.cache.runs.take(body)
        _log(run.key, run.job_name, "run %s: %s", run.name, action.why.message, reason=action.why.reason)

    def _remember_refusal(self, uid: str, message: str) -> None:
        before = self.cache.refusals.get(uid)
        times = before.times + 1 if before else 1
        wait = timedelta(seconds=min(2.0**times, LONGEST_BACK_OFF_SECONDS))
        self.cache.refusals[uid] = Refusal(message, self.clock() + wait, times)

    async def _look_at_holder(self, key: PipelineKey, number: int) -> None:
        """Learn who has the name that our run should have had: an earlier self of ours, another Job, or a stranger."""
        name = run_names.run_name(key.pipeline, number)
        body = await self.cluster.run(key.namespace, name)
        if body is None:
            return
        if snapshots.run(body):
            self.cache.runs.take(body)
        else:
            self.cache.taken_numbers.setdefault(key, set()).add(number)
            message = f"Batch Job {name} does not belong to the operator; its run number is skipped."
            logger.warning("%s: %s", key, message)
            for pipeline in self.cache.pipelines.of(key):
                await self.tell(pipeline, [Event("Warning", Reason.NAME_CONFLICT, message)])

    async def _write_job_status(self, action: WriteJobStatus) -> None:
        job, status = action.job, action.status
        namespace = job.key.namespace
        patch = status_patch(job.status, status)
        try:
            body = await self.cluster.write_job_status(namespace, job.name, job.resource_version, patch)
        except Stale:
            await self._read_again(namespace, job.name, job.uid)
            raise
        except Refused as refused:
            raise FailsOn(job.uid, job.generation, str(refused)) from refused
        written = snapshots.job(body)
        if written and written.ended:
            self.cache.ended_jobs.setdefault(job.key, {})[written.uid] = written
            self._count_end(written)
        self.cache.jobs.take(body)
        _log(job.key, job.name, "%s, %s: %s", status.phase, status.reason, _said(status), reason=status.reason)
        await self.tell(job, action.events)

    def _count_end(self, job: Job) -> None:
        status = job.status
        self.metrics.jobs_ended.labels(status.phase.value, status.reason).inc()
        self.metrics.count_result(job.key, status)
        if status.start_time and status.end_time:
            seconds = (status.end_time - status.start_time).total_seconds()
            self.metrics.run_duration.labels(status.phase.value).observe(max(0.0, seconds))

    async def tell(self, about: Job | Pipeline, events: Sequence[Event]) -> None:
        """Post events; nothing depends on them, so one that cannot be posted is only logged."""
        for event in events:
            try:
                await self.cluster.post_event(about, event, self.clock())
            except (*OUTAGES, Refused) as error:
                logger.warning("%s: event %s could not be posted: %s", about.key, event.reason, error)

    async def _read_again(self, namespace: str, name: str, uid: str) -> None:
        body = await self.cluster.job(namespace, name)
        if body is None or body["metadata"]["uid"] != uid:
            self.cache.jobs.forget(uid)
        if body is not None:
            self.cache.jobs.take(body)


def _deleted(action: DeleteRun | DeleteJob | DeleteSlot) -> Run | EndedJob | Slot:
    match action:
        case DeleteRun(run):
            return run
        case DeleteJob(ended):
            return ended
        case DeleteSlot(slot=slot):
            return slot


def _whose(action: Action) -> Job | Pipeline | None:
    """Return the object that ``action`` is about; ``None``: none that has a status."""
    match action:
        case CreateRun(job=job) | EndPod(job=job) | WriteJobStatus(job=job):
            return job
        case ChangeCronJob(pipeline=pipeline) | DeleteSlot(pipeline=pipeline) | WritePipelineStatus(pipeline=pipeline):
            return pipeline
        case _:
            return None


def _log(key: PipelineKey, job: str, message: str, *arguments: object, reason: str = "") -> None:
    """Tell of a change of a Job's state, for people and for what collects logs."""
    fields = {"namespace": key.namespace, "pipeline": key.pipeline, "job": job}
    extra = {**fields, **({"reason": reason} if reason else {})}
    logger.info(f"Job %s/%s: {message}", key.namespace, job, *arguments, extra=extra)


def _said(status: Any) -> str:
    """Return the message of a status's first condition."""
    return status.conditions[0].message if status.conditions else ""
