"""Where a Job is."""

from enum import StrEnum


class Phase(StrEnum):
    """The users' word for where a Job is; upper case as in the API that this model comes from."""

    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    COMPLETE = "COMPLETE"
    ERROR = "ERROR"
    STOPPED = "STOPPED"
    UNKNOWN = "UNKNOWN"


TERMINAL_PHASES = frozenset({Phase.COMPLETE, Phase.ERROR, Phase.STOPPED, Phase.UNKNOWN})
"""Phases that never change again. UNKNOWN is one: the outcome was lost, and the status says so."""
