"""Frames: what is put in comes out; what is forged, broken or too large is refused."""

import json
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elt_operator.archive import frames
from elt_operator.archive.frames import Envelope, Frame, FrameError

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd


def a_frame(text: bytes = b"one\ntwo\n", number: int = 1) -> Frame:
    lines = text.count(b"\n") + bool(text and not text.endswith(b"\n"))
    return Frame(text, list(range(lines)), Envelope(pod="pod-uid", number=number))


@given(st.binary(max_size=300), st.data())
def test_a_frame_comes_out_as_it_was_put_in(text: bytes, data: st.DataObject) -> None:
    count = text.count(b"\n") + bool(text and not text.endswith(b"\n"))
    times = data.draw(st.lists(st.integers(0, 2**57), min_size=count, max_size=count))

    found = frames.decoded(frames.encoded(Frame(text, times, Envelope(pod="p", number=7))))

    assert (found.text, list(found.times)) == (text, times)
    assert found.envelope
    assert found.envelope.number == 7


def test_without_its_envelope_it_is_a_frame_still() -> None:
    data = frames.encoded(a_frame())
    size = frames.decoded(data).stored_size

    assert frames.decoded(data[:size]) == Frame(b"one\ntwo\n", [0, 1], None, size)
    assert zstd.decompress(data[:size] + data[:size]) == b"one\ntwo\n" * 2


def skippable(number: int, content: object) -> bytes:
    payload = zstd.compress(json.dumps(content).encode())
    return (0x184D2A50 + number).to_bytes(4, "little") + len(payload).to_bytes(4, "little") + payload


ONE = zstd.compress(b"x\n")
TIMES = skippable(1, {"lines": 1, "first": 0, "deltas": []})


@pytest.mark.parametrize(
    ("data", "words"),
    [
        pytest.param(b"", "compressed|cut off", id="nothing"),
        pytest.param(b"hello", "compressed", id="no zstd"),
        pytest.param(b"x" * (frames.MOST_BYTES + 1), "more than", id="too large"),
        pytest.param(zstd.compress(b"x\n"), "when its lines", id="without times"),
        pytest.param(zstd.compress(b"x\n") + b"more", "cut off", id="a foreign end"),
        pytest.param(zstd.compress(b"x\n") + b"something else that is long", "no skippable", id="another end"),
        pytest.param(zstd.compress(b"x\n")[:-3], "cut off", id="cut off"),
        pytest.param(zstd.compress(b"\0" * (frames.MOST_TEXT_BYTES + 1)) + TIMES, "more than", id="a bomb"),
        pytest.param(zstd.compress(b"x\n" * 3) + TIMES, "another number of lines", id="other lines"),
        pytest.param(zstd.compress(b"x\n") + skippable(1, {"lines": 1}), "first", id="half of the times"),
        pytest.param(ONE + TIMES + skippable(3, {"pod": "../x", "number": 1}), "pod", id="a path"),
        pytest.param(ONE + TIMES + skippable(3, {"pod": "x", "number": 0}), "number", id="number 0"),
        pytest.param(ONE + TIMES + skippable(3, {"pod": "x", "number": 1, "more": 1}), "more", id="more"),
        pytest.param(
            ONE + skippable(1, {"lines": 1, "first": 0, "deltas": [0] * 60_000}), "deltas", id="many times"
        ),
        pytest.param(
            zstd.compress(b"x\n") + skippable(1, " " * 5_000_000), "too long", id="a bomb beside the text"
        ),
    ],
)  # fmt: skip
def test_what_is_no_frame_is_refused_in_words(data: bytes, words: str) -> None:
    with pytest.raises(FrameError, match=words):
        frames.decoded(data)


@given(st.binary(max_size=200), st.integers(0, 200), st.integers(0, 255))
def test_a_frame_that_was_changed_is_refused_or_is_one(text: bytes, where: int, byte: int) -> None:
    data = bytearray(frames.encoded(a_frame(text)))
    data[where % len(data)] = byte

    try:
        found = frames.decoded(bytes(data))
    except FrameError:
        return
    assert len(found.text) <= frames.MOST_TEXT_BYTES
