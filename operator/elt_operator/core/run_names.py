"""The names of runs, which are numbered, and of the Jobs that runs are made for."""

import re
from typing import Final

from elt_operator.resources.fields import DNS_LABEL

_LONGEST_JOB_NAME: Final = 63
_NUMBER_DIGITS: Final = 9
HIGHEST_NUMBER: Final = 10**_NUMBER_DIGITS - 1
"""Of a run; with a Pipeline's longest name it makes the longest name that a batch Job may have."""


def run_name(pipeline: str, number: int) -> str:
    """Return the name of a Pipeline's run; its uniqueness in the API server is the lock (design: one run at a time)."""
    return f"{pipeline}-r{number}"


def number_of(pipeline: str, name: str) -> int | None:
    """Return the number in a run's name; ``None`` when ``name`` is not that of a run of ``pipeline``."""
    digits = name.removeprefix(f"{pipeline}-r")
    if digits == name or len(digits) > _NUMBER_DIGITS or not (digits.isascii() and digits.isdigit()):
        return None
    return int(digits) if digits[0] != "0" else None


def may_name_a_job(name: str) -> bool:
    """Return whether a Job of ours may have this name."""
    return len(name) <= _LONGEST_JOB_NAME and re.fullmatch(DNS_LABEL, name) is not None
