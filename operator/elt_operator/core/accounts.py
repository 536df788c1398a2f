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
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Final, NamedTuple

from elt_operator.core import reports
from elt_operator.core.reports import LARGEST_COUNT, MOST_WARNINGS, Checks
from elt_operator.resources.result import MOST_STAGES, NAME_CHARACTERS
from elt_operator.text import clean

LONGEST_LINE: Final = 64 * 1024
"""Of a longer line nothing is read."""
MOST_STREAMS: Final = 1_000
"""Of how many streams rows are told apart; what others have counts as one."""
OTHER_STREAMS: Final = "(others)"
UNNAMED_STREAM: Final = "(unnamed)"
_MOST_COUNTERS: Final = 4 * MOST_STREAMS
_MOST_BLOCKS: Final = 1_000
"""Between so many blocks rows are told apart; those that follow belong to the last one."""
_MOST_REPORTS: Final = 1_000
"""How many ELT-RESULT lines are read."""
_COUNT_DIGITS: Final = 16
_LONGEST_SECONDS: Final = 31_536_000.0
_MICROSECONDS: Final = 1_000_000
"""In a second."""
_TIME_LENGTH: Final = 40
"""How far into a line its JSON may begin: behind the kubelet's time."""
_DECODER: Final = json.JSONDecoder()

TIME: Final = rb"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]{8,18}(?:Z|[+-][0-9:]{5}) "
"""The kubelet's time, before each line."""


class Side(StrEnum):
    """Who counted: the one that reads the source, or the one that writes the destination."""

    EXTRACTOR = "extractor"
    LOADER = "loader"
    BETWEEN = "between"
    """A mapper, which passes on what others read and load: its rows are not counted once more."""


@dataclass(frozen=True)
class Stage:
    """A part of a run: a block of Meltano, or an invocation of dbt."""

    name: str
    exit_code: int | None
    seconds: float | None


@dataclass(frozen=True)
class Account:
    """All that a log tells of the work."""

    read: Mapping[str, int] = field(default_factory=dict)
    """Rows by stream, as the extractors count them; a stream that is not here was not counted."""
    loaded: Mapping[str, int] = field(default_factory=dict)
    """Rows by stream, as the loaders count them."""
    seconds: Mapping[str, float] = field(default_factory=dict)
    """How long each stream took, as the extractors say."""
    differing: Sequence[tuple[str, int, int]] = field(default_factory=list)
    """Streams of which a block read and loaded different numbers of rows: both numbers; the most different first."""
    stages: Sequence[Stage] = field(default_factory=list)
    checks: Checks | None = None
    """``None``: nothing was checked."""
    reported: Mapping[str, int] | None = None
    """Rows by stream, as the program reports them (ELT-RESULT); ``None``: it does not."""
    warnings: Sequence[str] = field(default_factory=list)
    """What the program itself warns of (ELT-RESULT)."""
    ignored: Sequence[str] = field(default_factory=list)
    """Why an ELT-RESULT line was ignored."""


# The JSON of a metric stands in a line of text as it is, and in a line of JSON with a backslash before each quote.
_Q: Final = rb'\\?"'
_TAGS: Final = (
    rb", ?" + _Q + rb"tags" + _Q + rb": ?\{" + _Q
    + rb"(stream|endpoint)" + _Q + rb": ?" + _Q + rb'([^"\\\x00-\x1f\x7f-\xff]{1,128})' + _Q
    + rb"(?:, ?" + _Q + rb"pid" + _Q + rb": ?([0-9]{1,10}))?"
)  # fmt: skip
_ROWS: Final = b'"record_count'
_TIMERS: Final = {b'"sync_duration': Side.EXTRACTOR, b'"batch_processing_time': Side.LOADER}
"""What only one of the two measures; it tells the processes apart where nothing else does."""
_VALUE: Final = _Q + rb", ?" + _Q + rb"value" + _Q + rb": ?"
_METRICS: Final = {
    _ROWS: re.compile(
        _ROWS + rb"(?:" + _VALUE + rb"([0-9]{1,16})" + _TAGS + rb"(?:(, ?" + _Q + rb"context" + _Q + rb")|\}))?"
    ),
    **{name: re.compile(name + rb"(?:" + _VALUE + rb"([0-9.eE+-]{1,32})" + _TAGS + rb"())?") for name in _TIMERS},
}
"""A metric as the SDK and singer-python write it; where it is another one, or the name no plain ASCII, JSON is read."""
_RECORDS: Final = (b'{"type":"RECORD"', b'{"type": "RECORD"')
"""How a row begins that a tap writes; what stands in it is data."""
_UNNAMED: Final = b"metric_name=record_count"
"""What is left of a metric where Meltano writes the structured lines of a plugin as text."""
_UNNAMED_ROWS: Final = re.compile(_UNNAMED + rb"\s+metric_value=([0-9]{1,16})\b")
_ESCAPED: Final = re.compile(rb'(?:[^"\\]|\\.)*+')

_PRODUCER: Final = (b'"producer": true', b"producer=True", b'"producer":true')
_CONSUMER: Final = (b'"consumer": true', b"consumer=True", b'"consumer":true')
_HEAD: Final = 80
"""Within how many characters of its JSON Meltano says it."""
_COLUMN: Final = re.compile(rb"\][^\S\n]{1,2}(?:\x1b\[[0-9;]{0,8}m){0,3}(tap|target)\b")
"""The program whose line Meltano passes on, in a column left of it."""

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
_BEFORE_BLOCK: Final = re.compile(
    rb"(?:\"event\": ?\"|event='|^(?:" + TIME + rb")?"
    rb"|\] {1,2}(?:\x1b\[[0-9;]{0,8}m){0,3}meltano {0,20}(?:\x1b\[[0-9;]{0,8}m| ){0,9})\Z"
)
"""What stands before it where Meltano itself says so, in each of its formats."""
_PASSED_ON: Final = (b'"stdio"', b"stdio=")
"""What Meltano says of a line of somebody else's."""
_PAIR: Final = re.compile(r"\b(set_number|block_type|success|duration_seconds)=('[^']{0,64}'|[^\s']{1,32})")
_JOB: Final = re.compile(r"Running job with name '(?:[^:']{0,64}:)?([^:']{1,200})")
_RUNNING: Final = b"Running job with name"
_REPORT: Final = b"ELT-RESULT"
_BEFORE_REPORT: Final = re.compile(rb"(?:" + TIME + rb")?\s*(?:\xef\xbb\xbf)?\s*")
_AFTER_REPORT: Final = re.compile(rb"(?=[:\s{]|\Z):?\s*")
_COLOURS: Final = re.compile(rb"(?:\s|\x1b\[[0-9;]{0,8}m)+\Z")
_MESSAGES: Final = ("event", "message", "msg")
"""Where lines of JSON have the line that a program wrote."""
_DONE: Final = b"Done. PASS="
_EXIT_CODE: Final = re.compile(r"exit code: (-?[0-9]{1,9})\b")


@dataclass
class Reader:
    """Reads a log. Where each line begins with the kubelet's time, that does no harm."""

    _rest: bytes = b""
    _too_long: bool = False
    """Whether the line that has begun is longer than what is read."""
    _counters: Counter["_Counter"] = field(default_factory=Counter)
    _sides: dict[tuple[int, bytes], Side] = field(default_factory=dict)
    """The side of a process, by its block."""
    _microseconds: dict[str, int] = field(default_factory=dict)
    _block: int = 0
    _job: str = ""
    _stages: list[Stage] = field(default_factory=list)
    _dbt: Stage | None = None
    """What dbt has just said of itself; Meltano says it again of the block that it is in."""
    _dbt_seconds: float | None = None
    _checks: Checks | None = None
    _reported: dict[str, int] | None = None
    _reported_checks: Checks | None = None
    _reports: int = 0
    _warnings: dict[str, None] = field(default_factory=dict)
    _ignored: dict[str, None] = field(default_factory=dict)

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
        for position, line, place in _marked(text, _BLOCK):
            if self._block >= _MOST_BLOCKS:
                break
            if _BEFORE_BLOCK.search(line, max(place - 120, 0), place) and not any(mark in line for mark in _PASSED_ON):
                self._read_block(text[start:position])
                self._take_block(line)
                start = position
        self._read_block(text[start:] if start else text)

    def _read_block(self, text: bytes) -> None:
        """Read lines of one block."""
        self._read_rows(text)
        for name, side in _TIMERS.items():
            self._read_timers(text, name, side)
        marks = {
            _UNNAMED: self._take_unnamed,
            _FINISHED: self._take_seconds,
            _DONE: self._take_checks,
            _RUNNING: self._take_job,
            _REPORT: self._take_report,
        }
        found = [(*where, take) for mark, take in marks.items() for where in _marked(text, mark)]
        for _, line, place, take in sorted(found, key=lambda one: one[0]):
            take(line, place)

    # -- Singer --------------------------------------------------------------------------------------------------------

    def _read_rows(self, text: bytes) -> None:
        counted: dict[tuple[Side | None, bytes, bytes, bytes | None, bool], int] = {}
        sides: dict[bytes, Side | None] = {}
        side: Side | None = None
        sided = read_as_json = -1  # ends of lines
        for found, start, brace, end in _metrics(text, _ROWS):
            value, key, stream, process, context = found.groups()
            if stream is None:
                if read_as_json != end:
                    self._take_rows(text[start:end], found.start() - start)
                read_as_json = end
                continue
            if sided != end:
                position = found.start()
                sided, head = end, text[brace : min(position, brace + _HEAD)]
                if head in sides:
                    side = sides[head]
                else:
                    side = _side_of(text[start:end], position - start)
                    if _says_who(head):
                        sides[head] = side  # the same in each line of a plugin
            if (rows := int(value)) <= LARGEST_COUNT:
                counter = (side, key, stream, process, context is not None)
                counted[counter] = counted.get(counter, 0) + rows
        for (said, key, stream, process, has_context), rows in counted.items():
            self._count(said, _looks_like(key, has_context), process or b"", _name(stream.decode()), rows)

    def _count(self, said: Side | None, looks: Side, process: bytes, stream: str, rows: int) -> None:
        if said is Side.BETWEEN:
            return
        key = _Counter(self._block, said, looks, process, stream)
        if key not in self._counters and len(self._counters) >= _MOST_COUNTERS:
            key = key._replace(stream=OTHER_STREAMS)
        self._counters[key] = min(self._counters[key] + rows, LARGEST_COUNT)

    def _take_rows(self, line: bytes, position: int) -> None:
        """Take a metric that is not written as usual."""
        metric = _metric(line, position)
        if metric and metric.name == "record_count" and (rows := _rows(metric.value)) is not None:
            self._count(_side_of(line, position), metric.looks, metric.process, metric.stream, rows)

    def _take_unnamed(self, line: bytes, position: int) -> None:
        if found := _UNNAMED_ROWS.match(line, position):
            self._count(_side_of(line, position), Side.EXTRACTOR, b"", UNNAMED_STREAM, int(found[1]))

    def _read_timers(self, text: bytes, name: bytes, side: Side) -> None:
        taken: dict[tuple[bytes, bytes | None], int] = {}
        read_as_json = -1
        for found, start, _, end in _metrics(text, name):
            value, _, stream, process, _ = found.groups()
            if stream is not None:
                timer = (stream, process)
                taken[timer] = taken.get(timer, 0) + _microseconds(value)
            elif read_as_json != end:
                read_as_json = end
                if metric := _metric(text[start:end], found.start() - start):
                    self._take_timer(side, metric.stream, _microseconds(metric.value), metric.process)
        for (stream, process), microseconds in taken.items():
            self._take_timer(side, _name(stream.decode()), microseconds, process or b"")

    def _take_timer(self, side: Side, stream: str, microseconds: int, process: bytes) -> None:
        if process:
            self._sides.setdefault((self._block, process), side)
        if side is Side.EXTRACTOR and (stream in self._microseconds or len(self._microseconds) < MOST_STREAMS):
            self._microseconds[stream] = self._microseconds.get(stream, 0) + microseconds

    # -- Meltano and dbt -------------------------------------------------------------------------------------------

    def _take_job(self, line: bytes, _position: int) -> None:
        self._end_dbt()
        found = _JOB.search(line.decode(errors="replace"))
        self._job = _name(found[1]) if found else self._job

    def _take_block(self, line: bytes) -> None:
        pairs = _PAIR.findall(line.decode(errors="replace"))
        told = _json_object(line) or {name: value.strip("'") for name, value in pairs}
        self._block += 1
        dbt, self._dbt = self._dbt or Stage("", None, None), None
        exit_code, seconds = _exit_code(told), _seconds(told.get("duration_seconds"))
        self._add(
            Stage(
                self._job or dbt.name or f"block {self._block}",
                dbt.exit_code if exit_code is None else exit_code,
                dbt.seconds if seconds is None else seconds,
            )
        )
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
        self._end_dbt()
        self._job = ""
        plugin = _PLUGIN.search(line)
        stage = Stage("dbt", 1 if failed else 0, self._dbt_seconds)
        self._dbt_seconds = None
        if plugin:
            self._dbt = replace(stage, name=(plugin[1] or plugin[2]).decode())
        else:
            self._add(stage)

    def _end_dbt(self) -> None:
        """Take what dbt said of itself for all that is said of it: no block of Meltano's has ended with it."""
        self._add(self._dbt)
        self._dbt = None

    def _add(self, stage: Stage | None) -> None:
        if stage and len(self._stages) < MOST_STAGES:
            self._stages.append(stage)

    # -- Any program -----------------------------------------------------------------------------------------------

    def _take_report(self, line: bytes, position: int) -> None:
        if self._reports == _MOST_REPORTS:
            self._ignore(f"there are more than {_MOST_REPORTS:,} of them; print one at the end")
        elif (text := _report_in(line, position)) is not None:
            self._reports += 1
            try:
                self._report(reports.read(text))
            except reports.IgnoredError as error:
                self._ignore(str(error))

    def _ignore(self, why: str) -> None:
        if len(self._ignored) < MOST_WARNINGS:
            self._ignored[why] = None

    def _report(self, told: reports.Report) -> None:
        if told.rows is not None and self._reported is None:
            self._reported = {}
        for stream, rows in (told.rows or {}).items():
            if self._reported is not None and (stream in self._reported or len(self._reported) < MOST_STREAMS):
                self._reported[stream] = rows
        if told.checks is not None:
            self._reported_checks = told.checks
        for warning in told.warnings:
            if len(self._warnings) < MOST_WARNINGS:
                self._warnings[warning] = None

    # -- All of it -------------------------------------------------------------------------------------------------

    def _account(self) -> Account:
        counted: dict[Side, dict[tuple[int, str], int]] = {Side.EXTRACTOR: {}, Side.LOADER: {}}
        for counter, rows in self._counters.items():
            side = counter.said or self._sides.get((counter.block, counter.process), counter.looks)
            of_side, key = counted[side], (counter.block, counter.stream)
            of_side[key] = min(of_side.get(key, 0) + rows, LARGEST_COUNT)
        checks = self._checks
        if self._reported_checks is not None:
            checks = self._reported_checks if checks is None else checks + self._reported_checks
        return Account(
            _by_stream(counted[Side.EXTRACTOR]),
            _by_stream(counted[Side.LOADER]),
            {stream: min(time / _MICROSECONDS, _LONGEST_SECONDS) for stream, time in self._microseconds.items()},
            _differing(counted[Side.EXTRACTOR], counted[Side.LOADER]),
            self._stages,
            checks,
            self._reported,
            list(self._warnings),
            list(self._ignored),
        )


class _Counter(NamedTuple):
    """What is counted by itself."""

    block: int
    said: Side | None
    """As Meltano says; ``None``: it does not."""
    looks: Side
    """As the metric looks."""
    process: bytes
    stream: str


class _Metric(NamedTuple):
    """What is read of a metric."""

    name: str
    value: Any
    stream: str
    process: bytes
    """PID, empty where it is not said."""
    looks: Side


def _bounds(text: bytes, position: int) -> tuple[int, int]:
    """Return where the line around ``position`` begins and ends."""
    end = text.find(b"\n", position)
    return text.rfind(b"\n", 0, position) + 1, len(text) if end < 0 else end


def _metrics(text: bytes, name: bytes) -> Iterator[tuple[re.Match[bytes], int, int, int]]:
    """Yield where a metric of this name stands, and its line's beginning, first brace and end; not of all lines."""
    pattern = _METRICS[name]
    start = brace = end = -1
    position = text.find(name)
    while position >= 0:
        if position >= end:
            start, end = _bounds(text, position)
            brace = text.find(b"{", start, position)
            brace = start if brace < 0 else brace
        if end - start > LONGEST_LINE or text.startswith(_RECORDS, brace):
            position = text.find(name, end)
            continue
        if found := pattern.match(text, position):
            yield found, start, brace, end
        position = text.find(name, position + 1)


def _report_in(line: bytes, position: int) -> bytes | None:
    """Return what follows ELT-RESULT, where that begins the line or what a line of JSON says; ``None``: it does not."""
    if _BEFORE_REPORT.fullmatch(line, 0, position):
        said = line[position:]
    else:
        told = _json_object(line) or {}
        message = next((told[name] for name in _MESSAGES if isinstance(told.get(name), str)), "")
        said = message.encode(errors="replace")
        if not said.startswith(_REPORT):
            return None
    after = _AFTER_REPORT.match(said, len(_REPORT))
    return _COLOURS.sub(b"", said[after.end() :]) if after else None


def _marked(text: bytes, mark: bytes) -> Iterator[tuple[int, bytes, int]]:
    """Yield where ``mark`` stands, its line, and where in it: once for each line; not of lines that are too long."""
    position = text.find(mark)
    while position >= 0:
        start, end = _bounds(text, position)
        if end - start <= LONGEST_LINE:
            yield position, text[start:end], position - start
        position = text.find(mark, end)


def _metric(line: bytes, position: int) -> _Metric | None:
    """Return the metric whose name stands at ``position``; ``None``: it is none."""
    told = _json_around(line, position)
    tags = told.get("tags") if told else None
    name = told.get("metric") if told else None
    if not isinstance(tags, dict) or not isinstance(name, str):
        return None
    key = next((key for key in ("stream", "endpoint", "table") if tags.get(key)), "")
    stream, pid = _name(tags.get(key)) or UNNAMED_STREAM, tags.get("pid")
    process = str(pid).encode()[:10] if isinstance(pid, int) else b""
    looks = _looks_like(key.encode(), "context" in tags)
    return _Metric(name, told.get("value"), stream, process, looks) if told else None


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


def _side_of(line: bytes, position: int) -> Side | None:
    """Return who counted what stands at ``position``, as Meltano's own part of the line says; ``None``: it does not."""
    before = line[:position]
    if b"producer" in line:
        brace = max(before.find(b"{"), 0)
        head = before[brace : brace + _HEAD]
        said = head if _says_who(head) else line
        reads, loads = any(mark in said for mark in _PRODUCER), any(mark in said for mark in _CONSUMER)
        return (Side.BETWEEN if loads else Side.EXTRACTOR) if reads else (Side.LOADER if loads else None)
    column = _COLUMN.search(before) if b"]" in before else None
    return (Side.EXTRACTOR if column[1] == b"tap" else Side.LOADER) if column else None


def _says_who(head: bytes) -> bool:
    """Return whether Meltano says at the beginning of a line who counted, before it says what."""
    return b"producer" in head and b"consumer" in head


def _rows(value: Any) -> int | None:
    """Return a number of rows; ``None`` for what is none."""
    if isinstance(value, str):
        value = int(value) if value.isascii() and value.isdigit() and len(value) <= _COUNT_DIGITS else None
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


def _microseconds(value: Any) -> int:
    """Return a duration that can be added up in any order; 0 for what is none."""
    return round((_seconds(value) or 0.0) * _MICROSECONDS)


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


def _differing(
    read: Mapping[tuple[int, str], int], loaded: Mapping[tuple[int, str], int]
) -> list[tuple[str, int, int]]:
    """Return what was not loaded as it was read, block by block.

    Blocks that run side by side end in each other's midst, so a stream counts only if all blocks together differ, too.
    """
    all_read, all_loaded = _by_stream(read), _by_stream(loaded)
    found = [
        (key[1], rows, loaded[key])
        for key, rows in read.items()
        if key in loaded and loaded[key] != rows and all_read[key[1]] != all_loaded[key[1]]
    ]
    return sorted(found, key=lambda one: (-abs(one[1] - one[2]), one))
