"""The Lease: of several replicas one acts. The others keep their caches warm.

The rules are client-go's (https://pkg.go.dev/k8s.io/client-go/tools/leaderelection): whether the holder is alive is
measured on our own monotonic clock, from when its record last changed; clocks of two machines are never compared.
Whether we hold it is a matter of time, too: a replica that was frozen, or cannot reach the API server, stops being the
holder without having to notice.
"""

import asyncio
import logging
import random
import time
from collections.abc import Callable
from datetime import datetime
from typing import Final

import aiohttp

from elt_operator.kube import foreign
from elt_operator.kube.client import Client
from elt_operator.kube.errors import ApiError, Conflict, NotFound, Unreadable
from elt_operator.kube.foreign import Body
from elt_operator.kube.paths import LEASES

logger = logging.getLogger(__name__)

DURATION_SECONDS: Final = 15
"""After so long without a sign of the holder another replica takes over."""
DEADLINE_SECONDS: Final = 10.0
"""For so long after a renewal was sent the holder may act; less than DURATION_SECONDS, for requests under way."""
RETRY_SECONDS: Final = 2.0
"""How often the holder renews it, and the others look; also the longest that one try may take."""

_LONGEST_DURATION_SECONDS: Final = 60
"""For no longer a holder that gives no sign is believed in, whatever the Lease says."""
_GIVEN_UP_SECONDS: Final = 1
"""The duration of a Lease that its holder has given up, as client-go's; a name that merely is missing is no sign."""
_MOST_TRANSITIONS: Final = 2**31 - 2
"""One less than the API server can count."""


class Lease:
    """Our share in a Lease of the cluster. ``client`` is its own, so that nothing queues up before a renewal."""

    def __init__(self, client: Client, namespace: str, name: str, identity: str, clock: Callable[[], datetime]) -> None:
        self._client = client
        self._name = name
        self._collection = LEASES.collection(namespace)
        self._path = LEASES.object(namespace, name)
        self._identity = identity
        self._clock = clock
        self._valid_until = float("-inf")
        self._seen: tuple[str, str] | None = None
        self._seen_at = float("-inf")
        self._existed = False
        self._given_up = False
        self._told = False
        self.holder = ""
        """Who held it when we last looked."""
        self.term = 0
        """How often it has become ours."""
        self.tried_at = time.monotonic()
        """When we last tried, whatever came of it; monotonic seconds."""
        self.changed = asyncio.Event()
        """Set whenever it has become ours."""

    def holds(self) -> bool:
        """Return whether it is ours now."""
        return time.monotonic() < self._valid_until

    async def keep(self) -> None:
        """Try to get it and to hold it, until it is given up."""
        while not self._given_up:
            try:
                async with asyncio.timeout(RETRY_SECONDS):
                    await self._try()
            except (ApiError, aiohttp.ClientError, TimeoutError, OSError) as error:
                logger.warning("the Lease could not be renewed: %s: %s", type(error).__name__, error)
            self.tried_at = time.monotonic()
            self._tell()
            await asyncio.sleep(RETRY_SECONDS * random.uniform(0.8, 1.0))  # noqa: S311 - jitter, not a secret

    def _tell(self) -> None:
        """Tell of a change; it may have happened while we were frozen."""
        if self.holds() is self._told or self._given_up:
            return
        self._told = self.holds()
        if self._told:
            logger.info("%s holds the Lease now", self._identity)
        elif self.holder in {"", self._identity}:
            logger.warning("lost the Lease, because it was not renewed in time; standing by")
        else:
            logger.warning("lost the Lease, which %s holds now; standing by", self.holder)

    async def _try(self) -> None:
        """Renew it, or take it if it is free."""
        sent, body = time.monotonic(), await self._read()
        spec = foreign.part(body, "spec")
        self.holder = _holder(spec)
        if self.holder not in {"", self._identity}:
            self._valid_until = float("-inf")
        held = self.holds()
        if not held and self.holder != self._identity and not self._is_free(body, spec):
            if body is None:
                await self._write_if_unchanged(None, spec, holder="")
            return
        if not await self._write_if_unchanged(body, spec, self._identity):
            return  # another replica was first
        self._existed = True
        self._valid_until = sent + DEADLINE_SECONDS
        if not held:
            self.term += 1
            self.changed.set()
        self.holder = self._identity

    def _is_free(self, body: Body | None, spec: Body) -> bool:
        """Return whether nobody else can hold it: none ever did, or it was given up, or there is no sign of the holder.

        That the Lease, or the name in it, is gone proves nothing: the holder goes on for seconds, and writes it again.
        """
        if body is None:
            return not self._existed
        self._existed = True
        metadata = foreign.part(body, "metadata")
        record = (foreign.text(metadata.get("uid")), foreign.text(metadata.get("resourceVersion")))
        if record != self._seen:
            self._seen, self._seen_at = record, time.monotonic()
        return _given_up(spec) or time.monotonic() - self._seen_at > _duration_seconds(spec)

    async def _read(self) -> Body | None:
        """Return the Lease; ``None``: there is none. Raises ``Unreadable`` for one that could not be written safely."""
        try:
            body = await self._client.request("GET", self._path)
        except NotFound:
            return None
        if not foreign.text(foreign.part(body, "metadata").get("resourceVersion")):
            raise Unreadable(200, "Unreadable", "the Lease has no resourceVersion")
        return body

    async def _write_if_unchanged(self, body: Body | None, spec: Body, holder: str) -> bool:
        """Write it with ``holder``, empty: nobody we know of; return whether it was as it had been read."""
        try:
            await self._write(body, spec, holder, DURATION_SECONDS)
        except Conflict:
            return False
        return True

    async def _write(self, body: Body | None, spec: Body, holder: str, duration_seconds: int) -> None:
        """Write it; ``Conflict``: it has changed since it was read."""
        now = self._clock().isoformat(timespec="microseconds")
        taken, transitions = spec.get("holderIdentity") != holder, foreign.integer(spec.get("leaseTransitions"))
        wanted = {
            "holderIdentity": holder,
            "leaseDurationSeconds": duration_seconds,
            "acquireTime": now if taken else foreign.text(spec.get("acquireTime")) or now,
            "renewTime": now,
            "leaseTransitions": min(max(transitions, 0), _MOST_TRANSITIONS) + taken,
        }
        if body is None:
            metadata = {"name": self._name}
            made = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata, "spec": wanted}
            await self._client.request("POST", self._collection, made)
        else:
            await self._client.request("PUT", self._path, {**body, "spec": wanted})

    async def release(self) -> None:
        """Give it up for good, so that another replica need not wait; one that is not ours is left as it is."""
        self._given_up = True
        if not self.holds():
            return
        self._valid_until = float("-inf")
        try:
            async with asyncio.timeout(RETRY_SECONDS):
                body = await self._read()
                if body and _holder(foreign.part(body, "spec")) == self._identity:
                    await self._write(body, foreign.part(body, "spec"), "", _GIVEN_UP_SECONDS)
        except (ApiError, aiohttp.ClientError, TimeoutError, OSError) as error:
            logger.warning("the Lease could not be released: %s: %s", type(error).__name__, error)


def _holder(spec: Body) -> str:
    """Return who a Lease says that holds it; empty: it does not say."""
    holder = spec.get("holderIdentity") or ""
    return holder if isinstance(holder, str) else "somebody"


def _given_up(spec: Body) -> bool:
    """Return whether the last holder has given it up."""
    return not _holder(spec) and spec.get("leaseDurationSeconds") == _GIVEN_UP_SECONDS


def _duration_seconds(spec: Body) -> float:
    """Return how long a holder that gives no sign is believed in; never less than one of ours may act."""
    return min(max(foreign.integer(spec.get("leaseDurationSeconds")), DURATION_SECONDS), _LONGEST_DURATION_SECONDS)
