"""What the reconciler asks of the cluster: a Protocol, so that it can be tested against a fake at this one seam."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import aiohttp

from elt_operator.api import names
from elt_operator.api.fields import Json
from elt_operator.core.situation import Key
from elt_operator.errors import Refused, Stale
from elt_operator.kube.client import (
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
)

Body = Mapping[str, Any]

ENDED_JOBS_LEFT_OUT: Final = ",".join(f"status.phase!={phase}" for phase in ("COMPLETE", "ERROR", "STOPPED", "UNKNOWN"))
"""The field selector that keeps finished Jobs out of the operator's memory."""


class Cluster(Protocol):
    """Reads and writes of one reconciliation."""

    async def create_run(self, key: Key, manifest: Json) -> Body:
        """Create a batch Job. ``Refused``: quota or admission said no. ``Stale``: the name is taken."""

    async def write_job_status(self, namespace: str, name: str, version: str, patch: Json) -> Body:
        """Patch a Job's status if it still has this version; else ``Stale``."""

    async def write_pipeline_status(self, namespace: str, name: str, version: str, patch: Json) -> Body:
        """Patch a Pipeline's status if it still has this version; else ``Stale``."""

    async def run(self, namespace: str, name: str) -> Body | None:
        """Return a batch Job; ``None``: there is none."""

    async def job(self, namespace: str, name: str) -> Body | None:
        """Return a Job; ``None``: there is none."""

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

    async def create_run(self, key: Key, manifest: Json) -> Body:
        """See ``Cluster``."""
        path = f"{RUNS_PATH}/namespaces/{key.namespace}/jobs"
        try:
            return await self.client.request("POST", path, manifest)  # type: ignore[no-any-return]  # JSON
        except Conflict as error:
            raise Stale(error.message) from error
        except (Forbidden, Invalid) as error:
            raise Refused(error.message) from error

    async def write_job_status(self, namespace: str, name: str, version: str, patch: Json) -> Body:
        """See ``Cluster``."""
        return await self._write_status(f"{JOBS_PATH}/namespaces/{namespace}/{names.JOBS}/{name}", version, patch)

    async def write_pipeline_status(self, namespace: str, name: str, version: str, patch: Json) -> Body:
        """See ``Cluster``."""
        path = f"{PIPELINES_PATH}/namespaces/{namespace}/{names.PIPELINES}/{name}"
        return await self._write_status(path, version, patch)

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
        path = f"{PODS_PATH}/namespaces/{namespace}/events"
        selector = f"involvedObject.uid={uid},type=Warning"
        warnings = [event async for event in self.client.objects(path, fieldSelector=selector)]
        newest = max(warnings, key=_event_time, default=None)
        return newest.get("message", "") if newest else ""

    def listing(self, kind: str, namespace: str | None) -> AsyncIterator[dict[str, Any]]:
        """Yield all objects of ``kind`` (pipelines, jobs, runs or pods) that the operator looks at."""
        root, plural, selectors = LISTED[kind]
        place = f"/namespaces/{namespace}" if namespace else ""
        return self.client.objects(f"{root}{place}/{plural}", **selectors)


LISTED: Final[Mapping[str, tuple[str, str, Mapping[str, str]]]] = {
    "pipelines": (PIPELINES_PATH, names.PIPELINES, {}),
    "jobs": (JOBS_PATH, names.JOBS, {"fieldSelector": ENDED_JOBS_LEFT_OUT}),
    "runs": (RUNS_PATH, "jobs", {"labelSelector": names.PIPELINE_LABEL}),
    "pods": (PODS_PATH, "pods", {"labelSelector": names.PIPELINE_LABEL}),
}


def _event_time(event: Body) -> str:
    """Return when an event last happened, as text that sorts; old and new form of events keep it in other places."""
    series = event.get("series") or {}
    return (
        series.get("lastObservedTime")
        or event.get("lastTimestamp")
        or event.get("eventTime")
        or event["metadata"].get("creationTimestamp")
        or ""
    )
