"""The README's main command does what it says: rows counted in PostgreSQL, a second load of nothing, a failure told."""

import pytest

from e2e.demo import demo


@pytest.mark.serial
@pytest.mark.timeout(600)
def test_the_demo_ends_well() -> None:
    demo()
