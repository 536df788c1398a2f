"""The log reader's settings."""

from pathlib import Path
from typing import Annotated

from pydantic import Field

from elt_operator.settings.masked import Masked

_MIB = 1024 * 1024


class Settings(Masked):
    """What an administrator may set for the log reader, each as ``ELT_OPERATOR_<NAME>``."""

    keeper_url: Annotated[str, Field(pattern=r"^https?://[^/\s]+$")]
    """Where the keeper answers, without a path."""

    keeper_ca: Path | None = None
    """A file with the certificates by which the keeper's is checked; absent: those of the system."""

    keeper_token: Path = Path("/var/run/secrets/elt-operator-logs/token")
    """The file of the token that the keeper wants to see."""

    pod_logs: Path = Path("/var/log/pods")
    """The folder in which the kubelet keeps the logs of its pods."""

    spool: Path = Path("/spool")
    """The folder for what the keeper has not taken yet."""

    spool_bytes: Annotated[int, Field(ge=16 * _MIB)] = 1024 * _MIB
    """How much of it there may be; beyond, reading waits."""
