"""A program's log lines: one for each change of state, none for each event."""

import logging
from collections.abc import Callable
from typing import Literal

from pythonjsonlogger.json import JsonFormatter

TEXT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


def _json() -> logging.Formatter:
    """Return what writes a line as an object: time, level, logger, message, and namespace, pipeline, job, reason."""
    return JsonFormatter(
        "{asctime}{levelname}{name}{message}",
        style="{",
        rename_fields={"asctime": "time", "levelname": "level", "name": "logger"},
    )


def configure(
    level: str, form: Literal["text", "json"], edit: Callable[[logging.LogRecord], bool] = lambda _record: True
) -> None:
    """Send lines of ``level`` and above to standard error, each as ``edit`` leaves it, or not where it answers no."""
    handler = logging.StreamHandler()
    handler.setFormatter(_json() if form == "json" else logging.Formatter(TEXT))
    handler.addFilter(edit)
    logging.basicConfig(level=level, handlers=[handler])
