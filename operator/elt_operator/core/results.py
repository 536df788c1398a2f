"""What a Job's status says of what its run did, and what it warns of although the run completed."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, Literal

from elt_operator.core.accounts import Account
from elt_operator.core.model import PodLog
from elt_operator.core.words import shortened
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

_STREAMS_BYTES: Final = 4 * 1024
"""How much of a status the streams may take."""
_NAMED: Final = 3
"""How many streams a warning names."""


def result_of(log: PodLog | None) -> Result | None:
    """Return what a log tells of the work; ``None``: nothing does."""
    account = log.account if log else None
    if log is None or account is None or account == Account():
        return None
    streams = _streams(account)
    shown = _that_fit(streams)
    counted = _counted(account)
    return Result(
        rows=sum(counted[1].values()) if counted else None,
        rows_from=counted[0] if counted else None,
        complete=log.complete,
        streams=shown or None,
        omitted_streams=len(streams) - len(shown) or None,
        stages=[
            Stage(name=stage.name[:NAME_CHARACTERS], exit_code=stage.exit_code, seconds=_rounded(stage.seconds))
            for stage in account.stages[:MOST_STAGES]
        ]
        or None,
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


def _counted(account: Account) -> tuple[Literal["Loader", "Extractor", "Reported"], Mapping[str, int]] | None:
    """Return the rows that count, by stream, and who counted them: what the program reports, else the loader's."""
    if account.reported is not None:
        return "Reported", account.reported
    if account.loaded:
        return "Loader", account.loaded
    return ("Extractor", account.read) if account.read else None


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


def _that_fit(streams: Sequence[Stream]) -> list[Stream]:
    """Return the first of ``streams``, as far as there is room for them."""
    left, shown = _STREAMS_BYTES, list[Stream]()
    for stream in streams[:MOST_STREAMS]:
        left -= len(json.dumps(stream.as_json()))
        if left < 0:
            break
        shown.append(stream)
    return shown


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)


# -- Warnings ----------------------------------------------------------------------------------------------------------


def warnings_of(log: PodLog | None, attempts: Sequence[Attempt], *, rows_may_differ: bool) -> list[JobWarning]:
    """Return what somebody may want to look at though the run completed."""
    found = [
        *_retried(attempts),
        *(_of_account(log.account, log, rows_may_differ=rows_may_differ) if log and log.account else ()),
    ]
    return [
        JobWarning(reason=reason, message=shortened(message, WARNING_CHARACTERS))
        for reason, message in found[:MOST_WARNINGS]
    ]


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
        yield Reason.CHECKS_WARNED, f"{checks.warned:,} of {checks.total:,} checks warned. See the log."
    differing = [*account.differing, *_reported_otherwise(account)]
    if differing and log.complete and not rows_may_differ:
        yield Reason.ROWS_DIFFER, _differing(differing)
    for message in account.warnings:
        yield Reason.REPORTED, message
    for why in account.ignored:
        yield Reason.RESULT_IGNORED, f"An ELT-RESULT line was ignored: {why}."


def _reported_otherwise(account: Account) -> list[tuple[str, int, int]]:
    """Return the streams of which the program reports another number of rows than the extractor read: both numbers."""
    reported = account.reported or {}
    return [
        (stream, rows, reported[stream])
        for stream, rows in account.read.items()
        if stream not in account.loaded and reported.get(stream, rows) != rows
    ]


def _differing(streams: Sequence[tuple[str, int, int]]) -> str:
    """Return which streams were not loaded as they were read."""
    shown = "; ".join(f"{name}: {read:,} read, {loaded:,} loaded" for name, read, loaded in streams[:_NAMED])
    more = f"; and {len(streams) - _NAMED:,} more streams" if len(streams) > _NAMED else ""
    return (
        f"The loader did not load as many rows as the extractor read ({shown}{more}). Check the destination. "
        "If a mapper filters rows, set spec.expect.rowsDiffer of the Pipeline to Ignore."
    )
