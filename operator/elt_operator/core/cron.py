"""Cron: which schedules Kubernetes can carry out, and the moments that one means.

The moments are those of the CronJob controller: a wall-clock time that a change of the clocks leaves out does not come,
and one that comes twice comes twice (measured against its library, github.com/robfig/cron/v3: docs/scheduling.md).
"""

import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo, available_timezones

from cronsim import CronSim, CronSimError

from elt_operator.errors import OperatorError

_FIELDS: Final = (
    ("minute", 0, 59, ()),
    ("hour", 0, 23, ()),
    ("day-of-month", 1, 31, ()),
    ("month", 1, 12, ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")),
    ("day-of-week", 0, 6, ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")),
)
_FIVE_FIELDS: Final = "minute hour day-of-month month day-of-week"
_MACROS: Final = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_ITEM: Final = re.compile(r"(?P<first>\*|\w+)(-(?P<last>\w+))?(/(?P<step>\d+))?")


class InvalidScheduleError(OperatorError):
    """A schedule that Kubernetes cannot carry out; the text names field and value, and what works instead."""


@dataclass(frozen=True)
class Cron:
    """A schedule that Kubernetes can carry out."""

    expression: str
    """Its five fields, as a CronJob has them."""
    zone: ZoneInfo

    def next_after(self, moment: datetime) -> datetime | None:
        """Return the first time after ``moment``; ``None`` when there is none for the next decades."""
        return self._neighbour(moment, forward=True)

    def last_before(self, moment: datetime) -> datetime | None:
        """Return the last time before ``moment``."""
        return self._neighbour(moment, forward=False)

    def between(self, start: datetime, end: datetime) -> Iterator[datetime]:
        """Yield the times after ``start`` and before ``end``."""
        moment = self.next_after(start)
        while moment and moment < end:
            yield moment
            moment = self.next_after(moment)

    def _neighbour(self, moment: datetime, *, forward: bool) -> datetime | None:
        """Return the nearest time in one direction, in UTC.

        The wall clock is searched without a zone. Each wall-clock time that it gives is then none, one or two moments;
        ``met_first`` is the ``fold`` of the one of two that is met first in this direction.
        """
        met_first = 0 if forward else 1
        local = moment.astimezone(self.zone)
        start = local.replace(tzinfo=None)
        if local.fold == met_first:  # wall-clock times that were passed may be met once more
            repeated = _offset(local, 0) - _offset(local, 1)
            start -= repeated if forward else -repeated
        best: datetime | None = None
        for wall in CronSim(_for_search(self.expression), start, reverse=not forward):
            for fold in (met_first, 1 - met_first):
                found = self._moment(wall, fold)
                if found is None or (found <= moment if forward else found >= moment):
                    continue
                best = found if best is None else (min if forward else max)(best, found)
                if fold == met_first:
                    return best
        return best

    def _moment(self, wall: datetime, fold: int) -> datetime | None:
        """Return when the clocks of the zone show ``wall``; ``None``: never."""
        moment = wall.replace(tzinfo=self.zone, fold=fold).astimezone(UTC)
        return moment if moment.astimezone(self.zone).replace(tzinfo=None) == wall else None


def _offset(local: datetime, fold: int) -> timedelta:
    return local.replace(fold=fold).utcoffset() or timedelta()


def _for_search(expression: str) -> str:
    """Return ``expression`` so that CronSim takes day-of-month and day-of-week as Kubernetes does.

    Both have to match where one of them is ``*``, else either. To CronSim ``*/2`` counts as ``*``, to Kubernetes not.
    """
    minute, hour, day, month, weekday = expression.split()
    return " ".join([minute, hour, re.sub(r"\*/", "1-31/", day), month, re.sub(r"\*/", "0-6/", weekday)])


@lru_cache(maxsize=4096)
def parse(schedule: str, time_zone: str | None) -> Cron:
    """Return ``spec.schedule`` and ``spec.timeZone`` as a ``Cron``; raises ``InvalidScheduleError``."""
    cron = Cron(_expression(schedule), _zone(time_zone))
    if cron.next_after(datetime(2024, 1, 1, tzinfo=UTC)) is None:
        raise _error(schedule, "no such day ever comes; look at day-of-month and month")
    return cron


def _error(schedule: str, problem: str) -> InvalidScheduleError:
    return InvalidScheduleError(f'spec.schedule "{schedule}": {problem}')


@lru_cache(maxsize=1)
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())


def _zone(name: str | None) -> ZoneInfo:
    if name is None:
        return ZoneInfo("UTC")
    if name in _zones():
        return ZoneInfo(name)
    spelt = {zone.lower(): zone for zone in _zones()}
    close = difflib.get_close_matches(name.lower(), spelt, n=1)
    nearest = f"; did you mean {spelt[close[0]]}?" if close else "; write one like Europe/London or UTC"
    raise InvalidScheduleError(f'spec.timeZone "{name}": there is no such IANA time zone{nearest}')


def _expression(schedule: str) -> str:
    """Return the five fields of ``schedule``."""
    text = schedule.strip()
    if prefix := re.match(r"(?:CRON_)?TZ=(\S*)\s*(.*)", text):
        zone, rest = prefix.groups()
        raise _error(schedule, f"a zone cannot be part of it; use schedule: {rest or '...'} and timeZone: {zone}")
    if text.startswith("@"):
        return _macro(schedule, text.lower())
    fields = text.replace("?", "*").upper().split()
    if len(fields) == len(_FIELDS) + 1:
        seconds, *fields = fields
        if not re.fullmatch("0+", seconds):
            raise _error(schedule, f'second "{seconds}": only 0 works, for example "0 {" ".join(fields)}"')
    if len(fields) != len(_FIELDS):
        raise _error(schedule, f"it has {len(fields)} fields, and needs five: {_FIVE_FIELDS}")
    for text_of_field, (name, lowest, highest, words) in zip(fields, _FIELDS, strict=True):
        if problem := _field_problem(text_of_field, name, lowest, highest, words):
            raise _error(schedule, f'{name} "{text_of_field}": {problem}')
    expression = " ".join(fields)
    try:
        CronSim(_for_search(expression), datetime(2024, 1, 1))  # noqa: DTZ001 - a wall-clock time
    except CronSimError as error:
        raise _error(schedule, "no such day ever comes; look at day-of-month and month") from error
    return expression


def _macro(schedule: str, macro: str) -> str:
    if macro in _MACROS:
        return _MACROS[macro]
    nearest = f"use five fields, or one of {', '.join(_MACROS)}"
    if every := re.fullmatch(r"@every (\d+)(m|h)", macro):
        count, unit = every.groups()
        nearest = f'use "{f"*/{count} * * * *" if unit == "m" else f"0 */{count} * * *"}"'
    raise _error(schedule, f"{macro.split(maxsplit=1)[0]} cannot be done; {nearest}")


_QUARTZ: Final = (
    ("day-of-month", "W", "nearest weekdays cannot be told; use days, for example 15, or weekdays alone (MON-FRI)"),
    ("day-of-month", "L", "the last day cannot be told; use 1 (the first), or 28, which every month has"),
    ("day-of-week", "#", "the n-th weekday cannot be told; use days of the month, for example 1-7 for the first week"),
    ("day-of-week", "L", "the last weekday cannot be told; use days of the month, for example 22-28"),
)
"""Letters of Quartz's cron that Kubernetes has no word for: field, letter, what to do instead."""


def _field_problem(field: str, name: str, lowest: int, highest: int, words: tuple[str, ...]) -> str:
    """Return what is wrong with one field, and the nearest that works; empty: nothing."""
    for of_field, letter, instead in _QUARTZ:
        if name == of_field and letter in re.sub("|".join(words) or "^$", "", field):
            return instead
    for item in field.split(","):
        if problem := _item_problem(item, name, lowest, highest, words):
            return problem
    return ""


def _item_problem(item: str, name: str, lowest: int, highest: int, words: tuple[str, ...]) -> str:
    found = _ITEM.fullmatch(item)
    names = f" or {words[0]} to {words[-1]}" if words else ""
    allowed = f"use numbers from {lowest} to {highest}{names}, *, ranges (a-b), steps (*/n) and lists (a,b)"
    if not found or (found["first"] == "*" and found["last"]):
        return allowed
    numbers = []
    for value in (found["first"], found["last"]):
        if value in {None, "*"}:
            continue
        number = words.index(value) + (name == "month") if value in words else int(value) if value.isdigit() else -1
        if name == "day-of-week" and number == highest + 1:
            return "Sunday is 0 or SUN, never 7"
        if not lowest <= number <= highest:
            return allowed
        numbers.append(number)
    if numbers != sorted(numbers):
        return f"the range ends before it begins; use {found['first']}-{highest},{lowest}-{found['last']}"
    if found["step"] and int(found["step"]) == 0:
        return "a step is at least 1"
    return ""
