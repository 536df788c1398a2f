"""A part of a log is what was asked for, however frames, lines and attempts lie."""

import zlib
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from elt_operator.archive import frames
from elt_operator.archive.frames import Envelope, Frame
from elt_operator.logs.open_logs import OpenAttempt, in_order
from elt_operator.logs.reading import Decoded, Line, Place, View
from elt_operator.logs.store import Volume

TEXTS = st.lists(
    st.lists(st.sampled_from([b"a", b"\n", b"b\n", b"\xc3\xa4", b"long " * 9, b"\r\n", b"\n\n"]), max_size=8),
    max_size=6,
)


async def a_view(folder: Path, attempts: Sequence[Sequence[Sequence[bytes]]], *, whole: bool) -> View:
    """Store each attempt, frame by frame; return the log."""
    store, found = Volume(folder), []
    for number, texts in enumerate(attempts, 1):
        attempt, line = OpenAttempt(f"pod-{number}"), 0
        for text in (b"".join(parts) for parts in texts):
            times = list(range(line, line + text.count(b"\n") + (not text.endswith(b"\n")))) if text else []
            line += text.count(b"\n")
            envelope = Envelope(pod=attempt.pod, number=attempt.number + 1)
            data = frames.encoded(Frame(text, times, envelope))
            key = f"v1/open/job/{attempt.pod}/{envelope.number:08}.zst"
            await store.put(key, data)
            attempt.take(key, frames.decoded(data), data)
            assert not text or attempt.frames[-1].crc == zlib.crc32(data[: attempt.frames[-1].size])
        found.append((number, attempt))
    lines = sum(attempt.lines_begun for _, attempt in found)
    if not whole and found and found[-1][1].unfinished:
        lines -= 1
    return View(Decoded(store), "", in_order(found), lines, "Kept" if whole else "Collecting", {}, 0)


def expected(attempts: Sequence[Sequence[Sequence[bytes]]]) -> list[bytes]:
    """Return the lines of all attempts."""
    found: list[bytes] = []
    for texts in attempts:
        *whole, rest = b"".join(b"".join(parts) for parts in texts).split(b"\n")
        found += [*(line + b"\n" for line in whole), *([rest] if rest else [])]
    return found


@settings(deadline=None)
@given(st.lists(TEXTS, max_size=3), st.integers(0, 12), st.integers(0, 12), st.integers(1, 40), st.booleans())
async def test_a_part_is_what_was_asked_for(
    attempts: list[list[list[bytes]]], first: int, limit: int, size: int, whole: bool
) -> None:
    with TemporaryDirectory() as folder:
        view = await a_view(Path(folder), attempts, whole=whole)
        place, text, lines = Place(first), b"", dict[int, bytes]()
        for _ in range(10_000):
            part, place = await view.read(place, end=first + limit, size=size)
            if part is None:
                break
            assert 0 < len(part.text) <= size + 3
            text += part.text
            for line in part.lines():
                assert isinstance(line, Line)
                lines[line.sequence] = lines.get(line.sequence, b"") + line.text
        told = expected(attempts)[: view.lines][first : first + limit]

    assert text == b"".join(told)
    assert lines == dict(enumerate(told, first))
