"""The README's main command, as a test runs it."""

import os
import subprocess
import sys
from pathlib import Path

DEMO = Path(__file__).resolve().parents[2] / "demo" / "demo.py"


def demo(**environment: str) -> None:
    """Run the demo; fails with all that it printed unless it has counted what it should."""
    ended = subprocess.run(
        [sys.executable, DEMO], capture_output=True, text=True, check=False, env={**os.environ, **environment}
    )

    assert ended.returncode == 0, ended.stdout + ended.stderr
    for line in (
        "rows in tap_weather.weather: 26115",
        "rows in mart.daily (3 airports x 364 days): 1092",
        "dbt tests passed: 2",
        "rows loaded, as the loader counts them: 26115",
        "whole log read: True",
        "dbt (one model, two tests): 3 passed, 0 warned, 0 failed, 0 skipped",
        "new rows: 0",
        "phase, exit code: ('ERROR', 1)",
        "source went away after 12000 records",
    ):
        assert line in ended.stdout, ended.stdout
