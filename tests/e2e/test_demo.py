"""The README's main command does what it says: rows counted in PostgreSQL, a second load of nothing, a failure told."""

import subprocess
import sys
from pathlib import Path

import pytest

DEMO = Path(__file__).resolve().parents[2] / "demo" / "demo.py"


@pytest.mark.serial
@pytest.mark.timeout(600)
def test_the_demo_ends_well() -> None:
    ended = subprocess.run([sys.executable, DEMO], capture_output=True, text=True, check=False)

    assert ended.returncode == 0, ended.stdout + ended.stderr
    for line in (
        "rows in tap_weather.weather: 26115",
        "rows in mart.daily (3 airports x 364 days): 1092",
        "tests of dbt passed: 2",
        "new rows: 0",
        "phase, exit code: ('ERROR', 1)",
        "source went away after 12000 records",
    ):
        assert line in ended.stdout, ended.stdout
