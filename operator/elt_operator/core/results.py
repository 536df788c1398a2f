"""What a Job's status says of what its run did, and what it warns of although the run completed."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, Literal, TypeVar

from elt_operator.core.accounts import Account
from elt_operator.core.model import PodLog
from elt_operator.core.reports import LARGEST_COUNT
from elt_operator.core.words import shortened
from elt_operator.resources.fields import Fields
from elt_operator.resources.job import Attempt
from elt_operator.resources.reasons import Reason
from elt_operator.resources.result import (
    MOST_STAGES,
    MOST_STREAMS,
    MOST_WARNINGS,
    NAME_CHARACTERS,
    WARNING_CHARACTERS,
    Checks,
    JobWarning,
    Result,
    Stage,
    Stream,
)

F = TypeVar("F", bound=Fields)

_STREAMS_BYTES: Final = 4 * 1024
_STAGES_BYTES: Final = 3 * 1024
_WARNINGS_BYTES: Final = 3 * 1024
"""How much of a status each of them may take."""
_NAMED: Final = 3
"""How many streams a warning names."""
_WHAT_TO_DO: Final = (
    "Check the destination. If rows are filtered on purpose, set spec.expect.rowsDiffer of the Pipeline to Ignore."
)


def result_of(log: PodLog | None) -> Result | None:
    """Return what a log tells of the work; ``None``: nothing does."""
    account = log.account if log else None
    if log is None or account is None or not _tells_of_work(account):
        return None
    streams = _streams(account)
    shown = _that_fit(streams[:MOST_STREAMS], _STREAMS_BYTES)
    counted = _counted(account)
    return Result(
        rows=min(sum(counted[1].values()), LARGEST_COUNT) if counted else None,
        rows_from=counted[0] if counted else None,
        complete=log.complete,
        streams=shown or None,
        omitted_streams=len(streams) - len(shown) or None,
        stages=_that_fit(_stages(account), _STAGES_BYTES) or None,
        checks=(
            Checks(
                passed=account.checks.passed,
                warned=account.checks.warned,
                failed=account.checks.failed,
                skipped=account.checks.skipped,
            )
            if account.checks
            else None
        ),
    )


def _tells_of_work(account: Account) -> bool:
    return bool(account.stages or account.checks or _counted(account))


def _counted(account: Account) -> tuple[Literal["Loader", "Extractor", "Reported"], Mapping[str, int]] | None:
    """Return the rows that count, by stream, and who counted them: what the program reports, else the loader's."""
    if account.reported is not None:
        return "Reported", account.reported
    if account.loaded:
        return "Loader", account.loaded
    return ("Extractor", account.read) if account.read else None


def _stages(account: Account) -> list[Stage]:
    return [
        Stage(name=stage.name[:NAME_CHARACTERS], exit_code=stage.exit_code, seconds=_rounded(stage.seconds))
        for stage in account.stages[:MOST_STAGES]
    ]


def _streams(account: Account) -> list[Stream]:
    """Return all streams, the largest first."""
    written = {**account.loaded, **(account.reported or {})}
    named = dict.fromkeys([*account.read, *written])
    streams = [
        Stream(
            name=name[:NAME_CHARACTERS],
            rows=written.get(name),
            read=account.read.get(name),
            seconds=_rounded(account.seconds.get(name)),
        )
        for name in named
    ]
    return sorted(streams, key=lambda stream: (-max(stream.rows or 0, stream.read or 0), stream.name))


def _that_fit(parts: Sequence[F], left: int) -> list[F]:
    """Return the first of ``parts``, as far as there is room for them."""
    shown = list[F]()
    for part in parts:
        left -= stored_bytes(part.as_json())
        if left < 0:
            break
        shown.append(part)
    return shown


def stored_bytes(value: Any) -> int:
    """Return how many bytes a value takes in what the API server stores: JSON of Go, which escapes <, > and &.

    https://pkg.go.dev/encoding/json#HTMLEscape
    """
    text = json.dumps(value, ensure_ascii=False)
    return len(text.encode(errors="replace")) + 5 * sum(text.count(sign) for sign in "<>&")


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)


# -- Warnings ----------------------------------------------------------------------------------------------------------


def warnings_of(log: PodLog | None, attempts: Sequence[Attempt], *, rows_may_differ: bool) -> list[JobWarning]:
    """Return what somebody may want to look at though the run completed."""
    found = [
        *_retried(attempts),
        *(_of_account(log.account, log, rows_may_differ=rows_may_differ) if log and log.account else ()),
    ]
    warnings = [
        JobWarning(reason=reason, message=shortened(message, WARNING_CHARACTERS))
        for reason, message in found[:MOST_WARNINGS]
    ]
    return _that_fit(warnings, _WARNINGS_BYTES)


def _retried(attempts: Sequence[Attempt]) -> Iterator[tuple[Reason, str]]:
    failed = attempts[:-1]
    if failed:
        last = failed[-1]
        code = "" if last.exit_code is None else f", exit code {last.exit_code}"
        times = "an attempt" if len(failed) == 1 else f"{len(failed)} attempts"
        yield Reason.RETRIED, f"The run completed after {times} had failed; the last one: {last.reason}{code}."


def _of_account(account: Account, log: PodLog, *, rows_may_differ: bool) -> Iterator[tuple[Reason, str]]:
    checks = account.checks
    if checks and checks.warned:
        of_all = "1 check" if checks.total == 1 else f"{checks.total:,} checks"
        yield Reason.CHECKS_WARNED, f"{checks.warned:,} of {of_all} warned. The log says which."
    if log.complete and not rows_may_differ:
        yield from _rows_differ(account)
    for message in account.warnings:
        yield Reason.REPORTED, message
    for why in account.ignored:
        yield Reason.RESULT_IGNORED, f"An ELT-RESULT line was ignored: {why}."


def _rows_differ(account: Account) -> Iterator[tuple[Reason, str]]:
    if account.differing:
        streams = _named(account.differing, "loaded")
        message = f"The loader did not load as many rows as the extractor read ({streams}). {_WHAT_TO_DO}"
        yield Reason.ROWS_DIFFER, message
    reported = account.reported or {}
    otherwise = [
        (stream, rows, reported[stream])
        for stream, rows in account.read.items()
        if stream not in account.loaded and reported.get(stream, rows) != rows
    ]
    if otherwise:
        streams = _named(otherwise, "reported")
        message = f"The program reports another number of rows than the extractor read ({streams}). {_WHAT_TO_DO}"
        yield Reason.ROWS_DIFFER, message


def _named(streams: Sequence[tuple[str, int, int]], done: str) -> str:
    """Return the first of ``streams`` with both numbers."""
    shown = "; ".join(f"{name}: {read:,} read, {rows:,} {done}" for name, read, rows in streams[:_NAMED])
    return f"{shown}; and {len(streams) - _NAMED:,} more streams" if len(streams) > _NAMED else shown
