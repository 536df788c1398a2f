"""What a log tells of the work: real logs of released tools beside what was counted in source and destination."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from elt_operator.core import accounts
from elt_operator.core.accounts import OTHER_STREAMS, Account, Reader, Stage
from elt_operator.core.model import PodLog
from elt_operator.core.reports import Checks
from elt_operator.core.results import result_of, stored_bytes, warnings_of
from elt_operator.resources.result import Result

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

    bare = b"x" * 70_000 + of_singer_python(endpoint="users") + a_metric()
    for size in (100, 65_536, 10**7):
        assert read(log, size).read == {"orders": 6}
        assert read(bare, size).read == {"orders": 1}


# --- odd logs of real kinds


def of_singer_python(**tags: Any) -> bytes:
    metric = {"type": "counter", "metric": "record_count", "value": 120, "tags": tags}
    return b"INFO METRIC: " + json.dumps(metric).encode() + b"\n"


def passed_on(plugin: str, log: bytes, *, producer: bool, consumer: bool) -> bytes:
    """Return what Meltano makes of a plugin's log."""
    side = {"stdio": "stderr", "consumer": consumer, "producer": producer, "string_id": plugin, "name": plugin}
    return b"".join(json.dumps({**side, "event": line.decode()}).encode() + b"\n" for line in log.splitlines())


@pytest.mark.parametrize(
    ("tags", "stream"),
    [
        ({"endpoint": "users"}, "users"),
        ({"database": "shop", "table": "users"}, "users"),
        ({"endpoint": None}, "(unnamed)"),
        ({}, "(unnamed)"),
    ],
    ids=str,
)
def test_taps_of_singer_python_name_their_streams_in_several_ways(tags: Any, stream: str) -> None:
    assert read(of_singer_python(**tags)).read == {stream: 120}
    assert read(passed_on("tap-db", of_singer_python(**tags), producer=True, consumer=False)).read == {stream: 120}


def test_what_a_mapper_passes_on_is_not_counted_once_more() -> None:
    metric = of_singer_python(endpoint="users")
    log = b"".join(
        passed_on(name, metric, producer=producer, consumer=consumer)
        for name, producer, consumer in (("tap", True, False), ("map", True, True), ("target", False, True))
    )

    found = read(log)

    assert (found.read, found.loaded, found.differing) == ({"users": 120}, {"users": 120}, [])


def test_a_tap_and_a_target_of_one_name_are_told_apart() -> None:
    log = passed_on("csv", of_singer_python(endpoint="a"), producer=True, consumer=False)
    log += passed_on("csv", of_singer_python(endpoint="a") * 2, producer=False, consumer=True)

    for size in (1, 300, 65_536):
        assert (read(log, size).read, read(log, size).loaded) == ({"a": 120}, {"a": 240})


BLOCK = b'{"success": true, "duration_seconds": 1.5, "event": "Block run completed", "run_id": "x"}\n'


def test_runs_side_by_side_do_not_differ_because_one_ends_in_the_midst_of_the_other() -> None:
    parts = [(248, 251), (106, 103)]
    log = b"".join(a_metric(rows=read_) + a_metric(rows=loaded, producer=False) + BLOCK for read_, loaded in parts)

    found = read(log)

    assert (found.read, found.loaded, found.differing) == ({"orders": 354}, {"orders": 354}, [])


def test_who_only_speaks_of_a_block_ends_none() -> None:
    log = passed_on("tap", b"Block run completed", producer=True, consumer=False) + b"INFO: Block run completed\n"

    assert read(log) == Account()


def test_dbt_alone_and_meltano_are_stages_of_their_own() -> None:
    dbt = (
        b"Finished running 1 seed in 0 hours 0 minutes and 0.24 seconds (0.24s).\nDone. PASS=1 WARN=0 ERROR=0 SKIP=0\n"
    )
    job = b'{"event": "Running job with name \'prod:tap-to-target:x\'"}\n'
    text = b"2026-11-27T22:04:02.720310Z [info     ] "

    assert read(dbt + job + BLOCK).stages == [Stage("dbt", 0, 0.24), Stage("tap-to-target", 0, 1.5)]
    assert read(dbt + BLOCK).stages == [Stage("dbt", 0, 0.24), Stage("block 1", 0, 1.5)]
    assert read(job + dbt + BLOCK).stages == [Stage("dbt", 0, 0.24), Stage("block 1", 0, 1.5)]
    in_text = b"".join(text + b"dbt-postgres " + line + b"\n" for line in dbt.splitlines())
    assert read(in_text + text + b"meltano      Block run completed\n").stages == [Stage("dbt-postgres", 0, 0.24)]


@pytest.mark.parametrize(
    ("line", "read_"),
    [
        (b'METRIC: {"type":"counter","metric":"deleted_record_count","value":5,"tags":{"stream":"a"}}', {}),
        (b'{"type":"RECORD","record":{"":"METRIC {\\"metric\\":\\"record_count\\",\\"value\\":5,\\"tags\\":{}}"}}', {}),
        (b"METRIC metric_name=record_count metric_value=2 x=record_count", {"(unnamed)": 2}),
        (b'METRIC: {"type":"counter","metric":"record_count","value":9007199254740991,"tags":{"endpoint":"a"}}',
         {"a": 2**53 - 1}),
        (b'METRIC: {"type":"counter","metric":"record_count","value":1180591620717411303424,"tags":{"endpoint":"a"}}',
         {}),
        (b'METRIC: {"metric":"record_count","value":5,"tags":{"stream":"a","pid":1,"x":2,"context":{}}}', {"a": 5}),
    ],
)  # fmt: skip
def test_only_what_is_a_count_of_rows_counts(line: bytes, read_: dict[str, int]) -> None:
    found = read(line + b"\n")

    assert (found.read, found.loaded) == (read_, {})


@pytest.mark.parametrize(
    "piece",
    [
        b'{\\"record_count', b'"record_count', b'{"a": "record_count', b'METRIC: {"metric":"record_count"',
        b"ELT-RESULT ", b'\nELT-RESULT {"rows":{"a":1}}', b"\nBlock run completed",
        b"\nDone. PASS=1 WARN=1 ERROR=1 SKIP=1",
        b'{"name": "', b"producer=True", b"metric_name=record_count metric_value=1 ", b'\n{"event": "ELT-RESULT ',
        b'"sync_duration', b'{"producer": true, "x": "record_count", "value": 1, "tags": {"stream": "a"}',
    ],
)  # fmt: skip
def test_no_line_is_read_as_a_whole_more_than_once_for_each_thing_that_may_stand_in_it(
    piece: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It took eleven seconds for one line of 64 KiB when each mark in it looked at the whole of it."""
    looks = Counter[str]()

    def counted(name: str) -> Any:
        real = getattr(accounts, name)

        def look(line: bytes, *more: Any) -> Any:
            looks[name] += len(line)
            return real(line, *more)

        return look

    for name in ("_metric", "_side_of", "_json_object", "_report_in", "_json_around"):
        monkeypatch.setattr(accounts, name, counted(name))
    log = (piece * (64_000 // len(piece)) + b"\n") * 3

    read(log)

    assert all(seen <= 3 * len(log) for seen in looks.values()), looks


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
    log = "".join(f"ELT-RESULT {line}\n" for line in lines)

    assert read(log.encode()).reported == rows
    assert read(timed(log.encode())).reported == rows


@pytest.mark.parametrize(
    "line",
    [
        'ELT-RESULT: {"rows": {"a": 1}}',
        'ELT-RESULT{"rows": {"a": 1}}',
        'ELT-RESULT\t{"rows": {"a": 1}}\r',
        '  ELT-RESULT {"rows": {"a": 1}}  ',
        '\ufeffELT-RESULT {"rows": {"a": 1}}\x1b[0m',
        '{"event": "ELT-RESULT {\\"rows\\": {\\"a\\": 1}}", "level": "info"}',
        '{"level": "info", "message": "ELT-RESULT {\\"rows\\": {\\"a\\": 1}}"}',
    ],
)
def test_a_report_is_understood_however_it_is_put(line: str) -> None:
    for log in (line.encode(), timed(line.encode())):
        assert (read(log).reported, read(log).ignored) == ({"a": 1}, [])


@pytest.mark.parametrize(
    "line",
    [
        '+ echo \'ELT-RESULT {"rows": {"a": 1}}\'',
        'DEBUG would print ELT-RESULT {"rows": {"a": 999999}}',
        "ValueError: ELT-RESULT {broken",
        'print("ELT-RESULT " + json.dumps({"rows": rows}))',
        "ELT-RESULTS are printed at the end",
        '{"event": "wrote ELT-RESULT {}"}',
    ],
)
def test_who_only_speaks_of_a_report_reports_nothing(line: str) -> None:
    for log in (line.encode(), timed(line.encode())):
        assert read(log) == Account()


def test_who_reports_without_end_is_told_so() -> None:
    found = read(b"".join(b'ELT-RESULT {"rows": {"a": %d}}\n' % number for number in range(2_000)))

    assert found.reported == {"a": 999}
    assert found.ignored == ["there are more than 1,000 of them; print one at the end"]


def test_a_program_reports_checks_and_warnings() -> None:
    found = read(b'ELT-RESULT {"checks": {"passed": 3, "warned": 1}, "warnings": ["late\\u001b[31m source", "", "x"]}')

    assert found.checks == Checks(passed=3, warned=1)
    assert found.warnings == ["late source", "x"]


EXAMPLE = 'print ELT-RESULT, a space and one JSON object on the same line, for example {"rows": {"orders": 12}}'
INTEGER = "write an integer without quotes and decimals, from 0 to 9007199254740991"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", f"nothing follows ELT-RESULT; {EXAMPLE}"),
        ("[1]", f'"[1]" is not a JSON object; {EXAMPLE}'),
        ('{"rows": {"a": 1}', f'"{{"rows": {{"a": 1}}" is not a JSON object; {EXAMPLE}'),
        ("[" * 5_000, f'"{"[" * 59}…" is not a JSON object; {EXAMPLE}'),
        ('{"rows": 12}', 'rows is not an object; write "rows": {"orders": 12}'),
        ('{"rows": {"a": -1}}', f"rows.a is -1; {INTEGER}"),
        ('{"rows": {"a": 1.5}}', f"rows.a is 1.5; {INTEGER}"),
        ('{"rows": {"a": "1"}}', f'rows.a is "1"; {INTEGER}'),
        ('{"rows": {"a": true}}', f"rows.a is true; {INTEGER}"),
        ('{"rows": {"a": NaN}}', f"rows.a is NaN; {INTEGER}"),
        ('{"rows": {"": 1}}', "a stream has an empty name"),
        ('{"rows": {"a\\nb": 1}}', 'the stream\'s name "a b" has characters that cannot be printed'),
        (json.dumps({"rows": {"a" * 129: 1}}), "a stream's name has 129 characters; at most 128 are allowed"),
        ('{"row": {"a": 1}}', '"row" is not a known key; use rows, checks or warnings'),
        ('{"checks": {"ok": 1}}', "checks.ok is not a known key; use passed, warned, failed or skipped"),
        ('{"checks": 3}', 'checks is not an object; write "checks": {"passed": 3, "warned": 1}'),
        ('{"checks": {"passed": -1}}', f"checks.passed is -1; {INTEGER}"),
        ('{"warnings": "x"}', 'warnings is not a list of strings; write "warnings": ["the source is a day old"]'),
        (f'{{"warnings": ["{"x" * 16_384}"]}}', "its JSON has 16,402 bytes; at most 16,384 are allowed"),
        (json.dumps({"rows": dict.fromkeys(map(str, range(101)), 1)}), "rows has 101 streams; at most 100 are allowed"),
    ],
)  # fmt: skip
def test_a_report_that_cannot_be_read_is_ignored_as_a_whole_with_a_reason(text: str, why: str) -> None:
    found = read(f"ELT-RESULT {text}\n".encode())

    assert found.ignored == [why]
    assert found.reported is None


# --- hostile bytes

_PIECES = [
    b"METRIC: ", b"record_count", b"sync_duration", b'", "value": ', b'\\"value\\":', b"{", b"}", b'"', b"\\",
    b"\n",
    b"Done. PASS=", b"1 WARN=2 ERROR=", b"Block run completed", b"ELT-RESULT ", b'{"rows": {"a": 1}}', b"\xff\xfe",
    b"Running job with name 'prod:", b"Finished running ", b"(1.5s)", b"\x00", b"9" * 400, b"[" * 2_000, TIME,
    a_metric(), a_metric("ü", 3), b'"producer": true', b'"consumer": true', BLOCK, of_singer_python(table="a"),
    b"x" * 70_000, b"\r\n", b"metric_name=record_count metric_value=2", b"\x1b[0m", a_metric(rows=2**53 - 1),
    b'\nELT-RESULT {"rows": {"a": 9007199254740991, "b": 1}, "warnings": ["<&>"]}\n', b"] tap-x ", b"] target-x ",
]  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(pieces=st.lists(st.integers(0, len(_PIECES) - 1), max_size=40), size=st.integers(1, 300))
def test_no_bytes_do_harm_and_pieces_make_no_difference(pieces: list[int], size: int) -> None:
    log = b"".join(_PIECES[piece] for piece in pieces)

    found = read(log, size)

    assert found == read(log)
    whole = PodLog("", found, complete=True)
    assert stored_bytes((result_of(whole) or Result()).as_json()) < 8 * 1024
    assert len(warnings_of(whole, [], rows_may_differ=False)) <= 16
