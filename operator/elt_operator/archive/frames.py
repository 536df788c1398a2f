"""Frames: the pieces of a log as they travel to the keeper, and as they lie in the store.

A frame is a zstd frame of text, then a skippable frame with the times of its lines, then, until the log is closed, one
with the envelope (RFC 8878, section 3.1.2: decoders pass over skippable frames). So whatever frames are put together,
``zstdcat`` prints the log.
"""

import struct
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Annotated, Final, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

TEXT_BYTES: Final = 1024 * 1024
"""How much text a frame has; a last piece may come on top of that."""
MOST_TEXT_BYTES: Final = 4 * TEXT_BYTES
MOST_LINES: Final = 50_000
MOST_BYTES: Final = 8 * 1024 * 1024
"""How large a frame may be when it comes."""
MOST_GAPS: Final = 100
_MOST_INFO_BYTES: Final = 2 * 1024 * 1024
_LEVEL: Final = 3
_OPTIONS: Final[Mapping[int, int]] = {
    zstd.CompressionParameter.compression_level: _LEVEL,
    zstd.CompressionParameter.checksum_flag: 1,
}
_FIRST_MAGIC, _TIMES, _MANIFEST, _ENVELOPE, _LAST_MAGIC = (0x184D2A50 + n for n in (0, 1, 2, 3, 15))
_HEAD: Final = struct.Struct("<II")


class FrameError(ValueError):
    """Bytes are not a frame; the message says why."""


class Strict(BaseModel):
    """What comes from another process: nothing may be missing, of another type, or too much."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


Uid = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")]
Name = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$")]
Count = Annotated[int, Field(ge=0, le=2**53 - 1)]
_LAST_TIME: Final = 253_402_300_799_999_999
Time = Annotated[int, Field(ge=0, le=_LAST_TIME)]
"""Microseconds since 1970, up to the year 9999."""
GapReason = Literal["Rotated", "LateStart", "NeverSeen", "NodeLost", "ReaderAway", "SpoolFull", "Broken"]


class Gap(Strict):
    """Something of a log that could not be kept."""

    line: Count
    """Before which line, from 0, it is missing."""
    after: Time | None = None
    """When the last line before it was written; ``None``: there is none."""
    before: Time | None = None
    """When the next line was written; ``None``: none follows."""
    reason: GapReason


class Position(Strict):
    """Where a reader goes on: behind all that its frames up to here hold."""

    file: Annotated[str, Field(max_length=64)]
    """How the file begins: its first line's time. An inode number would be used again."""
    offset: Count
    skip: tuple[Count, Count] = (0, 0)
    """How many bytes of stdout and stderr from there on its frames hold already, while a line had no end."""
    reached_file: Annotated[str, Field(max_length=64)] = ""
    """Up to where all was read: from there on if ``file`` is gone."""
    reached_offset: Count = 0
    in_key: Count = 0
    """How many other lines may still come before the next one of a private key; 0: none has begun."""


class Envelope(Strict):
    """What a reader says of a frame."""

    version: Literal[1] = 1
    pod: Uid
    """The pod's UID."""
    number: Annotated[int, Field(ge=1, le=2**31 - 1)]
    """Of this frame among those of its pod, from 1."""
    position: Position | None = None
    """``None``: nothing of the log was there yet."""
    last_time: Time | None = None
    """When the last line so far was written."""
    gaps: Annotated[list[Gap], Field(max_length=MOST_GAPS)] = []
    """What is missing before or within this frame; lines are counted within the frame."""
    hidden: Count = 0
    """How many secrets were hidden in it."""
    closed: bool = False
    """Whether nothing follows."""


class _Times(Strict):
    """What is said of a frame's lines."""

    lines: Count
    first: Time
    deltas: Annotated[list[int], Field(max_length=MOST_LINES)]
    """Between the time of each line and that of the one before it, from the second line on."""


@dataclass(frozen=True)
class Frame:
    """A part of a log, which ends at the end of a line wherever it can."""

    text: bytes
    times: Sequence[int]
    """When each line of it was begun, in microseconds since 1970; a last one without an end counts."""
    envelope: Envelope | None = None
    stored_size: int = 0
    """How many bytes it has without its envelope, if it was decoded."""

    @property
    def lines(self) -> int:
        """How many line ends it has."""
        return self.text.count(b"\n")


def _packed(magic: int, content: BaseModel) -> bytes:
    payload = zstd.compress(content.model_dump_json(exclude_defaults=True).encode(), _LEVEL)
    return _HEAD.pack(magic, len(payload)) + payload


def encoded(frame: Frame) -> bytes:
    """Return ``frame`` as it travels, or as it is stored."""
    first = frame.times[0] if frame.times else 0
    deltas = [after - before for before, after in pairwise(frame.times)]
    times = _packed(_TIMES, _Times(lines=frame.lines, first=first, deltas=deltas))
    envelope = _packed(_ENVELOPE, frame.envelope) if frame.envelope else b""
    return zstd.compress(frame.text, options=_OPTIONS) + times + envelope


def _text(data: bytes) -> tuple[bytes, bytes]:
    """Return the text of the zstd frame at the beginning of ``data``, and what follows it."""
    decompressor = zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: 23})
    try:
        text = decompressor.decompress(data, MOST_TEXT_BYTES + 1)
    except zstd.ZstdError as error:
        raise FrameError(f"it is not compressed with zstd: {error}") from error
    if len(text) > MOST_TEXT_BYTES:
        raise FrameError(f"it holds more than {MOST_TEXT_BYTES} bytes of text")
    if not decompressor.eof:
        raise FrameError("it is cut off")
    return text, decompressor.unused_data


def _skippables(data: bytes) -> Iterator[tuple[int, bytes]]:
    position = 0
    while position < len(data):
        if len(data) - position < _HEAD.size:
            raise FrameError("it is cut off")
        magic, size = _HEAD.unpack_from(data, position)
        position += _HEAD.size
        payload = data[position : position + size]
        if not _FIRST_MAGIC <= magic <= _LAST_MAGIC or len(payload) < size:
            raise FrameError("something follows its text that is no skippable frame")
        yield magic, payload
        position += size


M = TypeVar("M", bound=BaseModel)


def _unpacked(kind: type[M], payload: bytes) -> M:
    decompressor = zstd.ZstdDecompressor()
    try:
        content = decompressor.decompress(payload, _MOST_INFO_BYTES + 1)
        if len(content) > _MOST_INFO_BYTES or not decompressor.eof:
            raise FrameError("what it says of itself is too long")
        return kind.model_validate_json(content)
    except zstd.ZstdError as error:
        raise FrameError(f"it is not compressed with zstd: {error}") from error
    except ValidationError as error:
        where = error.errors(include_url=False, include_input=False)[0]
        raise FrameError(f"{'.'.join(map(str, where['loc']))}: {where['msg']}") from error


def closing(manifest: BaseModel) -> bytes:
    """Return the end of a whole log: its manifest once more, as a skippable frame."""
    return _packed(_MANIFEST, manifest)


def decoded(data: bytes) -> Frame:
    """Return a frame; raises ``FrameError``, also for one that is larger than frames may be."""
    if len(data) > MOST_BYTES:
        raise FrameError(f"it has more than {MOST_BYTES} bytes")
    text, rest = _text(data)
    (magic, payload), *others = _skippables(rest) if rest else [(0, b"")]
    if magic != _TIMES:
        raise FrameError("it does not say when its lines were written")
    times = _unpacked(_Times, payload)
    stored_size = len(data) - len(rest) + _HEAD.size + len(payload)
    envelope = next((_unpacked(Envelope, payload) for magic, payload in others if magic == _ENVELOPE), None)
    moments = list(accumulate(times.deltas, initial=times.first)) if text else []
    lines = text.count(b"\n")
    if moments and (min(moments) < 0 or max(moments) > _LAST_TIME):
        raise FrameError("it says that its lines were written at a time that cannot be")
    if times.lines != lines or len(moments) != lines + (not text.endswith(b"\n")) * bool(text):
        raise FrameError("it has another number of lines than it says")
    return Frame(text, moments, envelope, stored_size)
