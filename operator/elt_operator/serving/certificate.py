"""The certificate of a port: read again when its files change, because certificates are renewed while programs run."""

import asyncio
import logging
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from elt_operator.errors import NotSetUp

logger = logging.getLogger(__name__)

_LOOK_SECONDS: Final = 60.0


def _context() -> ssl.SSLContext:
    return ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)


@dataclass
class Certificate:
    """A folder with ``tls.crt`` and ``tls.key``, as the kubelet mounts a Secret of the type ``kubernetes.io/tls``."""

    folder: Path
    context: ssl.SSLContext = field(default_factory=_context)
    """With what the port is opened; new connections get what was read last."""
    _read: tuple[bytes, ...] = ()

    @classmethod
    def of(cls, folder: Path) -> "Certificate":
        """Return the certificate in a folder; raises ``NotSetUp`` if it cannot be used."""
        made = cls(folder)
        try:
            made.look()
        except (OSError, ssl.SSLError) as error:
            words = f"the certificate in {folder} cannot be used: {error}; it needs tls.crt and tls.key, in PEM"
            raise NotSetUp(words) from error
        return made

    def look(self) -> bool:
        """Take what is in the folder; return whether that is new. Raises ``OSError`` if it cannot be used."""
        found = tuple((self.folder / name).read_bytes() for name in ("tls.crt", "tls.key"))
        if found == self._read:
            return False
        for context in (_context(), self.context):  # one that fails is left with half a pair
            context.load_cert_chain(self.folder / "tls.crt", self.folder / "tls.key")
        self._read = found
        return True

    async def renew(self) -> None:
        """Look again and again, for ever."""
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            try:
                if self.look():
                    logger.info("using the new certificate in %s", self.folder)
            except OSError as error:  # an ssl.SSLError, too
                logger.warning(
                    "tls.crt and tls.key in %s, which are new, cannot be used together; going on with the old ones: %s",
                    self.folder,
                    error,
                )
