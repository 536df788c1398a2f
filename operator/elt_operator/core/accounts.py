"""What a run's log tells of its work: rows read and loaded, stages, checks. Read chunk by chunk, once.

Three kinds of lines count, whoever writes them; all others are passed over without being looked at:

- ``METRIC: {json}`` of Singer: a counter is what was counted *since the last such line*, so all of them are added;
- ``Block run completed`` of Meltano, and the summary ``Done. PASS=1 WARN=0 …`` of dbt, in any of their formats;
- ``ELT-RESULT {json}`` of any other program.

A log is foreign text: nothing here raises, and the time is linear in its length.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final, NamedTuple

from elt_operator.text import clean

LONGEST_LINE: Final = 64 * 1024
"""Of a longer line nothing is read."""
LONGEST_REPORT: Final = 16 * 1024
"""How long the JSON of an ELT-RESULT line may be, in bytes."""
MOST_STREAMS: Final = 1_000
"""Of how many streams rows are told apart; what others have counts as one."""
OTHER_STREAMS: Final = "(others)"
UNNAMED_STREAM: Final = "(unnamed)"
MOST_STAGES: Final = 32
_MOST_COUNTERS: Final = 4 * MOST_STREAMS
_MOST_REPORTED: Final = 100
"""Streams in an ELT-RESULT line."""
_MOST_WARNINGS: Final = 8
NAME_CHARACTERS: Final = 128
_WARNING_CHARACTERS: Final = 300
LARGEST_COUNT: Final = 2**53 - 1
_COUNT_DIGITS: Final = 15
_LONGEST_SECONDS: Final = 31_536_000.0
_TIME_LENGTH: Final = 40
"""How far into a line its JSON may begin: behind the kubelet's time."""
_DECODER: Final = json.JSONDecoder()


class Side(Enum):
    """Who counted: the one that reads the source, or the one that writes the destination."""

    EXTRACTOR = "extractor"
    LOADER = "loader"


@dataclass(frozen=True)
class Stage:
    """A part of a run: a block of Meltano, or an invocation of dbt."""

    name: str
    exit_code: int | None
    seconds: float | None


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
class Account:
    """All that a log tells of the work."""

    read: Mapping[str, int] = field(default_factory=dict)
    """Rows by stream, as the extractors count them; a stream that is not here was not counted."""
    loaded: Mapping[str, int] = field(default_factory=dict)
    """Rows by stream, as the loaders count them."""
    seconds: Mapping[str, float] = field(default_factory=dict)
    """How long each stream took, as the extractors say."""
    differing: Sequence[tuple[str, int, int]] = ()
    """Streams of which one block read and loaded different numbers of rows: both numbers."""
    stages: Sequence[Stage] = ()
    checks: Checks | None = None
    """``None``: nothing was checked."""
    reported: Mapping[str, int] | None = None
    """Rows by stream, as the program reports them (ELT-RESULT); ``None``: it does not."""
    warnings: Sequence[str] = ()
    """What the program itself warns of (ELT-RESULT)."""
    ignored: Sequence[str] = ()
    """Why an ELT-RESULT line was ignored."""


# The JSON of a metric stands in a line of text as it is, and in a line of JSON with a backslash before each quote.
_Q: Final = rb'\\?"'
_REST: Final = (
    rb"(?:" + _Q + rb", ?" + _Q + rb"value" + _Q + rb": ?([0-9.eE+-]{1,32}), ?" + _Q + rb"tags" + _Q + rb": ?\{" + _Q
    + rb"(stream|endpoint)" + _Q + rb": ?" + _Q + rb'([^"\\\x00-\x1f\x80-\xff]{1,128})' + _Q
    + rb"(?:, ?" + _Q + rb"pid" + _Q + rb": ?([0-9]{1,10}))?(, ?" + _Q + rb"context" + _Q + rb")?)?"
)  # fmt: skip
_ROWS: Final = b"record_count"
_TIMERS: Final = {b"sync_duration": Side.EXTRACTOR, b"batch_processing_time": Side.LOADER}
"""What only one of the two measures; it tells the processes apart where nothing else does."""
_METRICS: Final = {name: re.compile(name + _REST) for name in (_ROWS, *_TIMERS)}
"""A metric as the SDK and singer-python write it; where it is another one, or the name no plain ASCII, JSON is read."""
_UNNAMED: Final = re.compile(rb"metric_name=record_count\s+metric_value=([0-9]{1,16})\b")
"""What is left of a metric where Meltano writes the structured lines of a plugin as text."""
_ESCAPED: Final = re.compile(rb'(?:[^"\\]|\\.)*+')

_SIDES: Final = (
    (Side.EXTRACTOR, (b'"producer": true', b"producer=True", b'"producer":true')),
    (Side.LOADER, (b'"consumer": true', b"consumer=True", b'"consumer":true')),
)
_COLUMN: Final = re.compile(rb"\][^\S\n]{1,2}(?:\x1b\[[0-9;]{0,8}m){0,3}(tap|target)\b")
"""The program whose line Meltano passes on, in a column left of it."""
_BEFORE: Final = 96
"""How far before a metric Meltano's name of the program is looked for."""
_NAMED: Final = b'"name": "'

_DBT: Final = re.compile(
    rb"Done\. PASS=([0-9]{1,9}) WARN=([0-9]{1,9}) ERROR=([0-9]{1,9}) SKIP=([0-9]{1,9})(?: NO-OP=([0-9]{1,9}))?"
)
_FINISHED: Final = b"Finished running "
_DURATION: Final = re.compile(rb"\(([0-9]{1,8}\.[0-9]{1,4})s\)")
_PLUGIN: Final = re.compile(
    rb'"name": "([A-Za-z0-9._:-]{1,64})", "event"|\]\s{1,2}(?:\x1b\[[0-9;]{0,8}m){0,3}(dbt[A-Za-z0-9._-]{0,60})'
)
"""The plugin whose line Meltano passes on."""
_BLOCK: Final = b"Block run completed"
_PAIR: Final = re.compile(r"\b(set_number|block_type|success|duration_seconds)=('[^']{0,64}'|[^\s']{1,32})")
_JOB: Final = re.compile(r"Running job with name '(?:[^:']{0,64}:)?([^:']{1,200})")
_RUNNING: Final = b"Running job with name"
_REPORT: Final = b"ELT-RESULT "
_DONE: Final = b"Done. PASS="
_EXIT_CODE: Final = re.compile(r"exit code: (-?[0-9]{1,9})\b")


@dataclass
class Reader:
    """Reads a log. Where each line begins with the kubelet's time, that does no harm."""

    _rest: bytes = b""
    _too_long: bool = False
    """Whether the line that has begun is longer than what is read."""
    _counters: Counter[tuple[int, Side | None, Side, bytes, str]] = field(default_factory=Counter)
    """By block, side as Meltano says it, side as the metric looks, process and stream."""
    _sides: dict[tuple[int, bytes], Side] = field(default_factory=dict)
    """The side of a process, by its block."""
    _seconds: dict[str, float] = field(default_factory=dict)
    _block: int = 0
    _job: str = ""
    _stages: list[Stage] = field(default_factory=list)
    _dbt: Stage | None = None
    """What dbt has just said of itself; Meltano says it again of the block that it is in."""
    _dbt_seconds: float | None = None
    _checks: Checks | None = None
    _reported: dict[str, int] | None = None
    _reported_checks: Checks | None = None
    _warnings: list[str] = field(default_factory=list)
    _ignored: list[str] = field(default_factory=list)

    def feed(self, chunk: bytes) -> None:
        """Read the next part of the log."""
        head, newline, rest = chunk.rpartition(b"\n")
        if not newline:
            self._keep(chunk)
            return
        head = head.partition(b"\n")[2] if self._too_long else self._rest + head
        self._rest, self._too_long = b"", False
        self._keep(rest)
        self._read(head)

    def _keep(self, rest: bytes) -> None:
        if len(self._rest) + len(rest) > LONGEST_LINE:
            self._rest, self._too_long = b"", True
        elif not self._too_long:
            self._rest += rest

    def finish(self) -> Account:
        """Return what the log tells, once all of it was read."""
        if not self._too_long:
            self._read(self._rest)
        self._add(self._dbt)
        return self._account()

    def _read(self, text: bytes) -> None:
        """Read whole lines, block by block."""
        start = 0
        for end in _positions(text, _BLOCK):
            self._read_block(text[start:end])
            self._take_block(*_line(text, end))
            start = end
        self._read_block(text[start:] if start else text)

    def _read_block(self, text: bytes) -> None:
        """Read lines of one block."""
        self._read_rows(text)
        for name, side in _TIMERS.items():
            self._read_timers(text, name, side)
        marks = {
            _FINISHED: self._take_seconds,
            _DONE: self._take_checks,
            _RUNNING: self._take_job,
            _REPORT: self._take_report,
        }
        found = [(position, take) for mark, take in marks.items() for position in _positions(text, mark)]
        for position, take in sorted(found, key=lambda one: one[0]):
            take(*_line(text, position))

    # -- Singer --------------------------------------------------------------------------------------------------------

    def _read_rows(self, text: bytes) -> None:
        counted: dict[tuple[Side | None, Side, bytes, bytes], int] = {}
        sides: dict[bytes, Side | None] = {}
        for found in _METRICS[_ROWS].finditer(text) if _ROWS in text else ():
            start, (value, key, stream, process, context) = found.start(), found.groups()
            if stream is None or not value.isdigit():
                self._take_rows(*_line(text, start))
                continue
            before = text[max(start - _BEFORE, 0) : start]
            program = before[before.rfind(_NAMED) :] if _NAMED in before and b"\n" not in before else b""
            if not program or program not in sides:
                sides[program] = _side_of(_line(text, start)[0])
            counter = (sides[program], _looks_like(key, context is not None), process or b"", stream)
            counted[counter] = counted.get(counter, 0) + (int(value) if len(value) <= _COUNT_DIGITS else 0)
        for (side, looks, process, stream), rows in counted.items():
            self._count(side, looks, process, stream.decode(), rows)

    def _count(self, side: Side | None, looks: Side, process: bytes, stream: str, rows: int) -> None:
        key = (self._block, side, looks, process, stream)
        if key not in self._counters and len(self._counters) >= _MOST_COUNTERS:
            key = (*key[:4], OTHER_STREAMS)
        self._counters[key] = min(self._counters[key] + rows, LARGEST_COUNT)

    def _take_rows(self, line: bytes, position: int) -> None:
        """Take a metric that is not written as usual."""
        metric = _metric(line, position)
        if metric and metric.name == _ROWS.decode() and (rows := _rows(metric.value)) is not None:
            self._count(_side_of(line), metric.looks, metric.process, metric.stream, rows)
        elif unnamed := _UNNAMED.search(line):
            self._count(_side_of(line), Side.EXTRACTOR, b"", UNNAMED_STREAM, int(unnamed[1]))

    def _read_timers(self, text: bytes, name: bytes, side: Side) -> None:
        for found in _METRICS[name].finditer(text) if name in text else ():
            value, _, stream, process, _ = found.groups()
            if process:
                self._sides.setdefault((self._block, process), side)
            if stream and side is Side.EXTRACTOR and (seconds := _seconds(value)) is not None:
                self._time(stream.decode(), seconds)

    def _time(self, stream: str, seconds: float) -> None:
        if stream in self._seconds or len(self._seconds) < MOST_STREAMS:
            self._seconds[stream] = min(self._seconds.get(stream, 0.0) + seconds, _LONGEST_SECONDS)

    # -- Meltano and dbt -------------------------------------------------------------------------------------------

    def _take_job(self, line: bytes, _position: int) -> None:
        found = _JOB.search(line.decode(errors="replace"))
        self._job = _name(found[1]) if found else self._job

    def _take_block(self, line: bytes, _position: int) -> None:
        pairs = _PAIR.findall(line.decode(errors="replace"))
        told = _json_object(line) or {name: value.strip("'") for name, value in pairs}
        self._block += 1
        plugin = self._dbt.name if self._dbt else ""
        self._dbt = None
        name = self._job or plugin or f"block {self._block}"
        self._add(Stage(name, _exit_code(told), _seconds(told.get("duration_seconds"))))
        self._job = ""

    def _take_seconds(self, line: bytes, position: int) -> None:
        found = _DURATION.search(line, position)
        self._dbt_seconds = _seconds(found[1].decode()) if found else None

    def _take_checks(self, line: bytes, position: int) -> None:
        found = _DBT.match(line, position)
        if not found:
            return
        passed, warned, failed, skipped, not_run = (int(number or 0) for number in found.groups())
        now = Checks(passed, warned, failed, skipped + not_run)
        self._checks = now if self._checks is None else self._checks + now
        self._add(self._dbt)
        plugin = _PLUGIN.search(line)
        name = (plugin[1] or plugin[2]).decode() if plugin else "dbt"
        self._dbt = Stage(name, 1 if failed else 0, self._dbt_seconds)
        self._dbt_seconds = None

    def _add(self, stage: Stage | None) -> None:
        if stage and len(self._stages) < MOST_STAGES:
            self._stages.append(stage)

    # -- Any program -----------------------------------------------------------------------------------------------

    def _take_report(self, line: bytes, position: int) -> None:
        text = line[position + len(_REPORT) :].strip()
        try:
            self._report(_read_report(text))
        except _IgnoredError as error:
            if len(self._ignored) < _MOST_WARNINGS:
                self._ignored.append(str(error))

    def _report(self, told: "_Report") -> None:
        if told.rows is not None:
            self._reported = {**(self._reported or {}), **told.rows}
            if len(self._reported) > MOST_STREAMS:
                self._reported = dict(list(self._reported.items())[:MOST_STREAMS])
        if told.checks is not None:
            self._reported_checks = told.checks
        self._warnings = [*self._warnings, *(one for one in told.warnings if one not in self._warnings)][
            :_MOST_WARNINGS
        ]

    # -- All of it -------------------------------------------------------------------------------------------------

    def _account(self) -> Account:
        counted: dict[Side, dict[tuple[int, str], int]] = {Side.EXTRACTOR: {}, Side.LOADER: {}}
        for (block, said, looks, process, stream), rows in self._counters.items():
            side = said or self._sides.get((block, process), looks)
            of_side = counted[side]
            of_side[block, stream] = min(of_side.get((block, stream), 0) + rows, LARGEST_COUNT)
        read, loaded = counted[Side.EXTRACTOR], counted[Side.LOADER]
        differing = [(key[1], rows, loaded[key]) for key, rows in read.items() if key in loaded and loaded[key] != rows]
        checks = self._checks
        if self._reported_checks is not None:
            checks = self._reported_checks if checks is None else checks + self._reported_checks
        return Account(
            _by_stream(read),
            _by_stream(loaded),
            dict(self._seconds),
            differing,
            self._stages,
            checks,
            self._reported,
            self._warnings,
            self._ignored,
        )


class _Metric(NamedTuple):
    """What is read of a metric."""

    name: str
    value: Any
    stream: str
    process: bytes
    """PID, empty where it is not said."""
    looks: Side


def _line(text: bytes, position: int) -> tuple[bytes, int]:
    """Return the line around ``position``, and the position in it; of a line that is too long nothing."""
    start, end = text.rfind(b"\n", 0, position) + 1, text.find(b"\n", position)
    end = len(text) if end < 0 else end
    return (text[start:end], position - start) if end - start <= LONGEST_LINE else (b"", 0)


def _positions(text: bytes, mark: bytes) -> Iterator[int]:
    """Yield where ``mark`` stands, once for each line."""
    position = text.find(mark)
    while position >= 0:
        yield position
        end = text.find(b"\n", position)
        position = text.find(mark, end) if end >= 0 else -1


def _metric(line: bytes, position: int) -> _Metric | None:
    """Return the metric whose name stands at ``position``; ``None``: it is none."""
    told = _json_around(line, position)
    tags = told.get("tags") if told else None
    name = told.get("metric") if told else None
    if not isinstance(tags, dict) or not isinstance(name, str):
        return None
    key = "stream" if tags.get("stream") else "endpoint"
    stream, pid = _name(tags.get(key)), tags.get("pid")
    process = str(pid).encode()[:10] if isinstance(pid, int) else b""
    looks = _looks_like(key.encode(), "context" in tags)
    return _Metric(name, told.get("value"), stream, process, looks) if stream and told else None


def _looks_like(key: bytes, has_context: bool) -> Side:
    """Return which side a metric looks like: the SDK's taps give a context, its targets none; the others are taps."""
    return Side.LOADER if key == b"stream" and not has_context else Side.EXTRACTOR


def _json_around(line: bytes, position: int) -> dict[str, Any] | None:
    """Return the JSON object whose first member but one begins right before ``position``; it may stand in a string."""
    start = line.rfind(b"{", 0, position)
    if start < 0:
        return None
    if line[start + 1 : start + 2] == b"\\":
        inside = _ESCAPED.match(line, start)
        text = _json(b'"' + inside[0] + b'"') if inside else None
    else:
        text = line[start:].decode(errors="replace")
    try:
        value, _ = _DECODER.raw_decode(text) if isinstance(text, str) else (None, 0)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _json(text: bytes) -> Any:
    """Return the value that ``text`` is; ``None`` where it is none."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _json_object(line: bytes) -> dict[str, Any] | None:
    """Return the object that a line of a log is, the kubelet's time before it left out."""
    start = line.find(b"{")
    value = _json(line[start:]) if 0 <= start <= _TIME_LENGTH else None
    return value if isinstance(value, dict) else None


def _side_of(line: bytes) -> Side | None:
    """Return who counted, as Meltano says in its own part of the line; ``None``: it does not."""
    if b"producer" in line:
        return next((side for side, marks in _SIDES if any(mark in line for mark in marks)), None)
    column = _COLUMN.search(line) if b"]" in line else None
    return (Side.EXTRACTOR if column[1] == b"tap" else Side.LOADER) if column else None


def _rows(value: Any) -> int | None:
    """Return a number of rows; ``None`` for what is none."""
    if isinstance(value, str):
        return int(value) if value.isdigit() and len(value) <= _COUNT_DIGITS else None
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if 0 <= value <= LARGEST_COUNT else None


def _seconds(value: Any) -> float | None:
    """Return a duration, at most a year; ``None`` for what is none."""
    try:
        seconds = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return seconds if 0 <= seconds <= _LONGEST_SECONDS else None


def _name(value: Any) -> str:
    """Return a name as one line that can be printed, cut; empty where it is none."""
    if not isinstance(value, str):
        return ""
    return " ".join(clean(value[: 2 * NAME_CHARACTERS]).split())[:NAME_CHARACTERS]


def _exit_code(told: Mapping[str, Any]) -> int | None:
    """Return the exit code of a block of Meltano: the worst of its parts; ``None``: it is not said."""
    codes = told.get("exit_codes")
    found = [code for code in codes.values() if type(code) is int and code] if isinstance(codes, dict) else []
    if found:
        return max(min(code, 2**31 - 1) if code > 0 else max(code, -(2**31)) for code in found)
    if isinstance(err := told.get("err"), str) and (code := _EXIT_CODE.search(err)):
        return int(code[1])
    success = told.get("success")
    return {True: 0, "True": 0, False: 1, "False": 1}.get(success) if isinstance(success, bool | str) else None


def _by_stream(counted: Mapping[tuple[int, str], int]) -> dict[str, int]:
    """Return rows by stream, of all blocks together."""
    found: dict[str, int] = {}
    for (_, stream), rows in counted.items():
        found[stream] = min(found.get(stream, 0) + rows, LARGEST_COUNT)
    return found


# -- ELT-RESULT --------------------------------------------------------------------------------------------------------


class _IgnoredError(Exception):
    """A line does not say what it has to, and how: its words are the message."""


@dataclass(frozen=True)
class _Report:
    """What a line says."""

    rows: Mapping[str, int] | None = None
    checks: Checks | None = None
    warnings: Sequence[str] = ()


def _read_report(text: bytes) -> _Report:
    """Return what the JSON after ELT-RESULT says; raises ``_IgnoredError``."""
    if len(text) > LONGEST_REPORT:
        raise _IgnoredError(f"it has {len(text):,} bytes; at most {LONGEST_REPORT:,} are allowed")
    told = _json(text)
    if not isinstance(told, dict):
        raise _IgnoredError("what follows ELT-RESULT is not a JSON object")
    unknown = sorted(set(told) - {"rows", "checks", "warnings"})
    if unknown:
        raise _IgnoredError(f"{_shown(unknown[0])} is not a known key; use rows, checks or warnings")
    return _Report(
        _reported_rows(told.get("rows")), _reported_checks(told.get("checks")), _reported_warnings(told.get("warnings"))
    )


def _reported_rows(rows: Any) -> dict[str, int] | None:
    if rows is None:
        return None
    if not isinstance(rows, dict):
        raise _IgnoredError('rows is not an object; write it as {"orders": 12}')
    if len(rows) > _MOST_REPORTED:
        raise _IgnoredError(f"rows has {len(rows):,} streams; at most {_MOST_REPORTED} are allowed")
    for name, count in rows.items():
        if not 0 < len(name) <= NAME_CHARACTERS or not name.isprintable():
            raise _IgnoredError(f"a stream is named {_shown(name)}; use 1 to {NAME_CHARACTERS} printable characters")
        if _rows(count) is None or isinstance(count, str):
            raise _IgnoredError(f"rows.{_shown(name)} is not an integer from 0 to 2^53-1")
    return rows


def _reported_checks(checks: Any) -> Checks | None:
    if checks is None:
        return None
    known = {"passed", "warned", "failed", "skipped"}
    if not isinstance(checks, dict) or set(checks) - known:
        raise _IgnoredError("checks is not an object of passed, warned, failed and skipped")
    wrong = [name for name, count in checks.items() if _rows(count) is None or isinstance(count, str)]
    if wrong:
        raise _IgnoredError(f"checks.{wrong[0]} is not an integer from 0 to 2^53-1")
    return Checks(**checks)


def _reported_warnings(warnings: Any) -> list[str]:
    if warnings is None:
        return []
    if not isinstance(warnings, list) or not all(isinstance(one, str) for one in warnings):
        raise _IgnoredError("warnings is not a list of texts")
    texts = (" ".join(clean(one).split())[:_WARNING_CHARACTERS] for one in warnings[:_MOST_WARNINGS])
    return [text for text in texts if text]


def _shown(name: Any) -> str:
    """Return a foreign name for a message: short, and quoted."""
    return ascii(str(name)[:40])
