"""What a program reports of its work by itself: a line with ELT-RESULT and a JSON object. It is data, no template."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from elt_operator.core.words import shortened
from elt_operator.resources.result import NAME_CHARACTERS
from elt_operator.text import clean

LONGEST_REPORT: Final = 16 * 1024
"""How long the JSON may be, in bytes."""
MOST_REPORTED: Final = 100
"""Streams in one line."""
MOST_WARNINGS: Final = 8
LARGEST_COUNT: Final = 2**53 - 1
"""What every reader of JSON still knows exactly."""
_WARNING_CHARACTERS: Final = 300
_QUOTED: Final = 60
_EXAMPLE: Final = 'print ELT-RESULT, a space and one JSON object on the same line, for example {"rows": {"orders": 12}}'
_INTEGER: Final = f"write an integer without quotes and decimals, from 0 to {LARGEST_COUNT}"
_CHECKS: Final = ("passed", "warned", "failed", "skipped")


class IgnoredError(Exception):
    """A line does not say what it has to, and how: its words are the message."""


@dataclass(frozen=True)
class Checks:
    """What dbt, or a program, says of its checks."""

    passed: int = 0
    warned: int = 0
    failed: int = 0
    skipped: int = 0

    def __add__(self, other: "Checks") -> "Checks":
        return Checks(
            min(self.passed + other.passed, LARGEST_COUNT),
            min(self.warned + other.warned, LARGEST_COUNT),
            min(self.failed + other.failed, LARGEST_COUNT),
            min(self.skipped + other.skipped, LARGEST_COUNT),
        )

    @property
    def total(self) -> int:
        """How many there were."""
        return self.passed + self.warned + self.failed + self.skipped


@dataclass(frozen=True)
class Report:
    """What a line says; what it does not speak of is ``None``, or empty."""

    rows: Mapping[str, int] | None = None
    checks: Checks | None = None
    warnings: Sequence[str] = ()


def read(text: bytes) -> Report:
    """Return what the JSON after ELT-RESULT says; raises ``IgnoredError``."""
    if len(text) > LONGEST_REPORT:
        raise IgnoredError(f"its JSON has {len(text):,} bytes; at most {LONGEST_REPORT:,} are allowed")
    try:
        told = json.loads(text)
    except (ValueError, RecursionError):
        told = None
    if not text:
        raise IgnoredError(f"nothing follows ELT-RESULT; {_EXAMPLE}")
    if not isinstance(told, dict):
        quoted = _quoted(text.decode(errors="replace"))
        raise IgnoredError(f"{quoted} is not a JSON object; {_EXAMPLE}")
    if unknown := sorted(set(told) - {"rows", "checks", "warnings"}):
        raise IgnoredError(f"{_quoted(unknown[0])} is not a known key; use rows, checks or warnings")
    return Report(_rows(told.get("rows")), _checks(told.get("checks")), _warnings(told.get("warnings")))


def _rows(rows: Any) -> dict[str, int] | None:
    if rows is None:
        return None
    if not isinstance(rows, dict):
        raise IgnoredError('rows is not an object; write "rows": {"orders": 12}')
    if len(rows) > MOST_REPORTED:
        raise IgnoredError(f"rows has {len(rows):,} streams; at most {MOST_REPORTED} are allowed")
    for name, count in rows.items():
        if not name:
            raise IgnoredError("a stream has an empty name")
        if len(name) > NAME_CHARACTERS:
            raise IgnoredError(f"a stream's name has {len(name):,} characters; at most {NAME_CHARACTERS} are allowed")
        if not name.isprintable():
            raise IgnoredError(f"the stream's name {_quoted(name)} has characters that cannot be printed")
        _check_count(f"rows.{_plain(name)}", count)
    return rows


def _checks(checks: Any) -> Checks | None:
    if checks is None:
        return None
    if not isinstance(checks, dict):
        raise IgnoredError('checks is not an object; write "checks": {"passed": 3, "warned": 1}')
    if unknown := sorted(set(checks) - set(_CHECKS)):
        raise IgnoredError(f"checks.{_plain(unknown[0])} is not a known key; use passed, warned, failed or skipped")
    for name, count in checks.items():
        _check_count(f"checks.{name}", count)
    return Checks(**checks)


def _check_count(name: str, count: Any) -> None:
    if type(count) is not int or not 0 <= count <= LARGEST_COUNT:
        raise IgnoredError(f"{name} is {_plain(json.dumps(count))}; {_INTEGER}")


def _warnings(warnings: Any) -> list[str]:
    if warnings is None:
        return []
    if not isinstance(warnings, list) or not all(isinstance(one, str) for one in warnings):
        raise IgnoredError('warnings is not a list of strings; write "warnings": ["the source is a day old"]')
    texts = (" ".join(clean(one).split()) for one in warnings[:MOST_WARNINGS])
    return [shortened(text, _WARNING_CHARACTERS) for text in texts if text]


def _plain(text: str) -> str:
    """Return foreign text for a message: one short line."""
    return shortened(" ".join(clean(text[: 4 * _QUOTED]).split()), _QUOTED)


def _quoted(text: str) -> str:
    return f'"{_plain(text)}"'
