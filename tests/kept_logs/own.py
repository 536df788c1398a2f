"""A keeper and a reader as processes of a test's own, with the installed ones' rights, so that they can be killed."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Thread

from e2e import kept
from e2e.programs import OWN, Program, free_port, kubeconfig_of
from e2e.served import token_of
from e2e.world import kubectl

ANCHOR = """
apiVersion: v1
kind: Pod
metadata: {name: e2e-log-reader, namespace: elt-operator}
spec:
  serviceAccountName: elt-operator-log-reader
  automountServiceAccountToken: false
  terminationGracePeriodSeconds: 0
  containers:
  - name: anchor
    image: localhost/elt-test:dev
    imagePullPolicy: IfNotPresent
    command: [sleep, infinity]
    securityContext: {runAsUser: 65532}
"""
"""A pod of the readers' account on the node: a reader's token has to be bound to one."""


@contextmanager
def installed_are_away() -> Iterator[None]:
    """Have neither keeper nor reader installed, for as long as the context lasts."""
    nowhere = {"spec": {"template": {"spec": {"nodeSelector": {"elt-operator.io/nowhere": "true"}}}}}
    everywhere = {"spec": {"template": {"spec": {"nodeSelector": None}}}}
    kubectl("scale", f"--namespace={OWN}", kept.KEEPER, "--replicas=0")
    kubectl("patch", f"--namespace={OWN}", kept.READER, "-p", json.dumps(nowhere))
    for component in ("logs", "log-reader"):
        kubectl("wait", f"--namespace={OWN}", "pod", f"--selector=app.kubernetes.io/component={component}",
                "--for=delete", "--timeout=90s")  # fmt: skip
    kubectl("apply", "-f", "-", stdin=ANCHOR)
    kubectl("wait", f"--namespace={OWN}", "pod/e2e-log-reader", "--for=condition=Ready", "--timeout=60s")
    try:
        yield
    finally:
        kubectl("delete", f"--namespace={OWN}", "pod/e2e-log-reader", "--now")
        kubectl("patch", f"--namespace={OWN}", kept.READER, "-p", json.dumps(everywhere))
        kubectl("scale", f"--namespace={OWN}", kept.KEEPER, "--replicas=1")
        for what in (kept.KEEPER, kept.READER):
            kubectl("rollout", "status", f"--namespace={OWN}", what, "--timeout=120s")


@dataclass
class Own:
    """Keeper and reader."""

    namespace: str
    settings: dict[str, str] = field(default_factory=dict)
    """More variables of the keeper's."""
    folder: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="elt-logs-")))

    def __post_init__(self) -> None:
        port, common = free_port(), {**os.environ, "ELT_OPERATOR_LOG_FORMAT": "text", "ELT_OPERATOR_HEALTH_PORT": "0"}
        self.url = f"http://127.0.0.1:{port}"
        (self.folder / "token").write_text(self._reader_token())
        (self.folder / "kubeconfig").write_text(kubeconfig_of("elt-operator-logs"))
        tool = [sys.executable, "-m", "cluster", "pod-logs"]
        tests = Path(__file__).resolve().parents[1]
        pod_logs = subprocess.run(tool, capture_output=True, text=True, check=True, cwd=tests).stdout.strip()
        keeper = {
            **common,
            "KUBECONFIG": str(self.folder / "kubeconfig"),
            "ELT_OPERATOR_WATCH_NAMESPACES": self.namespace,
            "ELT_OPERATOR_STORE": str(self.folder / "store"),
            "ELT_OPERATOR_DOOR_PORT": str(port),
            "ELT_OPERATOR_READER_USER": f"system:serviceaccount:{OWN}:elt-operator-log-reader",
            **self.settings,
        }
        reader = {
            **common,
            "ELT_OPERATOR_KEEPER_URL": self.url,
            "ELT_OPERATOR_KEEPER_TOKEN": str(self.folder / "token"),
            "ELT_OPERATOR_POD_LOGS": pod_logs,
            "ELT_OPERATOR_SPOOL": str(self.folder / "spool"),
        }
        self.keeper = Program("logs", keeper, self.folder / "keeper.log")
        self.reader = Program("log-reader", reader, self.folder / "reader.log")

    @staticmethod
    def _reader_token() -> str:
        bound = ("--bound-object-kind=Pod", "--bound-object-name=e2e-log-reader")
        return token_of(OWN, "elt-operator-log-reader", "--audience=elt-operator-logs", *bound)

    def start(self) -> kept.Door:
        """Start both; return the keeper's door."""
        self.keeper.start()
        self.reader.start()
        return kept.Door(url=self.url)

    def end(self) -> None:
        for program in (self.keeper, self.reader):
            with suppress(ProcessLookupError):
                program.kill()

    def said(self) -> str:
        """Return what both have said."""
        logs = [path.read_text() for path in (self.keeper.log, self.reader.log) if path.exists()]
        return "\n".join(logs)[-4000:]


@contextmanager
def every(seconds: float, act: Callable[[], object]) -> Iterator[None]:
    """Do something again and again, for as long as the context lasts."""
    over = Event()

    def repeat() -> None:
        while not over.wait(seconds):
            act()

    thread = Thread(target=repeat)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
