"""What a log tells of the work: real logs of released tools beside what was counted in source and destination."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from elt_operator.core import accounts
from elt_operator.core.accounts import OTHER_STREAMS, Account, Checks, Reader, Stage

LOGS = Path(__file__).parent / "accounts"
TRUTH: dict[str, Any] = json.loads((LOGS / "truth.json").read_text())
TIME = b"2026-11-27T22:01:28.348237123Z "
"""What the kubelet puts before each line."""


def read(log: bytes, size: int = 65_536) -> Account:
    reader = Reader()
    for start in range(0, len(log), size):
        reader.feed(log[start : start + size])
    return reader.finish()


def timed(log: bytes) -> bytes:
    return b"".join(TIME + line for line in log.splitlines(keepends=True))


@pytest.mark.parametrize("size", [65_536, 97], ids=["at once", "in small pieces"])
@pytest.mark.parametrize("case", TRUTH)
def test_a_real_log_tells_what_was_counted(case: str, size: int) -> None:
    log, truth = (LOGS / f"{case}.log").read_bytes(), TRUTH[case]

    for found in (read(log, size), read(timed(log), size)):
        checks = found.checks
        counted = [checks.passed, checks.warned, checks.failed, checks.skipped] if checks else None
        assert found.read == truth["read"]
        assert found.loaded == truth["loaded"]
        assert counted == truth.get("checks")
        assert (found.reported or None) == truth.get("reported")
        assert found.ignored == []


@pytest.mark.parametrize(
    ("case", "stages"),
    [
        ("meltano-json", [Stage("tap-weather-to-target-postgres", 0, 7.704)]),
        ("meltano-key_value", [Stage("tap-parents-to-target-postgres", 0, 2.415)]),
        ("meltano-colored", [Stage("tap-parents-to-target-postgres", None, None)]),
        ("meltano-fail-half-weather", [Stage("tap-weather-to-target-postgres", 77, 8.447)]),
        ("meltano-dbt-build", [Stage("dbt-postgres", 1, 5.697)]),
        ("dbt-build-mixed", [Stage("dbt", 1, 0.55)]),
        ("dbt-seed-run-test", [Stage("dbt", 0, 0.24), Stage("dbt", 0, 0.48), Stage("dbt", 0, 0.23)]),
        ("bash-singer-python", []),
    ],
)
def test_a_real_log_tells_its_stages(case: str, stages: list[Stage]) -> None:
    assert read((LOGS / f"{case}.log").read_bytes()).stages == stages


def test_a_mapper_that_drops_rows_is_seen() -> None:
    assert read((LOGS / "meltano-mapper.log").read_bytes()).differing == [("lines", 20, 10)]


def a_metric(stream: str = "orders", rows: Any = 1, *, producer: bool = True, **tags: Any) -> bytes:
    metric = {"type": "counter", "metric": "record_count", "value": rows, "tags": {"stream": stream, **tags}}
    event = f"METRIC: {json.dumps(metric)}"
    return json.dumps({"producer": producer, "consumer": not producer, "event": event}).encode() + b"\n"


@pytest.mark.parametrize(
    "name", ["Zürich", 'a "quoted" one', "back\\slash", "emoji \U0001f600", "a, b: {c}"], ids=["umlaut", *"2345"]
)
def test_a_stream_may_have_any_name(name: str) -> None:
    assert read(a_metric(name, 7)).read == {name: 7}


@pytest.mark.parametrize("rows", [-1, 1.5, True, None, "12", [], 2**53, 10**400, float("nan")], ids=repr)
def test_what_is_no_number_of_rows_counts_nothing(rows: Any) -> None:
    found = read(a_metric(rows=rows) + a_metric(rows=2))

    assert found.read["orders"] in {2, 14}  # "12" is a number that somebody wrote as a text


def test_many_streams_are_bounded_and_no_row_is_lost() -> None:
    found = read(b"".join(a_metric(f"stream {number}", 2) for number in range(10_000)))

    assert sum(found.read.values()) == 20_000
    assert OTHER_STREAMS in found.read
    assert len(found.read) <= 4 * accounts.MOST_STREAMS + 1


def test_a_line_that_is_too_long_is_left_out_and_the_next_one_is_not() -> None:
    log = a_metric() + b"x" * 1_000_000 + a_metric() + a_metric(rows=5)

    for size in (100, 65_536, 10**7):
        assert read(log, size).read == {"orders": 6}


# --- ELT-RESULT


@pytest.mark.parametrize(
    ("lines", "rows"),
    [
        pytest.param(['{"rows": {"orders": 12}}'], {"orders": 12}, id="one"),
        pytest.param(['{"rows": {"a": 1}}', '{"rows": {"b": 2}}'], {"a": 1, "b": 2}, id="two add up"),
        pytest.param(['{"rows": {"a": 1}}', '{"rows": {"a": 3}}'], {"a": 3}, id="later keys win"),
        pytest.param(['{"rows": {}}'], {}, id="none"),
        pytest.param(['{"checks": {"passed": 1}}'], None, id="no word of rows"),
    ],
)
def test_a_program_reports_its_rows(lines: list[str], rows: dict[str, int] | None) -> None:
    log = "".join(f"some words ELT-RESULT {line}\n" for line in lines)

    assert read(log.encode()).reported == rows


def test_a_program_reports_checks_and_warnings() -> None:
    found = read(b'ELT-RESULT {"checks": {"passed": 3, "warned": 1}, "warnings": ["late\\u001b[31m source", "", "x"]}')

    assert found.checks == Checks(passed=3, warned=1)
    assert found.warnings == ["late source", "x"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "what follows ELT-RESULT is not a JSON object"),
        ("[1]", "what follows ELT-RESULT is not a JSON object"),
        ('{"rows": {"a": 1}', "what follows ELT-RESULT is not a JSON object"),
        ("[" * 5_000, "what follows ELT-RESULT is not a JSON object"),
        ('{"rows": 12}', 'rows is not an object; write it as {"orders": 12}'),
        ('{"rows": {"a": -1}}', "rows.'a' is not an integer from 0 to 2^53-1"),
        ('{"rows": {"a": 1.5}}', "rows.'a' is not an integer from 0 to 2^53-1"),
        ('{"rows": {"a": "1"}}', "rows.'a' is not an integer from 0 to 2^53-1"),
        ('{"rows": {"a": NaN}}', "rows.'a' is not an integer from 0 to 2^53-1"),
        ('{"rows": {"": 1}}', "a stream is named ''; use 1 to 128 printable characters"),
        ('{"rows": {"a\\nb": 1}}', "a stream is named 'a\\nb'; use 1 to 128 printable characters"),
        ('{"row": {"a": 1}}', "'row' is not a known key; use rows, checks or warnings"),
        ('{"checks": {"ok": 1}}', "checks is not an object of passed, warned, failed and skipped"),
        ('{"checks": {"passed": -1}}', "checks.passed is not an integer from 0 to 2^53-1"),
        ('{"warnings": "x"}', "warnings is not a list of texts"),
        (f'{{"warnings": ["{"x" * 16_384}"]}}', "it has 16,402 bytes; at most 16,384 are allowed"),
        (json.dumps({"rows": dict.fromkeys(map(str, range(101)), 1)}), "rows has 101 streams; at most 100 are allowed"),
    ],
)  # fmt: skip
def test_a_report_that_cannot_be_read_is_ignored_as_a_whole_with_a_reason(text: str, why: str) -> None:
    found = read(f"ELT-RESULT {text}\n".encode())

    assert found.ignored == [why]
    assert found.reported is None


# --- hostile bytes

_PIECES = st.sampled_from(
    [
        b"METRIC: ", b"record_count", b"sync_duration", b'", "value": ', b'\\"value\\":', b"{", b"}", b'"', b"\\",
        b"\n",
        b"Done. PASS=", b"1 WARN=2 ERROR=", b"Block run completed", b"ELT-RESULT ", b'{"rows": {"a": 1}}', b"\xff\xfe",
        b"Running job with name 'prod:", b"Finished running ", b"(1.5s)", b"\x00", b"9" * 400, b"[" * 2_000, TIME,
        a_metric(), a_metric("ü", 3), b'"producer": true',
    ]
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(pieces=st.lists(_PIECES, max_size=40), size=st.integers(1, 300))
def test_no_bytes_do_harm_and_pieces_make_no_difference(pieces: list[bytes], size: int) -> None:
    log = b"".join(pieces)

    assert read(log, size) == read(log)
