"""What the requests of the API are answered with."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from elt_operator.api.catalog import Catalog
from elt_operator.api.feed import Feed
from elt_operator.api.limits import Limit, Shares
from elt_operator.api.logs import Logs
from elt_operator.api.refusals import (
    BEHIND,
    LEFT_OUT,
    STARTING,
    TOO_MANY,
    TOO_MANY_BODIES,
    TOO_MANY_BODIES_OF_ONE,
    TOO_MANY_OF_ONE,
    UNREAD,
    UNREAD_BY_ONE,
    Refused,
)
from elt_operator.api.rights import Rights
from elt_operator.api.watching import Watching
from elt_operator.api.writes import Writes

OLDEST_SECONDS: Final = 60.0
"""How old what is known may be."""
_MIB: Final = 1024 * 1024


@dataclass
class Parts:
    """The catalog, and what else is needed."""

    catalog: Catalog
    watching: Watching
    rights: Rights
    writes: Writes
    logs: Logs
    feed: Feed
    reads: Limit
    changes: Limit
    now: Callable[[], datetime]
    unread: Shares = field(default_factory=lambda: Shares(64 * _MIB, 16 * _MIB, UNREAD, UNREAD_BY_ONE))
    """Bytes of answers that are being sent."""
    bodies: Shares = field(default_factory=lambda: Shares(64, 16, TOO_MANY_BODIES, TOO_MANY_BODIES_OF_ONE))
    """Requests of which the body is being read."""
    streams: Shares = field(default_factory=lambda: Shares(1_000, 600, TOO_MANY, TOO_MANY_OF_ONE))
    """Logs and feeds that are being sent."""

    def need_served(self, namespace: str) -> None:
        """Raise ``Refused`` if a namespace, which somebody may see, cannot be looked into."""
        if self.watching.is_left_out(namespace):
            raise Refused(LEFT_OUT)

    def freshness(self) -> Mapping[str, str]:
        """Return the headers that say how old an answer is; raises ``Refused`` if it would be too old."""
        if not self.watching.listed.is_set():
            raise Refused(STARTING)
        age = self.watching.age_seconds()
        if age > OLDEST_SECONDS:
            raise Refused(BEHIND)
        as_of = self.now() - timedelta(seconds=age)
        return {"Age": str(int(age)), "X-As-Of": f"{as_of:%Y-%m-%dT%H:%M:%SZ}"}
