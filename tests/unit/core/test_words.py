"""What runtimes and kubelets say of a container, without the values of Secrets that only they know."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elt_operator.core.words import shortened, without_values

CANARY = "canary-4711"
WRITTEN = frozenset({"elt", "bashh", "/opt/load", "weather-r1-x"})


@pytest.mark.parametrize(
    "message",
    [
        'runc create failed: environment variable value can\'t contain null(\\x00): "STORE=canary-4711\\x00rest"',
        "invalid environment variable STORE=canary-4711 rest canary-4711",
        'OCI runtime create failed: exec: "canary-4711": executable file not found in $PATH',
        'OCI runtime create failed: exec: "/x/canary-4711": stat /x/canary-4711: no such file or directory: unknown',
        "crun: executable file `canary-4711` not found: No such file or directory",
        'Error: environment: "PEM=a\\"canary-4711\\""',
        "env 'canary-4711' is no text",
        'envFrom: the value "canary-4711 that was cut off',
        "proto: field runtime.v1.KeyValue.Value contains invalid UTF-8 in 'A=canary-4711'",
    ],
)
def test_no_value_is_repeated(message: str) -> None:
    assert CANARY not in without_values(message, WRITTEN)


@pytest.mark.parametrize(
    "message",
    [
        'OCI runtime create failed: exec: "bashh": executable file not found in $PATH: unknown',
        'runc create failed: exec: "/opt/load": stat /opt/load: no such file or directory: unknown',
        'secret "warehouse" not found',
        'failed to pull and unpack image "x/y:1": not found',
        "0/3 nodes are available: 3 Insufficient memory.",
    ],
)
def test_what_stands_in_the_manifest_or_is_no_value_stays(message: str) -> None:
    assert without_values(message, WRITTEN) == message


@given(before=st.text(max_size=40), after=st.text(max_size=40), quote=st.sampled_from("\"'`"))
def test_no_quoted_value_is_repeated_whatever_stands_around_it(before: str, after: str, quote: str) -> None:
    other = {'"': "'`", "'": '"`', "`": "\"'"}[quote]
    before, after = (text.translate({ord(mark): None for mark in quote + other + "\\"}) for text in (before, after))

    assert CANARY not in without_values(f"environment {before}{quote}A={CANARY}{quote}{after}")


def test_a_long_message_is_shortened_with_a_sign() -> None:
    assert shortened("x" * 2049) == "x" * 2047 + "…"
