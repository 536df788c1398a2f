"""The operator's log lines: one for each change of state, none for each event."""

import logging


def _without_kopfs_tracebacks(record: logging.LogRecord) -> bool:
    """Keep what kopf says of an outage to a line; it tells the same error again at each of its layers."""
    if record.name.startswith("kopf"):
        record.exc_info = None
    return True


def configure(level: str) -> None:
    """Send lines of ``level`` and above to standard error."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    handler.addFilter(_without_kopfs_tracebacks)
    logging.basicConfig(level=level, handlers=[handler])
    # kopf tells of each event it hands on; the lines that matter are our own.
    logging.getLogger("kopf").setLevel(logging.WARNING)
