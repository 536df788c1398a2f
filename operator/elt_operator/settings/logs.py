"""The settings of the logs' keeper."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from elt_operator.settings.masked import Masked
from elt_operator.settings.watching import Watching


class Settings(Masked, Watching):
    """What an administrator may set for the keeper of the logs, each as ``ELT_OPERATOR_<NAME>``."""

    store: Annotated[str, Field(pattern=r"^(/|(s3|gs|az)://[^/])")] = "/logs"
    """Where logs are kept: a folder, or s3://BUCKET/PREFIX, gs://BUCKET/PREFIX, az://CONTAINER/PREFIX."""

    log_source: Literal["node", "follow"] = "node"
    """Where logs come from: the readers on the nodes, or the API server, which loses lines where a log is rotated."""

    reader_user: str = ""
    """The name of the readers' service account: system:serviceaccount:NAMESPACE:NAME; empty: there are none."""

    retention_days: Annotated[int, Field(ge=1, le=36_500)] = 90
    """How many days after its Job began a log is kept, where its Pipeline says nothing else."""

    door_port: Annotated[int, Field(ge=1, le=65535)] = 8081
    """TCP port on which readers bring frames, and logs are read."""

    tls_folder: Path | None = None
    """A folder with tls.crt and tls.key; absent: the door speaks plain HTTP."""
