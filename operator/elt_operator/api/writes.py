"""What is changed is changed with the token of whoever asks: their rights, admission and the audit log apply."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from elt_operator.api.catalog import Catalog
from elt_operator.api.entries import JobEntry, PipelineEntry
from elt_operator.api.models import NewJob
from elt_operator.api.refusals import NOT_FOUND, FieldError, Refusal, Refused
from elt_operator.kube import foreign
from elt_operator.kube.client import MERGE_PATCH, Client
from elt_operator.kube.errors import Conflict, Invalid, NotFound
from elt_operator.objects import JOBS
from elt_operator.resources import names

_KEY_DIGITS: Final = 10
_ALREADY: Final = "AlreadyExists"
_NO_FIELD: Final = "<nil>"
"""What the API server says beside the field that is wrong: that it has not looked at the others."""
Body = dict[str, Any]


@dataclass(frozen=True)
class Writes:
    """Creates, stops and deletes Jobs."""

    client: Client
    catalog: Catalog

    async def create(
        self, token: str, pipeline: PipelineEntry, wanted: NewJob, *, queue: bool, key: str, names_jobs: bool
    ) -> tuple[JobEntry, bool]:
        """Create a Job; return it, and whether it is new: a ``key`` that was used before gives the Job of that time.

        Raises ``Refused`` while another one of the Pipeline has not ended, unless it is to ``queue``; it is named if
        whoever asks may see it.
        """
        spec = _spec(pipeline, wanted)
        name = f"{pipeline.name}-{hashlib.sha256(key.encode()).hexdigest()[:_KEY_DIGITS]}" if key else ""
        if name and (before := await self._created_before(token, pipeline, name, spec)) is not None:
            return before, False
        active = self.catalog.active_job(pipeline.namespace, pipeline.name)
        if not queue and active and active.name != name:
            which = f"Job {active.name} ({active.uid})" if names_jobs else "Another Job"
            raise Refused(Refusal(409, (
                f"{which} of Pipeline {pipeline.name} is {active.phase}. Wait for its end, stop it,"
                " or add `?queue=true` to run this one after it."
            )))  # fmt: skip
        metadata: Body = {"name": name} if name else {"generateName": f"{pipeline.name}-"}
        body = {"apiVersion": names.API_VERSION, "kind": "Job", "metadata": metadata, "spec": spec}
        try:
            created = await self.client.request("POST", JOBS.collection(pipeline.namespace), body, token=token)
        except Conflict as error:
            before = await self._created_before(token, pipeline, name, spec) if name else None
            if error.reason != _ALREADY or before is None:
                raise
            return before, False
        except Invalid as error:
            raise Refused(_in_our_words(error)) from error
        return self._taken(created), True

    async def _created_before(self, token: str, pipeline: PipelineEntry, name: str, spec: Body) -> JobEntry | None:
        """Return the Job that a key has made before; raises ``Refused`` if that was for something else."""
        try:
            body = await self.client.request("GET", JOBS.object(pipeline.namespace, name), token=token)
        except NotFound:
            return None
        if _asked_for(foreign.part(body, "spec")) != _asked_for(spec):
            made = f"Job {name} ({foreign.uid(body)})"
            raise Refused(
                Refusal(409, f"This Idempotency-Key made {made}, which asked for something else. Use a new one.")
            )
        return self._taken(body)

    def _taken(self, body: Body) -> JobEntry:
        """Have the catalog know at once what was just written."""
        self.catalog.take_written(body)
        entry = self.catalog.jobs.get(foreign.uid(body))
        if entry is None:
            raise Refused(NOT_FOUND)
        return entry

    async def stop(self, token: str, job: JobEntry) -> JobEntry:
        """Tell a Job to stop; raises ``Refused`` if it has ended."""
        if not job.is_active:
            raise Refused(
                Refusal(
                    409, f"Job {job.name} has ended: it is {job.phase}. Only a RUNNING or QUEUED Job can be stopped."
                )
            )
        body = {"metadata": {"uid": job.uid}, "spec": {"stop": True}}
        path = JOBS.object(job.namespace, job.name)
        try:
            stopped = await self.client.request("PATCH", path, body, content_type=MERGE_PATCH, token=token)
        except Conflict:
            await self._need_it_still(token, job)
            raise
        return self._taken(stopped)

    async def delete(self, token: str, job: JobEntry) -> None:
        """Delete a Job, and so end it."""
        options = {
            "apiVersion": "v1", "kind": "DeleteOptions", "preconditions": {"uid": job.uid},
            "propagationPolicy": "Background",
        }  # fmt: skip
        try:
            await self.client.request("DELETE", JOBS.object(job.namespace, job.name), options, token=token)
        except Conflict:
            await self._need_it_still(token, job)
            raise

    async def _need_it_still(self, token: str, job: JobEntry) -> None:
        """Raise ``Refused`` with 404 if a Job has gone, and another one has its name."""
        body = await self.client.request("GET", JOBS.object(job.namespace, job.name), token=token)
        if foreign.uid(body) != job.uid:
            raise Refused(NOT_FOUND)


def _asked_for(spec: Mapping[str, Any]) -> list[Any]:
    """Return of a Job's spec what a request can say, in one form."""
    trigger = foreign.part(spec, "trigger")
    told = [spec.get("pipelineName"), spec.get("arguments"), spec.get("properties"), spec.get("fullRefresh") is True]
    return [*told, trigger.get("intervalStart"), trigger.get("intervalEnd")]


def _spec(pipeline: PipelineEntry, wanted: NewJob) -> Body:
    trigger: Body = {"type": "Manual"}
    if wanted.interval_start is not None:
        trigger["intervalStart"] = wanted.interval_start
    if wanted.interval_end is not None:
        trigger["intervalEnd"] = wanted.interval_end
    spec: Body = {"pipelineName": pipeline.name, "fullRefresh": wanted.full_refresh, "trigger": trigger}
    if wanted.arguments is not None:
        spec["arguments"] = wanted.arguments
    if wanted.properties is not None:
        spec["properties"] = wanted.properties
    return spec


def _in_our_words(error: Invalid) -> Refusal:
    """Return what the API server refuses, with the fields as they are called in a request."""
    causes = [
        FieldError(field.removeprefix("spec.").removeprefix("trigger."), message)
        for field, message in error.causes
        if field != _NO_FIELD
    ]
    words = "; ".join(f"{field}: {message}" if field else message for field, message in causes)
    return Refusal(400, words or error.message, causes)
