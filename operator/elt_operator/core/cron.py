"""Cron: which schedules Kubernetes can carry out, and the moments that one means.

The moments are those of the CronJob controller: a wall-clock time that a change of the clocks leaves out does not come,
and one that comes twice comes twice (measured against its library, github.com/robfig/cron/v3: docs/scheduling.md).
"""

import calendar
import difflib
import importlib.resources
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo, available_timezones

from cronsim import CronSim, CronSimError

from elt_operator.errors import OperatorError

EARLIEST: Final = datetime(1970, 1, 1, tzinfo=UTC)
LATEST: Final = datetime(3000, 1, 1, tzinfo=UTC)
"""There is no time of a schedule outside of these; inside, no arithmetic leaves the years that Python knows."""


@dataclass(frozen=True)
class _Field:
    name: str
    lowest: int
    highest: int
    words: tuple[str, ...] = ()
    more: str = ""
    """What else may be written in it, for people."""

    @property
    def size(self) -> int:
        """How many values it has."""
        return self.highest - self.lowest + 1

    @property
    def allowed(self) -> str:
        """What may be written in it, for people."""
        named = f" or {self.words[0]} to {self.words[-1]}" if self.words else ""
        numbers = f"use numbers from {self.lowest} to {self.highest}{named}{self.more}"
        return f"{numbers}, *, ranges (a-b), steps (*/n) and lists (a,b)"

    def number(self, value: str) -> int:
        """Return the number that a name or up to nine digits stand for."""
        return self.words.index(value) + (self.name == "month") if value in self.words else int(value)


_FIELDS: Final = (
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day-of-month", 1, 31, more=", L (the last day), L-n (n days before it)"),
    _Field("month", 1, 12, ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")),
    _Field("day-of-week", 0, 6, ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")),
)
_FIVE_FIELDS: Final = " ".join(field.name for field in _FIELDS)
_MACROS: Final = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_VALUE: Final = r"[0-9]{1,9}|[A-Z]{3}"
_ITEM: Final = re.compile(rf"(?P<first>\*|{_VALUE})(-(?P<last>{_VALUE}))?(/(?P<step>[0-9]{{1,9}}))?")
_LAST: Final = re.compile(r"L(?:-(?P<before>[0-9]{1,2}))?")
_SHORTEST_MONTH, _LONGEST_MONTH = 28, 31
_NEVER: Final = "this schedule never matches a date; check day-of-month and month"


def within_bounds(moment: datetime) -> bool:
    """Return whether a schedule may have a time at ``moment``."""
    return EARLIEST <= moment < LATEST


class InvalidScheduleError(OperatorError):
    """A schedule that Kubernetes cannot carry out; the text names field and value, and what works instead."""


@dataclass(frozen=True)
class Cron:
    """A schedule that Kubernetes can carry out, but for days that are counted from a month's end: those are ours."""

    fields: str
    """Its five fields, in capitals. The day-of-month may have ``L``, the last day, and ``L-n``, n days before it."""
    zone: ZoneInfo

    @property
    def expression(self) -> str:
        """Its fields as a CronJob has them, which may name further days: all that may be the last of a month."""
        return _for_kubernetes(self.fields)

    def last_until(self, moment: datetime) -> datetime | None:
        """Return ``moment`` where its day counts, else the last time before it; ``None``: there is none in bounds.

        It says nothing of hours and minutes: a time that a CronJob gave is one of the schedule, if its day is.
        """
        if not within_bounds(moment) or self._counts(moment.astimezone(self.zone)):
            return moment
        return self.last_before(moment)

    def _counts(self, wall: datetime) -> bool:
        """Return whether the day of a time that ``expression`` has is one of the schedule."""
        wanted = _days_from_the_end(self.fields)
        if wanted is None:
            return True
        last = calendar.monthrange(wall.year, wall.month)[1]
        of_month = wall.day in wanted.days or last - wall.day in wanted.from_the_end
        return of_month or wall.isoweekday() % 7 in wanted.weekdays

    def next_after(self, moment: datetime) -> datetime | None:
        """Return the first time after ``moment``; ``None``: there is none in bounds, or none for decades."""
        return self._neighbour(moment, forward=True)

    def last_before(self, moment: datetime) -> datetime | None:
        """Return the last time before ``moment``; ``None``: there is none in bounds, or none for decades."""
        return self._neighbour(moment, forward=False)

    def between(self, start: datetime, end: datetime) -> Iterator[datetime]:
        """Yield the times after ``start`` and before ``end``."""
        moment = self.next_after(start)
        while moment and moment < end:
            yield moment
            moment = self.next_after(moment)

    def _neighbour(self, moment: datetime, *, forward: bool) -> datetime | None:
        if not within_bounds(moment):
            return None
        found = self._nearest(moment, forward=forward)
        return found if found and within_bounds(found) else None

    def _nearest(self, moment: datetime, *, forward: bool) -> datetime | None:
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
            if abs(wall - start) > _FAR:
                return best
            if not self._counts(wall):
                continue
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


_FAR: Final = timedelta(days=60 * 366)
"""How far a search goes. The 29th of February is never further off than eight years; CronSim gives up after fifty."""


def _offset(local: datetime, fold: int) -> timedelta:
    return local.replace(fold=fold).utcoffset() or timedelta()


@lru_cache(maxsize=4096)
def _for_search(expression: str) -> str:
    """Return ``expression`` so that CronSim takes day-of-month and day-of-week as Kubernetes does.

    Both have to match where one of them has a ``*``, else either. What counts as ``*`` is not the same for the two, so
    CronSim gets ``*``, or the numbers one by one.
    """
    return " ".join(_numbers(text, field) for text, field in zip(expression.split(), _FIELDS, strict=True))


@dataclass(frozen=True)
class _DaysFromTheEnd:
    """The days of a schedule of which some are counted from a month's end. One of the three is enough."""

    from_the_end: frozenset[int]
    """0 is the last day."""
    days: frozenset[int]
    weekdays: frozenset[int]
    """From 0, Sunday; none where each weekday is right, for that restricts nothing."""


def _from_the_end(item: str) -> int | None:
    """Return how many days before the last of its month an item of day-of-month is; ``None``: it names no such day."""
    found = _LAST.fullmatch(item)
    return int(found["before"] or 0) if found else None


@lru_cache(maxsize=4096)
def _for_kubernetes(fields: str) -> str:
    """Return the fields with each day from a month's end as the four days that it may be."""
    minute, hour, days, month, weekday = fields.split()
    spelt = [
        item if (before := _from_the_end(item)) is None else f"{_SHORTEST_MONTH - before}-{_LONGEST_MONTH - before}"
        for item in days.split(",")
    ]
    return " ".join((minute, hour, ",".join(spelt), month, weekday))


@lru_cache(maxsize=4096)
def _days_from_the_end(fields: str) -> _DaysFromTheEnd | None:
    """Return which days count among those that ``_for_kubernetes`` names; ``None``: all do."""
    _, _, days, _, weekday = fields.split()
    of_day, of_weekday = _FIELDS[2], _FIELDS[4]
    items = days.split(",")
    plain = ",".join(item for item in items if _from_the_end(item) is None)
    numbers = _numbers(plain, of_day) if plain else ""
    from_the_end = frozenset(before for item in items if (before := _from_the_end(item)) is not None)
    if not from_the_end or numbers == "*":
        return None
    weekdays = _numbers(weekday, of_weekday).replace("*", "")
    return _DaysFromTheEnd(from_the_end, _integers(numbers), _integers(weekdays))


def _integers(numbers: str) -> frozenset[int]:
    return frozenset(int(number) for number in numbers.split(",") if number)


def _numbers(text: str, field: _Field) -> str:
    """Return the numbers that a field stands for, or ``*`` where it is that to Kubernetes: ``*`` or ``*/1`` in it."""
    numbers: set[int] = set()
    for item in text.split(","):
        found = _ITEM.fullmatch(item)
        if found is None:
            raise ValueError(f"{field.name} {text} was not checked")
        step = int(found["step"] or 1)
        if found["first"] == "*" and step == 1:
            return "*"
        first = field.lowest if found["first"] == "*" else field.number(found["first"])
        last = first if found["first"] != "*" and not found["step"] else field.highest
        last = field.number(found["last"]) if found["last"] else last
        numbers.update(range(first, last + 1, step))
    return ",".join(map(str, sorted(numbers)))


@lru_cache(maxsize=4096)
def parse(schedule: str, time_zone: str | None) -> Cron:
    """Return ``spec.schedule`` and ``spec.timeZone`` as a ``Cron``; raises ``InvalidScheduleError`` alone."""
    cron = Cron(_expression(schedule), _zone(time_zone))
    if cron.next_after(datetime(2024, 1, 1, tzinfo=UTC)) is None:
        raise _error(schedule, _NEVER)
    return cron


def _shown(text: str) -> str:
    """Return ``text`` with what cannot be seen, or be stored, spelt out."""
    return "".join(letter if letter.isprintable() else f"\\u{ord(letter):04x}" for letter in text)


def _error(schedule: str, problem: str) -> InvalidScheduleError:
    return InvalidScheduleError(_shown(f'spec.schedule "{schedule}": {problem}'))


_NO_PLACE: Final = frozenset({"Factory", "localtime", "posixrules"})
"""Files among the zones that stand for no place: each machine has its own."""


@lru_cache(maxsize=1)
def _zones() -> frozenset[str]:
    """Return the IANA zones. A machine may have more, under names that are its own: Kubernetes does not know them."""
    published = importlib.resources.files("tzdata").joinpath("zones").read_text(encoding="utf-8").split()
    return frozenset(available_timezones()).intersection(published) - _NO_PLACE


def _zone(name: str | None) -> ZoneInfo:
    if name is None:
        return ZoneInfo("UTC")
    if name in _zones():
        return ZoneInfo(name)
    shown = _shown(f'spec.timeZone "{name}"')
    if name.lower() in {"local", "localtime", "posixrules", "factory"}:
        raise InvalidScheduleError(f"{shown}: this does not name a zone; use one like Europe/London or UTC")
    nearest = _nearest_zone(name[:64].lower())
    advice = f"did you mean {nearest}?" if nearest else "use one like Europe/London or UTC"
    raise InvalidScheduleError(f"{shown}: there is no such IANA time zone; {advice}")


@lru_cache(maxsize=256)
def _nearest_zone(name: str) -> str:
    """Return the zone that is spelt most like ``name``; empty when none is like it."""
    spelt = {zone.lower(): zone for zone in sorted(_zones())}
    close = difflib.get_close_matches(name, spelt, n=1)
    return spelt[close[0]] if close else ""


def _expression(schedule: str) -> str:
    """Return the five fields of ``schedule``."""
    text = schedule.strip()
    if prefix := re.match(r"(?:CRON_)?TZ=(\S*)\s*(.*)", text):
        zone, rest = prefix.groups()
        raise _error(schedule, f"a time zone is not supported here; use schedule: {rest or '...'} and timeZone: {zone}")
    if text.startswith("@"):
        return _macro(schedule, text.lower())
    # Only where the letters are ASCII: some others have capitals among them.
    fields = [field.upper() if field.isascii() else field for field in text.replace("?", "*").split()]
    if len(fields) == len(_FIELDS) + 1:
        seconds, *fields = fields
        if not re.fullmatch("0+", seconds):
            raise _error(schedule, f'second "{seconds}": only 0 is supported, for example "0 {" ".join(fields)}"')
    if len(fields) != len(_FIELDS):
        raise _error(schedule, f"it has {len(fields)} fields but needs five: {_FIVE_FIELDS}")
    for text_of_field, field in zip(fields, _FIELDS, strict=True):
        if problem := _field_problem(text_of_field, field):
            raise _error(schedule, f'{field.name} "{text_of_field}": {problem}')
    expression = " ".join(fields)
    try:
        CronSim(_for_search(_for_kubernetes(expression)), datetime(2024, 1, 1))  # noqa: DTZ001 - a wall-clock time
    except CronSimError as error:
        raise _error(schedule, _NEVER) from error
    return expression


def _macro(schedule: str, macro: str) -> str:
    if macro in _MACROS:
        return _MACROS[macro]
    word, _, duration = macro.partition(" ")
    nearest = f"use five fields, or one of {', '.join(_MACROS)}"
    if word == "@every" and (seconds := _seconds(duration.strip())):
        nearest = _instead_of_every(seconds, duration.strip())
    raise _error(schedule, f"{word} is not supported; {nearest}")


_UNITS: Final = {
    "h": Fraction(3600),
    "m": Fraction(60),
    "s": Fraction(1),
    "ms": Fraction(1, 10**3),
    "us": Fraction(1, 10**6),
    "ns": Fraction(1, 10**9),
}
_PART: Final = re.compile(r"([0-9]{1,9})(?:\.([0-9]{1,9}))?(h|ms|us|ns|m|s)")


def _seconds(duration: str) -> Fraction | None:
    """Return a duration as Go writes it (``1h30m``) in seconds; ``None`` when it is none, or nothing."""
    total, end = Fraction(), 0
    while part := _PART.match(duration, end):
        whole, fraction, unit = part.groups()
        total += Fraction(f"{whole}.{fraction or 0}") * _UNITS[unit]
        end = part.end()
    return total if total and end == len(duration) else None


_MINUTE, _HOUR, _DAY = 60, 3600, 86_400
_EVERY: Final = {
    **{n * _MINUTE: (f"*/{n} * * * *", f"every {n} minutes") for n in range(2, 60) if 60 % n == 0},
    **{n * _HOUR: (f"0 */{n} * * *", f"every {n} hours") for n in range(2, 24) if 24 % n == 0},
    _MINUTE: ("* * * * *", "every minute"),
    _HOUR: ("0 * * * *", "every hour"),
    _DAY: ("0 0 * * *", "every day"),
    7 * _DAY: ("0 0 * * 0", "every week"),
}
"""By their length in seconds, the intervals that cron can say: what divides an hour or a day evenly, and the week."""


def _instead_of_every(seconds: Fraction, duration: str) -> str:
    """Return what to write instead of ``@every``: only what fires as often is offered as the same."""
    if exact := _EVERY.get(int(seconds)) if seconds.denominator == 1 else None:
        return f'use "{exact[0]}"'
    expression, words = _EVERY[min(sorted(_EVERY), key=lambda known: abs(known - seconds))]
    return f'no cron schedule fires every {duration}; the nearest is "{expression}" ({words})'


_QUARTZ: Final = (
    ("day-of-month", "W", '"W" (nearest weekday) is not supported; use days, for example 15, or weekdays (MON-FRI)'),
    ("day-of-week", "#", '"#" (n-th weekday) is not supported; use days of the month, for example 1-7 (first week)'),
    ("day-of-week", "L", '"L" (last weekday) is not supported; use days of the month, for example 22-28'),
)  # fmt: skip
"""Letters of Quartz's cron that Kubernetes has no word for: field, letter, what to do instead."""


def _field_problem(text: str, field: _Field) -> str:
    """Return what is wrong with one field, and the nearest that works; empty: nothing."""
    for of_field, letter, instead in _QUARTZ:
        if field.name == of_field and letter in re.sub("|".join(field.words) or "^$", "", text):
            return instead
    for item in text.split(","):
        of_end = field.name == "day-of-month" and item.startswith("L")
        if problem := _last_day_problem(item) if of_end else _item_problem(item, field):
            return problem
    return ""


def _last_day_problem(item: str) -> str:
    before = _from_the_end(item)
    if before is not None and before < _SHORTEST_MONTH:
        return ""
    return f"use L (the last day of the month), or L-1 to L-{_SHORTEST_MONTH - 1} (days before it)"


def _item_problem(item: str, field: _Field) -> str:
    found = _ITEM.fullmatch(item)
    if not found or (found["first"] == "*" and found["last"]):
        return field.allowed
    numbers = []
    for value in (found["first"], found["last"]):
        if value in {None, "*"}:
            continue
        if value.isalpha() and value not in field.words:
            return field.allowed
        number = field.number(value)
        if field.name == "day-of-week" and number == field.highest + 1:
            return "Sunday is 0 or SUN, not 7"
        if not field.lowest <= number <= field.highest:
            return field.allowed
        numbers.append(number)
    if numbers != sorted(numbers):
        return f"the range ends before it begins; use {found['first']}-{field.highest},{field.lowest}-{found['last']}"
    first = numbers[0] if numbers else field.lowest
    last = numbers[1] if found["last"] else field.highest
    return _step_problem(int(found["step"]), first, last, field) if found["step"] else ""


def _step_problem(step: int, first: int, last: int, field: _Field) -> str:
    """Return what is wrong with a step through ``first`` to ``last``; one of the field's own size is taken as meant."""
    if step == 0:
        return "a step must be at least 1"
    if step <= field.size:
        return ""
    # Kubernetes takes it, and fires at the first value alone: every hour, where "every 90 minutes" was meant.
    longest = last - first
    instead = f"use a step of at most {longest}, or write {first}" if longest else f"write {first}"
    return (
        f"a step of {step} exceeds the field ({field.lowest} to {field.highest}), so only {field.name} {first} would "
        f"match; {instead}"
    )
