"""What `helm test` says, from an API server that answers by hand."""

import http.server
import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import certifi
import pytest

PROGRAM = Path(__file__).resolve().parents[2] / "charts" / "elt-operator" / "files" / "test.py"
SERVED = {"resources": [{"name": "eltpipelines"}, {"name": "eltpipelines/status"}, {"name": "eltjobs"}]}
KINDS = "/apis/elt-operator.io/v1alpha1"
DEPLOYMENT = "/apis/apps/v1/namespaces/elt-operator/deployments/elt-operator"


class Answers(http.server.BaseHTTPRequestHandler):
    objects: dict[str, Any]

    def do_GET(self) -> None:
        known = self.headers["Authorization"] == "Bearer a-token" and self.path in self.objects
        self.send_response(200 if known else 404)
        self.end_headers()
        self.wfile.write(json.dumps(self.objects.get(self.path)).encode())

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def api_server() -> Iterator[http.server.HTTPServer]:
    with http.server.HTTPServer(("127.0.0.1", 0), Answers) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.mark.parametrize(
    ("objects", "code", "said"),
    [
        pytest.param({KINDS: SERVED, DEPLOYMENT: {"status": {"readyReplicas": 1}}}, 0, "1 pod(s)", id="all is well"),
        pytest.param({}, 1, "does not serve eltjobs and eltpipelines", id="no resource types"),
        pytest.param({KINDS: SERVED, DEPLOYMENT: {"status": {}}}, 1, "no pod of elt-operator is ready", id="not ready"),
        pytest.param({KINDS: SERVED}, 1, "no pod of elt-operator is ready", id="no Deployment"),
    ],
)
def test_helm_test_says(
    objects: dict[str, Any],
    code: int,
    said: str,
    api_server: http.server.HTTPServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Answers, "objects", objects, raising=False)
    (tmp_path / "token").write_text("a-token")
    shutil.copy(certifi.where(), tmp_path / "ca.crt")
    url = f"http://127.0.0.1:{api_server.server_port}"

    told = subprocess.run(
        [sys.executable, PROGRAM, url, tmp_path, "elt-operator", "elt-operator"],
        check=False,
        capture_output=True,
        text=True,
        env={},
    )

    assert told.returncode == code
    assert said in told.stdout + told.stderr
