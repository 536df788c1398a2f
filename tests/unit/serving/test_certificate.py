"""A certificate that is renewed is used without a restart; one that cannot be used is refused, or ignored."""

import asyncio
import logging
import shutil
import ssl
import subprocess
import tempfile
from pathlib import Path

import pytest

from elt_operator.errors import NotSetUp
from elt_operator.serving import certificate
from elt_operator.serving.certificate import Certificate


def issue(folder: Path, name: str) -> None:
    """Put a certificate into a folder, as cert-manager does by way of a Secret."""
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    options = ["-x509", *key, "-days", "2", "-subj", f"/CN={name}"]
    files = ["-keyout", str(folder / "tls.key"), "-out", str(folder / "tls.crt")]
    subprocess.run(["openssl", "req", *options, *files], check=True, capture_output=True)


async def presented(port: int) -> bytes:
    """Return the certificate that a port presents."""
    trusting = ssl.create_default_context()
    trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trusting)
    found: bytes = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    return found


@pytest.mark.skipif(not shutil.which("openssl"), reason="openssl makes the certificates")
async def test_new_connections_get_the_certificate_that_is_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(certificate, "_LOOK_SECONDS", 0.01)
    caplog.set_level(logging.INFO)
    issue(tmp_path, "first")
    own = Certificate.of(tmp_path)
    server = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", 0, ssl=own.context)
    port = server.sockets[0].getsockname()[1]
    renewing = asyncio.create_task(own.renew())
    try:
        first = await presented(port)
        with tempfile.TemporaryDirectory() as other:
            issue(Path(other), "of another key")
            shutil.copy(Path(other) / "tls.crt", tmp_path)
        async with asyncio.timeout(10):
            while "cannot be used" not in caplog.text:  # noqa: ASYNC110 - a log has no event
                await asyncio.sleep(0.01)
        assert await presented(port) == first
        issue(tmp_path, "second")
        async with asyncio.timeout(10):
            while "using the new certificate" not in caplog.text:  # noqa: ASYNC110 - the same
                await asyncio.sleep(0.01)
        assert await presented(port) != first
    finally:
        renewing.cancel()
        server.close()


@pytest.mark.parametrize("text", [None, "no certificate"])
def test_a_certificate_that_cannot_be_used_is_said_to_be_so(tmp_path: Path, text: str | None) -> None:
    if text:
        for name in ("tls.crt", "tls.key"):
            (tmp_path / name).write_text(text)

    with pytest.raises(NotSetUp, match=r"cannot be used: .*; it needs tls\.crt and tls\.key"):
        Certificate.of(tmp_path)
