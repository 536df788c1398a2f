"""What is read of a log from its beginning, and when it is sure that nothing is missing."""

from datetime import timedelta

import pytest

from builders import at
from elt_operator.core import whole_log
from elt_operator.core.whole_log import LogRead, WholeLog

STARTED = at(0)


def line(seconds: float, text: str) -> bytes:
    moment = STARTED + timedelta(seconds=seconds)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond:06}123Z {text}\n".encode()


def read(log: bytes, *, all_of_it: bool = True, size: int = 1_000) -> LogRead:
    whole = WholeLog(STARTED)
    for start in range(0, len(log), size):
        whole.feed(log[start : start + size])
    return whole.finish(all_of_it=all_of_it)


def test_the_end_is_without_the_kubelets_times() -> None:
    found = read(line(0.1, "first") + line(0.2, "2026-01-01T00:00:00Z is said by the program") + line(0.3, ""))

    assert found.end == "first\n2026-01-01T00:00:00Z is said by the program\n\n"


def test_of_a_long_log_the_end_begins_with_a_whole_line() -> None:
    found = read(b"".join(line(1, f"line {number}") for number in range(20_000)))

    assert found.end.startswith("line ")
    assert found.end.endswith("line 19999\n")
    assert len(found.end) <= 64 * 1024


@pytest.mark.parametrize(
    ("log", "complete"),
    [
        pytest.param(b"", True, id="nothing was written"),
        pytest.param(line(2.9, "hello"), True, id="the first line is as old as the process"),
        pytest.param(line(3.1, "hello"), False, id="it is not"),
        pytest.param(line(40, "[info     ] meltano      Meltano 4.4.1, Python 3.11.7, Linux"), True, id="Meltano"),
        pytest.param(line(40, "22:09:14  Running with dbt=1.11.16"), True, id="dbt"),
        pytest.param(line(40, '{"info": {"msg": "Running with dbt=1.11.16"}}'), True, id="dbt in JSON"),
        pytest.param(line(40, "a") + line(41, "Running with dbt=1.11.16"), False, id="dbt, but not at the beginning"),
        pytest.param(b"no time\n", False, id="the kubelet gives no time"),
    ],
)
def test_nothing_can_be_missing(log: bytes, complete: bool) -> None:
    assert read(log).complete is complete


def test_a_log_that_goes_on_or_fills_a_file_may_have_lost_something(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not read(line(0, "hello"), all_of_it=False).complete
    monkeypatch.setattr(whole_log, "_ONE_FILE", 100)
    assert read(line(0, "hello")).complete
    assert not read(line(0, "hello") * 3).complete


def test_it_is_full_at_its_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(whole_log, "MOST_BYTES", 50)
    whole = WholeLog(STARTED)
    whole.feed(b"x" * 49)
    assert not whole.is_full
    whole.feed(b"x")
    assert whole.is_full
