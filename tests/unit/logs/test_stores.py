"""A volume and an object store do the same; what each says, and leaves, when something is wrong."""

import errno
import os
import socket
import subprocess
import sysconfig
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing
from http.client import HTTPConnection
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from obstore.store import MemoryStore

from builders.stores import CONTRACT, TWO_PARTS_AND_MORE, Broken, Check, many_objects_are_all_listed, parts
from elt_operator.errors import NotSetUp
from elt_operator.logs import object_store
from elt_operator.logs.object_store import ObjectStore
from elt_operator.logs.store import Missing, Store, StoreError, Volume
from elt_operator.logs.stores import opened

MOTO = "moto[server]==5.2.5"  # in an environment of its own: it does not get along with the `kubernetes` package
LONGEST_START_SECONDS = 120
"""The first time it is downloaded."""


@pytest.fixture(scope="session")
def moto() -> Iterator[str]:
    """The address of an S3 that keeps everything in memory, with the bucket `logs`."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    uv = Path(sysconfig.get_path("scripts")) / "uv"
    url = f"http://127.0.0.1:{port}"
    with subprocess.Popen(
        [uv, "tool", "run", "--quiet", "--from", MOTO, "moto_server", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as server:
        try:
            _until_it_answers(server, url)
            answer_of(url, "PUT", "/logs")
            yield url
        finally:
            server.terminate()


def _until_it_answers(server: subprocess.Popen[bytes], url: str) -> None:
    deadline = time.monotonic() + LONGEST_START_SECONDS
    while True:
        try:
            answer_of(url, "GET", "/moto-api/")
        except ConnectionRefusedError:
            assert server.poll() is None, f"it has ended: {server.args!r}"
            assert time.monotonic() < deadline, f"not responding: {server.args!r}"
            time.sleep(0.05)
        else:
            return


def answer_of(url: str, method: str, path: str) -> str:
    """Return what a server answers to a request that nobody has signed."""
    with closing(HTTPConnection(url.removeprefix("http://"), timeout=30)) as connection:
        connection.request(method, path)
        return connection.getresponse().read().decode()


@pytest.fixture
def variables(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """No variable of an object store, but for credentials."""
    for name in list(os.environ):
        if name.startswith(("AWS_", "AZURE_", "GOOGLE_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIA-CANARY")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret-canary")
    return monkeypatch


@pytest.fixture
def on_s3(variables: pytest.MonkeyPatch, moto: str) -> Store:
    """A part of a bucket, for one test alone."""
    variables.setenv("AWS_ENDPOINT_URL", moto)
    variables.setenv("AWS_ALLOW_HTTP", "true")
    return opened(f"s3://logs/tests/{uuid.uuid4().hex}")


@pytest.fixture(params=["volume", "memory", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """Each store, empty."""
    if request.param == "volume":
        return opened(str(tmp_path))
    if request.param == "memory":
        return ObjectStore(MemoryStore())
    on_s3: Store = request.getfixturevalue("on_s3")
    return on_s3


@pytest.mark.parametrize("check", CONTRACT, ids=lambda check: check.__name__)
async def test_a_store(check: Check, store: Store) -> None:
    await check(store)


async def test_more_than_a_page_of_objects_is_listed() -> None:
    await many_objects_are_all_listed(ObjectStore(MemoryStore()))


# ---------------------------------------------------------------------------- a volume


async def test_a_file_and_its_folders_are_synced_before_it_appears(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[tuple[Path, int]] = []

    def fsync(descriptor: int) -> None:
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        synced.append((path, os.fstat(descriptor).st_size if path.is_file() else len(list(path.iterdir()))))

    monkeypatch.setattr(os, "fsync", fsync)
    volume = Volume(tmp_path)
    for key, stored in (
        ("v1/a/put", volume.put("v1/a/put", b"123")),
        ("v1/b/new", volume.put("v1/b/new", b"123", new=True)),
        ("v1/c/all", volume.put_all("v1/c/all", parts(1))),
    ):
        synced.clear()

        await stored

        folder = (tmp_path / key).parent
        (file, size), *folders = synced
        assert (file.parent, file.name.partition("~")[0]) == (folder, key.rpartition("/")[2])  # under another name
        assert size == (tmp_path / key).stat().st_size
        assert (folder, 1) in folders  # the file was in it
        made = {tmp_path, tmp_path / "v1"} if key == "v1/a/put" else {tmp_path / "v1"}
        assert {path for path, _ in folders} == {folder, *made}


def files_below(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob("*") if path.is_file()]


async def test_a_full_disk_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    volume = Volume(tmp_path)
    await volume.put("v1/a", b"the first")

    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    for stored in (
        volume.put("v1/a", b"2"),
        volume.put("v1/b", b"2", new=True),
        volume.put_all("v1/c", parts(1)),
    ):
        with pytest.raises(StoreError, match=r"^v1/[abc]: No space left on device$"):
            await stored

    assert files_below(tmp_path) == ["a"]
    assert await volume.get("v1/a") == b"the first"


async def test_a_file_that_is_being_written_is_no_object(tmp_path: Path) -> None:
    volume = Volume(tmp_path)
    (tmp_path / "a~0123abcd").write_bytes(b"left by a keeper that was killed")

    assert await volume.keys("") == []


async def test_a_folder_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")

    with pytest.raises(StoreError, match=r"^loop: Too many levels of symbolic links$"):
        await Volume(tmp_path).keys("loop")


# ---------------------------------------------------------------------------- an object store


async def test_the_uploaded_parts_of_an_object_that_failed_are_removed(on_s3: Store, moto: str) -> None:
    begun: list[str] = []

    async def watched() -> AsyncIterator[bytes]:
        async for part in parts(TWO_PARTS_AND_MORE):
            yield part
        begun.append(answer_of(moto, "GET", "/logs?uploads"))
        raise Broken

    with pytest.raises(Broken):
        await on_s3.put_all("v1/a", watched())

    prefix = on_s3.backend.prefix  # type: ignore[attr-defined]  # it is an ObjectStore on S3
    assert f"{prefix}/v1/a" in begun[0]
    assert f"{prefix}/v1/a" not in answer_of(moto, "GET", "/logs?uploads")


@asynccontextmanager
async def answering(status: int, body: str) -> AsyncIterator[str]:
    """Have a server that always answers the same; gives its address."""

    async def answer(_request: web.Request) -> web.Response:
        return web.Response(status=status, text=body, content_type="application/xml")

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    async with TestServer(app) as server:
        yield str(server.make_url("/")).rstrip("/")


def s3(variables: pytest.MonkeyPatch, endpoint: str, allow_http: str = "true") -> Store:
    """Return the store at an endpoint; it does not try again."""
    variables.setattr(object_store, "_RETRIES", 0)
    variables.setenv("AWS_ENDPOINT_URL", endpoint)
    variables.setenv("AWS_ALLOW_HTTP", allow_http)
    return opened("s3://logs/prefix")


def an_error(code: str, message: str = "Its words.", more: str = "") -> str:
    return f"<?xml version='1.0'?>\n<Error><Code>{code}</Code><Message>{message}</Message>{more}</Error>"


SIGNED = "<AWSAccessKeyId>AKIA-CANARY</AWSAccessKeyId><StringToSign>AWS4 secret-canary</StringToSign>"


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        pytest.param(404, an_error("NoSuchBucket"), "404 Not Found: NoSuchBucket: Its words.", id="no bucket"),
        pytest.param(404, an_error("ContainerNotFound"), "404 Not Found: ContainerNotFound: ", id="no container"),
        pytest.param(404, "<html>nginx", "404 Not Found$", id="not by a store"),
        pytest.param(404, "", "404 Not Found$", id="without words"),
        pytest.param(403, an_error("AccessDenied", more=SIGNED), "403 Forbidden: AccessDenied: Its words.$", id="403"),
        pytest.param(409, an_error("OperationAborted"), "409 Conflict: OperationAborted: Its words.$", id="409"),
        pytest.param(503, an_error("SlowDown"), "503 Service Unavailable: SlowDown: Its words.$", id="503"),
    ],
)
async def test_what_an_object_store_answers_is_said_in_short(
    variables: pytest.MonkeyPatch, status: int, body: str, words: str
) -> None:
    async with answering(status, body) as endpoint:
        store = s3(variables, endpoint)
        for request in (
            store.put("v1/a", b"1"),
            store.put_all("v1/a", parts(1)),
            store.put_all("v1/a", parts(TWO_PARTS_AND_MORE)),
            store.get("v1/a"),
            store.keys("v1/a"),
            store.delete("v1/a"),
        ):
            with pytest.raises(StoreError, match=f"^v1/a: the object store answered {words}") as caught:
                await request
            assert not isinstance(caught.value, Missing)
            assert "CANARY" not in str(caught.value)
            # A traceback with the library's error would show what was signed.
            assert (caught.value.__cause__, caught.value.__suppress_context__) == (None, True)


@pytest.mark.parametrize("code", ["NoSuchKey", "BlobNotFound"])
async def test_only_an_object_can_be_missing(variables: pytest.MonkeyPatch, code: str) -> None:
    async with answering(404, an_error(code)) as endpoint:
        store = s3(variables, endpoint)

        with pytest.raises(Missing, match=r"^v1/a does not exist$"):
            await store.get("v1/a")
        await store.delete("v1/a")


NOBODY = "http://127.0.0.1:1"


@pytest.mark.parametrize(
    ("endpoint", "allow_http", "words"),
    [
        pytest.param(NOBODY, "true", "reached: Connection refused", id="down"),
        pytest.param("http://nowhere.invalid", "true", "used: the name of its host is unknown", id="no host"),
        pytest.param(
            NOBODY, "false", "used: its endpoint is not https://; AWS_ALLOW_HTTP=true .+ allows that", id="http"
        ),
        pytest.param("localhost:1", "true", "used: .+; its endpoint must begin with http:// or https://", id="no URL"),
    ],
)
async def test_what_is_wrong_with_the_endpoint_is_said(
    variables: pytest.MonkeyPatch, endpoint: str, allow_http: str, words: str
) -> None:
    store = s3(variables, endpoint, allow_http)

    with pytest.raises(StoreError, match=f"^v1/a: the object store cannot be {words}"):
        await store.get("v1/a")


async def test_that_there_are_no_credentials_is_said(variables: pytest.MonkeyPatch) -> None:
    variables.delenv("AWS_ACCESS_KEY_ID")
    variables.delenv("AWS_SECRET_ACCESS_KEY")
    variables.setenv("AWS_METADATA_ENDPOINT", NOBODY)  # where a machine of Amazon's finds its own

    with pytest.raises(StoreError, match=r"^v1/a: the object store cannot be used: there are no credentials: set "):
        await s3(variables, NOBODY).get("v1/a")


async def test_an_object_store_that_does_not_respond_is_given_up(variables: pytest.MonkeyPatch) -> None:
    variables.setattr(object_store, "_PATIENCE_SECONDS", 0.1)
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:  # the system takes connections for it
        store = s3(variables, f"http://127.0.0.1:{silent.getsockname()[1]}")
        for request in (
            store.put("v1/a", b"1"),
            store.put_all("v1/a", parts(1)),
            store.put_all("v1/a", parts(TWO_PARTS_AND_MORE)),
            store.get("v1/a"),
            store.keys("v1/a"),
            store.delete("v1/a"),
        ):
            with pytest.raises(StoreError, match=r"^v1/a: the object store is not responding \(0.1 s\)$"):
                await request


# ---------------------------------------------------------------------------- which store


@pytest.mark.parametrize(
    ("url", "prefix"),
    [
        ("s3://logs", None),
        ("s3://logs/a/b/", "a/b"),
        ("gs://logs/a/b", "a/b"),
        ("az://logs/a/b", "a/b"),
    ],
)
def test_a_url_names_a_bucket_and_a_prefix(variables: pytest.MonkeyPatch, url: str, prefix: str | None) -> None:
    variables.setenv("AZURE_STORAGE_ACCOUNT_NAME", "account")

    store = opened(url)

    assert isinstance(store, ObjectStore)
    assert store.backend.prefix == prefix  # type: ignore[union-attr]  # a MemoryStore has none
    assert repr(store) == "ObjectStore()"


def test_a_path_names_a_volume() -> None:
    assert opened("/logs") == Volume(Path("/logs"))


def test_a_store_that_cannot_be_is_refused(variables: pytest.MonkeyPatch) -> None:
    with pytest.raises(NotSetUp, match=r"is wrong: .*AZURE_STORAGE_ACCOUNT_NAME is not set$"):
        opened("az://logs")
    variables.setenv("AZURE_STORAGE_ACCOUNT_NAME", "account")
    variables.setenv("AZURE_STORAGE_ACCOUNT_KEY", "secret canary")
    with pytest.raises(NotSetUp, match=r"is wrong: .*Invalid Access Key") as caught:
        opened("az://logs")
    assert "canary" not in str(caught.value)
