"""How often the bearer of a token may ask, and how much they may hold at a time."""

import math
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from elt_operator.api.refusals import Refusal, Refused
from elt_operator.kube.reviews import hashed

_MOST_REMEMBERED: Final = 10_000


@dataclass
class Shares:
    """So much of something at a time, and less for one token: one alone does not take all."""

    most: int
    most_of_one: int
    if_none: Refusal
    """What is answered if there is nothing left."""
    if_none_of_one: Refusal
    taken: "Counter[str]" = field(default_factory=Counter)
    """By the token's hash."""

    @contextmanager
    def taking(self, token: str, amount: int = 1) -> Iterator[None]:
        """Hold an amount of any size if something is left; raises ``Refused`` if not."""
        key = hashed(token)
        if self.taken.total() >= self.most:
            raise Refused(self.if_none)
        if self.taken[key] >= self.most_of_one:
            raise Refused(self.if_none_of_one)
        self.taken[key] += amount
        try:
            yield
        finally:
            self.taken[key] -= amount
            if not self.taken[key]:
                del self.taken[key]


@dataclass
class Limit:
    """So many requests a second, and twice as many at once."""

    per_second: float
    now: Callable[[], float]
    """A clock's seconds that never go back."""
    _left: "OrderedDict[str, tuple[float, float]]" = field(default_factory=OrderedDict)
    """By the token's hash: how many are left, and when that was so."""

    def take(self, token: str) -> None:
        """Count a request; raises ``Refused`` with 429 if it is one too many."""
        key, now, most = hashed(token), self.now(), max(1.0, 2 * self.per_second)
        left, at = self._left.pop(key, (most, now))
        left = min(most, left + (now - at) * self.per_second)
        self._left[key] = (max(0.0, left - 1), now) if left >= 1 else (left, now)
        if len(self._left) > _MOST_REMEMBERED:
            self._left.popitem(last=False)
        if left < 1:
            seconds = math.ceil((1 - left) / self.per_second)
            raise Refused(Refusal(
                429, f"More than {self.per_second:g} requests a second with this token. Try again later.",
                headers={"Retry-After": str(seconds)},
            ))  # fmt: skip
