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
from typing import Any, Final

import aiohttp

from elt_operator.kube.client import ApiError, Client, Conflict, NotFound

logger = logging.getLogger(__name__)

DURATION_SECONDS: Final = 15
"""After so long without a sign of the holder another replica takes over."""
DEADLINE_SECONDS: Final = 10.0
"""For so long after a renewal was sent the holder may act; less than DURATION_SECONDS, for requests under way."""
RETRY_SECONDS: Final = 2.0
"""How often the holder renews it, and the others look; also the longest that one try may take."""

LEASES_PATH: Final = "/apis/coordination.k8s.io/v1"


class Lease:
    """Our share in a Lease of the cluster. ``client`` is its own, so that nothing queues up before a renewal."""

    def __init__(self, client: Client, namespace: str, name: str, identity: str, clock: Callable[[], datetime]) -> None:
        self._client = client
        self._name = name
        self._collection = f"{LEASES_PATH}/namespaces/{namespace}/leases"
        self._identity = identity
        self._clock = clock
        self._valid_until = float("-inf")
        self._seen: tuple[str, str] | None = None
        self._seen_at = float("-inf")
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
        else:
            logger.warning("the Lease is lost, and held by %s; standing by", self.holder or "nobody")

    async def _try(self) -> None:
        """Renew it, or take it if it is free."""
        sent, body = time.monotonic(), await self._read()
        spec = (body or {}).get("spec") or {}
        self.holder = spec.get("holderIdentity") or ""
        if body and self.holder not in {"", self._identity} and self._alive(body, spec):
            return
        held = self.holds()
        try:
            await self._write(body, spec)
        except Conflict:
            return  # another replica was first
        self._valid_until = sent + DEADLINE_SECONDS
        if not held:
            self.term += 1
            self.changed.set()
        self.holder = self._identity

    def _alive(self, body: dict[str, Any], spec: dict[str, Any]) -> bool:
        """Return whether the holder has renewed it within its duration, as we have seen it."""
        record = (body["metadata"]["uid"], body["metadata"]["resourceVersion"])
        if record != self._seen:
            self._seen, self._seen_at = record, time.monotonic()
        return time.monotonic() - self._seen_at <= float(spec.get("leaseDurationSeconds", DURATION_SECONDS))

    async def _read(self) -> dict[str, Any] | None:
        try:
            body: dict[str, Any] = await self._client.request("GET", f"{self._collection}/{self._name}")
        except NotFound:
            return None
        return body

    async def _write(self, body: dict[str, Any] | None, spec: dict[str, Any], holder: str | None = None) -> None:
        """Write it with ``holder``, us where there is none given; ``Conflict``: it has changed since it was read."""
        now, identity = self._clock().isoformat(timespec="microseconds"), self._identity if holder is None else holder
        taken = spec.get("holderIdentity") != identity
        wanted = {
            "holderIdentity": identity,
            "leaseDurationSeconds": DURATION_SECONDS,
            "acquireTime": now if taken else spec.get("acquireTime", now),
            "renewTime": now,
            "leaseTransitions": spec.get("leaseTransitions", 0) + taken,
        }
        if body is None:
            metadata = {"name": self._name}
            made = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata, "spec": wanted}
            await self._client.request("POST", self._collection, made)
        else:
            await self._client.request("PUT", f"{self._collection}/{self._name}", {**body, "spec": wanted})

    async def release(self) -> None:
        """Give it up for good, so that another replica need not wait; one that is not ours is left as it is."""
        self._given_up = True
        if not self.holds():
            return
        self._valid_until = float("-inf")
        try:
            async with asyncio.timeout(RETRY_SECONDS):
                body = await self._read()
                if body and (body.get("spec") or {}).get("holderIdentity") == self._identity:
                    await self._write(body, body["spec"], holder="")
        except (ApiError, aiohttp.ClientError, TimeoutError, OSError) as error:
            logger.warning("the Lease could not be given up: %s: %s", type(error).__name__, error)
