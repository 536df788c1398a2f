"""The kubectl of the cluster's own version, and what the tool asks with it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cluster.console import output_of
from cluster.errors import ClusterError

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class Kubectl:
    """``kubectl`` against one cluster."""

    program: Path
    kubeconfig: Path

    def __call__(self, *arguments: str, stdin: str | None = None) -> str:
        """Return what ``kubectl`` prints; raise ``ClusterError`` with its complaint."""
        return output_of(self._argv(*arguments), env=environment(), stdin=stdin)

    def answer(self, *arguments: str) -> str | None:
        """Return what ``kubectl`` prints, or ``None`` when it has a complaint: for questions that are asked again."""
        try:
            return self(*arguments)
        except ClusterError:
            return None

    def is_answered(self) -> bool:
        """Tell whether the API server says it is ready."""
        return self.answer("get", "--raw=/readyz") is not None

    def node_is_ready(self, node: str) -> bool:
        """Tell whether ``node`` is there and takes pods."""
        ready = '-o=jsonpath={.status.conditions[?(@.type=="Ready")].status}'
        return self.answer("get", "node", node, ready) == "True"

    def _argv(self, *arguments: str) -> list[str]:
        cache = self.program.parent / "kubectl-cache"  # not in the person's home
        options = [f"--kubeconfig={self.kubeconfig}", f"--cache-dir={cache}", "--request-timeout=10s"]
        return [str(self.program), *options, *arguments]


def environment() -> dict[str, str]:
    """Return this process's environment without proxies: no proxy knows the way to a cluster on this machine."""
    return {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
