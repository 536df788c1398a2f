"""What the probes ask: whether a restart would help (/livez), and whether the operator is up to date (/readyz)."""

import time
from collections.abc import Mapping
from typing import Final

from elt_operator.controller import kopf_side
from elt_operator.controller.places import Places
from elt_operator.controller.resource_types import ResourceTypes
from elt_operator.controller.resync import Resync
from elt_operator.kube.lease import Lease
from elt_operator.serving.background import Background
from elt_operator.serving.web import Check, Note
from elt_operator.settings.controller import Settings

_LONGEST_WITHOUT_WATCHES: Final = 120.0
_LONGEST_WITHOUT_RESYNC: Final = 1800.0
"""An API server that is away for a while is no reason to restart; the resync is tried again every few seconds."""
_LONGEST_WITHOUT_LEASE_LOOK: Final = 60.0
_PLACES_TOLD: Final = 10


def live_and_ready(
    served: ResourceTypes, resync: Resync, lease: Lease | None, background: Background, settings: Settings
) -> tuple[Mapping[str, Check], Mapping[str, Check]]:
    """Return what /livez and what /readyz ask."""
    places = resync.places
    complete_at = begun = time.monotonic()

    def watches_alive() -> str:
        nonlocal complete_at
        running = kopf_side.running()
        expected = sum(len(place.sources) for place in places.all if not place.left_out)
        if running >= expected or served.wrong or resync.finished_at is None:  # none is started before the first resync
            complete_at = time.monotonic()
        gone = time.monotonic() - complete_at
        words = f"watches incomplete for {gone:.0f} s: {running} of {expected} running"
        return words if gone > _LONGEST_WITHOUT_WATCHES else ""

    def resynced() -> str:
        nonlocal begun
        if served.wrong:
            begun = time.monotonic()
        age = time.monotonic() - (begun if resync.finished_at is None else resync.finished_at)
        longest = max(3 * settings.audit_seconds, _LONGEST_WITHOUT_RESYNC)
        return f"the last resync ended {age:.0f} s ago" if age > longest else ""

    def lease_looked_at() -> str:
        age = time.monotonic() - lease.tried_at if lease and not served.wrong else 0.0
        return f"the Lease was last checked {age:.0f} s ago" if age > _LONGEST_WITHOUT_LEASE_LOOK else ""

    def synced() -> str:
        if resync.finished_at is None:
            return "the first listing of all objects has not finished"
        if places.left_out:
            return left_out_in_words(places)
        return "" if places.watching.is_set() else "not all watches are running yet"

    live = {"tasks": background.check, "watches": watches_alive, "resync": resynced, "lease": lease_looked_at}
    return live, {"resource types": served.check, "caches": synced}


def left_out_in_words(places: Places) -> str:
    """Return which places are left out and why; a note, unless nothing else is served."""
    left_out = places.left_out
    told = "; ".join(f"{place.name} ({place.left_out})" for place in left_out[:_PLACES_TOLD])
    more = f" and {len(left_out) - _PLACES_TOLD} more" if len(left_out) > _PLACES_TOLD else ""
    words = f"left out because it cannot be read: {told}{more}"
    if any(place.is_served for place in places.all):
        return Note(words)
    return words if len(left_out) == len(places.all) else f"not all watches are running yet; {words}"
