"""What the probes ask: whether a restart would help (/livez), and whether the operator is up to date (/readyz)."""

import asyncio
import time
from collections.abc import Mapping
from typing import Final

from elt_operator.handlers.web import Check
from elt_operator.kube import sources
from elt_operator.kube.audit import Audit
from elt_operator.kube.lease import Lease
from elt_operator.kube.resource_types import ResourceTypes
from elt_operator.settings import Settings

_LONGEST_WITHOUT_WATCHES: Final = 120.0
_LONGEST_WITHOUT_AUDIT: Final = 1800.0
"""An API server that is away for a while is no reason to restart; the audit is tried again every few seconds."""
_LONGEST_WITHOUT_LEASE_LOOK: Final = 60.0


def of(
    served: ResourceTypes, audit: Audit, lease: Lease | None, settings: Settings
) -> tuple[Mapping[str, Check], Mapping[str, Check]]:
    """Return what /livez and what /readyz ask."""
    complete_at = begun = time.monotonic()

    def watches_alive() -> str:
        nonlocal complete_at
        running = sum(1 for task in asyncio.all_tasks() if task.get_name().startswith("watcher for "))
        expected = len(list(sources.within(settings.namespaces)))
        if running >= expected or served.wrong:
            complete_at = time.monotonic()
        gone = time.monotonic() - complete_at
        return f"{running} of {expected} watches run, for {gone:.0f} s" if gone > _LONGEST_WITHOUT_WATCHES else ""

    def audited() -> str:
        nonlocal begun
        if served.wrong:
            begun = time.monotonic()
        age = time.monotonic() - (audit.finished_at[0] if audit.finished_at else begun)
        longest = max(3 * settings.audit_seconds, _LONGEST_WITHOUT_AUDIT)
        return f"the last audit ended {age:.0f} s ago" if age > longest else ""

    def lease_looked_at() -> str:
        age = time.monotonic() - lease.tried_at if lease and not served.wrong else 0.0
        return f"the Lease was last looked at {age:.0f} s ago" if age > _LONGEST_WITHOUT_LEASE_LOOK else ""

    def synced() -> str:
        if not audit.finished_at:
            return "not everything is listed yet"
        return "" if audit.watching.is_set() else "not all watches run yet"

    live = {"watches": watches_alive, "audit": audited, "lease": lease_looked_at}
    return live, {"resource types": served.check, "caches": synced}
