"""The folders in which a kubelet keeps the logs of a node's pods."""

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from elt_operator.archive.exchange import PodName
from elt_operator.log_reader.changes import Changes
from elt_operator.resources import names

_NAME: Final = re.compile(r"([a-z0-9][a-z0-9-]{0,62})_([a-z0-9][a-z0-9.-]{0,252})_([A-Za-z0-9-]{1,64})")
"""``<namespace>_<pod>_<UID>`` (pkg/kubelet/kuberuntime/helpers.go)."""


@dataclass
class PodFolders:
    """Finds the pods that may be runs: those with a container of that name."""

    root: Path
    found: dict[str, PodName] = field(default_factory=dict)
    """By their UID."""
    _undecided: dict[str, Path] = field(default_factory=dict)
    """Folders in which no container has a log yet."""
    _seen: frozenset[str] = frozenset()
    _changes: Changes = field(default_factory=Changes)

    def look(self, now: float) -> None:
        """Look at what is there; raises ``OSError`` where the folder of all pods cannot be read."""
        if not self._changes.is_unchanged(self.root, now):
            listed = frozenset(entry.name for entry in os.scandir(self.root))
            for name in listed - self._seen:
                self._undecided[name] = self.root / name
            for name in self._seen - listed:
                self._undecided.pop(name, None)
                if parts := _NAME.fullmatch(name):
                    self.found.pop(parts[3], None)
            self._seen = listed
        for name, folder in list(self._undecided.items()):
            self._decide(name, folder)

    def _decide(self, name: str, folder: Path) -> None:
        parts = _NAME.fullmatch(name)
        if parts is None:
            del self._undecided[name]
        elif (folder / names.CONTAINER).is_dir():
            del self._undecided[name]
            self.found[parts[3]] = PodName(namespace=parts[1], name=parts[2])
        # A folder may begin with other containers: those that prepare a run.

    def container(self, uid: str, pod: PodName) -> Path:
        """Return the folder of a run's container."""
        return self.root / f"{pod.namespace}_{pod.name}_{uid}" / names.CONTAINER
