"""The README's main command does what it says: rows counted in PostgreSQL, a second load of nothing, a failure told."""

import pytest

from e2e.demo import demo
from e2e.world import Namespace


@pytest.mark.long(1.5)
@pytest.mark.timeout(600)
def test_the_demo_ends_well(namespace: Namespace) -> None:
    """`make e2e` itself has taken the steps before its Jobs: a cluster, the images and the operator."""
    demo(DEMO_LOADS_IN=namespace.name)
