"""What looks like a secret is hidden, lines stay lines, and nothing takes longer than linear time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elt_operator.archive import masking
from elt_operator.archive.masking import Masker, PatternError


def masked(*lines: str, patterns: tuple[str, ...] = ()) -> list[str]:
    masker = Masker([masking.users_pattern(pattern) for pattern in patterns])
    text = "".join(f"{line}\n" for line in lines).encode(errors="replace")
    return masker.mask(text).decode().splitlines()


@pytest.mark.parametrize(
    ("line", "hidden"),
    [
        ("postgres://elt:hunter2@db:5432/x", "postgres://elt:***@db:5432/x"),
        ("postgres://elt:hun/ter@2@db:5432/x", "postgres://elt:***@db:5432/x"),
        ("redis://:hunter2@cache", "redis://:***@cache"),
        ("Authorization: Bearer abcdefghijk.lmn", "Authorization: Bearer ***"),
        ("PGPASSWORD=hunter2 psql", "PGPASSWORD=*** psql"),
        ("password='hunter2 and more' x", "password='***' x"),
        ('{"password": "hun\\"ter2", "user": "x"}', '{"password": "***", "user": "x"}'),
        (
            '{"event": "{\\"password\\": \\"hunter2\\", \\"x\\": 1}"}',
            '{"event": "{\\"password\\": \\"***\\", \\"x\\": 1}"}',
        ),
        ("api_key: abc, next", "api_key: ***, next"),
        ('{"a": "{\\"pass\\": \\"hunter2\\"}"}', '{"a": "{\\"pass\\": \\"***\\"}"}'),
        ("PASS=hunter2 and DB_PASS=123 and pass: '12 34'", "PASS=*** and DB_PASS=*** and pass: '***'"),
        ("AccountKey=abc/def+ghi==;EndpointSuffix=x", "AccountKey=***;EndpointSuffix=x"),
        ("AZURE_STORAGE_SAS_KEY=sv2022", "AZURE_STORAGE_SAS_KEY=***"),
        ("https://x.blob/?sv=1&sig=abc%2Fdef&se=2", "https://x.blob/?sv=1&sig=***&se=2"),
        ("id AKIAIOSFODNN7EXAMPLE", "id ***"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.abc", "***"),
        ("ghp_abcdefghijklmnopqrstuvwxyz0123456789", "***"),
        ("dapi0123456789abcdef0123456789abcdef", "***"),
        ("sk-proj-abcdefghijklmnopqrstuvwx", "***"),
        ("tap --password hunter2 --verbose", "tap --password *** --verbose"),
    ],
)
def test_a_secret_is_hidden_and_what_is_around_it_stays(line: str, hidden: str) -> None:
    assert masked(line) == [hidden]


@pytest.mark.parametrize(
    "line",
    [
        "my tokens: 5 of 6",
        "Done. PASS=3 WARN=0 ERROR=0 SKIP=0 NO-OP=0 TOTAL=3",
        "compass: north",
        'METRIC: {"type": "counter", "metric": "record_count", "value": 5}',
        "password=",
        'password: ""',
        "the password was accepted",
        "task-20 done",
    ],
)
def test_what_is_no_secret_stays(line: str) -> None:
    assert masked(line) == [line]


def test_a_private_key_is_hidden_line_by_line() -> None:
    key = ["-----BEGIN RSA PRIVATE KEY-----", "MIIEpAIBAAKCAQEA7bq1", "aGVsbG8=", "-----END RSA PRIVATE KEY-----"]

    assert masked("before", *key, "after") == ["before", f"{key[0]}***", "***", "***", f"***{key[3]}", "after"]


def test_a_line_about_a_private_key_hides_nothing_that_follows() -> None:
    line = "expected '-----BEGIN PRIVATE KEY-----' in the file; give another one!"

    assert masked(line, "all is well, it goes on", "and on")[1:] == ["all is well, it goes on", "and on"]


def test_what_a_user_names_is_hidden() -> None:
    lines = ["customer-17 pays", "pin: 1234 and 5678", "at the start: id", "id at the start"]

    found = masked(*lines, patterns=("customer-[0-9]+", "pin: ([0-9]+) and ([0-9]+)", "^id"))

    assert found == ["*** pays", "pin: *** and ***", "at the start: id", "*** at the start"]


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("", "1 to 256 bytes"),
        ("x" * 257, "1 to 256 bytes"),
        ("a*", "empty text"),
        ("(", "missing"),
        (r"(a)\1", "escape"),
    ],
)
def test_a_pattern_that_cannot_be_used_is_refused_in_words(pattern: str, words: str) -> None:
    with pytest.raises(PatternError, match=words):
        masking.users_pattern(pattern)


@given(st.lists(st.text(st.characters(exclude_characters="\n"), max_size=60), max_size=20))
def test_lines_stay_lines(lines: list[str]) -> None:
    text = "".join(f"{line}\n" for line in lines).encode(errors="replace")

    assert Masker().mask(text).count(b"\n") == text.count(b"\n")


@given(st.text(st.characters(exclude_characters="\n"), max_size=80), st.text("ab:=@/ \"'", max_size=10))
def test_a_password_in_an_address_never_stays(around: str, before: str) -> None:
    line = f"{before} mysql://user:canary4711@host/{around}"

    assert "canary4711" not in "".join(masked(line.replace("\r", "")))
