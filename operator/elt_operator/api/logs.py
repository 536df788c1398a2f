"""The log of a Job: from the keeper of the logs, else what its pod still has."""

from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass

import orjson

from elt_operator.api.entries import JobEntry
from elt_operator.api.kept_logs import KeptLogs
from elt_operator.api.pod_logs import PodLogs
from elt_operator.api.refusals import NOT_FOUND, Refused
from elt_operator.api.wanted import EVENTS, Found, Wanted


@dataclass(frozen=True)
class Logs:
    """Where logs are read."""

    kept: KeptLogs
    pods: PodLogs

    async def of(self, token: str, uid: str, job: JobEntry | None, wanted: Wanted) -> Found:
        """Return the log of the Job with this ``uid``, which may be gone; raises as its source does."""
        if self.kept.url:
            found = await self.kept.of(token, uid, wanted)
        elif job is not None:
            found = await self.pods.of(token, job, wanted)
        else:
            raise Refused(NOT_FOUND)
        if found.chunks is None or wanted.kind != EVENTS:
            return found
        return found._replace(chunks=_events(found.chunks))


async def _events(chunks: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    """Yield each line of a log as an event."""
    try:
        async for line in _lines(chunks):
            if line:  # it may be a part of a line; so who comes back gets the same line again
                yield b"id: %d\nevent: line\ndata: %s\n\n" % (orjson.loads(line)["sequence"], line)
        yield b"event: end\ndata: {}\n\n"
    finally:
        await chunks.aclose()


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
