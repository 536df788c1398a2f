"""The operator's process: how it ends when there is nothing to watch yet."""

import subprocess
import sys
from pathlib import Path

import pytest

NOBODY_THERE = """
apiVersion: v1
kind: Config
current-context: nowhere
contexts: [{name: nowhere, context: {cluster: nowhere, user: nobody}}]
clusters: [{name: nowhere, cluster: {server: "http://127.0.0.1:1"}}]
users: [{name: nobody, user: {}}]
"""


def test_it_ends_in_peace_while_it_waits_for_the_resource_types(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "kubeconfig").write_text(NOBODY_THERE)
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
    monkeypatch.setenv("ELT_OPERATOR_LOG_FORMAT", "text")
    command = [sys.executable, "-m", "elt_operator"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout
        assert "waiting: the API server is not responding" in process.stdout.readline()

        process.terminate()

        assert (process.wait(10), process.stdout.read()) == (0, "")
