"""What a run's log tells: its last lines, the lines that explain a failure, Meltano's own account of its blocks.

A log is foreign text. Nothing here raises, whatever it holds; the time is linear in its length, which is bounded; no
answer holds a terminal's codes, control characters, or half of a character.

The way to an explanation: text -> lines (`log_lines`: without JSON, times and levels) -> reports (`log_reports`: a line
with what belongs to it) -> the one that explains. What the formats look like stands in `log_formats`.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from elt_operator.core import log_formats as formats
from elt_operator.core import log_lines, log_reports
from elt_operator.core.log_lines import json_object
from elt_operator.core.log_reports import Kind, Report
from elt_operator.resources.job import ERROR_MESSAGE_BYTES, LOG_TAIL_BYTES
from elt_operator.text import CHARACTERS, clean, cut

__all__ = ["clean", "explanation", "failed_parts", "tail"]

_LOOKED_BACK: Final = 8
"""Among how many of the last things said one is looked for that tells of trouble."""
_PARTS: Final = 8
_NAME_LENGTH: Final = 63
_LARGEST_CODE: Final = 2**31


def tail(text: str, limit: int = LOG_TAIL_BYTES) -> str:
    """Return the last whole lines of ``text``, at most ``limit`` bytes; of one longer line, its end."""
    if limit <= 0:
        return ""
    encoded = clean(text[-max(CHARACTERS, 4 * limit) :]).rstrip("\n").encode()
    if len(encoded) <= limit:
        return encoded.decode()
    cut = encoded[-limit:]
    whole = cut.partition(b"\n")[2] if encoded[-limit - 1 : -limit] != b"\n" else cut
    return (whole or cut).decode(errors="ignore")


def _summary(reports: list[Report]) -> tuple[Report, str]:
    """Return the last summary, of Meltano's the one that names a role, and the role."""
    summaries = [report for report in reports if report.kind is Kind.SUMMARY]
    for report in reversed(summaries):
        for role in formats.ROLES.values():
            if report.text.removeprefix("Error: ").startswith(role):
                return report, role
    return summaries[-1], ""


def _said_before(summary: Report, role: str, reports: list[Report]) -> Report | None:
    """Return what a program said last before ``summary``: most likely what failed.

    It has no level, or is an error that somebody passed on as information.
    """
    earlier = reports[: reports.index(summary)]
    said = [report for report in earlier if report.kind is Kind.SAYS and (not report.level or report.severe)]
    return _most_telling([report for report in said if report.source.startswith(role)])


def _most_telling(said: list[Report]) -> Report | None:
    """Return the last of ``said`` with a word of trouble; where the last ones have none, the last."""
    hints = (report for report in reversed(said[-_LOOKED_BACK:]) if report.level != "info" and report.hints)
    return next(hints, said[-1] if said else None)


def _last_of_work(causes: list[Report]) -> Report | None:
    """Return the last of ``causes`` that is not about the program's own end; where there is none, the last."""
    of_work = (cause for cause in reversed(causes[-_LOOKED_BACK:]) if not cause.ends)
    return next(of_work, causes[-1] if causes else None)


def _summed_up(reports: list[Report]) -> str:
    """Return the words of the last summary, below what was said before it."""
    summary, role = _summary(reports)
    said = _said_before(summary, role, reports)
    words = summary.words()
    before = cut(said.words(), max(ERROR_MESSAGE_BYTES - len(words.encode()) - 1, 0)) if said else ""
    return f"{before}\n{words}".strip()


def explanation(text: str) -> str | None:
    """Return the lines that best explain a failure, at most 1 KiB; ``None`` where the log says nothing.

    The last report of an error, but not of one while the program ended; else the last one that something failed, with
    what was said before it; else of the last lines that say something the one that tells of trouble.
    """
    reports = log_reports.reports(log_lines.lines(text))
    best = max((report.kind for report in reports), default=Kind.NOISE)
    if best is Kind.SUMMARY:
        return _summed_up(reports) or None
    found = [report for report in reports if report.kind is best]
    chosen = _last_of_work(found) if best is Kind.CAUSE else _most_telling(found)
    return chosen.words() or None if chosen else None


def _blocks(text: str) -> Iterator[Mapping[str, Any]]:
    """Yield Meltano's account of each block, as far as it gave one."""
    for raw in text[-CHARACTERS:].split("\n"):
        if '"exit_codes"' not in raw:
            continue
        value = json_object(raw.strip())
        if value and value.get("event") == "Block run completed" and isinstance(value.get("exit_codes"), dict):
            yield value["exit_codes"]


def _is_code(code: Any) -> bool:
    return isinstance(code, int) and not isinstance(code, bool) and code != 0 and abs(code) < _LARGEST_CODE


def failed_parts(text: str) -> dict[str, int]:
    """Return the exit codes that Meltano gave for the parts of the last failed block, say ``{"extractors": 77}``.

    A negative code is the number of the signal that killed the part.
    """
    failed: dict[str, int] = {}
    for codes in _blocks(text):
        named = {" ".join(clean(part).split())[:_NAME_LENGTH]: code for part, code in codes.items() if _is_code(code)}
        failed = dict(list(named.items())[:_PARTS]) or failed
    return failed
