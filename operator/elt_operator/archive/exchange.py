"""What reader and keeper say to each other, besides frames."""

from typing import Annotated, Final

from pydantic import Field

from elt_operator.archive.frames import Name, Position, Strict, Uid

AUDIENCE: Final = "elt-operator-logs"
"""Whom a reader's token is made out to: with it nobody gets into the API server."""
SYNC: Final = "/v1/sync"
FRAMES: Final = "/v1/frames"
MOST_PODS: Final = 2_000


class PodName(Strict):
    """What a reader reads from the name of a pod's folder."""

    namespace: Name
    name: Name


class Sync(Strict):
    """What a reader has."""

    pods: Annotated[dict[Uid, PodName], Field(max_length=MOST_PODS)]


class Known(Strict):
    """What the keeper has of a pod's log."""

    number: int = 0
    """Of the last frame."""
    position: Position | None = None
    """Behind it."""
    last_time: int | None = None
    """When the last line in it was written."""
    closed: bool = False
    """Whether nothing more is wanted."""
    ended: bool = False
    """Whether the container is known to have ended."""
    followed: bool = False
    """Whether somebody follows the log now."""


class Answer(Strict):
    """What the keeper answers to ``Sync``. Of a pod that is missing in it, it cannot tell now."""

    pods: dict[Uid, Known | None]
    """``None``: the keeper does not know the pod, or not yet."""
