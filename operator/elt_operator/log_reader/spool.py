"""Frames that the keeper has not taken yet, in files, so that they outlive a restart of the reader."""

import asyncio
import logging
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

from elt_operator.archive import frames
from elt_operator.archive.exchange import Known, PodName
from elt_operator.archive.frames import Envelope, Frame, FrameError

logger = logging.getLogger(__name__)

_WHOSE: Final = "whose.json"


class Spooled(NamedTuple):
    """A frame that waits."""

    path: Path
    size: int


@dataclass
class Waiting:
    """The frames of one pod, in their order."""

    pod: PodName
    frames: deque[Spooled] = field(default_factory=deque)
    size: int = 0
    last: Envelope | None = None
    """What the last one says; the log is read on from there."""


@dataclass
class Spool:
    """The frames of all pods of a node."""

    root: Path
    most_bytes: int
    most_bytes_of_a_pod: int
    size: int = 0
    filled: asyncio.Event = field(default_factory=asyncio.Event)
    """Is set when a frame has come."""
    _pods: dict[str, Waiting] = field(default_factory=dict)
    """By UID."""

    def load(self) -> None:
        """Take up what an earlier process has left; a frame that is broken, and those behind it, are read anew."""
        self.root.mkdir(parents=True, exist_ok=True)
        for folder in sorted(self.root.iterdir()):
            try:
                waiting = Waiting(PodName.model_validate_json((folder / _WHOSE).read_bytes()))
            except (OSError, ValueError) as error:
                logger.warning("the spool has a folder %s that cannot be read; it is removed: %s", folder.name, error)
                _remove(folder)
                continue
            self._pods[folder.name] = waiting
            paths = sorted(folder.glob("*.zst"))
            for index, path in enumerate(paths):
                try:
                    frame = frames.decoded(path.read_bytes())
                except (OSError, FrameError) as error:
                    logger.warning("the spool has a frame %s that cannot be read: %s", path, error)
                    for broken in paths[index:]:
                        broken.unlink()
                    break
                self._append(waiting, path, path.stat().st_size, frame.envelope)

    def put(self, uid: str, pod: PodName, frame: Frame) -> None:
        """Keep a frame until the keeper has it; raises ``OSError``."""
        if frame.envelope is None:
            raise FrameError("it does not say whose it is")
        folder = self.root / uid
        waiting = self._pods.get(uid)
        if waiting is None:
            folder.mkdir(exist_ok=True)
            (folder / _WHOSE).write_bytes(pod.model_dump_json().encode())
            waiting = self._pods[uid] = Waiting(pod)
        data = frames.encoded(frame)
        path = folder / f"{frame.envelope.number:08}.zst"
        aside = path.with_suffix(".new")
        aside.write_bytes(data)
        aside.replace(path)
        self._append(waiting, path, len(data), frame.envelope)

    def _append(self, waiting: Waiting, path: Path, size: int, envelope: Envelope | None) -> None:
        waiting.frames.append(Spooled(path, size))
        waiting.size += size
        waiting.last = envelope
        self.size += size
        self.filled.set()

    def pods(self) -> Mapping[str, PodName]:
        """Return the pods of which frames wait, by their UID."""
        return {uid: waiting.pod for uid, waiting in self._pods.items() if waiting.frames}

    def next(self, uid: str) -> Spooled | None:
        """Return the first frame of a pod; ``None``: none waits."""
        waiting = self._pods.get(uid)
        return waiting.frames[0] if waiting and waiting.frames else None

    def taken(self, uid: str) -> None:
        """Remove the first frame of a pod: the keeper has it."""
        waiting = self._pods[uid]
        first = waiting.frames.popleft()
        waiting.size -= first.size
        self.size -= first.size
        first.path.unlink(missing_ok=True)

    def known(self, uid: str) -> Known | None:
        """Return up to where the log of a pod is in the spool; ``None``: nothing of it is."""
        waiting = self._pods.get(uid)
        if waiting is None or not waiting.frames or waiting.last is None:
            return None
        last = waiting.last
        return Known(number=last.number, position=last.position, last_time=last.last_time, closed=last.closed)

    def is_full(self, uid: str) -> bool:
        """Return whether the log of a pod has to wait before more of it is read."""
        waiting = self._pods.get(uid)
        return self.size >= self.most_bytes or bool(waiting and waiting.size >= self.most_bytes_of_a_pod)

    def drop(self, uid: str) -> None:
        """Forget a pod and what waits of its log."""
        waiting = self._pods.pop(uid, None)
        if waiting:
            self.size -= waiting.size
        folder = self.root / uid
        if folder.is_dir():
            _remove(folder)


def _remove(folder: Path) -> None:
    """Remove the folder of a pod so that whatever is left of it at any moment is known for what it is."""
    for path in sorted(folder.iterdir(), reverse=True):  # the last frames first, and whose they are before all
        path.unlink(missing_ok=True)
    folder.rmdir()
