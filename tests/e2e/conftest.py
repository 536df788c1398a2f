"""What the tests on the cluster share: one cluster, one installed operator, and a namespace for each test."""

import os
from collections.abc import Iterator

import pytest

from e2e.world import Namespace, Operator, scale_operator

LEFT_BY_THE_KILLED = (
    r"ignore:Exception ignored in. <function _SelectorTransport.__del__:pytest.PytestUnraisableExceptionWarning",
    r"ignore:Exception ignored in. <socket.socket:pytest.PytestUnraisableExceptionWarning",
)
"""The fault proxy's half of a connection to an operator that is killed may be left to the garbage collector."""


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "alone: runs while no other operator looks after the cluster")
    config.addinivalue_line("markers", "long: takes minutes, so it is begun first")
    config.addinivalue_line("markers", "serial: has the whole cluster for itself")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        for warning in LEFT_BY_THE_KILLED:
            item.add_marker(pytest.mark.filterwarnings(warning))
    items.sort(key=lambda item: item.get_closest_marker("long") is None)
    if items and "KUBECONFIG" not in os.environ:
        pytest.exit("the tests on the cluster are run by `make e2e`, which brings it up and sets KUBECONFIG", 2)


@pytest.fixture
def namespace(request: pytest.FixtureRequest) -> Iterator[Namespace]:
    """A namespace of its own, which admits only restricted pods; what must always hold is checked at its end."""
    made = Namespace.create(request.node.name)
    yield made
    made.check_invariants()
    made.delete()


@pytest.fixture(scope="session")
def no_operator() -> None:
    """The installed operator is away, so that a test can have its own, and kill it."""
    scale_operator(0)


@pytest.fixture
def operator(namespace: Namespace, no_operator: None) -> Iterator[Operator]:  # noqa: ARG001 - it has to be away
    """An operator process of the test's own, with exactly the installed one's rights, for its namespace only."""
    own = Operator(namespace.name)
    yield own
    own.kill()


@pytest.fixture(scope="module")
def shared_namespace(request: pytest.FixtureRequest) -> Iterator[Namespace]:
    """One namespace for tests whose objects are refused, or never run."""
    made = Namespace.create(request.node.name)
    yield made
    made.delete()
