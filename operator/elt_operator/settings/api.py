"""The settings of the API."""

from pathlib import Path
from typing import Annotated

from pydantic import Field
from pydantic_settings import NoDecode

from elt_operator.settings.watching import Watching


class Settings(Watching):
    """What an administrator may set for the API, each as ``ELT_OPERATOR_<NAME>``."""

    api_port: Annotated[int, Field(ge=1, le=65535)] = 8082
    """TCP port on which requests are answered."""

    tls_folder: Path | None = None
    """A folder with tls.crt and tls.key; absent: plain HTTP."""

    logs_url: Annotated[str, Field(pattern=r"^(|https?://[^/]+)$")] = ""
    """Where the keeper of the logs is; empty: logs are those of pods that still exist."""

    logs_ca: Path | None = None
    """Certificates by which the keeper's is checked; absent: the system's."""

    cors_origins: Annotated[str, NoDecode] = ""
    """Pages that may use the API from a browser, with commas between them: https://data.example.com; empty: none."""

    reads_per_second: Annotated[float, Field(gt=0, le=100_000)] = 100
    """How many requests that change nothing a token may send in a second, and twice as many at once."""

    changes_per_second: Annotated[float, Field(gt=0, le=100_000)] = 10
    """The same of requests that change something."""

    @property
    def origins(self) -> list[str]:
        """The pages that may use the API from a browser."""
        return [origin.strip() for origin in self.cors_origins.split(",") if origin.strip()]
