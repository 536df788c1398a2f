"""What a Job's status says of the work, and what it warns of."""

import pytest

from elt_operator.core.accounts import Account, Stage
from elt_operator.core.model import PodLog
from elt_operator.core.reports import Checks
from elt_operator.core.results import result_of, stored_bytes, warnings_of
from elt_operator.resources.job import Attempt

FAILED = Attempt(number=1, pod="weather-r1-a", exit_code=3, reason="ApplicationError")
LAST = Attempt(number=2, pod="weather-r1-b", exit_code=0, reason="Completed")


def a_log(*, complete: bool = True, **account: object) -> PodLog:
    return PodLog("", Account(**account), complete)  # type: ignore[arg-type]  # fields of an account


@pytest.mark.parametrize(
    "log",
    [None, PodLog(None), PodLog("text"), a_log(), a_log(ignored=["x"]), a_log(warnings=["x"]), a_log(seconds={"a": 1})],
    ids=["none", "lost", "end", "silent", "nonsense", "a warning", "a duration"],
)
def test_a_log_that_tells_nothing_has_no_result(log: PodLog | None) -> None:
    assert result_of(log) is None


@pytest.mark.parametrize(
    ("log", "rows", "rows_from"),
    [
        pytest.param(a_log(read={"a": 3}, loaded={"a": 2, "b": 5}), 7, "Loader", id="who writes counts"),
        pytest.param(a_log(read={"a": 3, "b": 1}), 4, "Extractor", id="else who reads"),
        pytest.param(a_log(read={"a": 3}, loaded={"a": 3}, reported={"t": 1}), 1, "Reported", id="the program's word"),
        pytest.param(a_log(reported={}), 0, "Reported", id="none, it says"),
        pytest.param(a_log(checks=Checks(passed=1)), None, None, id="nobody counts"),
        pytest.param(a_log(reported={"a": 2**53 - 1, "b": 1}), 2**53 - 1, "Reported", id="more than can be written"),
        pytest.param(a_log(loaded={"a": 2**53 - 1, "b": 2**53 - 1}), 2**53 - 1, "Loader", id="loaded without end"),
    ],
)
def test_whose_rows_count(log: PodLog, rows: int | None, rows_from: str | None) -> None:
    found = result_of(log)

    assert found
    assert (found.rows, found.rows_from) == (rows, rows_from)


def test_streams_stand_in_the_order_of_their_size() -> None:
    found = result_of(a_log(read={"a": 1, "b": 30, "c": 2}, loaded={"a": 1, "b": 29}, seconds={"b": 1.23456}))

    assert found
    assert [stream.as_json() for stream in found.streams or []] == [
        {"name": "b", "rows": 29, "read": 30, "seconds": 1.235},
        {"name": "c", "read": 2},
        {"name": "a", "rows": 1, "read": 1},
    ]


@pytest.mark.parametrize("sign", ["x", "\u00fc", "\u6f22", "\U0001f600", "<", "&", '"', "\\"])
def test_result_and_warnings_stay_small_whatever_things_are_called(sign: str) -> None:
    many = {f"{sign * 120}{number}": number for number in range(1_000)}
    log = a_log(
        read=many, loaded=many, stages=[Stage(sign * 128, 0, 1.0)] * 32, checks=Checks(1, 2, 3, 4),
        warnings=[f"{sign * 290}{number}" for number in range(8)],
        ignored=[f"{sign * 200}{number}" for number in range(8)],
        differing=[(sign * 128, 2, 1)] * 9,
    )  # fmt: skip

    found, warnings = result_of(log), warnings_of(log, [FAILED, LAST], rows_may_differ=False)

    assert found
    assert len(found.streams or []) + (found.omitted_streams or 0) == 1_000
    assert 0 < len(found.streams or []) <= 50
    assert found.rows == sum(many.values()), "what is not shown counts, too"
    assert stored_bytes(found.as_json()) + sum(stored_bytes(one.as_json()) for one in warnings) < 11 * 1024
    assert [one.reason for one in warnings[:2]] == ["Retried", "ChecksWarned"]


def test_bytes_are_counted_as_go_writes_them() -> None:
    """Between its quotes: a (1), < (6: an escape), b (1), > (6), & (6), an umlaut (2), a quote (2)."""
    assert stored_bytes('a<b>&\u00fc"') == 2 + 24


@pytest.mark.parametrize(
    ("log", "reason", "words"),
    [
        pytest.param(a_log(checks=Checks(9, 2, 0, 1)), "ChecksWarned", "2 of 12 checks warned. The log says", id="dbt"),
        pytest.param(
            a_log(differing=[("orders", 3322, 3321)]), "RowsDiffer", "(orders: 3,322 read, 3,321 loaded)", id="rows"
        ),
        pytest.param(
            a_log(differing=[(f"s{n}", 2, 1) for n in range(9)]), "RowsDiffer", "; and 6 more streams)", id="many"
        ),
        pytest.param(
            a_log(read={"a": 5, "b": 1}, reported={"a": 4}), "RowsDiffer",
            "The program reports another number of rows than the extractor read (a: 5 read, 4 reported).", id="its own",
        ),
        pytest.param(a_log(checks=Checks(0, 1)), "ChecksWarned", "1 of 1 check warned.", id="one"),
        pytest.param(a_log(warnings=["the source was late"]), "Reported", "the source was late", id="its own"),
        pytest.param(
            a_log(ignored=["rows is not an object"]), "ResultIgnored", "ignored: rows is not an object.", id="ignored"
        ),
    ],
)  # fmt: skip
def test_a_run_that_completed_warns(log: PodLog, reason: str, words: str) -> None:
    (found,) = warnings_of(log, [LAST], rows_may_differ=False)

    assert found.reason == reason
    assert words in found.message


def test_rows_differ_only_where_nothing_can_be_missing_and_somebody_wants_to_know() -> None:
    differing = [("orders", 2, 1)]

    assert warnings_of(a_log(differing=differing, complete=False), [LAST], rows_may_differ=False) == []
    assert warnings_of(a_log(differing=differing), [LAST], rows_may_differ=True) == []


def test_a_retry_that_helped_is_a_warning() -> None:
    (once,) = warnings_of(None, [FAILED, LAST], rows_may_differ=False)
    (twice,) = warnings_of(None, [FAILED, FAILED, LAST], rows_may_differ=False)

    assert once.message == "The run completed after an attempt had failed; the last one: ApplicationError, exit code 3."
    assert twice.message.startswith("The run completed after 2 attempts had failed;")
    assert warnings_of(None, [LAST], rows_may_differ=False) == []


def test_warnings_are_few_and_short() -> None:
    log = a_log(warnings=["x"] * 8, ignored=["y"] * 8, checks=Checks(warned=1))
    long = a_log(warnings=["x" * 5_000] * 8)

    assert len(warnings_of(log, [FAILED, LAST], rows_may_differ=False)) == 16
    assert max(len(one.message) for one in warnings_of(long, [LAST], rows_may_differ=False)) <= 1024
