"""The controller's settings."""

from typing import Annotated

from pydantic import Field

from elt_operator.core.situation import Limits
from elt_operator.settings.watching import Watching


class Settings(Watching):
    """What an administrator may set for the controller, each as ``ELT_OPERATOR_<NAME>``."""

    default_timeout_seconds: Annotated[int, Field(ge=0)] = 3600
    """Limit of one attempt, in seconds, for Pipelines without timeoutSeconds; 0: none."""

    pipeline_wait_seconds: Annotated[int, Field(ge=1)] = 600
    """How long a Job waits for a Pipeline that does not exist, in seconds, before it is an ERROR."""

    run_retention_seconds: Annotated[int, Field(ge=0)] = 3600
    """How long a run, its pods and their logs are kept, in seconds, once the Job tells how it ended."""

    keep_logs: bool = False
    """Whether logs are kept (log reader and keeper): then a run is removed only once its log is stored."""

    audit_seconds: Annotated[int, Field(ge=1)] = 300
    """How often everything is listed to repair what the watches missed, and the history is pruned, in seconds."""

    workers: Annotated[int, Field(ge=1, le=256)] = 16
    """How many Pipelines are looked at side by side."""

    pipeline_metrics: bool = False
    """Whether there are metrics for each Pipeline: when a Job of it last succeeded, rows, warnings, unhealthy data."""

    lease_namespace: str = ""
    """Namespace of the Lease by which one of several replicas acts; empty: this one always does."""

    lease_name: Annotated[str, Field(min_length=1)] = "elt-operator"
    """Name of that Lease: replicas of one installation share it, those of another one have their own."""

    @property
    def limits(self) -> Limits:
        """What decisions have to keep to."""
        return Limits(
            self.default_timeout_seconds, self.pipeline_wait_seconds, self.run_retention_seconds, self.keep_logs
        )
