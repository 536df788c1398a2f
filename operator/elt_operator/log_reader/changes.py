"""Whether a folder has changed, without listing it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

_TICK_SECONDS: Final = 1.0
"""Two changes within a tick of the kernel's clock, some milliseconds, leave the same time. So a list counts only if the
last change was longer ago."""


@dataclass
class Changes:
    """When a folder was last changed, and whether it was listed long enough after that."""

    _changed: int = 0
    _since: float = 0.0
    """When this was seen first."""
    _listed: float = float("-inf")

    def is_unchanged(self, folder: Path, now: float) -> bool:
        """Return whether it is as it was when it was last listed; with False, the caller lists it now.

        ``now``: a clock's seconds that never go back. Raises ``OSError``.
        """
        try:
            changed = folder.stat().st_mtime_ns
        except (FileNotFoundError, NotADirectoryError):
            return False
        if changed != self._changed:
            self._changed, self._since = changed, now
        elif self._listed - self._since >= _TICK_SECONDS:
            return True
        self._listed = now
        return False
