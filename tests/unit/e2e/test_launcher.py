"""An operator that a test starts by a fork is as one that Python starts, and has no other rights."""

import os
import signal
from pathlib import Path

import pytest

from e2e.launcher import forked


def environment(kubeconfig: Path) -> dict[str, str]:
    return {**os.environ, "KUBECONFIG": str(kubeconfig), "ELT_OPERATOR_LOG_FORMAT": "text"}


def test_it_has_the_kubeconfig_that_it_is_given_and_says_what_it_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "of-the-administrator"))
    log = tmp_path / "log"
    for name in ("first", "second"):
        forked(environment(tmp_path / name), log).wait()

    said = log.read_text()
    assert f"Config not found: {tmp_path / 'first'}" in said
    assert f"Config not found: {tmp_path / 'second'}" in said
    assert said.count("elt-operator: no access to a cluster") == 2
    assert "of-the-administrator" not in said


@pytest.fixture
def silent_server(tmp_path: Path) -> Path:
    """A kubeconfig of an API server that is not there: the operator goes on trying."""
    path = tmp_path / "kubeconfig"
    path.write_text("""
apiVersion: v1
kind: Config
current-context: x
contexts: [{name: x, context: {cluster: x, user: x}}]
clusters: [{name: x, cluster: {server: "http://127.0.0.1:9"}}]
users: [{name: x, user: {token: x}}]
""")
    return path


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_it_runs_until_it_is_sent_a_signal(tmp_path: Path, silent_server: Path, number: int) -> None:
    process = forked(environment(silent_server), tmp_path / "log")
    assert process.poll() is None

    process.send_signal(signal.SIGSTOP)
    process.send_signal(signal.SIGCONT)
    process.send_signal(number)
    process.wait()

    assert process.poll() is not None
