"""Logs that are followed through the API server: never called complete when that is not proven."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from elt_operator.archive.cutting import Cutter
from elt_operator.archive.frames import Frame
from elt_operator.archive.masking import Masker
from elt_operator.kube.errors import NotFound
from elt_operator.logs import following, program
from elt_operator.logs.following import Followed
from elt_operator.logs.metrics import Metrics
from elt_operator.logs.reading import Place
from elt_operator.logs.store import Volume
from elt_operator.settings.logs import Settings
from unit.logs import chain as chains
from unit.logs.chain import POD, ApiServer


def said(number: int) -> bytes:
    return b"2026-01-01T00:00:%02d.%06d123Z line %d\n" % (number // 10, number % 10 * 100_000, number)


@dataclass
class Kubelet(ApiServer):
    """Answers `pods/log` as it is told: each answer is the bytes, and whether it breaks off after them."""

    answers: list[bytes | Exception] = field(default_factory=list)
    plain: bytes | Exception = b""
    asked: list[dict[str, str]] = field(default_factory=list)
    followed: asyncio.Event = field(default_factory=asyncio.Event)
    """Is set once all answers were given."""

    async def log_stream(self, _namespace: str, _pod: str, _container: str, **query: str) -> AsyncIterator[bytes]:
        self.asked.append(query)
        answer = self.plain if "follow" not in query else self.answers.pop(0) if self.answers else b""
        if isinstance(answer, Exception):
            raise answer
        step = max(50, len(answer) // 100)
        for start in range(0, len(answer), step):
            yield answer[start : start + step]
        if not self.answers:
            self.followed.set()


async def followed(folder: Path, kubelet: Kubelet) -> tuple[dict[str, Any], bytes]:
    """Follow a run to its end; return what the Job says of its log, and the log."""
    settings_, store = Settings(log_source="follow"), Volume(folder)
    parts = program.parts(kubelet, store, Metrics(), settings_)  # type: ignore[arg-type]  # what it needs of a client
    assert parts.following
    watched = parts.keeper.watched
    watched.take_job(chains.job())
    watched.take_pod(chains.pod())
    task = asyncio.create_task(parts.following.repeat())
    try:
        async with asyncio.timeout(20):
            await kubelet.followed.wait()
            watched.take_pod(chains.pod(ended=True))
            watched.take_job(chains.job("COMPLETE"))
            while watched.unsettled():
                for facts in watched.unsettled():
                    await parts.keeper.settle(facts)
                await asyncio.sleep(0.01)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    view = await parts.keeper.views.of(chains.JOB)
    assert view
    text, place = b"", Place(0)
    while True:
        part, place = await view.read(place, end=10**9, size=64 * 1024)
        if part is None:
            return kubelet.told, text
        text += part.text


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "_PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(following, "_LOOK_SECONDS", 0.01)


LINES = [said(number) for number in range(30)]
TEXT = b"".join(b"line %d\n" % number for number in range(30))
WHOLE = b"".join(LINES)


async def test_a_log_that_was_never_rotated_is_kept(tmp_path: Path) -> None:
    told, text = await followed(tmp_path, Kubelet(answers=[WHOLE], plain=WHOLE))

    assert (told["state"], text) == ("Kept", TEXT)


async def test_a_broken_connection_is_gone_on_from_without_a_line_twice(tmp_path: Path) -> None:
    again = b"".join(LINES[10:])  # sinceTime is cut to whole seconds
    kubelet = Kubelet(answers=[b"".join(LINES[:17]), again], plain=WHOLE)

    told, text = await followed(tmp_path, kubelet)

    assert (told["state"], text) == ("Kept", TEXT)
    assert {"follow": "true", "sinceTime": "2026-01-01T00:00:01Z"} in kubelet.asked


async def test_the_end_that_following_has_lost_is_read_afterwards(tmp_path: Path) -> None:
    told, text = await followed(tmp_path, Kubelet(answers=[b"".join(LINES[:12])], plain=WHOLE))

    assert (told["state"], text) == ("Kept", TEXT)


@pytest.mark.parametrize(
    ("answers", "plain"),
    [
        pytest.param([WHOLE], b"".join(LINES[20:]), id="rotated"),
        pytest.param([b"".join(LINES[:10] + LINES[20:])], WHOLE, id="lines lost in the middle"),
        pytest.param([b"".join(LINES[:10]), b"".join(LINES[25:])], b"".join(LINES[25:]), id="rotated while away"),
        pytest.param([WHOLE], NotFound(404, "NotFound", "gone"), id="gone before it was proven"),
        pytest.param([WHOLE], b"failed to create fsnotify watcher: too many open files", id="no proof to be had"),
    ],
)
async def test_what_is_not_proven_is_incomplete(
    tmp_path: Path, answers: list[bytes | Exception], plain: bytes | Exception
) -> None:
    told, _ = await followed(tmp_path, Kubelet(answers=answers, plain=plain))

    assert (told["state"], told["reason"]) == ("Incomplete", "Rotated")


async def test_what_the_kubelet_says_itself_is_no_line_of_the_run(tmp_path: Path) -> None:
    words = b"failed to create fsnotify watcher: too many open files"

    told, text = await followed(tmp_path, Kubelet(answers=[words, WHOLE], plain=WHOLE))

    assert (told["state"], text) == ("Kept", TEXT)


async def test_an_answer_that_ends_within_a_line_is_gone_on_from_at_its_beginning(tmp_path: Path) -> None:
    kubelet = Kubelet(answers=[b"".join(LINES[:10])[:-4], b"".join(LINES)[:-1]], plain=WHOLE[:-1])

    told, text = await followed(tmp_path, kubelet)

    assert (told["state"], text) == ("Kept", TEXT[:-1])


LONG = LINES[0] + said(1)[:-1] + b"x" * 3_000_000 + b"\n" + LINES[2]


async def test_a_line_of_megabytes_is_taken_in_parts(tmp_path: Path) -> None:
    told, text = await followed(tmp_path, Kubelet(answers=[LONG], plain=LONG))

    assert (told["state"], text) == ("Kept", b"line 0\nline 1" + b"x" * 3_000_000 + b"\nline 2\n")


async def test_a_line_of_megabytes_that_was_broken_off_is_not_proven(tmp_path: Path) -> None:
    told, _ = await followed(tmp_path, Kubelet(answers=[LONG[:2_000_000], LONG], plain=LONG))

    assert (told["state"], told["reason"]) == ("Incomplete", "Rotated")


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 29), st.integers(0, 30)), min_size=1, max_size=6))
async def test_whatever_is_answered_a_log_is_only_proven_if_it_is_whole(spans: list[tuple[int, int]]) -> None:
    frames: list[Frame] = []

    async def store(frame: Frame) -> None:
        frames.append(frame)

    one = Followed(Cutter(POD, Masker()), store)

    async def answer(start: int, end: int) -> AsyncIterator[bytes]:
        yield b"".join(LINES[start:end])

    for start, end in spans:
        await one.take(answer(start, end))
    await one.take(answer(0, 30), whole=True)
    proven = one.is_proven
    await one.close(proven=proven)

    text = b"".join(frame.text for frame in frames)
    assert not proven or text == TEXT
    assert len(set(text.splitlines())) == len(text.splitlines())
