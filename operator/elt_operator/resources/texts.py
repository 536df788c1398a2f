"""What texts must be at admission: how long in bytes, without NUL, times in one spelling, paths that stay inside.

These are CEL rules only. The models read what earlier schemas let through, so that the operator can tell of it.

Sizes count bytes, as the kernel, etcd and HTTP do; a `maxLength` counts characters, of which one takes up to 4. What is
accepted can be

- stored: etcd takes 1.5 MiB, and a custom resource is kept as JSON, in which `<` or a control character takes 6 bytes;
- run: one argument or variable has at most 131,071 bytes on Linux (MAX_ARG_STRLEN in `man 2 execve`), all together
  2 MiB. The run's manifest, in which each `$` is doubled, is below 1 MiB, or 3 MiB if it holds nothing but control
  characters, which is what the API server takes;
- told: the Job and its status, which names the arguments again, are stored together.
"""

import re
from datetime import UTC, datetime
from typing import Annotated, Final

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from elt_operator.resources.fields import ATOMIC, Json, extra, int_or_string, matches, rule, rules

PIPELINE_BYTES: Final = 192 * 1024
"""All that a Pipeline's author writes freely, together."""

JOB_BYTES: Final = 128 * 1024
"""A Job's arguments and properties, together."""

TEXT_BYTES: Final = 64 * 1024
"""One text, or what is run as a whole: the actions, the script or the command."""


def _counted(size: int) -> str:
    return f"{size:,} bytes (a non-ASCII character counts as 2 to 4)"


def of(text: str) -> str:
    """Return in CEL how many bytes a text has."""
    return f"bytes({text}).size()"


def of_each(texts: str) -> str:
    """Return in CEL how many bytes a list of texts has in all."""
    return f"{texts}.map(text, {of('text')}).sum()"


def of_map(entries: str) -> str:
    """Return in CEL how many bytes a map has in all, names and values; its integers count for nothing."""
    value = f"{entries}[name]"
    return f"{entries}.map(name, {of('name')} + (type({value}) == string ? {of(value)} : 0)).sum()"


def if_set(field: str, size: str) -> str:
    """Return in CEL ``size``, or 0 when ``field`` is not set; each step of its path may be missing."""
    steps = field.split(".")
    given = [f"has({'.'.join(steps[: end + 1])})" for end in range(1, len(steps))]
    return f"({' && '.join(given)} ? {size} : 0)"


def total(*sizes: str) -> str:
    """Return in CEL the sum of ``sizes``."""
    return " + ".join(sizes)


def at_most(size: int, cel: str, what: str, advice: str) -> Json:
    """Return the rule that ``cel``, the bytes of ``what``, is no more than ``size``."""
    return rule(f"{cel} <= {size}", f"{what} must not exceed {_counted(size)}; {advice}")


NO_NUL: Final = rule(
    r"type(self) != string || !self.contains('\x00')",
    r"the text contains the character NUL (\u0000), which cannot be passed to a program; remove it",
)

Argument = Annotated[str, Field(max_length=4096), extra(rules(NO_NUL))]
Arguments = Annotated[list[Argument], Field(max_length=64), ATOMIC]

Word = Annotated[str, Field(max_length=16_384), extra(rules(NO_NUL))]
Words = Annotated[list[Word], Field(max_length=64), ATOMIC]
"""A command, or its arguments: one of them may be a whole script for a shell."""

ONE_VALUE: Final = rule(
    f"type(self) != string || {of('self')} <= {TEXT_BYTES}",
    f"one value must not exceed {_counted(TEXT_BYTES)}; put it into a file and name the file here",
)
"""The rule that a variable can hold a value."""

Setting = Annotated[int | str, int_or_string(NO_NUL, ONE_VALUE, maxLength=32768)]
"""The value of a property."""

# Only days that there are: what `timestamp()` cannot read would be told in words that help nobody.
_DATE = (
    "(19[7-9][0-9]|2[0-9]{3})-"
    "((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|1[0-9]|2[0-8]))"
)
_LEAP_DAY = "(19(7[26]|8[048]|9[26])|2[0-9](0[48]|[2468][048]|[13579][26])|2[048]00)-02-29"
_CLOCK = r"([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,9})?"
_OFFSET = "(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])"
TIME_PATTERN: Final = f"^({_DATE}|{_LEAP_DAY})T{_CLOCK}{_OFFSET}$"

_OTHER_YEAR = "(0[0-9]{3}|1[0-8][0-9]{2}|19[0-6][0-9]|[3-9][0-9]{3}|[0-9]{5,9})"
_OUTSIDE = f"{_OTHER_YEAR}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
SPELLING: Final = f"^({_DATE}|{_LEAP_DAY}|{_OUTSIDE})T{_CLOCK}{_OFFSET}$"
"""``TIME_PATTERN``, and the same for years that are not accepted."""

EARLIEST: Final = datetime(1970, 1, 1, tzinfo=UTC)
TOO_LATE: Final = datetime(3000, 1, 1, tzinfo=UTC)

_SPELLING_RULE: Final = rule(
    matches("self", SPELLING),
    "the time must look like 2026-01-31T06:00:00Z: an upper-case T, seconds, then Z or an offset such as +02:00",
)
OUT_OF_RANGE: Final = "the time is out of range: its year must be from 1970 to 2999, in UTC as well"
_RANGE_RULE: Final = rule(
    f"!{matches('self', SPELLING)} || {matches('self', TIME_PATTERN)}"
    f" && timestamp(self) >= timestamp('{EARLIEST:%Y-%m-%dT%H:%M:%SZ}')"
    f" && timestamp(self) < timestamp('{TOO_LATE:%Y-%m-%dT%H:%M:%SZ}')",
    OUT_OF_RANGE,
)


def _in_bounds(moment: datetime) -> datetime:
    """Return ``moment``; raises ``ValueError`` where arithmetic in UTC could fail."""
    if moment.tzinfo is None:
        raise ValueError("the time needs an offset such as +02:00, or Z")
    if not EARLIEST <= moment < TOO_LATE:
        raise ValueError(OUT_OF_RANGE)
    return moment


_UNKNOWN_YEAR: Final = re.compile("(0000|[0-9]{5,9})-")


def _in_known_years(text: object) -> object:
    """Return ``text``; raises ``ValueError`` for a year unknown to Python: pydantic would blame the spelling."""
    if isinstance(text, str) and _UNKNOWN_YEAR.match(text):
        raise ValueError(OUT_OF_RANGE)
    return text


# Not `format: date-time`: that takes more spellings than CEL can read again when the object is updated.
Time = Annotated[
    datetime,
    BeforeValidator(_in_known_years),
    AfterValidator(_in_bounds),
    WithJsonSchema({"type": "string", "maxLength": 35, **rules(_SPELLING_RULE, _RANGE_RULE)}),
]
"""A time that a user writes."""

Moment = Annotated[datetime, AfterValidator(_in_bounds)]
"""A time in a status. One without an offset, or out of bounds, was not written by the operator and counts as absent."""


def before(start: str, end: str) -> str:
    """Return in CEL whether one time is before another; true where one cannot be read, of which its own rule tells."""
    readable = " && ".join(matches(time, TIME_PATTERN) for time in (start, end))
    return f"(!({readable}) || timestamp({start}) < timestamp({end}))"


RELATIVE_PATH: Final = rule(
    f"!{matches('self', '^/|(^|/)[.][.](/|$)')}",
    "the path must be relative and must not contain `..`, for example conf/tap.json",
)
RELATIVE_FILE: Final = rule(
    f"!{matches('self', '^/|^[.][.]|/[.][.](/|$)')}",
    "the path must be relative, must not start with `..` and must not contain it, for example conf/tap.json",
)
"""Kubernetes keeps names that start with ``..`` to itself in the volumes that it fills."""


def time_text(moment: datetime) -> str:
    """Return a time as Kubernetes writes it: RFC 3339, in UTC, with whole seconds."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
