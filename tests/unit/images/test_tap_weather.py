"""The demo's tap, run as Meltano runs it."""

import csv
import dataclasses
import resource
import runpy
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from unit.images.singer import IMAGES, Ended, Message, a_file, run

DEMO = IMAGES / "elt-demo"
TAP = DEMO / "plugins" / "tap-weather" / "tap_weather.py"
PROJECT = yaml.safe_load((DEMO / "meltano.yml").read_text())

HOURS = ["2013-01-01T05:00:00Z", "2013-01-01T06:00:00Z", "2013-01-01T07:00:00Z"]

Tap = Callable[..., Ended]


def a_table(path: Path, hours: list[str]) -> Path:
    """Write two airports' weather, the last hour first."""
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["origin", "time_hour", "wind_dir", "temp"])
        rows.writerows([origin, hour, "270", "NA"] for hour in reversed(hours) for origin in ("EWR", "JFK"))
    return path


@pytest.fixture
def tap(tmp_path: Path) -> Tap:
    """The tap over three hours of two airports; takes flags, the state of the run before, and settings."""
    table = a_table(tmp_path / "weather.csv", HOURS)

    def carry_out(*flags: str, state: object = None, **settings: Any) -> Ended:
        types = {"wind_dir": "integer", "temp": "number"}
        config = {"path": str(table), "key_properties": ["origin", "time_hour"], "types": types, **settings}
        arguments: list[str | Path] = ["--config", a_file(tmp_path / "config.json", config)]
        if state is not None:
            arguments += ["--state", a_file(tmp_path / "state.json", state)]
        return run(TAP, *arguments, *flags)

    return carry_out


def hours_of(ended: Ended) -> list[str]:
    return [record["time_hour"] for record in ended.records]


def reached(hour: str) -> Message:
    return {"bookmarks": {"weather": {"time_hour": hour}}}


# --- what is read


def test_a_first_run_reads_everything_in_the_order_of_time(tap: Tap) -> None:
    ended = tap()

    assert ended.code == 0
    assert hours_of(ended) == [hour for hour in HOURS for _ in ("EWR", "JFK")]
    assert ended.states[-1] == reached(HOURS[-1])
    assert "done: 6 records" in ended.log


def test_numbers_are_numbers_and_no_value_is_null(tap: Tap) -> None:
    ended = tap()

    assert ended.records[0] == {"origin": "EWR", "time_hour": HOURS[0], "wind_dir": 270, "temp": None}


def test_the_schema_comes_first_and_names_the_key(tap: Tap) -> None:
    schema = tap().messages[0]

    assert schema == {
        "type": "SCHEMA",
        "stream": "weather",
        "key_properties": ["origin", "time_hour"],
        "bookmark_properties": ["time_hour"],
        "schema": {
            "type": "object",
            "properties": {
                "origin": {"type": ["null", "string"]},
                "time_hour": {"type": ["null", "string"], "format": "date-time"},
                "wind_dir": {"type": ["null", "integer"]},
                "temp": {"type": ["null", "number"]},
            },
        },
    }


def test_the_catalog_offers_one_incremental_stream(tap: Tap) -> None:
    (catalog,) = tap("--discover").messages

    (stream,) = catalog["streams"]
    metadata = stream["metadata"][0]["metadata"]
    assert stream["tap_stream_id"] == "weather"
    assert (metadata["replication-method"], metadata["replication-key"]) == ("INCREMENTAL", "time_hour")


def test_the_catalog_that_a_runner_gives_back_is_used(tap: Tap, tmp_path: Path) -> None:
    (catalog,) = tap("--discover").messages
    catalog["streams"][0]["schema"]["properties"]["temp"] = {"type": ["string"]}

    ended = tap("--catalog", str(a_file(tmp_path / "catalog.json", catalog)))

    assert ended.messages[0]["schema"]["properties"]["temp"] == {"type": ["string"]}


# --- where it goes on


@pytest.mark.parametrize(
    ("state", "hours"),
    [
        pytest.param({}, HOURS, id="no state yet"),
        pytest.param(reached(HOURS[0]), HOURS[1:], id="in the middle"),
        pytest.param({"value": reached(HOURS[0])}, HOURS[1:], id="as a whole STATE message"),
        pytest.param(reached(HOURS[-1]), [], id="nothing new"),
        pytest.param({"bookmarks": {"other": {"time_hour": HOURS[-1]}}}, HOURS, id="another stream's state"),
    ],
)
def test_a_run_reads_what_is_behind_the_bookmark(tap: Tap, state: Message, hours: list[str]) -> None:
    ended = tap(state=state)

    assert sorted(set(hours_of(ended))) == hours
    assert ended.states[-1] == reached(HOURS[-1])


def test_the_end_date_is_left_out_and_read_by_the_next_run(tap: Tap) -> None:
    first = tap(end_date=HOURS[2])
    second = tap(state=first.states[-1])

    assert hours_of(first) + hours_of(second) == hours_of(tap())
    assert first.states[-1] == reached(HOURS[1])


def test_state_never_parts_the_rows_of_one_hour(tap: Tap) -> None:
    ended = tap(state_every=1)

    assert ended.states == [reached(hour) for hour in HOURS]


# --- told to make trouble


@pytest.mark.parametrize(
    ("settings", "code"),
    [
        pytest.param({"fail_after": 3}, 1, id="with 1 by default"),
        pytest.param({"fail_after": 3, "fail_code": 77}, 77, id="with the code that is asked for"),
    ],
)
def test_it_fails_after_some_rows(tap: Tap, settings: Message, code: int) -> None:
    ended = tap(**settings)

    assert (ended.code, len(ended.records)) == (code, 3)
    assert "source went away after 3 records" in ended.log


def test_a_failed_run_goes_on_without_a_gap(tap: Tap) -> None:
    failed = tap(fail_after=5, state_every=1)
    after = tap(state=failed.states[-1])

    assert failed.states[-1] == reached(HOURS[1])
    assert {*hours_of(failed), *hours_of(after)} == set(HOURS)
    assert hours_of(after) == [HOURS[2]] * 2


@pytest.fixture
def many_rows(tmp_path: Path) -> str:
    """A table of 2,000 rows."""
    return str(a_table(tmp_path / "many.csv", [f"2013-01-01T{number:04}" for number in range(1000)]))


def test_it_dawdles(tap: Tap, many_rows: str) -> None:
    started = time.monotonic()

    ended = tap(path=many_rows, sleep_ms=150)

    assert time.monotonic() - started >= 0.3
    assert len(ended.records) == 2000


def test_it_eats_memory(tap: Tap, many_rows: str) -> None:
    ended = tap(path=many_rows, eat_memory_mb=64)

    assert "128 MiB eaten" in ended.log
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss >= 128 * 1024


# --- settings


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        pytest.param({"path": ""}, "the setting `path` is missing", id="no path"),
        pytest.param({"path": "/no/such.csv"}, "/no/such.csv: No such file", id="no such file"),
        pytest.param({"replication_key": "when"}, "no column when; it has origin, time_hour", id="no replication key"),
        pytest.param({"key_properties": ["id"]}, "no column id", id="no such key"),
        pytest.param({"types": {"snow": "number"}}, "no column snow", id="type of no column"),
    ],
)
def test_settings_that_cannot_be_used_are_explained(tap: Tap, settings: Message, words: str) -> None:
    ended = tap(**settings)

    assert ended.code == 2
    assert words in ended.log
    assert "Traceback" not in ended.log
    assert ended.messages == []


def test_meltano_knows_every_setting_of_the_tap() -> None:
    (plugin,) = PROJECT["plugins"]["extractors"]

    known = {setting.name for setting in dataclasses.fields(runpy.run_path(str(TAP))["Config"])}

    assert {setting["name"] for setting in plugin["settings"]} == known


def test_the_demo_reads_a_year_of_weather(tmp_path: Path) -> None:
    (plugin,) = PROJECT["plugins"]["extractors"]
    config = {**plugin["config"], "path": str(DEMO / "data" / "weather.csv")}

    records = run(TAP, "--config", a_file(tmp_path / "config.json", config)).records

    assert len(records) == len({(record["origin"], record["time_hour"]) for record in records}) == 26_115
    assert len({(record["origin"], record["month"], record["day"]) for record in records}) == 1_092
    text = {column for record in records for column, value in record.items() if isinstance(value, str)}
    assert text == {"origin", "time_hour"}


def test_what_meltano_installs_is_what_the_lock_is_made_of() -> None:
    lines = (DEMO / "requirements.in").read_text().splitlines()
    asked = [
        word
        for kind in ("loaders", "utilities")
        for plugin in PROJECT["plugins"][kind]
        for word in plugin["pip_url"].split()
    ]

    assert asked
    assert set(asked) <= set(lines)
