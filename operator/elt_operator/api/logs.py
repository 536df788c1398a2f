"""The log of a Job: from the keeper of the logs, with the token of whoever asks; else what its pod still has."""

import asyncio
import ssl
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import Final, NamedTuple, Self

import aiohttp
import orjson

from elt_operator.api.entries import JobEntry
from elt_operator.api.refusals import NOT_FOUND, Refusal, Refused, bad
from elt_operator.archive import cri
from elt_operator.kube import foreign, paths
from elt_operator.kube.client import Client
from elt_operator.kube.errors import ApiError, NotFound
from elt_operator.kube.reviews import BadToken
from elt_operator.resources import names

TEXT: Final = "text/plain"
LINES: Final = ("application/x-ndjson", "application/stream+json")
EVENTS: Final = "text/event-stream"
KINDS: Final = (TEXT, *LINES, EVENTS)
_TIMEOUT: Final = aiohttp.ClientTimeout(total=None, sock_connect=5)
_PATIENCE_SECONDS: Final = 10.0
"""How long the keeper may take to begin its answer."""
_STARTING_SECONDS: Final = 1.0
_PIECE: Final = 64 * 1024
_MOST_TAIL: Final = 4 * 1024 * 1024
"""Bytes of the last lines of a pod that are held."""
_AWAY: Final = Refusal(503, "The keeper of the logs does not answer. Try again later.", headers={"Retry-After": "5"})
_WORDS: Final = 500
_OK, _NOTHING, _BAD_REQUEST = 200, 204, 400


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


@dataclass
class Logs:
    """Where logs are read, open within ``async with``."""

    client: Client
    keeper: str
    """The address of the keeper's door; empty: there is none."""
    tls: ssl.SSLContext | None = None
    _session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        connector = aiohttp.TCPConnector(limit=0, ssl=self.tls or True)
        self._session = aiohttp.ClientSession(timeout=_TIMEOUT, connector=connector, auto_decompress=False)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session:
            await self._session.close()

    async def of(self, token: str, uid: str, job: JobEntry | None, wanted: Wanted) -> Found:
        """Return the log of the Job with this ``uid``, which may be gone; raises ``Refused`` and ``BadToken``."""
        if self.keeper:
            return await self._kept(token, uid, wanted)
        if job is None:
            raise Refused(NOT_FOUND)
        return await self._living(token, job, wanted)

    # -- from the keeper -----------------------------------------------------------------------------------------------

    async def _kept(self, token: str, uid: str, wanted: Wanted) -> Found:
        if self._session is None:
            raise RuntimeError("logs are used outside of `async with`")
        query = {"sequence": str(wanted.sequence), "follow": "true" if wanted.follow else "false"}
        query |= {"limit": str(wanted.limit)} if wanted.limit is not None else {}
        query |= {"tail": str(wanted.tail)} if wanted.tail is not None else {}
        accept = TEXT if wanted.kind == TEXT else LINES[0]
        headers = {"Authorization": f"Bearer {token}", "Accept": accept}
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                answer = await self._session.get(
                    f"{self.keeper}/v1/logs/{uid}", params=query, headers=headers, allow_redirects=False
                )
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Refused(_AWAY) from error
        if answer.status not in {_OK, _NOTHING}:
            async with answer:
                raise await _refused(answer)
        told = _headers(answer.headers, wanted)
        if answer.status == _NOTHING:
            answer.close()
            return Found(told, None)
        return Found(told, _as_asked(_passed_on(answer), wanted))

    # -- from a living pod ---------------------------------------------------------------------------------------------

    async def _living(self, token: str, job: JobEntry, wanted: Wanted) -> Found:
        headers = {"X-Log-State": "Incomplete"}
        pod = await self._pod(token, job)
        if not pod:
            return Found(headers, None)
        if wanted.follow:  # it may be silent for long
            return Found(headers, _as_asked(self._followed(token, job, pod, wanted), wanted))
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

        return Found(headers, _as_asked(all_lines(), wanted))

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
                if not _is_not_there_yet(error) or isinstance(error, NotFound):
                    return
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


async def _refused(answer: aiohttp.ClientResponse) -> Exception:
    """Return what to raise for an answer of the keeper that is none."""
    words = (await answer.content.read(_WORDS)).decode(errors="replace").strip()
    match answer.status:
        case 401:
            return BadToken()
        case 404:
            return Refused(NOT_FOUND)
        case 400:
            return bad(words.partition(" ")[0], words)
        case 503 if words:
            return Refused(Refusal(503, f"The keeper of the logs says: {words}.", headers=_AWAY.headers))
        case _:
            return Refused(_AWAY)


async def _passed_on(answer: aiohttp.ClientResponse) -> AsyncGenerator[bytes, None]:
    """Yield what the keeper sends; an answer that it breaks off raises, so that ours is broken off, too."""
    async with answer:
        async for chunk in answer.content.iter_any():
            yield chunk


def _headers(told: Mapping[str, str], wanted: Wanted) -> Mapping[str, str]:
    headers = {name: told[name] for name in ("X-Log-State", "X-Log-Gaps") if name in told}
    first, lines = told.get("X-First-Sequence", ""), told.get("X-Log-Lines", "")
    if not wanted.follow and first.isdigit() and lines.isdigit():
        most = int(lines) if wanted.limit is None else min(int(lines), int(first) + wanted.limit)
        headers["X-Next-Sequence"] = str(max(int(first), most))
    return headers


async def _numbered(stream: AsyncIterator[bytes], job: JobEntry, wanted: Wanted) -> AsyncGenerator[bytes, None]:
    """Yield the lines of a pod that are wanted, as text or as JSON; long ones in pieces."""
    kept: deque[tuple[int, bytes]] = deque()
    size, number, left = 0, 0, wanted.limit
    async for piece, begins in _pieces(stream):
        if left == 0:
            return
        if number >= wanted.sequence:
            told = _told(piece, number, job, wanted, begins=begins)
            if wanted.tail is None:
                yield told
                left = left - 1 if left is not None and piece.endswith(b"\n") else left
                if left == 0:
                    return
            else:
                kept.append((number, told))
                size += len(told)
        number += piece.endswith(b"\n")
        while kept and (kept[0][0] < number - (wanted.tail or 0) or size > _MOST_TAIL):
            size -= len(kept.popleft()[1])
    for place, told in kept:
        if left is None or place < kept[0][0] + left:
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
            yield rest[:_PIECE], begins
            rest, begins = rest[_PIECE:], False
    if rest:
        yield rest, begins


async def _count(stream: AsyncIterator[bytes]) -> int:
    """Return how many lines a stream has; one without an end counts."""
    count, last = 0, b"\n"
    async for chunk in stream:
        count, last = count + chunk.count(b"\n"), chunk[-1:] or last
    return count + (last != b"\n")


async def _lines(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield the lines of what comes in chunks."""
    begun: list[bytes] = []
    async for chunk in chunks:
        head, *others = chunk.split(b"\n")
        begun.append(head)
        for other in others:
            yield b"".join(begun)
            begun = [other]
    if any(begun):
        yield b"".join(begun)


def _told(line: bytes, number: int, job: JobEntry, wanted: Wanted, *, begins: bool) -> bytes:
    stamp = cri.stamped(line) if begins else None
    text = line[stamp[1] :] if stamp else line
    if wanted.kind == TEXT:
        return text
    moment = datetime.fromtimestamp((stamp[0] if stamp else 0) / 1e9, UTC)
    return orjson.dumps(
        {
            "sequence": number,
            "timestamp": moment.isoformat(timespec="microseconds").replace("+00:00", "Z"),
            "attempt": max(1, job.attempt),
            "message": text.decode(errors="replace").removesuffix("\n"),
        },
        option=orjson.OPT_APPEND_NEWLINE,
    )


async def _as_asked(chunks: AsyncGenerator[bytes, None], wanted: Wanted) -> AsyncGenerator[bytes, None]:
    """Yield a log as it was asked for: each line as an event, if so."""
    try:
        if wanted.kind != EVENTS:
            async for chunk in chunks:
                yield chunk
            return
        async for line in _lines(chunks):
            if line:  # it may be a part of a line; so who comes back gets the same line again
                yield b"id: %d\nevent: line\ndata: %s\n\n" % (orjson.loads(line)["sequence"], line)
        yield b"event: end\ndata: {}\n\n"
    finally:
        await chunks.aclose()
