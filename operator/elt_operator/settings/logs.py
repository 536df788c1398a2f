"""The settings of the logs' keeper."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field
from pydantic_settings import NoDecode

from elt_operator.settings.masked import Masked


class Settings(Masked):
    """What an administrator may set for the keeper of the logs, each as ``ELT_OPERATOR_<NAME>``."""

    watch_namespaces: Annotated[str, NoDecode] = ""
    """The namespaces that the operator looks after, with commas between them; empty: all."""

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

    @property
    def namespaces(self) -> list[str]:
        """The namespaces to look after; empty: all."""
        return [name.strip() for name in self.watch_namespaces.split(",") if name.strip()]
