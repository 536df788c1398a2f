"""Which proxy is between us and the API server."""

import pytest

from elt_operator.errors import NotSetUp
from elt_operator.kube.proxies import proxy_for, usable

PROXY = "http://proxy.example.com:3128"


@pytest.mark.parametrize(
    ("server", "exceptions", "proxied"),
    [
        pytest.param("https://10.96.0.1:443", "", True, id="no exceptions"),
        pytest.param("https://10.96.0.1:443", "10.96.0.1", False, id="the address"),
        pytest.param("https://10.96.0.1:443", "10.96.0.0/12", False, id="a network with it"),
        pytest.param("https://10.96.0.1:443", "localhost, 10.96.0.0/12,.svc", False, id="one of several"),
        pytest.param("https://10.96.0.1:443", "localhost 10.96.0.1", False, id="spaces between them"),
        pytest.param("https://10.96.0.1:443", "192.168.0.0/16", True, id="another network"),
        pytest.param("https://10.96.0.1:443", "10.96.0.1:443", False, id="address and port"),
        pytest.param("https://10.96.0.1:443", "10.96.0.1:6443", True, id="another port"),
        pytest.param("https://10.96.0.1", "10.96.0.1:443", False, id="the scheme's port"),
        pytest.param("https://[fd00::1]:443", "fd00::/8", False, id="a network of IPv6"),
        pytest.param("https://[fd00::1]:443", "[fd00::1]:443", False, id="address and port of IPv6"),
        pytest.param("https://[fd00::1]:443", "10.0.0.0/8", True, id="a network of another kind"),
        pytest.param("https://api.example.com:6443", "example.com", False, id="its domain"),
        pytest.param("https://api.example.com:6443", ".example.com", False, id="its domain with a dot"),
        pytest.param("https://api.example.com:6443", "*.example.com", False, id="its domain with a star"),
        pytest.param("https://API.example.com:6443", "api.EXAMPLE.com", False, id="other letters' case"),
        pytest.param("https://api.example.com:6443", "ample.com", True, id="the end of its domain's name"),
        pytest.param("https://api.example.com:6443", "*", False, id="all"),
        pytest.param("https://api.example.com:6443", ",, ,/,:,[,10.0.0.0/99,:1", True, id="nonsense"),
    ],
)
def test_no_proxy_says_which_servers_are_asked_directly(server: str, exceptions: str, *, proxied: bool) -> None:
    assert (proxy_for(server, {"https": PROXY, "no": exceptions}) == PROXY) is proxied


def test_each_scheme_has_its_proxy() -> None:
    assert proxy_for("http://api", {"https": PROXY}) is None
    assert proxy_for("http://api", {"http": PROXY}) == PROXY
    assert proxy_for("https://api", {"http": PROXY, "https": " "}) is None


@pytest.mark.parametrize(
    ("address", "full"),
    [
        pytest.param("http://user:secret@proxy:3128", "http://user:secret@proxy:3128", id="with a password"),
        pytest.param("proxy:3128", "http://proxy:3128", id="without a scheme"),
        pytest.param("10.0.0.1:3128", "http://10.0.0.1:3128", id="an address without a scheme"),
    ],
)
def test_usual_addresses_of_a_proxy_can_be_used(address: str, full: str) -> None:
    assert usable(address, "HTTPS_PROXY") == full


@pytest.mark.parametrize(
    "address",
    [
        "https://user:secret@proxy:3128",
        "socks5://secret",
        "http://",
        "http://secret:port",
        "http://[secret",
        "http://a:0",
    ],
)
def test_an_address_that_cannot_be_used_is_said_without_its_password(address: str) -> None:
    with pytest.raises(NotSetUp, match="the proxy in HTTPS_PROXY cannot be used: set an") as caught:
        usable(address, "HTTPS_PROXY")

    assert "secret" not in str(caught.value)
