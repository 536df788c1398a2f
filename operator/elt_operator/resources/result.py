"""What a run did, as its Job's status says it: rows, streams, stages, checks, warnings."""

from typing import Annotated, Final, Literal

from pydantic import Field

from elt_operator.resources.fields import ATOMIC, Count, Fields, ShortText

MOST_STREAMS: Final = 50
MOST_STAGES: Final = 32
MOST_WARNINGS: Final = 16
NAME_CHARACTERS: Final = 128
WARNING_CHARACTERS: Final = 1024

Rows = Annotated[int, Field(ge=0, le=2**53 - 1)]
Seconds = Annotated[float, Field(ge=0, le=31_536_000)]
Name = Annotated[str, Field(max_length=NAME_CHARACTERS)]


class Stream(Fields):
    """The rows of one stream or table."""

    name: Name
    """Its name."""
    rows: Rows | None = None
    """Rows that were loaded, as the loader or the program counts them; absent when nobody does."""
    read: Rows | None = None
    """Rows that were read from the source, as the extractor counts them; absent when it does not."""
    seconds: Seconds | None = None
    """How long the extractor took for it."""


class Stage(Fields):
    """A part of the run: a block of `meltano run`, or an invocation of dbt."""

    name: Name
    """What it runs, for example tap-weather-to-target-postgres."""
    exit_code: Annotated[int, Field(ge=-(2**31), le=2**31 - 1)] | None = None
    """0 if it succeeded; otherwise the exit code of the part that failed, negative if a signal killed it."""
    seconds: Seconds | None = None
    """How long it took."""


class Checks(Fields):
    """Checks of the data, as dbt or the program counts them. dbt counts models, seeds and snapshots, too."""

    passed: Rows = 0
    """How many passed."""
    warned: Rows = 0
    """How many only warned."""
    failed: Rows = 0
    """How many failed."""
    skipped: Rows = 0
    """How many did not run."""


class Result(Fields):
    """What the last attempt did, read from its log."""

    rows: Rows | None = None
    """Rows in all streams together; rowsFrom says who counted them."""
    rows_from: Literal["Loader", "Extractor", "Reported"] | None = None
    """Loader: rows written to the destination. Extractor: rows read from the source, if the loader does not count.
    Reported: what the program itself says (ELT-RESULT)."""
    complete: bool = False
    """Whether the whole log was read. If not, numbers may be too small."""
    streams: Annotated[list[Stream], Field(max_length=MOST_STREAMS), ATOMIC] | None = None
    """The rows of each stream, the largest first."""
    omitted_streams: Count | None = None
    """How many more streams there are."""
    stages: Annotated[list[Stage], Field(max_length=MOST_STAGES), ATOMIC] | None = None
    """The parts of the run, in order."""
    checks: Checks | None = None
    """Checks of the data, all of them together."""


class JobWarning(Fields):
    """Something that somebody may want to look at, although the Job completed."""

    reason: ShortText
    """Why, in one word: Retried, ChecksWarned, RowsDiffer, Reported or ResultIgnored."""
    message: Annotated[str, Field(max_length=WARNING_CHARACTERS)]
    """A message for people."""


Warnings = Annotated[list[JobWarning], Field(max_length=MOST_WARNINGS), ATOMIC]
