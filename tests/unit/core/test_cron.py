"""Which schedules can be carried out, what the user reads of others, and when each fires."""

import hashlib
import json
import zoneinfo
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from croniter import croniter
from hypothesis import given, settings
from hypothesis import strategies as st

from elt_operator.core import cron
from elt_operator.core.cron import InvalidScheduleError

YEAR = (datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC))
RECORDED = json.loads((Path(__file__).parent / "crontimes.json").read_text())
"""When the CronJob controller's own library fires in 2026: `make record-schedules`."""

LIBRARYS_ERRORS = {
    ("Africa/Cairo", "0 12 * * */2"),
    ("Asia/Beirut", "0 12 */7 * *"),
    ("Asia/Beirut", "0 2 * * SUN"),
    ("Australia/Lord_Howe", "0 */2 * * *"),
    ("Australia/Lord_Howe", "0 0 * * *"),
    ("Australia/Lord_Howe", "0 12 * * */2"),
    ("Australia/Lord_Howe", "0 2 * * SUN"),
    ("Australia/Lord_Howe", "0 3 * * *"),
    ("Australia/Lord_Howe", "15 2 * * *"),
    ("Australia/Lord_Howe", "30 1 * * *"),
}
"""Where the library leaves out, or adds, a time that the wall clock shows, or does not (docs/scheduling.md)."""

CASES = [(zone, schedule) for zone, schedules in RECORDED.items() for schedule in schedules]


@pytest.fixture(autouse=True)
def _zones_of_the_package() -> Iterator[None]:
    """Take the rules of zones from the tzdata package, as the recording did; a machine's own may be older."""
    zoneinfo.reset_tzpath(())
    zoneinfo.ZoneInfo.clear_cache()
    cron.parse.cache_clear()
    yield
    zoneinfo.reset_tzpath()
    zoneinfo.ZoneInfo.clear_cache()
    cron.parse.cache_clear()


def text(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


@pytest.mark.parametrize(("zone", "schedule"), CASES)
def test_a_schedule_fires_when_the_cronjob_controller_does(zone: str, schedule: str) -> None:
    recorded = RECORDED[zone][schedule]
    parsed = cron.parse(schedule, zone)
    if recorded["count"] > 5000:  # of frequent ones the hours around each change of the clocks
        moments = [datetime.fromisoformat(moment) for moment in recorded["near"]]
        for before, after in pairwise(moments):
            assert after - before > timedelta(hours=3) or parsed.next_after(before) == after
            assert after - before > timedelta(hours=3) or parsed.last_before(after) == before
        agrees = {text(moment) for moment in moments} == {
            text(found) for moment in moments if (found := parsed.next_after(moment - timedelta(seconds=1)))
        }
    else:
        times = [text(moment) for moment in parsed.between(YEAR[0], YEAR[1])]
        digest = hashlib.sha256("".join(f"{moment}\n" for moment in times).encode()).hexdigest()
        agrees = (len(times), digest) == (recorded["count"], recorded["sha256"])

    assert agrees is ((zone, schedule) not in LIBRARYS_ERRORS)


def test_each_time_is_told_forwards_and_backwards() -> None:
    for zone, schedule in CASES:
        parsed, moment = cron.parse(schedule, zone), YEAR[0]
        for _ in range(20):
            before, after = parsed.next_after(moment), None
            assert before
            after = parsed.next_after(before)
            assert after
            assert parsed.last_before(after) == before
            moment = after + timedelta(days=17)


STARS_AND_NUMBERS = st.tuples(
    st.sampled_from(["*", "0", "59", "*/7", "5-50/15", "3,4,5"]),
    st.sampled_from(["*", "0", "23", "*/5", "9-17", "1,13"]),
    st.sampled_from(["*", "1", "28-31", "1,15"]),
    st.sampled_from(["*", "2", "*/4", "JAN-MAR", "6,12"]),
    st.sampled_from(["*", "0", "1-5", "MON,FRI", "SAT"]),
).map(" ".join)


@settings(max_examples=150, deadline=None)
@given(schedule=STARS_AND_NUMBERS, start=st.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1)))  # noqa: DTZ001 - hypothesis wants them naive
def test_a_second_library_says_the_same(schedule: str, start: datetime) -> None:
    moment = start.replace(microsecond=0, tzinfo=UTC)
    other = croniter(schedule, moment)

    for _ in range(5):
        expected = other.get_next(datetime)
        found = cron.parse(schedule, "UTC").next_after(moment)
        assert found == expected
        moment = expected


@pytest.mark.parametrize(
    ("schedule", "expression"),
    [
        ("0 6 * * *", "0 6 * * *"),
        ("  0   6 * * *  ", "0 6 * * *"),
        ("0 0 6 * * *", "0 6 * * *"),
        ("00 0 6 ? * MON-FRI", "0 6 * * MON-FRI"),
        ("0 6 ? * mon", "0 6 * * MON"),
        ("0 6 1 jan,JUL *", "0 6 1 JAN,JUL *"),
        ("@hourly", "0 * * * *"),
        ("@Daily", "0 0 * * *"),
        ("@annually", "0 0 1 1 *"),
        ("*/5 8-18/2 1,15 * 1-5", "*/5 8-18/2 1,15 * 1-5"),
    ],
)
def test_what_kubernetes_gets(schedule: str, expression: str) -> None:
    assert cron.parse(schedule, None).expression == expression


FIELDS = "minute hour day-of-month month day-of-week"
WRONG = [
    ("30 0 6 * * *", None, 'spec.schedule "30 0 6 * * *": second "30": only 0 works, for example "0 0 6 * * *"'),
    ("0 6 * *", None, f'spec.schedule "0 6 * *": it has 4 fields, and needs five: {FIELDS}'),
    ("0 6 * * * * 2027", None, f'spec.schedule "0 6 * * * * 2027": it has 7 fields, and needs five: {FIELDS}'),
    ("60 * * * *", None, 'minute "60": use numbers from 0 to 59,'),
    ("* 24 * * *", None, 'hour "24": use numbers from 0 to 23,'),
    ("0 6 0 * *", None, 'day-of-month "0": use numbers from 1 to 31,'),
    ("0 6 * 13 *", None, 'month "13": use numbers from 1 to 12 or JAN to DEC,'),
    ("0 6 * * 7", None, 'day-of-week "7": Sunday is 0 or SUN, never 7'),
    ("0 6 * * FRI-MON", None, 'day-of-week "FRI-MON": the range ends before it begins; use FRI-6,0-MON'),
    ("0 6 * * MONDAY", None, 'day-of-week "MONDAY": use numbers from 0 to 6 or SUN to SAT,'),
    ("*/0 * * * *", None, 'minute "*/0": a step is at least 1'),
    ("*-5 * * * *", None, 'minute "*-5": use numbers from 0 to 59,'),
    ("0 6 L * *", None, 'day-of-month "L": the last day cannot be told; use 1 (the first), or 28,'),
    ("0 6 15W * *", None, 'day-of-month "15W": nearest weekdays cannot be told; use days, for example 15,'),
    ("0 6 * * MON#1", None, 'day-of-week "MON#1": the n-th weekday cannot be told; use days of the month,'),
    ("0 6 * * 5L", None, 'day-of-week "5L": the last weekday cannot be told; use days of the month,'),
    ("0 6 30 2 *", None, "no such day ever comes; look at day-of-month and month"),
    ("TZ=Europe/London 0 6 * * *", None, "use schedule: 0 6 * * * and timeZone: Europe/London"),
    ("CRON_TZ=UTC 0 6 * * *", None, "use schedule: 0 6 * * * and timeZone: UTC"),
    ("@every 5m", None, '@every cannot be done; use "*/5 * * * *"'),
    ("@every 2h", None, '@every cannot be done; use "0 */2 * * *"'),
    ("@every 1s", None, "@every cannot be done; use five fields, or one of @yearly,"),
    ("@reboot", None, "@reboot cannot be done; use five fields, or one of @yearly,"),
    ("$(date) * * * *", None, 'minute "$(DATE)": use numbers from 0 to 59,'),
    ("0 6 * * *", "Europe/Lodnon", 'spec.timeZone "Europe/Lodnon": there is no such IANA time zone; did you mean'),
    ("0 6 * * *", "Europe/Lodnon", "did you mean Europe/London?"),
    ("0 6 * * *", "europe/london", "did you mean Europe/London?"),
    ("0 6 * * *", "Mars", "there is no such IANA time zone; write one like Europe/London or UTC"),
]  # fmt: skip


@pytest.mark.parametrize(("schedule", "zone", "words"), WRONG)
def test_what_the_user_reads_of_a_wrong_one(schedule: str, zone: str | None, words: str) -> None:
    with pytest.raises(InvalidScheduleError) as error:
        cron.parse(schedule, zone)

    assert words in str(error.value)


@settings(max_examples=300, deadline=None)
@given(schedule=st.text(st.sampled_from("0123456789*/,-?LW#@ SUNMOFRIJAevry"), max_size=24))
def test_no_text_does_harm(schedule: str) -> None:
    with suppress(InvalidScheduleError):
        assert cron.parse(schedule, None).next_after(YEAR[0])
