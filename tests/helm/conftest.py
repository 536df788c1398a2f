"""One operator at a time, by Helm; and a namespace for each test."""

import os
from collections.abc import Iterator

import pytest

from e2e.world import Namespace
from helm.release import Release, clear


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if items and "KUBECONFIG" not in os.environ:
        pytest.exit(
            "the tests of Helm on the cluster are run by `make helm`, which brings it up and sets KUBECONFIG", 2
        )


@pytest.fixture(scope="module", params=[3, 4], ids=["helm3", "helm4"])
def release(request: pytest.FixtureRequest) -> Iterator[Release]:
    """A release that nothing is installed of yet, on a cluster without operator and resource types."""
    clear()
    yield Release(request.param)
    clear()


@pytest.fixture
def namespace(request: pytest.FixtureRequest) -> Iterator[Namespace]:
    """A namespace of the test's own, which admits restricted pods only."""
    made = Namespace.create(request.node.name)
    yield made
    made.delete()
