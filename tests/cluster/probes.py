"""Asking a server whether it is there."""

from __future__ import annotations

import ssl
import urllib.request
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

TIMEOUT_SECONDS = 5


def answers(url: str, authority: Path | None = None) -> bool:
    """Tell whether ``url`` gives a good answer, asked without any proxy.

    ``authority`` is the certificate that has signed the server's; none for plain http.
    """
    handlers: list[urllib.request.BaseHandler] = [urllib.request.ProxyHandler({})]
    if authority:
        handlers.append(urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=authority)))
    try:
        with urllib.request.build_opener(*handlers).open(url, timeout=TIMEOUT_SECONDS):
            return True
    except OSError:
        return False
