"""The lines of a log: what was said, and how severe, without the JSON, times and levels around it."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from elt_operator.core import log_formats as formats
from elt_operator.text import CHARACTERS, clean, shown

LOOKED_AT: Final = 200
"""Formats are told by the beginning of a line."""
KEPT: Final = 2_000
"""What is kept of a line: more than an explanation may hold."""
_LINES: Final = 400
"""How many of its last lines are looked at, where the lines of a stack of Java's count as one."""
_LAYERS: Final = 4
"""A tap's JSON within Meltano's within a container runtime's, and one to spare."""
_LINES_OF_A_MESSAGE: Final = 400
_LINES_OF_AN_OBJECT: Final = 100
_DIGITS: Final = 18
_NAME_LENGTH: Final = 63
_RIGHT_COLUMN: Final = 120


def _integer(digits: str) -> int | float:
    """Return a number of JSON; of one with more digits than any code or level has, something that is no integer."""
    return int(digits) if len(digits) <= _DIGITS else float("inf")


def json_object(text: str) -> dict[str, Any] | None:
    """Return a line's JSON object; ``None`` for any other text. Logs are read leniently: nobody promised JSON."""
    if not text.startswith("{"):
        return None
    try:
        value = json.loads(text, parse_int=_integer)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _half_object(text: str) -> dict[str, Any]:
    """Return what can be read of an object that is cut, too deep, or Python's: its strings and plain values."""
    fields: dict[str, Any] = {}
    key = ""
    for found in formats.HALF_PAIRS.finditer(text[:KEPT]):
        value = next((part for part in found.group(1, 2) if part is not None), "")
        if found[3] is None:
            if key:
                fields.setdefault(key, value.replace("\\n", "\n").replace('\\"', '"'))
            key = ""
        elif found[4]:
            fields.setdefault(value, found[4])
        else:
            key = value
    return fields


def _pairs(text: str) -> dict[str, Any]:
    """Return the fields of a line of ``key=value``; empty for any other line."""
    if not formats.FIRST_PAIR.match(text):
        return {}
    fields: dict[str, Any] = {}
    for found in formats.PAIRS.finditer(text[:KEPT]):
        value = next((part for part in found.group(2, 3, 4) if part is not None), "")
        if " " in (found[4] or "") and found[1].lower() in formats.MESSAGE_FIELDS:
            value = text[found.start(4) : KEPT]  # nobody quoted it: what looks like a field may be a part of it
        fields.setdefault(found[1].lower(), value.replace("\\n", "\n").replace('\\"', '"'))
    return fields


def _flat(fields: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return fields by their path in lower case, where a format has fields within fields."""
    flat: dict[str, Any] = {}
    for key, value in fields.items():
        path = prefix + key.lower()
        flat.setdefault(path, value)
        if isinstance(value, dict) and path in formats.PARENTS:
            flat |= _flat(value, f"{path}.")
    return flat


def _ranked(flat: Mapping[str, Any], ranks: Mapping[str, int]) -> list[str]:
    """Return which of the fields in ``ranks`` there are, in that order."""
    return sorted((path for path in flat if path in ranks), key=ranks.__getitem__)


def _level(flat: Mapping[str, Any]) -> str:
    """Return ``error``, ``warning`` or ``info``; empty where the fields do not say."""
    for path in _ranked(flat, formats.LEVEL_FIELDS):
        value = flat[path]
        if isinstance(value, str) and (level := formats.LEVELS.get(value[:_NAME_LENGTH].strip().lower())):
            return level
        if isinstance(value, str) and value.isascii() and value.isdigit():
            value = _integer(value)
        if isinstance(value, int | float) and not isinstance(value, bool) and path in formats.NUMBERED:
            return _numbered(value, path, flat.keys())
    return ""


def _numbered(value: float, path: str, keys: Iterable[str]) -> str:
    """Return the level that a logger's number means; empty where it may mean anything."""
    if value < formats.LOWEST_OF_OTHERS and path not in formats.SCALES:
        if formats.SYSLOG_KEYS.isdisjoint(keys):
            return ""
        return "error" if value <= formats.SYSLOG_ERROR else "warning" if value == formats.SYSLOG_WARNING else "info"
    node = path == "level" and not formats.NODE_KEYS.isdisjoint(keys)
    error, warning = formats.SCALES.get(path, formats.NODE_SCALE if node else formats.PYTHON_SCALE)
    return "error" if value >= error else "warning" if value >= warning else "info"


def _words(value: Any) -> str:
    """Return an error field's words; empty where it says that there was no error."""
    if isinstance(value, list) and value:
        value = value[0]  # structlog writes the exception that was raised first, and then its causes
    if isinstance(value, dict):
        named = _flat(value)
        found = ([named[key] for key in keys if isinstance(named.get(key), str)] for keys in formats.EXCEPTION_FIELDS)
        value = ": ".join(words[0] for words in found if words)
    if not isinstance(value, str) or value[:_NAME_LENGTH].strip().lower() in formats.NOTHING:
        return ""
    return value.strip()


def _message(flat: Mapping[str, Any]) -> str:
    """Return the words of a structured line: its message, with what it says of an error."""
    found = (flat[path] for path in _ranked(flat, formats.MESSAGE_FIELDS))
    message = next((value for value in found if isinstance(value, str) and value.strip()), "").rstrip()
    for path in _ranked(flat, formats.ERROR_FIELDS):
        words = _words(flat[path])
        if not words or words in message:
            continue
        if "\n" not in words:
            message = f"{message.rstrip(':')}: {words}" if message else words
        elif formats.TELLING_STACK.search(words[:KEPT]):
            return f"{message}\n{words}" if message else words
    return message


@dataclass
class Line:
    """One line of what a program said."""

    text: str
    """Without time and level, with its indentation."""
    level: str = ""
    """``error``, ``warning`` or ``info``; empty where it says none."""
    source: str = ""
    """Which of several programs said it, where that is known."""
    headed: bool = False
    """Whether it begins with a time or a level, or came as an object of its own."""
    inner: bool = False
    """Whether it is a further line of the message before."""


def _headed(text: str) -> Line:
    """Return a line of plain text without its time and level."""
    start = text[:LOOKED_AT]
    for pattern in (formats.TIMED_LEVEL, formats.LEVEL, formats.OTHER_LEVELS):
        if found := pattern.match(start):
            named = {name: word for name, word in found.groupdict().items() if word}
            # `Error: …`, `fatal: …`: there the word is a part of the sentence.
            begin = found.start("word") if "word" in named else found.end()
            if "word" not in named and (caller := formats.CALLER.match(start, begin)):
                begin = caller.end()
            return Line(text[begin:], formats.LEVELS.get(next(iter(named.values())).lower(), ""), headed=True)
    if found := formats.TIME.match(start):
        return Line(text[found.end() :], headed=True)
    return Line(text)


def _without_gutter(line: Line) -> Line:
    """Return a line without what is drawn left of an exception group or of a message in a frame."""
    found = formats.GUTTER.match(line.text)
    if found:
        line.text = line.text[found.end() :].rstrip("│┃ ")
    line.text = line.text[:KEPT]
    return line


def _passed_on(line: Line) -> Line:
    """Return what another program said, of a line in which Meltano passes it on; any other line as it is."""
    if formats.PASSED_ON_PAIRS.search(line.text[:KEPT]) and (found := formats.PAIRS_BEGIN.search(line.text)):
        source = _source(_pairs(line.text[found.start() :].lstrip())) or ""
        said = _headed(line.text[: found.start()])
    elif found := formats.MELTANO_COLUMN.match(line.text):
        program = found[1]
        said = _headed(line.text[max(formats.COLUMN_WIDTH, len(program)) + 1 :])
        if program == "meltano":
            return Line(said.text, line.level, headed=True)
        source = formats.COLUMN_ROLES.get(program.partition("-")[0], "") + program
    else:
        return line
    return Line(said.text, said.level or (line.level if line.level == "error" else ""), source, said.headed)


def _source(flat: Mapping[str, Any]) -> str | None:
    """Return which program a line is passed on from; ``None`` for a line of the logger's own."""
    if formats.PASSED_ON.isdisjoint(flat) and flat.get("stream") not in ("stdout", "stderr"):
        return None
    role = next((role for key, role in formats.ROLES.items() if str(flat.get(key)) == "True"), "")
    name = flat.get("string_id") or flat.get("name")
    return role + (name[:_NAME_LENGTH] if isinstance(name, str) else "")


def _structured(flat: Mapping[str, Any], raw: str, layer: int) -> list[Line]:
    """Return the lines of a message that came with fields, as ``raw``; none where it is data."""
    if str(flat.get("type")) in formats.DATA:
        return []
    level, source = _level(flat), _source(flat)
    passed_on = source is not None
    if passed_on and level != "error":
        level = ""
    elif not level and any(_words(flat[path]) for path in formats.ERRORS & flat.keys()):
        level = "error"
    message = clean(_message(flat))
    if not message and level == "error":
        return [Line(raw[:KEPT], level, source or "", headed=True)]
    lines: list[Line] = []
    for number, part in enumerate(message.split("\n")[:_LINES_OF_A_MESSAGE]):
        for line in _read(part, layer + 1):
            line.level = line.level or ("" if number else level)
            line.source = line.source or source or ""
            line.inner = bool(number) and not line.headed
            line.headed = line.headed or not (number or passed_on)
            lines.append(line)
    return lines


def _fields(text: str) -> dict[str, Any]:
    """Return the fields of a structured line, flat; empty for plain text, and for an object that is no log line."""
    flat = _flat(json_object(text) or _half_object(text)) if text.startswith("{") else _pairs(text)
    return flat if str(flat.get("type")) in formats.DATA or not formats.TELLING.isdisjoint(flat) else {}


def _read(raw: str, layer: int = 0) -> list[Line]:
    """Return the lines that one line of a log stands for, taken out of what it is wrapped in."""
    raw = raw.rstrip()
    end = raw[-_RIGHT_COLUMN:]
    if ".py:" in end and (found := formats.RIGHT_COLUMN.search(end)):
        raw = raw[: len(raw) - len(found[0])]
    if layer < _LAYERS and (flat := _fields(raw.lstrip())):
        return _structured(flat, raw, layer)
    line = _headed(raw)
    if line.headed and not line.level and (inner := _headed(line.text)).headed:
        line = inner  # a container runtime's time, and then the program's own
    if not line.headed:
        return [_without_gutter(line)]
    line = _passed_on(line)
    within = line.text.strip()
    line.text = line.text[:KEPT]
    if layer == _LAYERS or not (flat := _fields(within)):
        return [_without_gutter(line) if line.text[:1].isspace() else line]
    lines = _structured(flat, within, layer + 1)
    for inner in lines:
        inner.level, inner.source, inner.headed = inner.level or line.level, inner.source or line.source, True
    return lines


def _without_frames(lines: Iterable[str]) -> Iterator[str]:
    """Yield ``lines``, of each run of stack frames the last one only."""
    within = False
    for line in lines:
        frame = line.startswith(formats.FRAME_BEGINS)
        if not (frame and within):
            yield line
        within = frame


def _one_line_objects(lines: Iterable[str]) -> Iterator[str]:
    """Yield ``lines``, and each JSON object that is spread over several as one."""
    held: list[str] = []
    for line in lines:
        if line.rstrip() == "{" or len(held) > _LINES_OF_AN_OBJECT:
            yield from held
            held = []
        if not held and line.rstrip() != "{":
            yield line
            continue
        held.append(line)
        if line.rstrip() == "}":
            whole = "".join(held)
            yield from [whole] if json_object(whole) else held
            held = []
    yield from held


def _with_levels(lines: Iterable[str]) -> Iterator[str]:
    """Yield ``lines``, each level that has a line of its own together with the message below it."""
    level = ""
    for line in lines:
        alone = formats.LEVEL_ALONE.match(line[:LOOKED_AT])
        if not alone:
            yield f"[{level}] {line.strip()}" if level else line
        level = alone[1] if alone else ""


def lines(text: str) -> list[Line]:
    """Return the last lines of a log."""
    raws = list(_with_levels(_one_line_objects(shown(text[-CHARACTERS:]).rstrip().split("\n"))))
    found: list[list[Line]] = []
    left = _LINES
    for raw in _without_frames(reversed(raws)):
        found.append(_read(raw))
        left -= max(len(found[-1]), 1)
        if left <= 0:
            break
    return [line for read in reversed(found) for line in read]
