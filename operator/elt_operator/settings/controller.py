"""The operator's settings; the only reader of environment variables."""

from typing import Annotated, Literal

from pydantic import Field
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from elt_operator.core.situation import Limits


class Settings(BaseSettings):
    """What an administrator may set, each as ``ELT_OPERATOR_<NAME>``."""

    model_config = SettingsConfigDict(env_prefix="ELT_OPERATOR_", frozen=True, use_attribute_docstrings=True)

    watch_namespaces: Annotated[str, NoDecode] = ""
    """Namespaces to look after, with commas between them; empty: all."""

    default_timeout_seconds: Annotated[int, Field(ge=0)] = 3600
    """Limit of one attempt, in seconds, for Pipelines without timeoutSeconds; 0: none."""

    pipeline_wait_seconds: Annotated[int, Field(ge=1)] = 600
    """How long a Job waits for a Pipeline that does not exist, in seconds, before it is an ERROR."""

    run_retention_seconds: Annotated[int, Field(ge=0)] = 3600
    """How long a run, its pods and their logs are kept, in seconds, once the Job tells how it ended."""

    audit_seconds: Annotated[int, Field(ge=1)] = 300
    """How often everything is listed to repair what the watches missed, and the history is pruned, in seconds."""

    workers: Annotated[int, Field(ge=1, le=256)] = 16
    """How many Pipelines are looked at side by side."""

    log_format: Literal["json", "text"] = "json"
    """Log lines as JSON objects, or as text for people."""

    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    """The least severe lines that are logged."""

    health_port: Annotated[int, Field(ge=0, le=65535)] = 8080
    """TCP port of /livez, /readyz and /metrics on all addresses; 0: none."""

    pipeline_metrics: bool = False
    """Whether there is a metric for each Pipeline: when a Job of it last succeeded."""

    lease_namespace: str = ""
    """Namespace of the Lease by which one of several replicas acts; empty: this one always does."""

    lease_name: Annotated[str, Field(min_length=1)] = "elt-operator"
    """Name of that Lease: replicas of one installation share it, those of another one have their own."""

    identity: Annotated[str, Field(validation_alias="POD_NAME", min_length=1)] = "elt-operator"
    """The replica's name, from the variable POD_NAME."""

    @property
    def limits(self) -> Limits:
        """What decisions have to keep to."""
        return Limits(self.default_timeout_seconds, self.pipeline_wait_seconds, self.run_retention_seconds)

    @property
    def namespaces(self) -> list[str]:
        """The namespaces to look after; empty: all."""
        return [name.strip() for name in self.watch_namespaces.split(",") if name.strip()]
