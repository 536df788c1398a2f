"""Who follows a log now: its lines are brought sooner then."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass
class Followers:
    """How many follow the log of each Job."""

    _count: Counter[str] = field(default_factory=Counter)

    def has(self, job: str) -> bool:
        """Return whether somebody follows the log of a Job, by its UID."""
        return job in self._count

    @contextmanager
    def one_of(self, job: str) -> Iterator[None]:
        """Count somebody for as long as the context lasts."""
        self._count[job] += 1
        try:
            yield
        finally:
            self._count[job] -= 1
            if not self._count[job]:
                del self._count[job]
