"""What the operator's programs serve over HTTP in the cluster, as somebody with a token sees it."""

import re
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.client import HTTPException
from typing import NamedTuple

from e2e.world import Namespace, kubectl

_AGAIN_SECONDS = 30.0
_FORWARDED = re.compile(r"127\.0\.0\.1:(\d+)")


class Answer(NamedTuple):
    """What is answered."""

    code: int
    headers: Mapping[str, str]
    body: bytes


@dataclass
class Server:
    """A port of a deployment."""

    where: str
    port: int
    url: str = ""
    """Where it is reached; empty: by `kubectl port-forward`."""
    _forwarding: subprocess.Popen[str] | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self.forwards = not self.url

    def connect(self) -> None:
        """Have a way to it, a new one where there was one before."""
        if not self.forwards:
            return
        self.close()
        command = ["kubectl", "port-forward", "--namespace=elt-operator", self.where, f":{self.port}"]
        self._forwarding = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        line = self._forwarding.stdout.readline() if self._forwarding.stdout else ""
        found = _FORWARDED.search(line)
        self.url = f"http://127.0.0.1:{found[1]}" if found else ""

    def close(self) -> None:
        if self._forwarding:
            self._forwarding.kill()
            self._forwarding.communicate()
        self._forwarding = None

    def request(self, path: str, token: str, data: bytes | None = None, method: str = "GET") -> urllib.request.Request:
        """Return a request with a token."""
        if not self.url:
            self.connect()
        made = urllib.request.Request(f"{self.url}{path}", data=data, method=method)  # noqa: S310 - http://127.0.0.1
        made.add_header("Authorization", f"Bearer {token}")
        return made

    def ask(
        self, path: str, token: str, data: bytes | None = None, accept: str = "*/*", method: str = "GET",
        headers: Mapping[str, str] | None = None,
    ) -> Answer:  # fmt: skip
        """Return what is answered; the program may be starting anew."""
        deadline = time.monotonic() + _AGAIN_SECONDS
        while True:
            try:
                request = self.request(path, token, data, method)
                for name, value in {"Accept": accept, **(headers or {})}.items():
                    request.add_header(name, value)
                return _answer(request)
            except (OSError, HTTPException):
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.5)
                self.connect()


def _answer(request: urllib.request.Request) -> Answer:
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 - http://127.0.0.1
            return Answer(answer.status, dict(answer.headers), answer.read())
    except urllib.error.HTTPError as refused:
        return Answer(refused.code, dict(refused.headers), refused.read())


def token_of(namespace: str, account: str, *options: str) -> str:
    """Return a new token of a service account."""
    return kubectl("create", "token", account, f"--namespace={namespace}", "--duration=2h", *options).strip()


def account(namespace: Namespace, name: str, cluster_role: str = "") -> str:
    """Make a service account, with a role in its namespace if one is named; return its token."""
    kubectl("create", "serviceaccount", name, f"--namespace={namespace.name}")
    if cluster_role:
        whose = f"--serviceaccount={namespace.name}:{name}"
        kubectl("create", "rolebinding", name, f"--clusterrole={cluster_role}", whose, f"--namespace={namespace.name}")
    return token_of(namespace.name, name)
