"""The proxy between us and the API server, as HTTP_PROXY, HTTPS_PROXY and NO_PROXY say it to other programs.

The rules are those of kubectl (https://pkg.go.dev/golang.org/x/net/http/httpproxy), but that an API server on loopback
is no exception. aiohttp's own way (``trust_env``) knows no networks in NO_PROXY, where clusters have their service
addresses, sends passwords from a .netrc, and takes two threads for each request.
"""

from collections.abc import Mapping
from contextlib import suppress
from ipaddress import ip_address, ip_network
from typing import Final
from urllib.parse import SplitResult, urlsplit

from elt_operator.errors import NotSetUp

_PORTS: Final = {"http": 80, "https": 443}


def proxy_for(server: str, variables: Mapping[str, str]) -> str | None:
    """Return the address of the proxy to ``server``; ``None``: there is none.

    ``variables`` are those of the environment as ``urllib.request.getproxies_environment`` gives them: by scheme, and
    ``no`` for the exceptions. Raises ``NotSetUp`` for an address that cannot be used.
    """
    url = urlsplit(server)
    proxy = variables.get(url.scheme, "").strip()
    if not proxy or _excepted(url, variables.get("no", "")):
        return None
    return usable(proxy, f"{url.scheme.upper()}_PROXY")


def usable(proxy: str, source: str) -> str:
    """Return the address of a proxy, which ``source`` gives, in full; raises ``NotSetUp``."""
    full = proxy if "://" in proxy else f"http://{proxy}"
    with suppress(ValueError):
        url = urlsplit(full)
        if url.scheme == "http" and url.hostname and (url.port is None or url.port > 0):
            return full
    # without the address: it may hold a password
    raise NotSetUp(f"the proxy in {source} cannot be used: set an address such as http://proxy.example.com:3128")


def _excepted(url: SplitResult, exceptions: str) -> bool:
    """Return whether one of ``exceptions``, with commas or spaces between them, is about the host of ``url``."""
    host, port = (url.hostname or "").rstrip("."), url.port or _PORTS.get(url.scheme, 0)
    return any(_is_about(one.lower(), host, port) for one in exceptions.replace(",", " ").split())


def _is_about(exception: str, host: str, port: int) -> bool:
    """Return whether ``exception``, a host, domain, address or network, with or without a port, is about ``host``."""
    if exception == "*":
        return True
    with suppress(ValueError):
        return ip_address(host) in ip_network(exception.strip("[]"), strict=False)
    name, colon, number = exception.rpartition(":")
    if colon and number.isdecimal():
        return number == str(port) and _is_about(name, host, port)
    domain = exception.removeprefix("*").strip(".")
    return bool(domain) and (host == domain or host.endswith(f".{domain}"))
