"""Times of tests: those of a schedule that does not fire while a test lasts, and minutes to wait for."""

import calendar
import time
from datetime import UTC, datetime, timedelta


def now() -> datetime:
    return datetime.now(UTC)  # noqa: TID251 - tests on the cluster share its clock


HOUR = (now().hour + 12) % 24
DAILY = f"0 {HOUR} * * *"
"""A schedule that does not fire while a test lasts."""


def day(number: int) -> datetime:
    """Return one of the next times of ``DAILY``, from 0."""
    today = now().replace(hour=HOUR, minute=0, second=0, microsecond=0)
    return today + timedelta(days=number + (today <= now()))


_BEFORE_THE_TESTS = now().replace(second=0, microsecond=0) - timedelta(minutes=30)


def lately(number: int) -> datetime:
    """Return one of the moments that have just passed, from 0: a slot is for a time that has come."""
    return _BEFORE_THE_TESTS + timedelta(minutes=number)


def text(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def minutes_from_now(count: int) -> datetime:
    return now().replace(second=0, microsecond=0) + timedelta(minutes=count)


def sleep_until(moment: datetime) -> None:
    """Wait for a time of the clock: there is nothing else to wait for."""
    time.sleep(max(0.0, (moment - now()).total_seconds()))


def days_from_the_end(today: datetime) -> tuple[str, str]:
    """Return two days of a month, counted from its end: today, and another for which today stands in the CronJob.

    On a month's first days and its last one there may be no such day: then it is a day by number, or tomorrow's.
    """
    last = calendar.monthrange(today.year, today.month)[1]
    before = last - today.day
    mine = f"L-{before}" if before < 28 else f"L,{today.day}"
    others = [n for n in range(28) if n != before and 28 - n <= today.day <= 31 - n]
    return mine, f"L-{others[0]}" if others else str(today.day % 28 + 1)
