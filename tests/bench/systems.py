"""The systems that are compared. A further one is a further class: what a job of it is, and when that has ended."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from bench.bed import Bed, Running
from elt_operator.controller import snapshots
from elt_operator.core import render
from elt_operator.core.model import Job, Pipeline
from elt_operator.core.situation import Limits

Body = dict[str, Any]

FAKE_NODE: Mapping[str, str] = {"kwok": "true"}
TOLERATION: Mapping[str, str] = {"key": "kwok", "operator": "Exists"}
IMAGE = "localhost/never-pulled:1"


class System(Protocol):
    """How one system carries out a job: a pod that ends at once."""

    @property
    def name(self) -> str:
        """What the tables call it."""

    @property
    def path(self) -> str:
        """The path of its API group and version."""

    @property
    def plural(self) -> str:
        """The plural of its jobs."""

    def groundwork(self, number: int) -> Sequence[tuple[str, str, Body]]:
        """Return what must be there before job ``number`` is created: path, plural, manifest."""

    def job(self, number: int) -> Body:
        """Return the manifest of job ``number``."""

    def ended(self, body: Body) -> bool:
        """Return whether a job has ended."""

    def controller(self, bed: Bed) -> AbstractAsyncContextManager[Running | None]:
        """Have its controller at work; gives its process, where it has one of its own."""


def _labels(exit_code: int) -> dict[str, str]:
    return {"exit-code": str(exit_code)}


@dataclass(frozen=True)
class BareBatchJobs:
    """What Kubernetes itself needs."""

    exit_code: int = 0
    name: str = "bare batch Jobs"
    path: str = "/apis/batch/v1"
    plural: str = "jobs"

    def groundwork(self, number: int) -> Sequence[tuple[str, str, Body]]:  # noqa: ARG002 - System's
        """Return nothing: a batch Job needs nothing."""
        return ()

    def job(self, number: int) -> Body:
        """Return a batch Job with as little in it as there may be."""
        container = {"name": "elt", "image": IMAGE, "command": ["true"]}
        pod = {
            "restartPolicy": "Never",
            "nodeSelector": FAKE_NODE,
            "tolerations": [TOLERATION],
            "containers": [container],
            "automountServiceAccountToken": False,
        }
        return {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {"name": f"job-{number}"},
            "spec": {
                "backoffLimit": 0,
                "template": {"metadata": {"labels": _labels(self.exit_code)}, "spec": pod},
            },
        }

    def ended(self, body: Body) -> bool:
        """Return whether the batch Job controller has closed it."""
        conditions = body.get("status", {}).get("conditions") or []
        return any(one["type"] in {"Complete", "Failed"} and one["status"] == "True" for one in conditions)

    def controller(self, bed: Bed) -> AbstractAsyncContextManager[None]:  # noqa: ARG002 - System's
        """Have nothing at work: the control plane carries batch Jobs out."""
        return nullcontext()


@dataclass(frozen=True)
class EltJobs:
    """This operator: each Job of a Pipeline of its own, or all of one."""

    exit_code: int = 0
    one_pipeline: bool = False
    name: str = "eltjobs"
    path: str = "/apis/elt-operator.io/v1alpha1"
    plural: str = "eltjobs"
    spec: Mapping[str, Any] = field(default_factory=dict)
    """Further fields of the Pipelines."""
    code: Path | None = None
    """Where the operator's code is; that of the working tree when there is none."""

    def pipeline(self, number: int) -> str:
        """Return the name of the Pipeline of job ``number``."""
        return "pipeline-0" if self.one_pipeline else f"pipeline-{number}"

    def groundwork(self, number: int) -> Sequence[tuple[str, str, Body]]:
        """Return the job's Pipeline."""
        if self.one_pipeline and number:
            return ()
        pod = {"nodeSelector": FAKE_NODE, "tolerations": [TOLERATION], "labels": _labels(self.exit_code)}
        body = {
            "apiVersion": "elt-operator.io/v1alpha1",
            "kind": "Pipeline",
            "metadata": {"name": self.pipeline(number)},
            "spec": {"image": IMAGE, "command": ["true"], "pod": pod, **self.spec},
        }
        return ((self.path, "eltpipelines", body),)

    def job(self, number: int) -> Body:
        """Return a Job."""
        return {
            "apiVersion": "elt-operator.io/v1alpha1",
            "kind": "Job",
            "metadata": {"name": f"job-{number:05}"},
            "spec": {"pipelineName": self.pipeline(number)},
        }

    def ended(self, body: Body) -> bool:
        """Return whether its phase is one of the last."""
        return body.get("status", {}).get("phase") in {"COMPLETE", "ERROR", "STOPPED", "UNKNOWN"}

    def controller(self, bed: Bed) -> AbstractAsyncContextManager[Running]:
        """Have the operator at work."""
        return bed.operator(self.code)


@dataclass(frozen=True)
class SameBatchJobs(BareBatchJobs):
    """The batch Jobs that the operator makes, made by hand: the same pods, without it."""

    name: str = "the same batch Jobs"

    def job(self, number: int) -> Body:
        """Return the run of an eltjob, without its owner."""
        elt = EltJobs(self.exit_code)
        ((_, _, pipeline_body),) = elt.groundwork(number)
        stored = {"namespace": "bench", "uid": str(number), "resourceVersion": "1", "generation": 1,
                  "creationTimestamp": "2026-01-01T00:00:00Z"}  # fmt: skip
        pipeline, job = (
            read({**body, "metadata": {**body["metadata"], **stored}})
            for read, body in ((snapshots.pipeline, pipeline_body), (snapshots.job, elt.job(number)))
        )
        assert isinstance(pipeline, Pipeline)
        assert isinstance(job, Job)
        run = render.run(pipeline, job, 1, Limits())
        metadata = {name: value for name, value in run["metadata"].items() if name in {"labels", "annotations"}}
        return {**run, "metadata": {**metadata, "name": f"job-{number}"}}
