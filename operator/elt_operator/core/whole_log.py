"""A run's log, read once from its beginning: its account, its end, and whether all of it was there to be read.

The kubelet keeps a log in files of 10 MiB by default and hands out the newest only, without a word about the others
(https://kubernetes.io/docs/concepts/cluster-administration/logging/#log-rotation). So it has to be shown that all was
read, that it is smaller than such a file, and that its first line is as old as its process.
"""

import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from elt_operator.core.accounts import TIME, Account, Reader
from elt_operator.text import CHARACTERS

MOST_BYTES: Final = 32 * 1024 * 1024
"""How much of a log is read."""
_ONE_FILE: Final = 9 * 1024 * 1024
_QUIET_START: Final = timedelta(seconds=3)
"""How long after its start a process may write its first line, if nothing else says that it is the first."""
_TIME: Final = re.compile(rb"(?m)^" + TIME)
_KEPT: Final = 2 * CHARACTERS
"""How many bytes of the end are kept, with the kubelet's times."""
_BEGINNING: Final = 4 * 1024
_FIRST_LINES: Final = re.compile(
    rb"[^\n]{0,400}?(?:Meltano [0-9][^\s,]{0,20}, Python |Running with dbt=|Environment '[^'\n]{0,80}' is active)"
)
"""How the logs of programs begin that write this at their very start."""


@dataclass(frozen=True)
class LogRead:
    """What was read of a log."""

    end: str
    """Its end, without the kubelet's times."""
    account: Account
    complete: bool
    """Whether nothing of it can be missing."""


@dataclass
class WholeLog:
    """Takes a log chunk by chunk, each line of it with the kubelet's time."""

    started: datetime | None
    """When the process started, as the kubelet says."""
    size: int = 0
    _reader: Reader = field(default_factory=Reader)
    _beginning: bytes = b""
    _end: bytes = b""

    @property
    def is_full(self) -> bool:
        """Whether no more of it is counted."""
        return self.size >= MOST_BYTES

    def feed(self, chunk: bytes) -> None:
        """Take the next part; once it is full, only for its end."""
        if not self.is_full:
            self._reader.feed(chunk)
        self.size += len(chunk)
        if len(self._beginning) < _BEGINNING:
            self._beginning += chunk[: _BEGINNING - len(self._beginning)]
        self._end = (self._end + chunk)[-_KEPT:]

    def finish(self, *, all_of_it: bool) -> LogRead:
        """Return what was read; ``all_of_it``: nothing followed."""
        return LogRead(self._shown_end(), self._reader.finish(), all_of_it and self._is_whole())

    def _shown_end(self) -> str:
        end = self._end.partition(b"\n")[2] if self.size > len(self._end) else self._end
        return _TIME.sub(b"", end or self._end).decode(errors="replace")[-CHARACTERS:]

    def _is_whole(self) -> bool:
        if self.size >= _ONE_FILE:
            return False
        time = _TIME.match(self._beginning)
        if not self._beginning or time is None:
            return not self._beginning
        if _FIRST_LINES.match(self._beginning, time.end()):
            return True
        written = _moment(time[0])
        return self.started is not None and written is not None and written - self.started <= _QUIET_START


def _moment(time: bytes) -> datetime | None:
    try:
        return datetime.fromisoformat(time.decode().strip())
    except ValueError:
        return None
