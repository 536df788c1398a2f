"""Who of several replicas acts: the one that holds the Lease, once it has listed everything."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from elt_operator.kube.lease import Lease


@dataclass
class Leadership:
    """Whether it is on this replica to act: it holds the Lease, and has listed everything since it got it."""

    lease: Lease | None
    """``None``: it is the only replica."""
    listed_term: int = 0

    def acts(self) -> bool:
        """Return whether this replica acts now."""
        return self.lease is None or (self.lease.holds() and self.listed_term == self.lease.term)

    def may_write(self) -> bool:
        """Return whether a write may be sent now."""
        return self.lease is None or self.lease.holds()

    async def prepare(self, list_all: Callable[[], Awaitable[None]], wake_all: Callable[[], None]) -> None:
        """Call both each time that the Lease becomes ours, without end: the second once this replica may act."""
        if self.lease is None:
            return
        while True:
            await self.lease.changed.wait()
            self.lease.changed.clear()
            term = self.lease.term
            await list_all()
            self.listed_term = term
            wake_all()
