"""What a run's log tells: its last lines, the line that explains a failure, Meltano's own account of its blocks."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from elt_operator.api.job import ERROR_MESSAGE_BYTES, LOG_TAIL_BYTES

# Terminal colours and control characters say nothing in a status, and can do harm in the terminal of who reads it.
_CONTROL: Final = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|[\x00-\x08\x0b-\x1f\x7f]")

_SEVERE_LEVELS: Final = frozenset({"critical", "fatal", "error"})

# The last word of a traceback (`psycopg.OperationalError: …`), or a line that calls itself an error.
_SEVERE_TEXT: Final = re.compile(r"^(?:[\w.]*(?:Error|Exception|Exit|Interrupt)\b|(?i:fatal|critical|error)\b)[^\n]*:")

# Meltano's own lines that say that something failed; what failed stands in a line before them.
_MELTANO_SUMMARIES: Final = (
    "Block run completed",
    "Run completed",
    "Extractor failed",
    "Loader failed",
    "Mappers failed",
    "Run invocation could not be completed",
    "Need help fixing this problem",
    "Join our Slack",
)


@dataclass(frozen=True)
class Line:
    """One line of a log; ``level`` is lower case, empty where the line does not say it."""

    text: str
    level: str = ""

    @property
    def severe(self) -> bool:
        """Whether the line reports an error."""
        return self.level in _SEVERE_LEVELS or bool(_SEVERE_TEXT.match(self.text))


def clean(text: str) -> str:
    """Return ``text`` without terminal colours and control characters."""
    return _CONTROL.sub("", text)


def tail(text: str, limit: int = LOG_TAIL_BYTES) -> str:
    """Return the last whole lines of ``text``, at most ``limit`` bytes; of one longer line, its end."""
    encoded = clean(text).rstrip("\n").encode()
    if len(encoded) <= limit:
        return encoded.decode()
    cut = encoded[-limit:]
    whole = cut.partition(b"\n")[2] if encoded[-limit - 1 : -limit] != b"\n" else cut
    return (whole or cut).decode(errors="ignore")


def _object(text: str) -> dict[str, Any] | None:
    """Return a line's JSON object; ``None`` for any other text. Logs are read leniently: nobody promised JSON."""
    if not text.startswith("{"):
        return None
    try:
        value = json.loads(text)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _line(text: str) -> Line:
    """Return one line, taken out of as many layers of JSON as it is wrapped in: a tap's line within Meltano's."""
    value = _object(text.strip())
    if value is None:
        return Line(text.strip())
    info = value.get("info")
    fields = info if isinstance(info, dict) else value  # dbt puts level and text below `info`
    words = next((fields[key] for key in ("event", "message", "msg") if isinstance(fields.get(key), str)), None)
    if words is None:
        return Line(text.strip())
    inner = _line(words)
    return Line(inner.text, inner.level or str(fields.get("level", "")).lower())


def lines(text: str) -> list[Line]:
    """Return the lines of a log that hold anything."""
    return [line for raw in clean(text).splitlines() if (line := _line(raw)).text]


def explanation(text: str) -> str | None:
    """Return the line that best explains a failure, at most 1 KiB; ``None`` for an empty log.

    The last severe line that is not Meltano's summary of it; else the last summary; else the last line.
    """
    read = lines(text)
    if not read:
        return None
    severe = [line for line in read if line.severe]
    causes = [line for line in severe if not line.text.removeprefix("Error: ").startswith(_MELTANO_SUMMARIES)]
    best = (causes or severe or read)[-1].text
    return best.encode()[:ERROR_MESSAGE_BYTES].decode(errors="ignore")


def _blocks(text: str) -> Iterator[dict[str, Any]]:
    """Yield Meltano's account of each block, as far as it gave one."""
    for raw in text.splitlines():
        value = _object(raw.strip())
        if value and value.get("event") == "Block run completed" and isinstance(value.get("exit_codes"), dict):
            yield value["exit_codes"]


def failed_parts(text: str) -> dict[str, int]:
    """Return the exit codes that Meltano gave for the parts of the last failed block, say ``{"extractors": 77}``.

    A negative code is the number of the signal that killed the part.
    """
    failed: dict[str, int] = {}
    for codes in _blocks(text):
        failed = {str(part): code for part, code in codes.items() if isinstance(code, int) and code != 0} or failed
    return failed
