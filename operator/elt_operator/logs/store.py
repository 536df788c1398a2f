"""Where logs are stored: a volume, or an object store. Nothing here knows what a log is."""

import asyncio
import os
import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from elt_operator.errors import OperatorError

_ASIDE: Final = "~"
"""In the name of a file that is being written, and in no key."""


class StoreError(OperatorError):
    """The store does not answer, or refuses: try again later."""


class Missing(StoreError):
    """There is no such object."""


class Store(Protocol):
    """Objects by key; keys have the characters ``A-Za-z0-9._-`` and ``/``. What was put is safe once a call returns.

    Every call may raise ``StoreError``.
    """

    async def put(self, key: str, data: bytes, *, new: bool = False) -> bool:
        """Store an object; with ``new``, only where there is none: return whether it was stored."""

    async def put_all(self, key: str, parts: AsyncIterator[bytes]) -> None:
        """Store an object that is made of ``parts``; it appears as a whole, or not at all."""

    async def get(self, key: str, offset: int = 0, size: int | None = None) -> bytes:
        """Return an object, or ``size`` bytes of it from ``offset`` on; raises ``Missing``."""

    async def keys(self, prefix: str) -> list[tuple[str, int]]:
        """Return key and size of each object below a folder, sorted by key."""

    async def delete(self, key: str) -> None:
        """Delete an object; one that is gone is left so."""


@dataclass(frozen=True)
class Volume:
    """A folder of a file system. Files are written aside, synced, and moved to their place."""

    root: Path

    def _place(self, key: str) -> Path:
        """Return where an object is; raises ``StoreError`` for what would be outside of the folder."""
        if "\0" in key or {".", ".."} & set(key.split("/")):
            raise StoreError(f"{key[:100]!r} is no key")
        return self.root / key

    async def put(self, key: str, data: bytes, *, new: bool = False) -> bool:
        """See ``Store``."""
        return await asyncio.to_thread(self._put, key, data, new)

    def _put(self, key: str, data: bytes, new: bool) -> bool:
        with self._writing(key) as (aside, place), aside.open("xb") as file:
            file.write(data)
            file.flush()
            _sync(file.fileno())
            if not new:
                aside.replace(place)
                return True
            try:
                os.link(aside, place)
            except FileExistsError:
                return False
            return True

    async def put_all(self, key: str, parts: AsyncIterator[bytes]) -> None:
        """See ``Store``."""
        with self._writing(key) as (aside, place), aside.open("xb") as file:
            async for part in parts:
                await asyncio.to_thread(file.write, part)
            await asyncio.to_thread(file.flush)
            await asyncio.to_thread(_sync, file.fileno())
            aside.replace(place)

    @contextmanager
    def _writing(self, key: str) -> Iterator[tuple[Path, Path]]:
        """Yield where to write an object, and its place; afterwards its folder is synced."""
        place = self._place(key)
        aside = place.with_name(f"{place.name}{_ASIDE}{secrets.token_hex(4)}")
        with _as_store_error(key):
            made = [folder for folder in place.parents if not folder.exists()]
            place.parent.mkdir(parents=True, exist_ok=True)
            try:
                yield aside, place
            finally:
                aside.unlink(missing_ok=True)
            for folder in {place.parent, *(folder.parent for folder in made)}:
                descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
                try:
                    _sync(descriptor)
                finally:
                    os.close(descriptor)

    async def get(self, key: str, offset: int = 0, size: int | None = None) -> bytes:
        """See ``Store``."""
        return await asyncio.to_thread(self._get, key, offset, size)

    def _get(self, key: str, offset: int, size: int | None) -> bytes:
        with _as_store_error(key), (self._place(key)).open("rb") as file:
            file.seek(offset)
            return file.read(-1 if size is None else size)

    async def keys(self, prefix: str) -> list[tuple[str, int]]:
        """See ``Store``."""
        return await asyncio.to_thread(self._keys, prefix)

    def _keys(self, prefix: str) -> list[tuple[str, int]]:
        found: list[tuple[str, int]] = []
        with _as_store_error(prefix):
            for folder, _, names in os.walk(self._place(prefix), onerror=_unless_gone):
                for name in names:
                    path = Path(folder) / name
                    if _ASIDE not in name:
                        with suppress(FileNotFoundError):
                            found.append((str(path.relative_to(self.root)), path.stat().st_size))
        return sorted(found)

    async def delete(self, key: str) -> None:
        """See ``Store``. Folders that are empty by this go, too."""
        await asyncio.to_thread(self._delete, key)

    def _delete(self, key: str) -> None:
        place = self._place(key)
        with _as_store_error(key):
            place.unlink(missing_ok=True)
            for folder in place.parents:
                if folder == self.root:
                    return
                try:
                    folder.rmdir()
                except OSError:  # something else is in it
                    return


def _unless_gone(error: OSError) -> None:
    """Raise what is wrong with a folder: without its objects the others would be taken for all."""
    if not isinstance(error, (FileNotFoundError, NotADirectoryError)):
        raise error


def _sync(descriptor: int) -> None:
    os.fsync(descriptor)


@contextmanager
def _as_store_error(key: str) -> Iterator[None]:
    try:
        yield
    except (FileNotFoundError, NotADirectoryError) as error:
        raise Missing(f"{key} does not exist") from error
    except OSError as error:
        raise StoreError(f"{key}: {error.strerror or error}") from error
