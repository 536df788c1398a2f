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


def test_a_word_that_is_no_program_is_refused() -> None:
    command = [sys.executable, "-m", "elt_operator", "controler"]

    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.returncode == 2
    assert "invalid choice: 'controler'" in done.stderr


def test_without_the_extra_it_says_what_to_install() -> None:
    code = "import sys; sys.modules['kopf'] = None; from elt_operator.__main__ import main; sys.argv = ['x']; main()"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert done.returncode == 2
    assert "install the package with its extra: elt-operator[operator]" in done.stderr


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        pytest.param(
            "ELT_OPERATOR_WORKERS", "none", "ELT_OPERATOR_WORKERS: Input should be a valid integer", id="setting"
        ),
        pytest.param("KUBECONFIG", "/does/not/exist", "no access to a cluster", id="kubeconfig"),
    ],
)
def test_what_is_not_set_up_is_said_in_a_line_and_not_in_a_traceback(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, words: str
) -> None:
    monkeypatch.setenv(variable, value)

    done = subprocess.run([sys.executable, "-m", "elt_operator"], capture_output=True, text=True, check=False)

    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr
