"""What each program of the cluster has to be told."""

from typing import Annotated, Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Common(BaseSettings):
    """What an administrator may set for any program, each as ``ELT_OPERATOR_<NAME>``."""

    model_config = SettingsConfigDict(env_prefix="ELT_OPERATOR_", frozen=True, use_attribute_docstrings=True)

    log_format: Literal["json", "text"] = "json"
    """Log lines as JSON objects, or as text for people."""

    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    """The least severe lines that are logged."""

    health_port: Annotated[int, Field(ge=0, le=65535)] = 8080
    """TCP port of /livez, /readyz and /metrics on all addresses; 0: none."""

    identity: Annotated[str, Field(validation_alias="POD_NAME", min_length=1)] = "elt-operator"
    """The replica's name, from the variable POD_NAME."""
