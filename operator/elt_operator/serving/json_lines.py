"""The operator's log lines: one for each change of state, none for each event."""

import logging
from typing import Literal

from pythonjsonlogger.json import JsonFormatter

TEXT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


def _without_kopfs_tracebacks(record: logging.LogRecord) -> bool:
    """Keep what kopf says of an outage to a line; it tells the same error again at each of its layers."""
    if record.name.startswith("kopf"):
        record.exc_info = None
    return True


def _json() -> logging.Formatter:
    """Return what writes a line as an object: time, level, logger, message, and namespace, pipeline, job, reason."""
    return JsonFormatter(
        "{asctime}{levelname}{name}{message}",
        style="{",
        rename_fields={"asctime": "time", "levelname": "level", "name": "logger"},
    )


def configure(level: str, form: Literal["text", "json"]) -> None:
    """Send lines of ``level`` and above to standard error."""
    handler = logging.StreamHandler()
    handler.setFormatter(_json() if form == "json" else logging.Formatter(TEXT))
    handler.addFilter(_without_kopfs_tracebacks)
    logging.basicConfig(level=level, handlers=[handler])
    # kopf tells of each event it hands on; the lines that matter are our own.
    logging.getLogger("kopf").setLevel(logging.WARNING)
