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
        ('tap --password "hunter 2" --verbose', 'tap --password "***" --verbose'),
        ("{'password': b'hunter2'}", "{'password': b'***'}"),
        ("secret=SecretStr('hunter2')", "secret=SecretStr('***')"),
        ("'{\\'password\\': \\'hunter2\\'}'", "'{\\'password\\': \\'***'}'"),
        ("\x1b[36mpassword\x1b[0m=\x1b[35mhunter2\x1b[0m", "\x1b[36mpassword\x1b[0m=\x1b[35m***"),
        ("password            : hunter2", "password            : ***"),
        ("Pwd={hunter2};Server=x", "Pwd=***};Server=x"),
        ("password=hun(ter2", "password=***"),
        ("DB_PASSWORD_PROD=hunter2 PASSWORD1=hunter3", "DB_PASSWORD_PROD=*** PASSWORD1=***"),
        ("password := hunter2 and token == hunter3", "password := *** and token == ***"),
        ("Authorization: Token hunter2", "Authorization: Token ***"),
        (r'"url":"postgresql:\/\/elt:hunter2@db"', r'"url":"postgresql:\/\/elt:***@db"'),
        ("tap --db.password hunter2", "tap --db.password ***"),
        ("HTTP_AUTHORIZATION=Token hunter2", "HTTP_AUTHORIZATION=Token ***"),
        ("Authorization: ApiKey-v1 hunter2", "Authorization: ApiKey-v1 ***"),
        (
            'Authorization: Digest username="elt", response="hunter2"',
            "Authorization: Digest ***",
        ),
        (
            r"send: b'GET / HTTP/1.1\r\nAuthorization: Token hunter2\r\nAccept: x'",
            r"send: b'GET / HTTP/1.1\r\nAuthorization: Token ***\r\nAccept: x'",
        ),
        ("\x1b[36mpwd\x1b[0m=hunter2 \x1b[36mpass\x1b[0m=hunter2", "\x1b[36mpwd\x1b[0m=*** \x1b[36mpass\x1b[0m=***"),
        ("\x1b[35mghp_abcdefghijklmnopqrstuvwxyz\x1b[0m", "\x1b[35m***\x1b[0m"),
        (r'"first\nAKIAIOSFODNN7EXAMPLE"', r'"first\n***"'),
        ("['tap', '--password', 'hunter2', '-v']", "['tap', '--password', '***', '-v']"),
        ('["tap", "--secret-key", "hunter2"]', '["tap", "--secret-key", "***"]'),
        ("tap --private-key hunter2 --pass hunter2", "tap --private-key *** --pass ***"),
        ("Authorization: Basic YTpi", "Authorization: Basic ***"),
        ("postgresql://user:p'hunter2@host/db", "postgresql://user:***@host/db"),
        ("postgresql://user@server:hunter2@host/db", "postgresql://user@server:***@host/db"),
        ("<password>hunter2</password>", "<password>***</password>"),
        ("login%3Fpassword%3Dhunter2%26x", "login%3Fpassword%3D***"),
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
        "see https://user@host:443/path?mail=a@b for more",
        "'postgresql://elt@db/x', 'mail: a@b'",
        "secret_name: weather-database",
        'columns: ["id", "token", "created_at"]',
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


def test_private_keys_that_follow_one_another_on_a_line_are_hidden() -> None:
    key = "-----BEGIN PRIVATE KEY-----\\nhunter2\\n-----END PRIVATE KEY-----"

    (line,) = masked(f'{{"a": "{key}", "b": "{key}"}}')

    assert "hunter2" not in line
    assert line.endswith('-----END PRIVATE KEY-----"}')


def test_lines_between_those_of_a_private_key_are_shown() -> None:
    key = "MIIEpAIBAAKCAQEA7bq1MIIEpAIBAAKCAQEA7bq1"
    lines = ["-----BEGIN PRIVATE KEY-----", key, "INFO: all is well", key, "-----END PRIVATE KEY-----"]

    assert masked(*lines)[1:4] == ["***", "INFO: all is well", "***"]


@pytest.mark.parametrize("secret", ["password=" + "h" * 3000, "postgresql://elt:" + "h" * 3000 + "@db", "x" * 3000])
@pytest.mark.parametrize("behind", range(0, 8000, 500))
def test_a_long_line_is_cut_within_no_secret(secret: str, behind: int) -> None:
    text = f"{'- ' * 5000}{secret} {'y ' * (behind // 2)}".encode()

    place = masking.place_to_cut(text)

    assert 0 < place < len(text)
    assert len(text) - place <= 8192
    assert b"hhh" not in Masker().mask(text[:place]) + Masker().mask(text[place:])


def test_a_pattern_that_matches_everywhere_takes_no_quadratic_time() -> None:
    """What is found too often in one line is hidden with the rest of the line."""
    masker = Masker([masking.users_pattern("x.*y|x")])

    assert masker.mask(b"x" * 100_000 + b"\nx end\n") == b"***" * 1001 + b"\n*** end\n"


def test_what_is_named_like_a_secret_in_a_json_value_is_hidden() -> None:
    value = {
        "password": "hunter2", "env": [{"name": "DB_PASSWORD", "value": "hunter2"}, {"name": "X", "value": "y"}],
        "args": ["run", "--token", "hunter2", "--verbose", "true"], "count": 3, "text": "token: hunter2",
        "secretName": "elt",
    }  # fmt: skip

    assert masking.masked_object(value, ()) == {
        "password": "***", "env": [{"name": "DB_PASSWORD", "value": "***"}, {"name": "X", "value": "y"}],
        "args": ["run", "--token", "***", "--verbose", "true"], "count": 3, "text": "token: ***",
        "secretName": "elt",
    }  # fmt: skip
