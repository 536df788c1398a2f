"""From a kubelet's files to people: complete, each line once, whoever is killed on the way, and whatever fails."""

import asyncio
import errno
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from elt_operator.archive.exchange import PodName
from elt_operator.archive.frames import Frame
from elt_operator.logs import door, settling
from elt_operator.logs.store import Missing, Store, StoreError
from fakes.kubelet_logs import ContainerLog
from unit.logs import chain as chains
from unit.logs.chain import Chain, running


@pytest.fixture
async def chain(tmp_path: Path) -> AsyncIterator[Chain]:
    async with running(Chain(tmp_path)) as one:
        yield one


async def whole(chain: Chain) -> bytes:
    """Return the one object as `zstdcat` prints it; nothing else may be left of the log."""
    assert await chain.store.keys("v1/open") == []
    [stored] = (chain.folder / "store").rglob("log.zst")
    program = await asyncio.create_subprocess_exec("zstdcat", stored, stdout=asyncio.subprocess.PIPE)
    printed, _ = await program.communicate()
    return printed


def kept(chain: Chain) -> dict[str, Any]:
    """Return what the Job should say of a log that is complete."""
    return {"state": "Kept", "lines": chain.log.text.count(b"\n"), "bytes": len(chain.log.text)}


async def test_a_log_is_read_while_it_grows_and_once_it_is_kept(chain: Chain) -> None:
    for number in range(20):
        chain.log.line(b"line %d" % number)
        await chain.turn()
    assert await chain.read(sequence="3", limit="2") == (200, b"line 3\nline 4\n")
    chain.log.line(b"the last one")
    chain.end()

    assert await chain.finish() == kept(chain)

    assert chain.reader
    assert not chain.reader.logs
    assert await chain.read(tail="2") == (200, b"line 19\nthe last one\n")
    assert await whole(chain) == chain.log.text
    assert chain.api_server.written[0][0].endswith("/namespaces/team/eltjobs/weather-1/status")


async def test_a_line_of_the_answer_says_when_it_was_written_and_in_which_attempt(chain: Chain) -> None:
    chain.log.line(b"one")
    chain.log.line(b"\xff two")
    chain.end()
    await chain.finish()

    _, body = await chain.read(accept="application/x-ndjson")

    assert [json.loads(line) for line in body.splitlines()] == [
        {"sequence": 0, "timestamp": "2026-01-01T00:00:00.000000Z", "attempt": 1, "message": "one"},
        {"sequence": 1, "timestamp": "2026-01-01T00:00:00.001000Z", "attempt": 1, "message": "\ufffd two"},
    ]


async def test_who_follows_gets_what_is_written_and_the_end(chain: Chain) -> None:
    chain.log.line(b"one")
    for _ in range(15):
        await chain.turn()
    following = asyncio.create_task(chain.read(follow="true"))
    for number in range(5):
        chain.log.line(b"more %d" % number)
        for _ in range(3):
            await chain.turn()
            await asyncio.sleep(0.02)
    assert not following.done()
    chain.end()
    await chain.finish()

    assert await asyncio.wait_for(following, 20) == (200, chain.log.text)


@pytest.mark.parametrize("deleted", [True, False])
async def test_who_follows_a_job_that_never_starts_gets_an_end(
    chain: Chain, monkeypatch: pytest.MonkeyPatch, *, deleted: bool
) -> None:
    monkeypatch.setattr(door, "_ASK_AGAIN_SECONDS", 0.05)
    chain.watched.pods.clear()
    chain.watched.take_job({**chain.job, "status": {"phase": "QUEUED"}})
    following = asyncio.create_task(chain.read(follow="true"))
    while not chain.parts.door.followers.has(chains.JOB):  # noqa: ASYNC110 - it has no event of its own
        await asyncio.sleep(0.01)
    if deleted:
        chain.watched.forget_job(chains.JOB)
    else:
        chain.watched.take_job({**chain.job, "status": {"phase": "STOPPED"}})
    chain.watched.settled(chains.JOB)

    assert await asyncio.wait_for(following, 10) == (200, b"")


class Killed(Exception):
    """The keeper is no more."""


@dataclass
class Mortal:
    """A store at whose n-th call, in all lives of the keeper, that is killed: before the call, or after it."""

    store: Store
    at: int
    after: bool
    calls: int = 0
    dead: bool = False

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        async def call(*arguments: Any, **more: Any) -> Any:
            if self.dead:
                raise Killed
            self.calls += 1
            self.dead = self.calls == self.at
            if self.dead and not self.after:
                raise Killed
            answer = await getattr(self.store, name)(*arguments, **more)
            if self.dead:
                raise Killed
            return answer

        return call


async def with_a_mortal(folder: Path, at: int, *, after: bool) -> tuple[Chain, Mortal]:
    """Carry out a run of which the keeper is killed once; return how it went."""
    chain = Chain(folder)
    mortal = Mortal(chain.store, at, after)
    chain.wrapped = lambda _store: mortal  # type: ignore[assignment,return-value]  # it has all calls of a store
    chain.start_parts()

    async def surviving(what: Callable[[], Awaitable[object]]) -> None:
        with suppress(Killed):
            await what()
        if mortal.dead:
            mortal.dead = False
            await chain.restart_keeper()

    await surviving(chain.start_keeper)
    await chain.start_reader()
    try:
        for number in range(8):
            chain.log.line(b"line %d" % number)
            await surviving(lambda: chain.turn(4))
        chain.end()
        for _ in range(20):
            await surviving(chain.turn)
        mortal.at = 0
        assert await chain.read() == (200, chain.log.text)
    finally:
        await chain.stop_reader()
        await chain.stop_keeper()
    return chain, mortal


async def test_a_keeper_that_is_killed_at_any_call_of_its_store_loses_nothing(tmp_path: Path) -> None:
    (tmp_path / "whole").mkdir()
    _, counted = await with_a_mortal(tmp_path / "whole", 0, after=False)
    assert counted.calls > 20

    for at in range(1, counted.calls + 1):
        for after in (False, True):
            folder = tmp_path / f"{at}-{after}"
            folder.mkdir()
            chain, _ = await with_a_mortal(folder, at, after=after)
            assert chain.api_server.told == kept(chain), (at, after)
            assert await whole(chain) == chain.log.text, (at, after)


async def test_a_reader_that_is_killed_at_any_moment_neither_loses_a_line_nor_tells_one_twice(chain: Chain) -> None:
    for number in range(40):
        chain.log.line(b"line %d" % number)
        if number % 13 == 3:
            chain.log.rotate()
        assert chain.reader
        chain.clock += 4
        await chain.reader.step()
        if number % 3 == 0:
            await chain.start_reader()
        elif number % 3 == 1:
            await chain.turn(11)
    chain.end()

    assert await chain.finish() == kept(chain)
    assert await whole(chain) == chain.log.text


async def test_a_reader_that_has_lost_its_spool_reads_the_files_again(chain: Chain) -> None:
    for number in range(5):
        chain.log.line(b"line %d" % number)
        await chain.turn(11)
    chain.log.line(b"spooled only")
    assert chain.reader
    chain.clock += 30
    await chain.reader.step()
    await chain.stop_reader()
    for path in (chain.folder / "spool").rglob("*.zst"):
        path.unlink()
    await chain.start_reader()
    chain.end()

    assert await chain.finish() == kept(chain)
    assert await whole(chain) == chain.log.text


async def test_while_the_keeper_is_away_a_log_waits_on_the_node(chain: Chain) -> None:
    chain.log.line(b"before")
    await chain.turn(11)
    await chain.stop_keeper()
    for number in range(10):
        chain.log.line(b"meanwhile %d" % number)
        await chain.turn(11)
    chain.log.remove()
    await chain.turn()
    await chain.start_keeper()
    chain.end()

    assert await chain.finish() == kept(chain)
    assert await whole(chain) == chain.log.text


async def test_a_new_log_is_read_while_the_keeper_is_away(chain: Chain) -> None:
    await chain.turn()
    await chain.stop_keeper()
    uid = "6a0d3f0e-0000-4000-8000-00000000000b"
    second = chain.new_log(uid, "weather-1-fghij")
    second.line(b"the second attempt")
    await chain.turn(11)
    await chain.turn(11)
    second.remove()
    await chain.turn()
    await chain.start_keeper()
    body = chains.pod(ended=True)
    body["metadata"] |= {"uid": uid, "name": "weather-1-fghij"}
    attempts = [{"number": n, "pod": name, "startTime": "2026-01-01T00:00:00Z"}
                for n, name in ((1, "weather-1-abcde"), (2, "weather-1-fghij"))]  # fmt: skip
    chain.pods, chain.job = [chains.pod(ended=True), body], chains.job("COMPLETE", attempts=attempts)
    chain.watch()

    assert (await chain.finish())["state"] == "Kept"
    assert await whole(chain) == b"the second attempt\n"


async def test_what_nobody_saw_is_said_to_be_missing(chain: Chain) -> None:
    chain.log.remove()
    chain.end()
    for _ in range(3):
        await chain.turn()

    assert await chain.finish() == {"state": "Incomplete", "lines": 0, "bytes": 0, "gaps": 1, "reason": "NeverSeen"}
    assert (await chain.read())[0] == 204


async def test_a_job_that_is_deleted_at_work_has_its_log_kept(chain: Chain) -> None:
    chain.log.line(b"one")
    await chain.turn(11)
    chain.log.line(b"last words")
    chain.watched.take_pod(chains.pod(ended=True), deleted=True)
    chain.watched.take_job(chain.job, deleted=True)
    for _ in range(5):
        await chain.turn()

    assert not chain.watched.unsettled()
    assert await chain.read() == (200, chain.log.text)


async def test_a_job_that_went_while_the_keeper_was_away_has_its_log_kept(
    chain: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settling, "_TOLD_AFTER", timedelta(seconds=1))
    chain.log.line(b"one")
    for _ in range(3):
        await chain.turn(11)
    chain.job, chain.pods = {}, []
    await chain.restart_keeper()
    chain.log.line(b"last words")
    chain.log.remove()
    async with asyncio.timeout(10):
        while chain.watched.unsettled():
            await chain.turn()

    assert await chain.read() == (200, chain.log.text)


async def test_a_log_that_cannot_be_read_in_the_store_holds_up_no_other(chain: Chain) -> None:
    chain.log.line(b"one")
    other = "6a0d3f0e-0000-4000-8000-00000000000c"
    chain.new_log(other, "other-1-abcde")
    body = chains.pod()
    body["metadata"] |= {"uid": other, "name": "other-1-abcde", "labels": {"elt-operator.io/job-uid": "other-job"}}
    job = chains.job()
    job["metadata"] |= {"uid": "other-job", "name": "other-1"}
    chain.watched.take_job(job)
    chain.watched.take_pod(body)
    await chain.store.put(f"v1/open/other-job/{other}/00000001.zst", b"this is no frame")
    chain.end()

    for _ in range(11):
        await chain.turn()
    assert chain.api_server.told == kept(chain)


@dataclass
class Unsteady:
    """A store that may be away."""

    store: Store
    away: bool = False

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        async def call(*arguments: Any, **more: Any) -> Any:
            if self.away:
                raise StoreError("it is away")
            return await getattr(self.store, name)(*arguments, **more)

        return call


async def test_an_outage_of_the_store_delays_a_log_and_loses_nothing(tmp_path: Path) -> None:
    chain = Chain(tmp_path)
    unsteady = Unsteady(chain.store)
    chain.wrapped = lambda _store: unsteady  # type: ignore[assignment,return-value]  # it has all calls of a store
    chain.start_parts()
    async with running(chain):
        chain.log.line(b"one")
        await chain.turn(11)
        unsteady.away = True
        for number in range(20):
            chain.log.line(b"line %d" % number)
            await chain.turn(11)
        unsteady.away = False
        chain.end()
        assert await chain.finish() == kept(chain)
        assert await whole(chain) == chain.log.text


async def test_only_who_may_read_a_log_learns_that_there_is_one(chain: Chain) -> None:
    chain.log.line(b"one")
    chain.end()
    await chain.finish()
    gone = "6a0d3f0e-0000-4000-8000-0000000000ff"

    assert (await chain.read("alice"))[0] == 200
    assert await chain.read("bob") == await chain.read("bob", gone) == await chain.read("alice", gone)
    assert (await chain.read("bob"))[0] == 404
    assert (await chain.read("nobody"))[0] == 401
    assert (await chain.read("alice", "../../v1/ids"))[0] == 404


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({"sequence": "-1"}, "sequence must be a whole number of at least 0"),
        ({"limit": "many"}, "limit must be a whole number of at least 0"),
        ({"tail": "9" * 30}, "tail must be a whole number of at least 0"),
        ({"follow": "yes"}, "follow must be true or false"),
    ],
)
async def test_a_wrong_parameter_is_named(chain: Chain, query: dict[str, str], words: str) -> None:
    code, body = await chain.read(**query)

    assert code == 400
    assert words in body.decode()


async def test_where_rights_cannot_be_asked_for_nothing_is_shown(chain: Chain) -> None:
    chain.log.line(b"one")
    chain.end()
    await chain.finish()
    chain.api_server.away = True

    assert (await chain.read("carol"))[0] == 503


async def test_the_job_in_the_store_repeats_no_secret(chain: Chain) -> None:
    chain.log.line(b"password=canary")
    chain.end()
    chain.job["status"]["logTail"] = "password=canary\n"
    chain.watch()
    await chain.finish()

    assert not [path for path in (chain.folder / "store").rglob("*.json") if b"canary" in path.read_bytes()]


async def test_a_file_that_cannot_be_opened_is_a_gap(chain: Chain, tmp_path: Path) -> None:
    """As cri-dockerd has links where others have files."""
    (tmp_path / "elsewhere.log").write_bytes(b"2026-01-01T00:00:00.000000000Z stdout F one\n")
    (chain.log.folder / "0.log").unlink()
    (chain.log.folder / "0.log").symlink_to(tmp_path / "elsewhere.log")
    chain.end()

    assert await chain.finish() == {"state": "Incomplete", "lines": 0, "bytes": 0, "gaps": 1, "reason": "Broken"}


async def test_the_log_of_a_job_that_ended_without_waiting_for_it_is_kept(chain: Chain) -> None:
    chain.log.line(b"one")
    await chain.turn(11)
    body = chains.job("UNKNOWN")
    del body["status"]["log"]
    chain.job, chain.pods = body, [chains.pod(ended=True)]
    chain.watch()
    for _ in range(6):
        await chain.turn()

    assert not chain.watched.unsettled()
    assert not chain.api_server.written
    assert await chain.read() == (200, chain.log.text)


async def test_a_pod_of_another_namespace_adds_nothing(chain: Chain) -> None:
    chain.log.line(b"one")
    uid = "6a0d3f0e-0000-4000-8000-0000000000ee"
    foreign = chains.pod()
    foreign["metadata"] |= {"uid": uid, "namespace": "elsewhere", "name": "foreign"}
    chain.watched.take_pod(foreign)
    other = chain.new_log(uid, "foreign")
    other.folder.parent.rename(chain.folder / f"pods/elsewhere_foreign_{uid}")
    for _ in range(3):
        await chain.turn(11)
    chain.end()

    assert await chain.finish() == kept(chain)
    assert await whole(chain) == chain.log.text


async def test_a_reader_cannot_bring_a_pod_that_is_known_under_another_uid(chain: Chain) -> None:
    chain.log.line(b"one")
    forged = chain.new_log("6a0d3f0e-0000-4000-8000-0000000000ee")
    forged.line(b"forged")
    for _ in range(3):
        await chain.turn(11)
    chain.end()

    assert await chain.finish() == kept(chain)
    assert await whole(chain) == chain.log.text


async def test_a_last_line_without_its_end_is_a_line(chain: Chain) -> None:
    chain.log.line(b"one")
    chain.log.write(b"two", tag="P")
    chain.end()

    assert await chain.finish() == {"state": "Kept", "lines": 2, "bytes": 7}
    assert await chain.read(sequence="1") == (200, b"two")
    assert await chain.read(tail="1") == (200, b"two")
    assert await chain.read() == (200, b"one\ntwo")


async def test_a_reader_whose_spool_is_full_holds_few_files_and_says_what_it_missed(chain: Chain) -> None:
    chain.log.line(b"one")
    await chain.turn(11)
    assert chain.reader
    chain.reader.spool.most_bytes = 0
    for number in range(40):
        chain.log.line(b"line %d" % number)
        chain.log.rotate()
        await chain.reader.step()
    (log,) = chain.reader.logs.values()
    assert log.files.open_files <= 20
    chain.reader.spool.most_bytes = 2**20
    chain.end()
    told = await chain.finish()

    assert (told["state"], told["reason"]) == ("Incomplete", "SpoolFull")
    assert (await chain.read())[1].endswith(b"line 38\nline 39\n")


@pytest.mark.parametrize("path", ["..%2F..%2F..%2Fetc%2Fpasswd", "%00", ".", "..", "a%2Fb", "x" * 65])
async def test_a_path_that_is_no_uid_reaches_no_file(chain: Chain, path: str) -> None:
    (chain.folder / "etc").mkdir()
    (chain.folder / "etc/passwd").write_text("root")
    (chain.folder / "store/v1/ids").mkdir(parents=True, exist_ok=True)

    for who in ("alice", "bob"):
        code, body = await chain.read_path(f"/v1/logs/{path}", who)
        assert (code, b"root" in body) == (404, False)


async def test_who_reads_without_following_is_no_follower(chain: Chain) -> None:
    chain.log.line(b"one")
    for _ in range(3):
        await chain.turn(11)

    answers = await asyncio.gather(*(chain.read() for _ in range(8)))

    assert answers == [(200, b"one\n")] * 8
    assert not chain.parts.door.followers.has(chains.JOB)


async def test_an_attempt_whose_pod_went_while_the_keeper_was_away_stays_in_the_log(chain: Chain) -> None:
    chain.log.line(b"first attempt")
    for _ in range(3):
        await chain.turn(11)
    chain.log.remove()
    chain.watched.take_pod(chains.pod(ended=True), deleted=True)
    for _ in range(3):
        await chain.turn(11)
    uid = "6a0d3f0e-0000-4000-8000-00000000000b"
    second = chain.new_log(uid, "weather-1-fghij")
    second.line(b"second attempt")
    body = chains.pod(ended=True)
    body["metadata"] |= {"uid": uid, "name": "weather-1-fghij"}
    attempts = [{"number": n, "pod": name, "startTime": "2026-01-01T00:00:00Z"}
                for n, name in ((1, "weather-1-abcde"), (2, "weather-1-fghij"))]  # fmt: skip
    chain.pods, chain.job = [body], chains.job("COMPLETE", attempts=attempts)
    await chain.restart_keeper()

    assert await chain.finish() == {"state": "Kept", "lines": 2, "bytes": 29}
    assert await whole(chain) == b"first attempt\nsecond attempt\n"


async def with_frames(chain: Chain, count: int) -> list[Path]:
    """Write so many lines, each of which becomes a frame; return where those are in the store."""
    for number in range(count):
        chain.log.line(b"line %d" % number)
        for _ in range(3):
            await chain.turn(11)
    return sorted((chain.folder / "store").rglob("*.zst"))


async def test_a_frame_that_is_gone_from_the_store_is_a_gap(chain: Chain) -> None:
    found = await with_frames(chain, 4)
    found[1].unlink()
    chain.end()
    with suppress(Missing):
        await chain.finish()

    told = await chain.finish()
    assert told == {"state": "Incomplete", "lines": 3, "bytes": 21, "gaps": 1, "reason": "Broken"}
    assert await whole(chain) == b"line 0\nline 2\nline 3\n"


async def test_a_frame_that_is_broken_in_the_store_is_a_gap(chain: Chain) -> None:
    found = await with_frames(chain, 4)
    found[1].write_bytes(b"this is no frame")
    await chain.restart_keeper()
    assert (await chain.read())[0] == 200
    chain.end()

    assert (await chain.finish())["reason"] == "Broken"
    assert await whole(chain) == b"line 0\nline 2\nline 3\n"


async def test_a_last_frame_that_is_broken_in_the_store_is_read_again(chain: Chain) -> None:
    found = await with_frames(chain, 3)
    found[-1].write_bytes(b"this is no frame")
    await chain.stop_reader()
    await chain.restart_keeper()
    await chain.start_reader()
    chain.log.line(b"last")
    chain.end()

    assert (await chain.finish())["reason"] == "Broken"
    assert await whole(chain) == b"line 0\nline 1\nline 2\nlast\n"


async def test_who_reads_while_a_frame_is_gone_is_answered(chain: Chain) -> None:
    found = await with_frames(chain, 4)
    found[1].unlink()
    with suppress(aiohttp.ClientError):  # an answer that has begun is broken off
        await chain.read()

    assert await chain.read() == (200, b"line 0\nline 2\nline 3\n")


async def second_attempt(chain: Chain) -> ContainerLog:
    """Have the Job try again."""
    uid = "6a0d3f0e-0000-4000-8000-00000000000b"
    body = chains.pod()
    body["metadata"] |= {"uid": uid, "name": "weather-1-fghij"}
    attempts = [{"number": n, "pod": name, "startTime": "2026-01-01T00:00:00Z"}
                for n, name in ((1, "weather-1-abcde"), (2, "weather-1-fghij"))]  # fmt: skip
    chain.pods, chain.job = [chains.pod(ended=True), body], chains.job(attempts=attempts)
    chain.watch()
    return chain.new_log(uid, "weather-1-fghij")


async def test_the_lines_of_a_later_attempt_have_no_numbers_before_the_earlier_one_is_whole(chain: Chain) -> None:
    """As while an attempt's last lines are still on their way, and the next one has begun."""
    chain.log.line(b"the first attempt")
    await chain.turn(11)
    await chain.turn()
    second = await second_attempt(chain)
    second.line(b"the second attempt")
    first = chain.reader.logs[chains.POD] if chain.reader else None
    assert first
    assert first.tail
    for _ in range(3):
        first.tail.ended = False
        await chain.reader.step()  # type: ignore[union-attr]
        await chain.reader.push_all()  # type: ignore[union-attr]
        chain.clock += 11
    assert await chain.read() == (200, b"the first attempt\n")

    for _ in range(5):
        await chain.turn(11)
    assert await chain.read() == (200, b"the first attempt\nthe second attempt\n")


async def test_a_line_that_is_longer_than_a_frame_comes_in_parts(chain: Chain) -> None:
    for _ in range(200):
        chain.log.write(b"x" * 16_384, tag="P")
    chain.log.line(b"")
    chain.log.line(b"last")
    for _ in range(20):
        await chain.turn(11)
    assert await chain.read() == (200, b"x" * (200 * 16_384) + b"\nlast\n")
    assert await chain.read(sequence="1") == (200, b"last\n")
    _, body = await chain.read(accept="application/x-ndjson")
    told = [json.loads(line) for line in body.splitlines()]
    assert {line["sequence"] for line in told[:-1]} == {0}
    assert "".join(line["message"] for line in told[:-1]) == "x" * (200 * 16_384)
    assert told[-1]["sequence"] == 1


async def test_a_line_without_an_end_is_sent_when_it_has_one(chain: Chain) -> None:
    for _ in range(100):
        chain.log.write(b"x" * 16_384, tag="P")
    for _ in range(12):
        await chain.turn(11)
    assert list((chain.folder / "store").rglob("*.zst"))
    assert (await chain.read())[0] == 204


async def test_a_line_that_an_attempt_leaves_without_an_end_is_sent_once(chain: Chain) -> None:
    """Also to who follows, while a later attempt has written nothing yet."""
    chain.log.line(b"one")
    chain.log.write(b"Kille", tag="P")
    for _ in range(3):
        await chain.turn(11)
    following = [
        asyncio.create_task(chain.read(follow="true", **query)) for query in ({}, {"sequence": "1", "limit": "1"})
    ]
    second = await second_attempt(chain)
    for _ in range(4):
        await chain.turn(11)
        await asyncio.sleep(0.01)
    second.line(b"two")
    for _ in range(4):
        await chain.turn(11)
        await asyncio.sleep(0.01)
    chain.pods = [chain.pods[0], {**chain.pods[1], "status": chains.pod(ended=True)["status"]}]
    chain.job = chains.job("COMPLETE", attempts=chain.job["status"]["attempts"])
    chain.watch()
    await chain.finish()

    assert [(await one)[1] for one in following] == [b"one\nKilletwo\n", b"Kille"]


async def test_what_is_damaged_in_the_store_while_the_keeper_runs_is_a_gap(chain: Chain) -> None:
    found = await with_frames(chain, 3)
    data = bytearray(found[1].read_bytes())
    data[5] ^= 1
    found[1].write_bytes(data)
    chain.end()
    with suppress(Missing):
        await chain.finish()

    assert (await chain.finish())["reason"] == "Broken"
    assert await whole(chain) == b"line 0\nline 2\n"


async def test_a_line_of_five_megabytes_in_one_record_is_kept(chain: Chain) -> None:
    """As containerd writes it with max_container_log_line_size = -1."""
    chain.log.line(b"first")
    chain.log.line(b"x" * 5_000_000)
    chain.log.line(b"last")
    chain.end()

    assert await chain.finish() == kept(chain)
    assert await chain.read() == (200, chain.log.text)


async def test_a_log_whose_last_frame_finds_no_room_at_first_is_kept(
    chain: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    chain.log.line(b"first")
    chain.log.write(b"and no end", tag="P")
    await chain.turn()
    assert chain.reader
    spool, put = chain.reader.spool, chain.reader.spool.put
    failed: list[str] = []

    def full_once(uid: str, pod: PodName, frame: Frame) -> None:
        if frame.envelope and frame.envelope.closed and not failed:
            failed.append(uid)
            raise OSError(errno.ENOSPC, "No space left on device")
        put(uid, pod, frame)

    monkeypatch.setattr(spool, "put", full_once)
    chain.end()

    assert (await chain.finish())["state"] == "Kept"
    assert failed
    assert await chain.read() == (200, b"first\nand no end")


async def test_a_run_that_began_while_the_watches_were_refused_is_read(chain: Chain) -> None:
    chain.watched.pods, chain.watched.jobs = {}, {}
    chain.log.line(b"it begins")
    for _ in range(14):
        await chain.turn(50)
    chain.watch()
    for _ in range(8):
        await chain.turn(50)
    chain.log.line(b"it goes on")
    chain.end()

    assert await chain.finish() == kept(chain)


async def test_while_a_watch_is_stale_nobody_is_told_that_a_pod_is_unknown(chain: Chain) -> None:
    chain.watched.pods = {}
    chain.parts.door.is_current = lambda: False
    chain.log.line(b"one")
    await chain.turn()
    assert chain.reader
    assert chain.reader.logs[chains.POD].unknown_since is None


async def test_an_attempt_that_only_a_reader_knows_belongs_to_its_job_that_is_gone(
    chain: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ran, and the Job was deleted, while the keeper was away."""
    monkeypatch.setattr(settling, "_TOLD_AFTER", timedelta(seconds=2))
    chain.job["status"]["taskName"] = "weather-1"
    chain.watch()
    await with_frames(chain, 1)
    await chain.stop_keeper()
    second = chain.new_log("6a0d3f0e-0000-4000-8000-00000000000b", "weather-1-fghij")
    second.line(b"the second attempt")
    assert chain.reader
    for _ in range(15):
        chain.clock += 1
        await chain.reader.step()
    second.remove()
    chain.log.remove()
    chain.job, chain.pods = {}, []
    await chain.restart_keeper()
    async with asyncio.timeout(20):
        while chain.watched.unsettled():
            await chain.turn()

    assert await chain.read() == (200, b"line 0\nthe second attempt\n")


async def test_how_many_gaps_there_are_is_told(chain: Chain) -> None:
    found = await with_frames(chain, 3)
    found[1].unlink()
    await chain.restart_keeper()
    async with (
        aiohttp.ClientSession(headers={"Authorization": "Bearer alice"}) as session,
        session.get(f"{chain.url}/v1/logs/{chains.JOB}") as answer,
    ):
        assert answer.headers["X-Log-Gaps"] == "1"


async def test_a_character_is_not_cut_in_two(chain: Chain) -> None:
    for shift in range(3):
        chain.log.line(b"x" * shift + "\u20ac".encode() * 700_000)
    for _ in range(40):
        await chain.turn(11)
    _, body = await chain.read(accept="application/x-ndjson")

    assert b"\xef\xbf\xbd" not in body
    assert len(body.splitlines()) > 60
