"""What talks HTTP within ``async with``, and nowhere else."""

from abc import ABC, abstractmethod
from typing import Self

import aiohttp


class WithSession(ABC):
    """Opens its session at the beginning of ``async with``, and closes it at the end."""

    _session: aiohttp.ClientSession | None = None

    @abstractmethod
    def _opened(self) -> aiohttp.ClientSession:
        """Return a new session."""

    @property
    def session(self) -> aiohttp.ClientSession:
        """The session; raises ``RuntimeError`` outside of ``async with``."""
        if self._session is None:
            raise RuntimeError(f"{type(self).__name__} is used outside of `async with`")
        return self._session

    async def __aenter__(self) -> Self:
        self._session = self._opened()
        return self

    async def __aexit__(self, *_error: object) -> None:
        if self._session:
            await self._session.close()
