"""The Jobs API does what its description says, whatever is sent (https://schemathesis.readthedocs.io)."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.programs import OwnApi
from e2e.served import account
from e2e.world import Namespace

HERE = Path(__file__).resolve().parent
EXAMPLES = os.environ.get("EXAMPLES", "50")
"""How many examples of each request."""
USERS = {"editor": "edit", "viewer": "view", "stranger": ""}


@pytest.fixture(scope="module")
def namespace() -> Iterator[Namespace]:
    made = Namespace.create("fuzz")
    made.pipeline(script="echo begun; sleep 1; echo done")
    made.job()
    yield made
    made.delete()


@pytest.fixture(scope="module")
def tokens(namespace: Namespace) -> dict[str, str]:
    return {user: account(namespace, user, role) for user, role in USERS.items()}


@pytest.fixture(scope="module")
def api(tokens: dict[str, str]) -> Iterator[OwnApi]:
    """An API without limits, so that each request gets as far as it can."""
    many = {"ELT_OPERATOR_READS_PER_SECOND": "100000", "ELT_OPERATOR_CHANGES_PER_SECOND": "100000"}
    own = OwnApi(settings=many)
    own.start(tokens["viewer"])
    yield own
    own.close()


@pytest.mark.timeout(1_800)
@pytest.mark.parametrize("user", USERS)
def test_what_is_described_is_what_happens(api: OwnApi, tokens: dict[str, str], user: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [
            sys.executable, "-m", "schemathesis.cli", "--no-color", "run", f"{api.url}/api/openapi.json",
            "--header", f"Authorization: Bearer {tokens[user]}", "--checks", "all",
            "--phases", "examples,coverage,fuzzing,stateful", "--max-examples", EXAMPLES,
        ],
        capture_output=True, text=True, check=False, cwd=tmp_path,
        env={**os.environ, "SCHEMATHESIS_HOOKS": "hooks", "PYTHONPATH": str(HERE)},
    )  # fmt: skip

    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout
    assert "Traceback" not in api.program.log.read_text()
    print(done.stdout[-1_500:])
