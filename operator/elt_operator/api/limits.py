"""How often the bearer of a token may ask: a bucket of requests, which fills again."""

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from elt_operator.api.refusals import Refusal, Refused

_MOST_REMEMBERED: Final = 10_000


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
        key, now, most = hashlib.sha256(token.encode()).hexdigest(), self.now(), 2 * self.per_second
        left, at = self._left.pop(key, (most, now))
        left = min(most, left + (now - at) * self.per_second)
        self._left[key] = (max(0.0, left - 1), now) if left >= 1 else (left, now)
        if len(self._left) > _MOST_REMEMBERED:
            self._left.popitem(last=False)
        if left < 1:
            seconds = max(1, round((1 - left) / self.per_second))
            raise Refused(Refusal(
                429, f"More than {self.per_second:g} requests a second with this token. Try again later.",
                headers={"Retry-After": str(seconds)},
            ))  # fmt: skip
