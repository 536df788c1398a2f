"""Which part of a log is wanted, how, and what is found of it."""

from collections.abc import AsyncGenerator, Mapping
from typing import Final, NamedTuple

TEXT: Final = "text/plain"
LINES: Final = ("application/x-ndjson", "application/stream+json")
EVENTS: Final = "text/event-stream"
KINDS: Final = (TEXT, *LINES, EVENTS)


class Wanted(NamedTuple):
    """Which part of a log, and how."""

    sequence: int
    limit: int | None
    tail: int | None
    follow: bool
    kind: str
    """The media type of the answer, one of ``KINDS``."""


class Found(NamedTuple):
    """A log, or a part of it."""

    headers: Mapping[str, str]
    chunks: AsyncGenerator[bytes, None] | None
    """``None``: there is no line from the first one on that was asked for."""


def kind_of(accept: str) -> str:
    """Return the media type that whoever asks likes best of ours; text if they do not say."""
    asked = [part.lower().replace(" ", "").partition(";") for part in accept.split(",")]
    ours = [(_quality(parameters), kind) for kind, _, parameters in asked if kind in KINDS]
    return max(ours, key=lambda one: one[0])[1] if ours else TEXT


def _quality(parameters: str) -> float:
    """Return how much a media type is liked (https://www.rfc-editor.org/rfc/rfc9110#quality.values)."""
    found = [text[2:] for text in parameters.split(";") if text.startswith("q=")]
    try:
        return float(found[0]) if found else 1.0
    except ValueError:
        return 1.0
