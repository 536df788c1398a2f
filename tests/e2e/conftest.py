"""What the tests on the cluster share: one cluster, one installed operator, and a namespace for each test."""

import os
from collections.abc import Iterator

import pytest

from e2e.launcher import forked
from e2e.world import Namespace, Operator, scale_operator

LEFT_BY_THE_KILLED = (
    r"ignore:Exception ignored in. <function _SelectorTransport.__del__:pytest.PytestUnraisableExceptionWarning",
    r"ignore:Exception ignored in. <socket.socket:pytest.PytestUnraisableExceptionWarning",
)
"""The fault proxy's half of a connection to an operator that is killed may be left to the garbage collector."""


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "alone: brings its own operator, or needs none; the installed one is away")
    config.addinivalue_line("markers", "long(minutes): takes so many minutes, so it is begun first")
    config.addinivalue_line("markers", "serial: has the whole cluster for itself")


@pytest.hookimpl(trylast=True)  # once those of other phases have been taken out
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        for warning in LEFT_BY_THE_KILLED:
            item.add_marker(pytest.mark.filterwarnings(warning))
    items[:] = dealt(items, int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")))
    if items and "KUBECONFIG" not in os.environ:
        pytest.exit("the tests on the cluster are run by `make e2e`, which brings it up and sets KUBECONFIG", 2)


def dealt(items: list[pytest.Item], workers: int) -> list[pytest.Item]:
    """Return the tests with the long ones first, the longest before all.

    Each worker is given two tests to begin with, and then one whenever less than two are left: so the first long ones
    are each followed by a short one, for which it does no harm to wait.
    """
    long = sorted((item for item in items if minutes(item)), key=minutes, reverse=True)
    short = [item for item in items if not minutes(item)]
    first = min(workers, len(long), len(short))
    pairs = [item for pair in zip(long[:first], short[-first:], strict=True) for item in pair] if first else []
    return [*pairs, *long[first:], *short[: len(short) - first]]


def minutes(item: pytest.Item) -> float:
    """Return how long a test takes, by its mark; 0 without one."""
    mark = item.get_closest_marker("long")
    return float(mark.args[0]) if mark else 0.0


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Have the installed operator again, once all workers have ended."""
    option = session.config.option
    if option.markexpr in {"alone", "serial"} and not option.collectonly and not hasattr(session.config, "workerinput"):
        scale_operator(1)


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
    own = Operator(namespace.name, launch=forked)
    yield own
    own.kill()


@pytest.fixture(scope="module")
def shared_namespace(request: pytest.FixtureRequest) -> Iterator[Namespace]:
    """One namespace for tests whose objects are refused, or never run."""
    made = Namespace.create(request.node.name)
    yield made
    made.delete()
