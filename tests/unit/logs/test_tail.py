"""Files of a kubelet become frames: what the process wrote, each line once, whatever becomes of the files."""

import os
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from elt_operator.archive import frames
from elt_operator.archive.exchange import Known
from elt_operator.archive.frames import Frame
from elt_operator.archive.masking import Masker
from elt_operator.log_reader.files import ContainerFiles
from elt_operator.log_reader.tail import Tail
from fakes.kubelet_logs import ContainerLog

UID = "0b7e9a60-8d7c-4c55-b4f0-1d5d8c4b1a11"


@dataclass
class Reading:
    """A reader of one log, which can be killed; what it has handed on."""

    log: ContainerLog
    frames: list[Frame] = field(default_factory=list)
    now: float = 0.0
    tail: Tail | None = None

    def begin(self) -> Tail:
        last = self.frames[-1].envelope if self.frames else None
        known = Known(number=last.number, position=last.position, last_time=last.last_time) if last else Known()
        return Tail.of(UID, ContainerFiles(self.log.folder), self.now, known)

    def step(self, seconds: float = 0.5) -> None:
        self.tail = self.tail or self.begin()
        self.now += seconds
        if self.tail.closed:
            return
        self.tail.files.look(self.now)
        for frame in self.tail.step(self.now):
            self.frames.append(frames.decoded(frames.encoded(frame)))

    def kill(self) -> None:
        if self.tail:
            self.tail.close()
        self.tail = None

    def finish(self) -> None:
        self.tail = self.tail or self.begin()
        self.tail.ended = True
        for _ in range(200):
            if self.tail.closed:
                return
            self.step()
        pytest.fail("the log was not closed")

    @property
    def text(self) -> bytes:
        return b"".join(frame.text for frame in self.frames)

    @property
    def gaps(self) -> list[str]:
        return [gap.reason for frame in self.frames if frame.envelope for gap in frame.envelope.gaps]


@pytest.fixture
def log(tmp_path: Path) -> ContainerLog:
    return ContainerLog(tmp_path / "elt")


@pytest.fixture
def reading(log: ContainerLog) -> Reading:
    return Reading(log)


def test_what_was_written_is_read(log: ContainerLog, reading: Reading) -> None:
    reading.step()
    for number in range(100):
        log.line(b"line %d" % number)
        reading.step()
    reading.finish()
    assert reading.text == log.text
    assert not reading.gaps
    assert reading.frames[-1].envelope
    assert reading.frames[-1].envelope.closed


def test_a_line_that_a_rotation_has_cut_is_whole(log: ContainerLog, reading: Reading) -> None:
    log.write(b"first half, ", tag="P")
    reading.step()
    log.rotate()
    log.write(b"second half")
    reading.finish()
    assert reading.text == b"first half, second half\n"


def test_what_is_written_to_the_old_file_after_a_rotation_is_read(log: ContainerLog, reading: Reading) -> None:
    log.line(b"one")
    reading.step()
    log.rotate(late=[b"two", b"three"])
    reading.step(0.1)
    log.line(b"four")
    reading.finish()
    assert reading.text == b"one\ntwo\nthree\nfour\n"


def test_a_reader_that_is_four_files_behind_misses_nothing(log: ContainerLog, reading: Reading) -> None:
    log.line(b"0")
    reading.step()
    for number in range(1, 5):
        log.line(b"%d" % number)
        log.rotate()
    reading.finish()
    assert reading.text == b"0\n1\n2\n3\n4\n"
    assert not reading.gaps


def test_what_was_removed_unseen_is_a_gap_with_its_times(log: ContainerLog, reading: Reading) -> None:
    log.line(b"0")
    reading.step()
    reading.kill()
    for number in range(1, 8):
        log.line(b"%d" % number)
        log.rotate()
    log.line(b"8")
    reading.finish()
    assert reading.text == b"4\n5\n6\n7\n8\n"
    assert reading.gaps == ["LateStart"]


def test_what_is_removed_while_a_reader_sleeps_is_a_gap(log: ContainerLog, reading: Reading) -> None:
    log.line(b"0")
    reading.step()
    reading.step(60)
    assert reading.text == b"0\n"
    for number in range(1, 8):
        log.rotate()
        log.line(b"%d" % number)
    reading.finish()
    assert reading.text == b"0\n3\n4\n5\n6\n7\n"
    assert reading.gaps == ["Rotated"]
    gap = next(gap for frame in reading.frames if frame.envelope for gap in frame.envelope.gaps)
    assert gap.line == 0
    assert gap.before is not None
    assert gap.after is not None
    assert gap.before - gap.after == 30_003_000


def test_a_log_that_is_removed_while_it_is_read_is_read_to_its_end(log: ContainerLog, reading: Reading) -> None:
    log.line(b"one")
    reading.step()
    log.rotate()
    log.line(b"two")
    reading.step()
    log.line(b"last words")
    log.remove()
    for _ in range(5):
        reading.step()
    assert reading.text == b"one\ntwo\nlast words\n"
    assert reading.tail
    assert reading.tail.closed


def test_a_secret_is_in_no_frame(log: ContainerLog, reading: Reading) -> None:
    log.line(b"postgresql://elt:canary-7@db/x")
    log.line(b"-----BEGIN PRIVATE KEY-----")
    reading.step()
    reading.step(60)
    reading.kill()
    log.line(b"canary7canary7canary7canary7")
    log.line(b"-----END PRIVATE KEY-----")
    reading.finish()
    assert b"canary" not in reading.text
    assert reading.text.count(b"\n") == 4


TEXTS = st.one_of(
    st.binary(max_size=30).map(lambda content: content.replace(b"\n", b"")),
    st.just(b"x" * 300),
    st.just(b"password=hunter2 "),
)


@st.composite
def happenings(draw: st.DrawFn) -> list[tuple[str, bytes]]:
    kinds = ["line"] * 5 + ["part", "error", "rotate", "late", "step", "step", "wait", "kill"]
    return [(kind, draw(TEXTS)) for kind in draw(st.lists(st.sampled_from(kinds), max_size=60))]


@settings(deadline=None, max_examples=200)
@given(happenings())
def test_whatever_happens_each_line_is_there_once_or_a_gap_says_so(what: list[tuple[str, bytes]]) -> None:
    with TemporaryDirectory() as folder:
        log = ContainerLog(Path(folder) / "elt")
        reading, written = Reading(log), {"stdout": [b""], "stderr": [b""]}
        for kind, content in what:
            _happen(log, reading, written, kind, content)
        for stream in ("stdout", "stderr"):  # no line is left without its end
            _record(log, written, stream, b"end of " + stream.encode(), "F")
        reading.finish()
        lines = [line for stream in written.values() for line in stream if line]
        expected = [Masker().mask(line) for line in lines]
        got = list(_lines(reading.text))
        if reading.gaps:
            assert set(reading.gaps) <= {"Rotated", "LateStart"}
        else:
            assert sorted(got) == sorted(expected)
        times = [time for frame in reading.frames for time in frame.times]
        assert len(times) == sum(frame.lines for frame in reading.frames)


def _lines(text: bytes) -> Iterator[bytes]:
    yield from (line + b"\n" for line in text.split(b"\n")[:-1])


def _record(log: ContainerLog, written: dict[str, list[bytes]], stream: str, content: bytes, tag: str) -> None:
    log.write(content, stream=stream, tag=tag)
    written[stream][-1] += content
    if tag == "F":
        written[stream][-1] += b"\n"
        written[stream].append(b"")


def _happen(log: ContainerLog, reading: Reading, written: dict[str, list[bytes]], kind: str, content: bytes) -> None:
    match kind:
        case "line":
            _record(log, written, "stdout", content, "F")
        case "part":
            _record(log, written, "stdout", content, "P")
        case "error":
            _record(log, written, "stderr", content, "F")
        case "rotate":
            log.rotate()
        case "late":
            log.rotate()
        case "step":
            reading.step()
        case "wait":
            reading.step(60)
        case "kill":
            reading.kill()


def test_a_file_system_whose_clock_stands_still_hides_no_file(log: ContainerLog, reading: Reading) -> None:
    """A folder's time has the ticks of the kernel's clock, and a reader may look several times within one."""
    log.line(b"one")
    for _ in range(5):
        reading.step(0.001)
    os.utime(log.folder, ns=(1, 1))
    for _ in range(5):
        reading.step(0.001)
    log.rotate()
    os.utime(log.folder, ns=(1, 1))
    for _ in range(5):
        reading.step(0.001)
    log.line(b"two")
    reading.finish()
    assert reading.text == b"one\ntwo\n"


def test_a_compressed_file_that_is_cut_off_is_a_gap(log: ContainerLog, reading: Reading) -> None:
    for number in range(3000):
        log.line(b"line %d" % number)
    log.rotate()
    log.line(b"next")
    log.rotate()
    log.line(b"last")
    (compressed,) = log.folder.glob("*.gz")
    compressed.write_bytes(compressed.read_bytes()[: compressed.stat().st_size // 2])
    reading.finish()
    assert reading.text.endswith(b"next\nlast\n")
    assert set(reading.gaps) == {"LateStart", "Broken"}


def test_a_compressed_file_that_ends_before_the_known_position_is_a_gap(log: ContainerLog, reading: Reading) -> None:
    for number in range(3000):
        log.line(b"line %d" % number)
    reading.step()
    reading.step(60)
    reading.kill()
    log.rotate()
    log.rotate()
    log.line(b"last")
    (compressed,) = log.folder.glob("*.gz")
    compressed.write_bytes(compressed.read_bytes()[: compressed.stat().st_size // 2])
    reading.finish()
    assert reading.text.endswith(b"last\n")
    assert "Broken" in reading.gaps


def test_a_file_that_somebody_empties_is_a_gap(log: ContainerLog, reading: Reading) -> None:
    for number in range(5):
        log.line(b"line %d" % number)
    reading.step()
    os.truncate(log.folder / "0.log", 0)
    reading.step()
    log.line(b"after")
    reading.finish()
    assert reading.text.endswith(b"line 4\nafter\n")
    assert reading.gaps == ["Broken"]


def test_a_file_that_ends_within_a_record_before_the_next_one_is_a_gap(log: ContainerLog, reading: Reading) -> None:
    log.line(b"one")
    reading.step()
    with (log.folder / "0.log").open("ab") as file:
        file.write(b"2026-01-01T00:00:0")
    log.rotate()
    log.line(b"two")
    reading.finish()
    assert reading.text == b"one\ntwo\n"
    assert reading.gaps == ["Broken"]


def test_a_clock_that_goes_back_loses_no_file(log: ContainerLog, reading: Reading) -> None:
    log.line(b"one")
    reading.step()
    log.rotate()
    log.records = -1_000_000
    log.line(b"two")
    reading.step()
    log.rotate()
    log.line(b"three")
    reading.finish()
    assert reading.text == b"one\ntwo\nthree\n"
    assert not reading.gaps


def test_two_files_that_begin_at_the_same_time_are_both_read(log: ContainerLog, reading: Reading) -> None:
    log.line(b"one")
    reading.step()
    log.rotate()
    log.records = -10_000
    log.line(b"two")
    reading.finish()
    assert reading.text == b"one\ntwo\n"


def test_a_line_does_not_go_on_in_the_next_life_of_a_container(log: ContainerLog, reading: Reading) -> None:
    log.write(b"half", tag="P")
    reading.step()
    (log.folder / "1.log").write_bytes(b"2026-01-01T00:01:00.000000000Z stdout F whole\n")
    reading.finish()
    assert reading.text == b"halfwhole\n"  # byte for byte


def test_files_that_are_held_before_it_is_known_where_to_begin_are_few(log: ContainerLog) -> None:
    files = ContainerFiles(log.folder)
    for number in range(60):
        log.line(b"%d" % number)
        log.rotate()
        files.look(number)
    assert files.open_files <= 15
    files.close()


def test_a_rotation_while_a_folder_is_listed_changes_no_order(
    log: ContainerLog, reading: Reading, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = os.scandir

    def rotated_behind(folder: Path) -> object:
        entries = list(listed(folder))
        for entry in entries:
            entry.inode()
        if folder == log.folder and b"two" not in log.text:
            log.rotate()
            log.line(b"two")
        return nullcontext(entries)

    log.line(b"one")
    monkeypatch.setattr(os, "scandir", rotated_behind)
    reading.finish()
    assert reading.text == b"one\ntwo\n"


def test_a_rotation_right_before_the_folder_is_removed_is_a_gap(log: ContainerLog, reading: Reading) -> None:
    log.line(b"one")
    reading.step()
    log.rotate()
    log.line(b"two")
    log.remove()
    reading.finish()
    assert reading.text == b"one\n"
    assert reading.gaps == ["Rotated"]


def test_a_clock_that_was_set_back_before_the_first_look_is_a_gap(log: ContainerLog, reading: Reading) -> None:
    log.records = 60_000
    log.line(b"one")
    log.rotate()
    log.records = 0
    log.line(b"two")
    reading.finish()
    assert reading.text == b"one\ntwo\n"
    assert "Broken" in reading.gaps


def test_a_record_that_is_longer_than_memory_is_a_gap(log: ContainerLog, reading: Reading) -> None:
    log.line(b"one")
    log.line(b"x" * 20_000_000)
    log.line(b"two")
    reading.finish()
    assert reading.text == b"one\ntwo\n"
    assert reading.gaps == ["Broken"]
