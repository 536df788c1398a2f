"""Logs in an object store: Amazon S3 and what has its interface, Google Cloud Storage, Azure Blob Storage."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Final, TypeVar

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import from_url

from elt_operator.errors import NotSetUp
from elt_operator.logs.store import Missing, StoreError

if TYPE_CHECKING:
    from obstore import GetOptions, PutMode
    from obstore.store import ObjectStore as Backend

_PATIENCE_SECONDS: Final = 10
"""How long a request may take, with all its retries: whoever makes it tries again later anyway."""
_RETRIES: Final = 3
_PART_BYTES: Final = 5 * 1024 * 1024
"""The least that S3 accepts as a part: https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html"""
_PAGE: Final = 1_000
"""How many objects S3 lists at once."""

T = TypeVar("T")


class _Exists(StoreError):
    """The object exists, or is being written."""


@dataclass(frozen=True)
class ObjectStore:
    """A bucket, or what has a prefix in it."""

    backend: "Backend" = field(repr=False)  # Azure's panics in its own repr when a variable names the account

    @classmethod
    def at(cls, url: str) -> "ObjectStore":
        """Return the store at s3://BUCKET/PREFIX, gs://BUCKET/PREFIX or az://CONTAINER/PREFIX; raises ``NotSetUp``.

        obstore itself reads the variables with endpoint, region and credentials: AWS_…, GOOGLE_… or AZURE_….
        """
        try:
            # No client options: they would replace those that come from variables, like AWS_ALLOW_HTTP.
            backend = from_url(
                url,
                retry_config={
                    "max_retries": _RETRIES,
                    "retry_timeout": timedelta(seconds=_PATIENCE_SECONDS / 2),
                    "backoff": {"init_backoff": timedelta(milliseconds=100), "max_backoff": timedelta(seconds=1)},
                },
            )
        except (BaseError, ValueError) as error:
            words = f"ELT_OPERATOR_STORE, or a variable of the object store, is wrong: {_words(error)}"
            raise NotSetUp(words) from None  # the library's own words may quote a secret
        return cls(backend)

    async def put(self, key: str, data: bytes, *, new: bool = False) -> bool:
        """See ``Store``. It may say no, too, if the object was stored by a request whose answer was lost."""
        mode: PutMode = "create" if new else "overwrite"
        try:
            await _answer(key, self.backend.put_async(key, data, mode=mode, use_multipart=False))
        except _Exists:
            if new:
                return False
            raise
        return True

    async def put_all(self, key: str, parts: AsyncIterator[bytes]) -> None:
        """See ``Store``. After a failure the parts are removed, if the store is responding."""
        writer = obstore.open_writer_async(self.backend, key, buffer_size=_PART_BYTES, max_concurrency=1)
        try:
            async for part in parts:
                await _answer(key, writer.write(part))
        except BaseException as error:
            with suppress(StoreError):  # the first error is the one that counts
                await _answer(key, writer.__aexit__(type(error), error, None))
            raise
        await _answer(key, writer.close())

    async def get(self, key: str, offset: int = 0, size: int | None = None) -> bytes:
        """See ``Store``."""
        return await _answer(key, self._get(key, offset, size))

    async def _get(self, key: str, offset: int, size: int | None) -> bytes:
        options: GetOptions = {}
        if size is not None:
            options = {"range": (offset, offset + size)}
        elif offset:
            options = {"range": {"offset": offset}}
        found = await self.backend.get_async(key, options=options)
        return bytes(await found.bytes_async())

    async def keys(self, prefix: str) -> list[tuple[str, int]]:
        """See ``Store``."""
        found: list[tuple[str, int]] = []
        pages = self.backend.list(prefix, chunk_size=_PAGE)
        while page := await _answer(prefix, anext(pages, None)):
            found += [(one["path"], one["size"]) for one in page]
        return sorted(found)

    async def delete(self, key: str) -> None:
        """See ``Store``."""
        with suppress(Missing):  # that is no error for S3, but for the others
            await _answer(key, self.backend.delete_async(key))


async def _answer(key: str, request: Awaitable[T]) -> T:
    """Return what the store answers; raises ``StoreError``."""
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            return await request
    except Exception as error:
        # A panic in the library, as for an endpoint that is no URL, has a type that cannot be imported.
        if isinstance(error, (BaseError, OSError)) or type(error).__name__ == "RustPanic":
            raise _as_store_error(key, error) from None  # the library's own words quote whole requests
        raise


def _as_store_error(key: str, error: Exception) -> StoreError:
    if isinstance(error, FileNotFoundError) and _is_about_the_object(str(error)):
        return Missing(f"{key} does not exist")
    kind = _Exists if isinstance(error, AlreadyExistsError) else StoreError
    return kind(f"{key}: {_words(error)}")


# ---------------------------------------------------------------------------- what the library says

_STATUS: Final = re.compile(r"status code: (\d{3} [A-Za-z -]*[A-Za-z])")
_CODE: Final = re.compile(r"<Code>(\w{1,100})</Code>")
_MESSAGE: Final = re.compile(r"<Message>([^<\n]{1,300})")
_OF_THE_SYSTEM: Final = re.compile(r'message: "([^"\n]{1,200})"')
_AFTER_THE_URL: Final = re.compile(r" - (.{1,200})")
_URL: Final = re.compile(r"\w+://\S*")

_NO_OBJECT: Final = frozenset({"NoSuchKey", "BlobNotFound"})
"""How S3 and Google, and Azure, call an object that does not exist."""

_NO_CREDENTIALS: Final = "there are no credentials: set its variables, or give the pod an identity of the cloud"
_CAUSES: Final[Sequence[tuple[str, str]]] = (
    ("/latest/api/token", _NO_CREDENTIALS),  # where Amazon, Google and Azure give credentials to their machines
    ("/computeMetadata/", _NO_CREDENTIALS),
    ("/metadata/identity/oauth2/token", _NO_CREDENTIALS),
    ("BadScheme", "its endpoint is not https://; AWS_ALLOW_HTTP=true (or GOOGLE_…, AZURE_…) allows that"),
    ("dns error", "the name of its host is unknown"),
    ("InvalidCertificate", "its certificate is not trusted; SSL_CERT_FILE names a file of those that are"),
    ("InvalidMessage", "its endpoint does not speak TLS"),
    ("No CA certificates", "this machine has no certificates that it trusts; install ca-certificates"),
    ("RustPanic", "the request cannot be made; its endpoint must begin with http:// or https://"),
    ("MissingAccount", "AZURE_STORAGE_ACCOUNT_NAME is not set"),
)
"""What the library says, and what that means; the first that is found counts."""


def _is_about_the_object(text: str) -> bool:
    """Whether a "not found" says that there is no object; others are about a bucket, a user, or come from a proxy."""
    code = _CODE.search(text)
    return code[1] in _NO_OBJECT if code else not _STATUS.search(text)


def _words(error: Exception) -> str:
    """Return what went wrong, without URLs and what else may hold a secret."""
    if isinstance(error, TimeoutError):
        return f"the object store is not responding ({_PATIENCE_SECONDS} s)"
    text = f"{type(error).__name__}: {error}"
    for part, words in _CAUSES:
        if part in text:
            return f"the object store cannot be used: {words}"
    if status := _STATUS.search(text):
        said = [found[1] for found in (_CODE.search(text), _MESSAGE.search(text)) if found]
        return f"the object store answered {': '.join([status[1], *said])}"
    if found := _OF_THE_SYSTEM.search(text) or _AFTER_THE_URL.search(text):
        return f"the object store cannot be reached: {found[1]}"
    return _URL.sub("…", str(error).splitlines()[0])
