"""Which lines of a log explain a failure: logs of real programs, and logs written after the formats of others."""

import json
import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from elt_operator.core import log
from elt_operator.resources.job import ERROR_MESSAGE_BYTES, LOG_TAIL_BYTES

LOGS = Path(__file__).parent / "logs"

# What the programs printed that are named here; of a path, the beginning was replaced.
RECORDED: dict[str, tuple[str, ...]] = {
    "argparse": ("argument --rows: invalid int value: 'many'",),
    "asyncio-task": ("ValueError: row 17 has no key",),
    "bash-not-found": ("mysqlload: command not found",),
    "bash-unbound": ("WAREHOUSE_URL: unbound variable",),
    "basic-config": ("cannot reach the source: connection refused",),
    "bigquery": ("google.api_core.exceptions.NotFound: 404 Not found: Table shop:raw.orders",),
    "boto": ("An error occurred (AccessDenied) when calling the PutObject operation",),
    "chain-cause": ("RuntimeError: loading orders failed", "FileNotFoundError: [Errno 2]", "/data/orders.csv"),
    "chain-during": ("ValueError: the setting host is missing",),
    "click": ("Invalid value for '--date'",),
    "curl-404": ("returned error: 404",),
    "curl-host": ("Could not resolve host: nowhere.example",),
    "curl-progress": ("Failed to connect to 127.0.0.1 port 9",),
    "curl-refused": ("Failed to connect to 127.0.0.1 port 9",),
    "dash-not-found": ("pg_bulkload: not found",),
    "dash-unbound": ("WAREHOUSE_URL: parameter not set",),
    "dbt-colors": ("model orders (models/orders.sql)", 'Table with name "raw.orders" does not exist'),
    "dbt-compilation": ("models/daily.sql", "'oders' which was not found"),
    "dbt-compilation-json": ("models/daily.sql", "'oders' which was not found"),
    "dbt-json": ("model orders (models/orders.sql)", 'Table with name "raw.orders" does not exist'),
    "dbt-macro": ("model daily (models/daily.sql)", "'nothing' is undefined"),
    "dbt-profile": ("Could not find profile named 'shop'",),
    "dbt-test": ("Failure in test unique_customers_id", "Got 1 result, configured to fail if != 0"),
    "dbt-test-json": ("Failure in test unique_customers_id", "Got 1 result, configured to fail if != 0"),
    "dbt-text": ("model orders (models/orders.sql)", 'Table with name "raw.orders" does not exist'),
    "dlt-extract": ("PipelineStepFailed: Pipeline execution failed at `step=extract`", "row 17 has no key"),
    "dlt-load": (
        "PipelineStepFailed: Pipeline execution failed at `step=sync`",
        "DestinationConnectionError",
        "x.duckdb",
    ),
    "duckdb": ('Catalog Error: Table with name "raw.orders" does not exist',),
    "empty-message": ("AssertionError",),
    "exception-group": ("ValueError: row 17 has no key",),
    "file-missing": ("can't open file '/app/load_orders.py': [Errno 2] No such file or directory",),
    "go-deadlock": ("all goroutines are asleep - deadlock!",),
    "go-fatal": ("cannot reach the warehouse: dial tcp 127.0.0.1:9: connect: connection refused",),
    "go-nilmap": ("panic: row 17 has no key",),
    "go-panic": ("index out of range [5] with length 3",),
    "go-slog": ("load failed", "dial tcp 10.0.0.5:5432: connect: connection refused"),
    "go-slogjson": ("load failed", "dial tcp 10.0.0.5:5432: connect: connection refused"),
    "group-nested": ("ValueError: row 17 has no key",),
    "java-caused": ("RuntimeException: cannot load orders", "java.io.FileNotFoundException: /data/orders.csv"),
    "java-deep": ("RuntimeException: cannot load orders", "java.io.FileNotFoundException: /data/orders.csv"),
    "java-jul": ("row 17 cannot be read", 'java.lang.NumberFormatException: For input string: "x17"'),
    "java-npe": ('java.lang.NullPointerException: Cannot invoke "String.length()"',),
    "jq-iterate": ("Cannot iterate over number (3)",),
    "jq-parse": ("parse error: Invalid literal at line 1, column 10",),
    "keyboard": ("KeyboardInterrupt",),
    "killed": ("Killed",),
    "logging-exception": ("row 17 cannot be read", "ValueError: invalid literal for int() with base 10: 'x17'"),
    "logging-retry": ("page 7: 403 Forbidden",),
    "loguru": ("cannot reach the source: connection refused",),
    "loguru-exception": ("ValueError: invalid literal for int() with base 10: 'x17'",),
    "loguru-json": ("cannot reach the source: connection refused",),
    "make-cat": ("cat: /data/orders.csv: No such file or directory",),
    "make-plain": ("row 17 has no key",),
    "mawk": ("missing } near end of file",),
    "meltano-dbt": ('could not translate host name "nowhere.example" to address',),
    "meltano-discovery": ("the setting `path`: /data/none.csv: No such file or directory",),
    "meltano-host-json": ("OperationalError: (psycopg.OperationalError) failed to resolve", "'nowhere.example'"),
    "meltano-host-key-value": (
        "OperationalError: (psycopg.OperationalError) failed to resolve host 'nowhere.example'",
    ),
    "meltano-host-plain": ("OperationalError: (psycopg.OperationalError) failed to resolve", "'nowhere.example'"),
    "meltano-host-uncolored": (
        "OperationalError: (psycopg.OperationalError) failed to resolve host 'nowhere.example'",
    ),
    "meltano-name": ("Block tap-wheather not found",),
    "meltano-options": ("No such option '--nonsense'",),
    "meltano-state": ("Cannot start plugin tap-weather: [Errno 2] No such file or directory: '/proc/state'",),
    "meltano-tap": ("source went away after 50 records",),
    "meltano-tap-uncolored": ("source went away after 50 records",),
    "module-missing": ("No module named loader",),
    "multiline": ("ValueError: 3 rows cannot be loaded", "row 17 has no key", "row 18 has no key"),
    "multiprocessing": ("ValueError: row 17 has no key",),
    "no-suffix": ("TableMissing: raw.orders",),
    "node-aggregate": ("connect ECONNREFUSED 127.0.0.1:9",),
    "node-async": ("TypeError: row 17 has no key",),
    "node-cause": ("Error: cannot read orders.json", "SyntaxError: Expected property name"),
    "node-connect": ("connect ECONNREFUSED 127.0.0.1:9",),
    "node-module": ("Cannot find module 'pgx'",),
    "node-rejection": ('The promise rejected with the reason "row 17 has no key"',),
    "node-throw": ("Error: row 17 has no key",),
    "notes": ("ValueError: row 17 has no key", "while loading orders.csv"),
    "npm-missing": ('Missing script: "laod"',),
    "npm-script": ("Error: row 17 has no key",),
    "pandas": ("KeyError: 'key'",),
    "perl-die": ("cannot open orders.csv: No such file or directory",),
    "perl-plain": ("row 17 has no key at load.pl line 2.",),
    "pg-dump": ('FATAL:  database "shop" does not exist',),
    "pg-server": ('duplicate key value violates unique constraint "u_pkey"', "Key (id)=(17) already exists."),
    "php": ("Uncaught RuntimeException: row 17 has no key",),
    "php-undefined": ("Call to undefined function load_orders()",),
    "psql-connect": ('connection to server at "127.0.0.1", port 9 failed: Connection refused',),
    "psql-file": ('relation "raw.orders" does not exist',),
    "psql-role": ('FATAL:  database "shop" does not exist',),
    "psql-unique": ('duplicate key value violates unique constraint "u_pkey"', "Key (id)=(17) already exists."),
    "psycopg2-connect": ("psycopg2.OperationalError: connection to server at", "Connection refused"),
    "psycopg2-table": ('psycopg2.errors.UndefinedTable: relation "raw.orders" does not exist',),
    "psycopg3-unique": ("psycopg.errors.UniqueViolation: duplicate key value", "Key (id)=(17) already exists."),
    "pymysql": ("Can't connect to MySQL server on '127.0.0.1'",),
    "r-file": ("cannot open the connection", "cannot open file '/data/orders.csv': No such file or directory"),
    "r-library": ("there is no package called",),
    "r-stop": ("Error in f(1) : row 17 has no key",),
    "recursion": ("RecursionError: maximum recursion depth exceeded",),
    "requests": ("requests.exceptions.ConnectionError: HTTPConnectionPool(host='127.0.0.1', port=9)",),
    "rich-traceback": ("ValueError: invalid literal for int() with base 10: 'x17'",),
    "ruby": ("row 17 has no key (RuntimeError)",),
    "ruby-cause": ("No such file or directory @ rb_sysopen - /data/orders.csv (Errno::ENOENT)",),
    "rust-assert": ("panicked at r3.rs:1:13", "row counts differ", "left: 3", "right: 4"),
    "rust-main-error": ('Os { code: 2, kind: NotFound, message: "No such file or directory" }',),
    "rust-panic": ("panicked at r1.rs:1:61", "row 17 has no key"),
    "rust-panic-backtrace": ("panicked at r1.rs:1:61", "row 17 has no key"),
    "segv": ("Segmentation fault",),
    "singer-python": ("row 17 has no key",),
    "snowflake": ("SQL compilation error", "Object 'SHOP.RAW.ORDERS' does not exist or not authorized"),
    "sqlalchemy-connect": ("(psycopg2.OperationalError) connection to server at", "Connection refused"),
    "sqlalchemy-table": ('(psycopg2.errors.UndefinedTable) relation "raw.orders" does not exist',),
    "ssh-refused": ("ssh: connect to host 127.0.0.1 port 9: Connection refused",),
    "structlog-console": ("cannot reach the source", "connection refused"),
    "structlog-dicts": ("row cannot be read", "ValueError: invalid literal for int()"),
    "structlog-json": ("row cannot be read", "ValueError: invalid literal for int()"),
    "structlog-logfmt": ("cannot reach the source", "connection refused"),
    "structlog-plain": ("cannot reach the source", "connection refused"),
    "subprocess-psql": ('relation "raw.orders" does not exist',),
    "syntax-error": ("SyntaxError: invalid syntax",),
    "system-exit": ("cannot read /data/orders.csv: the file is empty",),
    "terminated": ("Terminated",),
    "threads": ("ValueError: row 17 has no key",),
    "wget-404": ("404: File not found",),
    "wget-refused": ("failed: Connection refused",),
}

WRITTEN = [sample for path in sorted(LOGS.glob("*.json")) for sample in json.loads(path.read_text())]
"""Formats of programs that were not at hand, and variants of those that were."""

PROGRESS = {sample["name"]: "\n".join(sample["log"]) for sample in WRITTEN if not sample["has"]}
"""What programs drew to show how far they were, and nothing else."""

DECORATION = re.compile(
    r"[\W_]*$|bye$|LINE \d+:|[\^~ ]+$|\+-|Traceback \(most|note: |\(Background on|goroutine \d|exit status"
    r"|Execution halted|Location: |Job ID|Node\.js v|\[SQL|\s*at [\w.$]+\(|Calls:|compiled code|Done\. PASS|\s*File \""
    r"|Arguments: |Need help",
    re.IGNORECASE,
)


def recorded(name: str) -> str:
    return (LOGS / f"{name}.log").read_bytes().decode()


def samples() -> list[str]:
    return [recorded(name) for name in RECORDED] + ["\n".join(sample["log"]) for sample in WRITTEN]


def explained(text: str) -> str:
    return log.explanation(text) or ""


@pytest.mark.parametrize(("name", "has"), RECORDED.items(), ids=list(RECORDED))
def test_a_failure_of_a_real_program_is_explained(name: str, has: tuple[str, ...]) -> None:
    words = explained(recorded(name))
    assert [part for part in has if part not in words] == []


def test_each_recorded_log_has_its_row() -> None:
    assert {path.stem for path in LOGS.glob("*.log")} == set(RECORDED)


@pytest.mark.parametrize("sample", WRITTEN, ids=lambda sample: sample["name"])
def test_a_failure_in_a_known_format_is_explained(sample: dict[str, list[str]]) -> None:
    words = explained("\n".join(sample["log"]))
    assert [part for part in sample["has"] if part not in words] == []
    assert [part for part in sample["lacks"] if part in words] == []


def test_no_line_of_an_explanation_is_decoration() -> None:
    lines = [line for text in samples() for line in explained(text).splitlines()]
    assert [line for line in lines if DECORATION.match(line)] == []


@pytest.mark.parametrize("text", PROGRESS.values(), ids=list(PROGRESS))
def test_a_progress_bar_explains_nothing(text: str) -> None:
    assert log.explanation(text) is None


def test_an_error_beside_a_progress_bar_is_told_alone() -> None:
    told = {name: log.explanation(f"{text}\nError: row 17 has no key\n{text}") for name, text in PROGRESS.items()}
    assert {name: words for name, words in told.items() if words != "Error: row 17 has no key"} == {}


AFTER_A_FAILURE = (
    "ERROR rollback failed: server closed the connection unexpectedly",
    "ERROR could not release lock 42: connection is closed",
    "ERROR Failed to flush telemetry: Read timed out.",
    "ERROR opentelemetry.exporter.otlp Failed to export traces to otel:4317",
    "ERROR Failed to send Slack notification: 404 channel_not_found",
    "rm: cannot remove '/tmp/work/lock': No such file or directory",
    "INFO connection pool closed",
    "/usr/lib/python3.11/tempfile.py:934: ResourceWarning: Implicitly cleaning up",
    "Done in 3.02s.",
)
"""What is said when a program has failed already."""


@pytest.mark.parametrize("line", AFTER_A_FAILURE)
def test_what_goes_wrong_afterwards_is_no_reason(line: str) -> None:
    assert log.explanation(f"INFO start\nERROR row 17 has no key\n{line}\n") == "row 17 has no key"


def test_an_error_of_the_end_is_told_where_there_is_no_other() -> None:
    assert log.explanation("INFO start\nERROR could not release lock 42\n") == "could not release lock 42"


def test_of_lines_without_a_level_the_one_that_tells_of_trouble_is_told() -> None:
    text = "Checking source ...\nThe source has no data for 2026-11-26\nReleasing lock\nThe lock is free\n"
    assert log.explanation(text) == "The source has no data for 2026-11-26"


def by_meltano(text: str) -> str:
    passed_on = {"level": "info", "string_id": "target-x", "producer": False, "consumer": True, "stdio": "stderr"}
    own = [{"event": "Loader failed", "level": "error"}, {"event": "Block run completed", "level": "error"}]
    return "\n".join(json.dumps(line) for line in [*({"event": line} | passed_on for line in text.split("\n")), *own])


def by_meltano_for_people(text: str) -> str:
    lines = [f"2026-11-27T10:00:00.000001Z [info     ] target-x     {line}" for line in text.split("\n")]
    return "\n".join([*lines, "2026-11-27T10:00:01.000001Z [error    ] meltano      Loader failed"])


def by_a_container_runtime(text: str) -> str:
    return "\n".join(json.dumps({"log": f"{line}\n", "stream": "stderr"}) for line in text.split("\n"))


def by_make(text: str) -> str:
    return text.rstrip("\n") + "\nmake: *** [Makefile:3: all] Error 1\n"


def with_last_words(text: str) -> str:
    return text + "\n\nbye\n"


def after_an_error_that_was_overcome(text: str) -> str:
    return "ERROR page 1: timeout\nINFO page 1: loaded\n" + text


def with_carriage_returns(text: str) -> str:
    return text.replace("\n", "\r\n")


@pytest.mark.parametrize(
    "wrapped",
    [
        by_meltano,
        by_meltano_for_people,
        by_a_container_runtime,
        by_make,
        with_last_words,
        after_an_error_that_was_overcome,
        with_carriage_returns,
    ],
)
def test_an_explanation_survives_what_is_around_it(wrapped: Callable[[str], str]) -> None:
    plain = {name: has for name, has in RECORDED.items() if not name.startswith("meltano")}
    lost = [name for name, has in plain.items() if not all(part in explained(wrapped(recorded(name))) for part in has)]
    assert len(lost) <= len(plain) // 20, lost


# -- Whatever comes ----------------------------------------------------------------------------------------------------

HARMFUL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff]")
SIZE = 64 * 1024


def check(text: str) -> None:
    words = log.explanation(text)
    tail = log.tail(text)
    shown = log.clean(text)
    parts = log.failed_parts(text)
    assert words is None or 0 < len(words.encode()) <= ERROR_MESSAGE_BYTES
    assert len(tail.encode()) <= LOG_TAIL_BYTES
    assert not HARMFUL.search("".join([words or "", tail, shown, *parts]))
    assert "".join([shown, *parts]).encode().decode() == "".join([shown, *parts])
    assert len(parts) <= 8
    assert all(type(code) is int and code for code in parts.values())


PIECES = st.sampled_from(
    [
        *(
            "\n",
            "\r",
            "\r\n",
            "\t",
            "  ",
            "\0",
            "\b",
            "\x1b[31m",
            "\x1b]0;",
            "\x07",
            "\x1bP",
            "\x1b(B",
            "\x9b1m",
            "\x9d",
            "\x9c",
        ),
        *(
            "\ud83d",
            "\ude00",
            "\u202e",
            "\u2028",
            "\u200b",
            "\\u001b[0m",
            "\\ud83d",
            "\\u202e",
            "\\",
            '"',
            "{",
            "}",
            "[",
            "]",
            ":",
            ",",
        ),
        *(
            '{"level": "error", "event": "',
            '"}',
            '{"msg": ',
            '{"err": {"message": "',
            '"exit_codes": {"a": -9}',
            "null",
            "1e999",
            "NaN",
        ),
        *(
            '{"event": "Block run completed", "exit_codes": {"loaders": 1, "x": true}}',
            "9" * 40,
            "²",
            "\u017fevere: ",
            "\N{KELVIN SIGN}",
        ),
        *(
            "Traceback (most recent call last):",
            '  File "x", line 1',
            "ValueError: ",
            "Error",
            "ERROR ",
            "[error] ",
            "INFO ",
            " - ",
        ),
        *(
            "Caused by: ",
            "\tat a.B(C.java:1)",
            "goroutine 1 [running]:",
            "panic: ",
            "2026-11-27 10:00:00,123 ",
            "12:00:01  ",
            "| ",
            "+-",
        ),
        *(
            "level=error ",
            'msg="',
            "a=b ",
            "Loader failed",
            "make: *** ",
            "LINE 1:",
            "^",
            "Call stack:",
            "--- Logging error ---",
            "bye",
        ),
        *(
            "The above exception was the direct cause of the following exception:",
            "[info     ] target-x     ",
            "cmd_type=elb ",
        ),
        *(
            '{"type": ["RECORD"], "msg": "x"}',
            '{"producer": {}, "msg": [], "level": {}}',
            '{"level": true, "error": [[]]}',
        ),
    ]
)
TEXTS = st.lists(st.one_of(PIECES, st.text(st.characters(codec=None), max_size=6)), max_size=40).map("".join)


@settings(max_examples=200, deadline=None)
@given(TEXTS)
@example('{"level": "error", "event": "cannot store name \\ud83d"}')
def test_no_text_is_too_strange(text: str) -> None:
    check(text)


KEYS = st.sampled_from(
    [
        *("level", "event", "msg", "error", "err", "exception", "info", "log", "type", "stream", "producer", "name"),
        *("exit_codes", "trace", "fields", "stack", "string_id", "severity"),
    ]
)
LEAVES = st.none() | st.booleans() | st.floats() | st.integers() | TEXTS


@settings(max_examples=60, deadline=None)
@given(st.recursive(LEAVES, lambda inner: st.lists(inner) | st.dictionaries(KEYS, inner), max_leaves=20))
def test_no_object_is_too_strange(value: object) -> None:
    check(json.dumps(value))
    check(json.dumps({"event": "Block run completed", "level": value, "exit_codes": value}))


def filled(piece: str) -> str:
    return (piece * (SIZE // len(piece) + 1))[:SIZE]


LONG = {
    "Error.": filled("Error."),
    "a.": filled("a." * 120 + "\n"),
    "a.Error": filled("a.b.Error" * 26 + "\n"),
    "spaces": " " * SIZE,
    "brackets": "[" * SIZE,
    "backslashes": "\\" * SIZE,
    "half escapes": filled("\\u00"),
    "ESC": "\x1b" * SIZE,
    "CSI": "\x1b[" + "0" * SIZE,
    "OSC": filled("\x1b]"),
    "OSC of one byte": filled("\x9dpanic: failed"),
    "carriage returns": filled("x\r"),
    "line feeds": "\n" * SIZE,
    "lines": filled("a\n"),
    "half objects": filled("{\n"),
    "quotes": '{"' + '"' * SIZE,
    "escaped quotes": '{"' + filled('\\"'),
    "keys": "{" + filled('"a":"b",'),
    "layers": filled(json.dumps({"msg": json.dumps({"msg": json.dumps({"msg": "x: error"})})}) + "\n"),
    "depth": '{"a":' + "[" * 100_000,
    "depth of objects": '{"a":' * 20_000 + "1" + "}" * 20_000,
    "digits": '{"level":' + "9" * 1_000_000 + "}",
    "halves of characters": "\ud83d" * SIZE,
    "summaries": filled("job task step run load failed job task step run load failed job task step:\n"),
    "exits": filled("exit exited returned exit exited returned exit exited returned exited\n"),
    "times": filled("2026-11-27 10:00:00 " + "a.b.c - " * 30 + "\n"),
    "pairs": filled('a="b'),
    "tracebacks": filled("Traceback (most recent call last):\nValueError: x\n"),
    "message of lines": json.dumps({"msg": "a\n" * (SIZE // 3)}),
    "rules of signs": filled("--- public.orders " * 11 + "\n"),
    "words of trouble": filled("cannot close x not a error no " * 7 + "\n"),
    "programs": "".join(json.dumps({"event": "x", "string_id": str(number)}) + "\n" for number in range(2_000)),
}


@pytest.mark.parametrize("text", LONG.values(), ids=list(LONG))
def test_the_time_is_linear(text: str) -> None:
    """Each call takes some 30 ms at most; where a pattern loops within a loop, it is seconds."""
    begin = time.process_time()
    check(text)
    assert time.process_time() - begin < 1
