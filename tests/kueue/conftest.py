"""One Kueue for all tests; and for each test a namespace with a queue that has room for exactly one run."""

import os
from collections.abc import Iterator

import pytest

from e2e.world import Namespace
from kueue import install
from kueue.queue import Queue


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if items and "KUBECONFIG" not in os.environ:
        pytest.exit("the tests with Kueue are run by `make kueue`, which brings the cluster up and sets KUBECONFIG", 2)


@pytest.fixture(scope="session")
def kueue() -> Iterator[None]:
    """Kueue is installed, and goes at the end, whatever a run before this one has left."""
    try:
        install.install()
        yield
    finally:
        install.remove()


@pytest.fixture
def queue(request: pytest.FixtureRequest, kueue: None) -> Iterator[Queue]:  # noqa: ARG001 - it has to be there
    """A queue in a namespace of its own; what must always hold is checked at its end."""
    made = Queue(Namespace.create(request.node.name))
    try:
        made.open()
        yield made
        made.namespace.check_invariants()
    finally:
        made.delete()
