"""What the bars of kept logs share: the installed programs, or processes of a test's own that can be killed."""

from collections.abc import Iterator

import pytest

from e2e import kept
from e2e.kept import Door
from e2e.world import Namespace
from kept_logs.own import Own, installed_are_away


@pytest.fixture
def namespace(request: pytest.FixtureRequest) -> Iterator[Namespace]:
    """A namespace of the test's own."""
    made = Namespace.create(request.node.name)
    yield made
    made.delete()


@pytest.fixture(scope="session")
def door() -> Iterator[Door]:
    """The door of the installed keeper."""
    with kept.door() as opened:
        yield opened


@pytest.fixture
def own(namespace: Namespace) -> Iterator[Own]:
    """A keeper and a reader as processes of the test's own; the installed ones are away."""
    with installed_are_away():
        made = Own(namespace.name)
        try:
            yield made
        finally:
            made.end()
