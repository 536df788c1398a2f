"""Who of several replicas acts: the one that holds the Lease, once it has listed everything."""

from dataclasses import dataclass

from elt_operator.controller.resync import Audit
from elt_operator.kube.lease import Lease


@dataclass
class Leadership:
    """Whether it is on this replica to act: it holds the Lease, and has listed everything since it got it."""

    lease: Lease | None
    """``None``: it is the only replica."""
    audited_term: int = 0

    def acts(self) -> bool:
        """Return whether this replica acts now."""
        return self.lease is None or (self.lease.holds() and self.audited_term == self.lease.term)

    def may_write(self) -> bool:
        """Return whether a write may be sent now."""
        return self.lease is None or self.lease.holds()

    async def prepare(self, audit: Audit) -> None:
        """List everything each time that the Lease becomes ours, for ever; that has every Pipeline looked at."""
        if self.lease is None:
            return
        while True:
            await self.lease.changed.wait()
            self.lease.changed.clear()
            term = self.lease.term
            await audit.watching.wait()
            await audit.until_done()
            self.audited_term = term
            audit.wake_all()
