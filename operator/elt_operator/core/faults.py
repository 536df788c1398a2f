"""Faults: an object on which looking at its Pipeline keeps failing. It is told so, and the others have their turn."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, Protocol

from elt_operator.errors import FailsOn, OperatorError

_PLAIN_AFTER: Final = 3
LEFT_OUT_AFTER: Final = 5


class Known(Protocol):
    """A Job or a Pipeline."""

    @property
    def uid(self) -> str:
        """Its UID."""

    @property
    def generation(self) -> int:
        """Which spec of it."""


@dataclass(frozen=True)
class Fault:
    """What goes wrong with one object, and how often it has in a row."""

    words: str
    generation: int
    """Of the object: a changed one gets another chance."""
    times: int = 1

    @property
    def plain(self) -> bool:
        """Whether no more is decided about it than what the plainest facts say: exit codes, no texts."""
        return self.times >= _PLAIN_AFTER

    @property
    def left_out(self) -> bool:
        """Whether nothing can be done about it, not even told."""
        return self.times >= LEFT_OUT_AFTER

    def leaves_out(self, found: Known) -> bool:
        """Whether ``found`` is left out; a changed one is not."""
        return self.left_out and self.generation == found.generation

    def once_more(self, words: str, generation: int) -> "Fault":
        """Return the fault after one more failure; a changed object begins anew."""
        return Fault(words, generation, self.times + 1 if generation == self.generation else 1)


@contextmanager
def about(found: Known | None, no_fault: tuple[type[Exception], ...] = (OperatorError,)) -> Iterator[None]:
    """Have whatever goes wrong inside, but for ``no_fault``, known as the fault of ``found``: raises ``FailsOn``.

    ``None``: it is nobody's, and raised as it is.
    """
    try:
        yield
    except no_fault:
        raise
    except Exception as error:
        if found is None:
            raise
        raise FailsOn(found.uid, found.generation, f"{type(error).__name__}: {error}"[:500]) from error
