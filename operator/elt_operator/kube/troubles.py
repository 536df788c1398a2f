"""What goes wrong in a loop that must not end: an outage, lost rights, or a bug of ours."""

import logging
from typing import Final

import aiohttp

from elt_operator.kube.errors import ApiError, Forbidden, NotFound

OUTAGES: Final = (ApiError, aiohttp.ClientError, TimeoutError, OSError)
"""What goes wrong without being a bug."""

LOST: Final = (Forbidden, NotFound)
"""What the API server answers where the operator has no right to read, or where there is nothing to read."""

_REMEMBERED: Final = 100


class Troubles:
    """Logs what went wrong: an outage in one line each time, a bug with its traceback the first time."""

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger
        self._told: set[str] = set()

    def tell(self, what: str, error: Exception) -> None:
        """Log ``error``; ``what`` says what it kept from being done, and how it goes on."""
        words = f"{type(error).__name__}: {error}"[:1_000]
        if isinstance(error, OUTAGES):
            self._logger.warning("%s: %s", what, words)
            return
        known = f"{what}: {words}" in self._told
        if not known:
            self._told = {*(self._told if len(self._told) < _REMEMBERED else ()), f"{what}: {words}"}
        self._logger.error("%s: this is a bug in the operator: %s", what, words, exc_info=None if known else error)
