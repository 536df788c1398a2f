"""Which schedules can be carried out, what the user reads of others, and when each fires."""

import hashlib
import json
import re
import zoneinfo
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise
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
        ("0 6 L * *", "0 6 28-31 * *"),
        ("0 6 1,l-3,15 * MON", "0 6 1,25-28,15 * MON"),
        ("0 6 L-27,L 2 *", "0 6 1-4,28-31 2 *"),
    ],
)
def test_what_kubernetes_gets(schedule: str, expression: str) -> None:
    assert cron.parse(schedule, None).expression == expression


FIELDS = "minute hour day-of-month month day-of-week"
WRONG = [
    ("30 0 6 * * *", None, 'spec.schedule "30 0 6 * * *": second "30": only 0 is supported, for example "0 0 6 * * *"'),
    ("0 6 * *", None, f'spec.schedule "0 6 * *": it has 4 fields but needs five: {FIELDS}'),
    ("0 6 * * * * 2027", None, f'spec.schedule "0 6 * * * * 2027": it has 7 fields but needs five: {FIELDS}'),
    ("60 * * * *", None, 'minute "60": use numbers from 0 to 59,'),
    ("* 24 * * *", None, 'hour "24": use numbers from 0 to 23,'),
    ("0 6 0 * *", None, 'day-of-month "0": use numbers from 1 to 31,'),
    ("0 6 * 13 *", None, 'month "13": use numbers from 1 to 12 or JAN to DEC,'),
    ("0 6 * * 7", None, 'day-of-week "7": Sunday is 0 or SUN, not 7'),
    ("0 6 * * FRI-MON", None, 'day-of-week "FRI-MON": the range ends before it begins; use FRI-6,0-MON'),
    ("0 6 * * MONDAY", None, 'day-of-week "MONDAY": use numbers from 0 to 6 or SUN to SAT,'),
    ("*/0 * * * *", None, 'minute "*/0": a step must be at least 1'),
    ("*-5 * * * *", None, 'minute "*-5": use numbers from 0 to 59,'),
    ("0 6 L-28 * *", None, 'day-of-month "L-28": use L (the last day of the month), or L-1 to L-27 (days before it)'),
    ("0 6 L-x * *", None, 'day-of-month "L-X": use L (the last day of the month), or L-1 to L-27'),
    ("0 6 L/2 * *", None, 'day-of-month "L/2": use L (the last day of the month), or L-1 to L-27'),
    ("0 6 1,L5 * *", None, 'day-of-month "1,L5": use L (the last day of the month), or L-1 to L-27'),
    ("0 6 1-L * *", None, 'day-of-month "1-L": use numbers from 1 to 31, L (the last day), L-n (n days before it)'),
    ("0 6 LW * *", None, 'day-of-month "LW": "W" (nearest weekday) is not supported'),
    ("0 L * * *", None, 'hour "L": use numbers from 0 to 23,'),
    ("0 6 15W * *", None, 'day-of-month "15W": "W" (nearest weekday) is not supported; use days, for example 15,'),
    ("0 6 * * MON#1", None, 'day-of-week "MON#1": "#" (n-th weekday) is not supported; use days of the month,'),
    ("0 6 * * 5L", None, 'day-of-week "5L": "L" (last weekday) is not supported; use days of the month,'),
    ("0 6 30 2 *", None, "this schedule never matches a date; check day-of-month and month"),
    ("0 0 31 4,6,9,11 *", None, "this schedule never matches a date; check day-of-month and month"),
    ("TZ=Europe/London 0 6 * * *", None, "use schedule: 0 6 * * * and timeZone: Europe/London"),
    ("CRON_TZ=UTC 0 6 * * *", None, "use schedule: 0 6 * * * and timeZone: UTC"),
    ("@reboot", None, "@reboot is not supported; use five fields, or one of @yearly,"),
    ("@every", None, "@every is not supported; use five fields, or one of @yearly,"),
    ("@every 0s", None, "@every is not supported; use five fields, or one of @yearly,"),
    ("@every -5m", None, "@every is not supported; use five fields, or one of @yearly,"),
    ("² * * * *", None, 'minute "²": use numbers from 0 to 59,'),
    ("1² * * * *", None, 'minute "1²": use numbers from 0 to 59,'),
    ("0 ① * * *", None, 'hour "①": use numbers from 0 to 23,'),
    ("\u0665 * * * *", None, 'minute "\u0665": use numbers from 0 to 59,'),
    ("*/² * * * *", None, 'minute "*/²": use numbers from 0 to 59,'),
    (f"{'9' * 200} * * * *", None, "use numbers from 0 to 59,"),
    (f"*/{'9' * 200} * * * *", None, "use numbers from 0 to 59,"),
    ("0 6 * * \u017fun", None, "use numbers from 0 to 6 or SUN to SAT,"),
    ("\0 6 * * *", None, 'spec.schedule "\\u0000 6 * * *": minute "\\u0000": use numbers from 0 to 59,'),
    ("*/90 * * * *", None, 'minute "*/90": a step of 90 exceeds the field (0 to 59), so only minute 0 would match;'),
    ("5/90 * * * *", None, "so only minute 5 would match; use a step of at most 54, or write 5"),
    ("*/99 * * * *", None, "so only minute 0 would match; use a step of at most 59, or write 0"),
    ("0/61 * * * *", None, "so only minute 0 would match; use a step of at most 59, or write 0"),
    ("5-10/99 * * * *", None, "so only minute 5 would match; use a step of at most 5, or write 5"),
    ("1,5-10/99 * * * *", None, "so only minute 5 would match; use a step of at most 5, or write 5"),
    ("59/99 * * * *", None, "so only minute 59 would match; write 59"),
    ("7-7/99 * * * *", None, "so only minute 7 would match; write 7"),
    ("0 */99 * * *", None, "so only hour 0 would match; use a step of at most 23, or write 0"),
    ("0 9-17/36 * * *", None, 'hour "9-17/36": a step of 36 exceeds the field (0 to 23), so only hour 9 would match;'),
    ("0 0 */32 * *", None, "so only day-of-month 1 would match; use a step of at most 30, or write 1"),
    ("0 0 1 */18 *", None, "so only month 1 would match; use a step of at most 11, or write 1"),
    ("0 0 * * */14", None, "so only day-of-week 0 would match; use a step of at most 6, or write 0"),
    ("0 0 * * MON-FRI/14", None, "so only day-of-week 1 would match; use a step of at most 4, or write 1"),
    ("$(date) * * * *", None, 'minute "$(DATE)": use numbers from 0 to 59,'),
    ("0 6 * * *", "Europe/Lodnon", 'spec.timeZone "Europe/Lodnon": there is no such IANA time zone; did you mean'),
    ("0 6 * * *", "Europe/Lodnon", "did you mean Europe/London?"),
    ("0 6 * * *", "europe/london", "did you mean Europe/London?"),
    ("0 6 * * *", "Mars", "there is no such IANA time zone; use one like Europe/London or UTC"),
    ("0 6 * * *", "", "there is no such IANA time zone; use one like Europe/London or UTC"),
    ("0 6 * * *", "localtime", 'spec.timeZone "localtime": this does not name a zone; use one like Europe/London'),
    ("0 6 * * *", "Local", "this does not name a zone; use one like Europe/London or UTC"),
    ("0 6 * * *", "LOCAL", "this does not name a zone; use one like Europe/London or UTC"),
    ("0 6 * * *", "posixrules", "this does not name a zone; use one like Europe/London or UTC"),
    ("0 6 * * *", "Factory", "this does not name a zone; use one like Europe/London or UTC"),
    ("0 6 * * *", "utc", "there is no such IANA time zone; did you mean UTC?"),
    ("0 6 * * *", "posix/Europe/London", "there is no such IANA time zone; did you mean Europe/London?"),
    ("0 6 * * *", "right/UTC", "there is no such IANA time zone;"),
    ("0 6 * * *", "Etc/../UTC", "there is no such IANA time zone;"),
    ("0 6 * * *", "/usr/share/zoneinfo/UTC", "there is no such IANA time zone;"),
    ("0 6 * * *", "../../etc/passwd", "there is no such IANA time zone;"),
    ("0 6 * * *", "UTC\0", 'spec.timeZone "UTC\\u0000": there is no such IANA time zone;'),
]  # fmt: skip


@pytest.mark.parametrize(("schedule", "zone", "words"), WRONG)
def test_what_the_user_reads_of_a_wrong_one(schedule: str, zone: str | None, words: str) -> None:
    with pytest.raises(InvalidScheduleError) as error:
        cron.parse(schedule, zone)

    assert words in str(error.value)


@pytest.mark.parametrize(
    ("every", "instead"),
    [
        ("5m", "*/5 * * * *"),
        ("1m", "* * * * *"),
        ("60s", "* * * * *"),
        ("60m", "0 * * * *"),
        ("1h", "0 * * * *"),
        ("59m60s", "0 * * * *"),
        ("0.5h", "*/30 * * * *"),
        ("2h", "0 */2 * * *"),
        ("120m", "0 */2 * * *"),
        ("24h", "0 0 * * *"),
        ("168h", "0 0 * * 0"),
    ],
)
def test_what_fires_as_often_is_offered_instead_of_every(every: str, instead: str) -> None:
    with pytest.raises(InvalidScheduleError) as error:
        cron.parse(f"@every {every}", None)

    assert str(error.value) == f'spec.schedule "@every {every}": @every is not supported; use "{instead}"'
    times = [*islice(cron.parse(instead, None).between(*YEAR), 100)]
    assert {after - before for before, after in pairwise(times)} == {times[1] - times[0]}


@pytest.mark.parametrize(
    ("every", "nearest"),
    [
        ("90m", '"0 * * * *" (every hour)'),
        ("1h30m", '"0 * * * *" (every hour)'),
        ("90s", '"* * * * *" (every minute)'),
        ("1s", '"* * * * *" (every minute)'),
        ("300ms", '"* * * * *" (every minute)'),
        ("7m", '"*/6 * * * *" (every 6 minutes)'),
        ("45m", '"*/30 * * * *" (every 30 minutes)'),
        ("5h", '"0 */4 * * *" (every 4 hours)'),
        ("36h", '"0 0 * * *" (every day)'),
        ("999999999h", '"0 0 * * 0" (every week)'),
    ],
)
def test_what_cron_cannot_say_is_told_as_such(every: str, nearest: str) -> None:
    with pytest.raises(InvalidScheduleError) as error:
        cron.parse(f"@every {every}", None)

    assert f"no cron schedule fires every {every}; the nearest is {nearest}" in str(error.value)


@pytest.mark.parametrize("step", ["*/45 * * * *", "*/60 * * * *", "0 */24 * * *", "0-30/45 * * * *", "0 0 * * */7"])
def test_a_step_that_does_not_divide_its_field_evenly_is_cron_all_the_same(step: str) -> None:
    assert cron.parse(step, None).expression == step


@settings(max_examples=100, deadline=None)
@given(place=st.integers(0, 4), step=st.integers(1, 999), first=st.integers(0, 59), last=st.integers(0, 59) | st.none())
def test_a_step_that_is_advised_is_accepted_and_matches_more_than_once(
    place: int, step: int, first: int, last: int | None
) -> None:
    def with_step(number: int) -> str:
        fields = ["0", "0", "*", "*", "*"]
        fields[place] = f"{first}{'' if last is None else f'-{last}'}/{number}"
        return " ".join(fields)

    def problem(number: int) -> str:
        try:
            cron.parse(with_step(number), None)
        except InvalidScheduleError as error:
            return str(error)
        return ""

    advised = re.search("use a step of at most ([0-9]+)", problem(step))
    if not advised:
        return
    longest = int(advised[1])
    numbers = cron._for_search(with_step(longest)).split()[place].split(",")

    assert not problem(longest)
    assert len(numbers) > 1 or longest == 1
    assert len(cron._for_search(with_step(longest + 1)).split()[place].split(",")) == 1


def fires(schedule: str, count: int = 4) -> str:
    """Return the first days of 2026 on which a schedule fires."""
    return " ".join(f"{day:%a%d}" for day in islice(cron.parse(schedule, None).between(*YEAR), count))


@pytest.mark.parametrize(
    ("schedule", "days"),
    [
        pytest.param("0 0 */1 * MON", "Mon05 Mon12 Mon19 Mon26", id="a step of one is a star"),
        pytest.param("0 0 5,* * MON", "Mon05 Mon12 Mon19 Mon26", id="a star anywhere in the list is one"),
        pytest.param("0 0 1,5 * */1", "Mon05 Sun01 Thu05 Sun01", id="the same of the day of the week"),
        pytest.param("0 0 */2 * MON", "Sat03 Mon05 Wed07 Fri09", id="a longer step is none"),
        pytest.param("0 0 1-31 * MON", "Fri02 Sat03 Sun04 Mon05", id="all days by number are none"),
    ],
)
def test_what_counts_as_a_star_is_what_kubernetes_takes_for_one(schedule: str, days: str) -> None:
    assert fires(schedule) == days


def last_days(schedule: str, zone: str, count: int = 4) -> str:
    """Return the first dates from 2028 on at which a schedule fires, as the zone has them."""
    parsed = cron.parse(schedule, zone)
    times = islice(parsed.between(datetime(2028, 1, 1, tzinfo=UTC), datetime(2030, 1, 1, tzinfo=UTC)), count)
    return " ".join(f"{moment.astimezone(parsed.zone):%m-%d}" for moment in times)


@pytest.mark.parametrize(
    ("schedule", "zone", "dates"),
    [
        pytest.param("0 6 L * *", "UTC", "01-31 02-29 03-31 04-30", id="the last day, in a leap year"),
        pytest.param("0 6 L-3 * *", "UTC", "01-28 02-26 03-28 04-27", id="three days before it"),
        pytest.param("0 6 L,15 * *", "UTC", "01-15 01-31 02-15 02-29", id="beside a day by number"),
        pytest.param("0 6 L,L-27 2,4 *", "UTC", "02-02 02-29 04-03 04-30", id="of some months"),
        pytest.param("30 23 L * *", "America/New_York", "12-31 01-31 02-29 03-31", id="the zone's last day, not UTC's"),
        pytest.param("30 0 L * *", "Asia/Tokyo", "01-31 02-29 03-31 04-30", id="and east of it"),
        pytest.param("0 6 L * SUN", "UTC", "01-02 01-09 01-16 01-23", id="or a weekday, as in all of cron"),
        pytest.param("0 6 L * 1-6/7", "UTC", "01-03 01-10 01-17 01-24", id="or one of a range"),
        pytest.param("0 6 L-1,* * *", "UTC", "01-01 01-02 01-03 01-04", id="beside a star it adds nothing"),
    ],
)
def test_days_that_are_counted_from_a_months_end(schedule: str, zone: str, dates: str) -> None:
    assert last_days(schedule, zone) == dates


@settings(max_examples=100, deadline=None)
@given(
    before=st.integers(0, 27),
    weekday=st.sampled_from(["*", "1", "*/1", "0,6"]),
    start=st.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001 - hypothesis wants them naive
)
def test_a_day_from_the_end_is_met_forwards_and_backwards(before: int, weekday: str, start: datetime) -> None:
    parsed = cron.parse(f"0 6 L-{before} * {weekday}", "UTC")
    weekdays = {"1": {1}, "0,6": {0, 6}}.get(weekday, set())
    first = start.replace(hour=6, minute=0, second=0, microsecond=0)
    days = [first + timedelta(days=offset) for offset in range(-70, 71)]
    expected = [day for day in days if (day + timedelta(days=before + 1)).day == 1 or day.isoweekday() % 7 in weekdays]

    assert parsed.next_after(start) == min(day for day in expected if day > start)
    assert parsed.last_before(start) == max(day for day in expected if day < start)
    for day in days[35:]:
        assert parsed.last_until(day) == max(found for found in expected if found <= day)


@pytest.mark.parametrize("year", [1, 1969, 3000, 9999])
def test_no_time_is_told_outside_of_the_years_that_are_reckoned_with(year: int) -> None:
    schedule, moment = cron.parse("* * * * *", "Asia/Kathmandu"), datetime(year, 12, 31, 23, 59, 59, tzinfo=UTC)

    assert (schedule.next_after(moment), schedule.last_before(moment)) == (None, None)
    assert list(schedule.between(moment, moment)) == []


def test_a_rare_time_is_found_and_takes_no_time() -> None:
    leap_day, moment = cron.parse("0 0 29 2 *", "UTC"), datetime(2097, 1, 1, tzinfo=UTC)

    assert leap_day.next_after(moment) == datetime(2104, 2, 29, tzinfo=UTC)
    assert leap_day.last_before(moment) == datetime(2096, 2, 29, tzinfo=UTC)


LETTERS = "0123456789*/,-?LW#@ SUNMOFRIJAevry=TZhms.²①\u0665½\0\x1b\u202e\ud83d\u017f"
ANY_TEXT = st.text(max_size=256) | st.text(st.sampled_from(LETTERS), max_size=40)
ANY_FIELD = st.from_regex(r"(\*|[0-9]{1,3})(-[0-9]{1,3})?(/[0-9]{1,12})?(,[0-9*]{1,2})?", fullmatch=True)
ANY_SCHEDULE = ANY_TEXT | st.lists(ANY_FIELD, min_size=5, max_size=6).map(" ".join)
ANY_ZONE = st.none() | st.sampled_from(["Europe/London", "Africa/Monrovia", "Pacific/Apia"]) | ANY_TEXT
ANY_MOMENT = st.datetimes(datetime(1970, 1, 1), datetime(2999, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001 - hypothesis wants them naive


@settings(max_examples=300, deadline=None)
@given(schedule=ANY_SCHEDULE, zone=ANY_ZONE, moment=ANY_MOMENT)
def test_no_text_and_no_moment_does_harm(schedule: str, zone: str | None, moment: datetime) -> None:
    problem, parsed = "", None
    try:
        parsed = cron.parse(schedule, zone)
    except InvalidScheduleError as error:
        problem = str(error)

    assert problem.isprintable()
    after, before = (parsed.next_after(moment), parsed.last_before(moment)) if parsed else (None, None)
    assert after is None or after > moment
    assert before is None or before < moment
