"""Logs of living pods: what the kubelet still has."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

import orjson

from elt_operator.api.entries import JobEntry
from elt_operator.api.wanted import TEXT, Found, Wanted
from elt_operator.archive import cri
from elt_operator.kube import foreign, paths
from elt_operator.kube.client import Client
from elt_operator.kube.errors import ApiError, NotFound
from elt_operator.resources import names
from elt_operator.text import whole_characters

_STARTING_SECONDS: Final = 1.0
_PIECE: Final = 64 * 1024
MOST_TAIL: Final = 4 * 1024 * 1024
"""Bytes of the last lines of a pod that are held."""
_PATIENCE_SECONDS: Final = 10.0
"""How long it may take to know whether there is a log, and its first line."""
_BAD_REQUEST: Final = 400


@dataclass(frozen=True)
class PodLogs:
    """The API server, which asks the kubelets."""

    client: Client

    async def of(self, token: str, job: JobEntry, wanted: Wanted) -> Found:
        """Return the log of a Job's newest pod; raises ``ApiError`` and ``TimeoutError``."""
        async with asyncio.timeout(_PATIENCE_SECONDS):  # nobody notices before an answer begins that a client has gone
            return await self._begun(token, job, wanted)

    async def _begun(self, token: str, job: JobEntry, wanted: Wanted) -> Found:
        headers = {"X-Log-State": "Incomplete"}
        pod = await self._pod(token, job)
        if not pod:
            return Found(headers, None)
        if wanted.follow:  # it may be silent for long, so that its beginning is not waited for; but errors are told
            await self._probe(token, job, pod)
            return Found(headers, self._followed(token, job, pod, wanted))
        lines = _numbered(self.client.log_stream(job.namespace, pod, names.CONTAINER, token=token), job, wanted)
        try:
            first = await anext(lines)
        except StopAsyncIteration:
            return Found(headers, None)
        except ApiError as error:
            if _is_not_there_yet(error):
                return Found(headers, None)
            raise

        async def all_lines() -> AsyncGenerator[bytes, None]:
            try:
                yield first
                async for line in lines:
                    yield line
            finally:
                await lines.aclose()

        return Found(headers, all_lines())

    async def _probe(self, token: str, job: JobEntry, pod: str) -> None:
        """Raise what keeps a log from being read, if it is not that there is none yet."""
        try:
            async for _ in self.client.log_stream(job.namespace, pod, names.CONTAINER, token=token, limitBytes="1"):
                pass
        except ApiError as error:
            if not _is_not_there_yet(error):
                raise

    async def _followed(self, token: str, job: JobEntry, pod: str, wanted: Wanted) -> AsyncGenerator[bytes, None]:
        """Yield what a container writes; wait for it to start."""
        where = (job.namespace, pod, names.CONTAINER)
        while True:
            try:
                if wanted.tail is not None:
                    count = await _count(self.client.log_stream(*where, token=token))
                    wanted = wanted._replace(sequence=max(wanted.sequence, count - wanted.tail), tail=None)
                lines = _numbered(self.client.log_stream(*where, token=token, follow="true"), job, wanted)
                async with aclosing(lines):
                    async for line in lines:
                        yield line
            except ApiError as error:
                if isinstance(error, NotFound):
                    return
                if not _is_not_there_yet(error):
                    raise
                await asyncio.sleep(_STARTING_SECONDS)
            else:
                return

    async def _pod(self, token: str, job: JobEntry) -> str:
        """Return the name of a Job's newest pod; empty: there is none."""
        selector = paths.labelled(names.JOB_UID_LABEL, job.uid)
        body = await self.client.request(
            "GET", paths.PODS.collection(job.namespace), token=token, labelSelector=selector
        )
        newest = max(foreign.items(body.get("items")), key=foreign.created, default={})
        return foreign.text(foreign.part(newest, "metadata").get("name"))


def _is_not_there_yet(error: ApiError) -> bool:
    """Return whether there is no log because the container has not started, or is gone."""
    return isinstance(error, NotFound) or error.code == _BAD_REQUEST


@dataclass
class _Tail:
    """The last lines of a log: as many as are wanted, and fit into memory."""

    most: int
    _kept: deque[tuple[int, bytes]] = field(default_factory=deque)
    """Lines, or pieces of them, each with the number of its line."""
    _size: int = 0

    def add(self, number: int, told: bytes) -> None:
        """Add a piece of a line."""
        self._kept.append((number, told))
        self._size += len(told)
        while self._kept[0][0] < number - self.most or self._size > MOST_TAIL:
            self._drop_line()
            if not self._kept:
                return

    def _drop_line(self) -> None:
        first = self._kept[0][0]
        while self._kept and self._kept[0][0] == first:
            self._size -= len(self._kept.popleft()[1])

    def pieces(self, end: int, limit: int | None) -> Iterator[bytes]:
        """Yield them, of a log that has ``end`` lines; only so many lines."""
        found = [one for one in self._kept if one[0] >= end - self.most]
        return (told for number, told in found if limit is None or number < found[0][0] + limit)


async def _numbered(stream: AsyncIterator[bytes], job: JobEntry, wanted: Wanted) -> AsyncGenerator[bytes, None]:
    """Yield the lines of a pod that are wanted, as text or as JSON; long ones in pieces."""
    tail = None if wanted.tail is None else _Tail(wanted.tail)
    number, left, moment, piece = 0, wanted.limit, 0, b"\n"
    async for piece, begins in _pieces(stream):
        if left == 0:
            return
        if number >= wanted.sequence:
            moment, text = _stamped(piece) if begins else (moment, piece)
            told = _told(text, moment, number, job, wanted)
            if tail:
                tail.add(number, told)
            else:
                yield told
                left = left - 1 if left is not None and piece.endswith(b"\n") else left
        number += piece.endswith(b"\n")
    for told in tail.pieces(number + (not piece.endswith(b"\n")), left) if tail else ():
        yield told


async def _pieces(stream: AsyncIterator[bytes]) -> AsyncIterator[tuple[bytes, bool]]:
    """Yield the lines of a stream, long ones in pieces, each with whether it begins a line."""
    rest, begins = b"", True
    async for chunk in stream:
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            yield line + b"\n", begins
            begins = True
        while len(rest) > _PIECE:
            end = whole_characters(rest, 0, _PIECE)
            yield rest[:end], begins
            rest, begins = rest[end:], False
    if rest:
        yield rest, begins


async def _count(stream: AsyncIterator[bytes]) -> int:
    """Return how many lines a stream has; one without an end counts."""
    count, last = 0, b"\n"
    async for chunk in stream:
        count, last = count + chunk.count(b"\n"), chunk[-1:] or last
    return count + (last != b"\n")


def _stamped(line: bytes) -> tuple[int, bytes]:
    """Return when a line was written, in nanoseconds since 1970, and its text."""
    stamp = cri.stamped(line)
    return (stamp[0], line[stamp[1] :]) if stamp else (0, line)


def _told(text: bytes, written: int, number: int, job: JobEntry, wanted: Wanted) -> bytes:
    if wanted.kind == TEXT:
        return text
    moment = datetime.fromtimestamp(written / 1e9, UTC)
    return orjson.dumps(
        {
            "sequence": number,
            "timestamp": moment.isoformat(timespec="microseconds").replace("+00:00", "Z"),
            "attempt": max(1, job.attempt),
            "message": text.decode(errors="replace").removesuffix("\n"),
        },
        option=orjson.OPT_APPEND_NEWLINE,
    )
