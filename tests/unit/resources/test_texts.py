"""Times and names as users write them: what admission lets through can be read, and what was stored before, too."""

import calendar
import re
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from builders import a_job, a_pipeline
from e2e.refused import OUTSIDE, REFUSED, RIGHT_TIMES, WRONG_TIMES
from elt_operator.core import render
from elt_operator.core.situation import Limits
from elt_operator.resources.fields import Fields
from elt_operator.resources.job import JobSpec
from elt_operator.resources.pipeline import PipelineSpec
from elt_operator.resources.texts import EARLIEST, TIME_PATTERN, TOO_LATE

MODELS: dict[str, type[Fields]] = {"Job": JobSpec, "Pipeline": PipelineSpec}
UNREADABLE = re.compile("^(time:|a start|an end after|NUL in a property's name)")
"""Rows whose manifest must not be carried out, however it came to be stored."""

WRITTEN_TIMES = st.one_of(
    st.from_regex(TIME_PATTERN.rstrip("$"), fullmatch=True),
    st.from_regex(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}([.,][0-9]*)?([Zz]|[+-][0-9:]*)?"),
    st.from_regex(r"(0001-01-01|9999-12-31)T(00:00:00|23:59:59)[+-](23:59|00:00)"),
    st.text(),
    st.integers(),
)


def times_of(text: str | int) -> list[str]:
    """Return the run's times of a Job that was stored with ``text``; none when it cannot be read."""
    fields = dict.fromkeys(("scheduledTime", "intervalStart", "intervalEnd"), text)
    try:
        job = a_job(trigger=fields)
    except ValidationError:
        return []
    (container,) = render.run(a_pipeline(), job, 1, Limits())["spec"]["template"]["spec"]["containers"]
    return [entry["value"] for entry in container["env"] if entry["name"].startswith(("ELT_INTERVAL", "ELT_SCHEDULED"))]


@given(WRITTEN_TIMES)
def test_a_stored_time_is_read_or_a_problem_and_never_an_accident(text: str | int) -> None:
    for told in times_of(text):
        assert EARLIEST <= datetime.fromisoformat(told) < TOO_LATE


@given(st.from_regex(TIME_PATTERN.rstrip("$"), fullmatch=True))
def test_what_the_pattern_lets_through_is_a_time_and_read_as_the_same(text: str) -> None:
    moment = datetime.fromisoformat(re.sub(r"(\.[0-9]{6})[0-9]+", r"\1", text))
    told = times_of(text)

    assert bool(told) == (EARLIEST <= moment < TOO_LATE)
    if told:
        assert datetime.fromisoformat(told[0]) == moment.astimezone(UTC).replace(microsecond=0)


def test_the_pattern_knows_the_days_of_each_month() -> None:
    for year in range(1970, 3000):
        for month in (2, 4, 12):
            last = calendar.monthrange(year, month)[1]
            for day in (last, last + 1):
                matched = re.match(TIME_PATTERN, f"{year}-{month:02}-{day:02}T00:00:00Z")
                assert bool(matched) == (day == last), (year, month, day)


@pytest.mark.parametrize("text", RIGHT_TIMES)
def test_a_right_time_is_read(text: str) -> None:
    assert len(times_of(text)) == 3


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        *[
            (text, "the time is out of range: its year must be from 1970 to 2999, in UTC as well")
            for text in OUTSIDE.values()
        ],
        ("2026-01-01T00:00:00", "the time needs an offset such as +02:00, or Z"),
    ],
)
def test_a_time_that_arithmetic_could_fail_on_is_a_problem(text: str, problem: str) -> None:
    assert text in WRONG_TIMES.values()
    with pytest.raises(ValidationError, match=re.escape(problem)):
        JobSpec.model_validate({"pipelineName": "weather", "trigger": {"scheduledTime": text}})


@pytest.mark.parametrize(
    "manifest", [pytest.param(row[0], id=name) for name, row in REFUSED.items() if not UNREADABLE.match(name)]
)
def test_what_was_stored_before_a_rule_came_is_still_read(manifest: dict[str, Any]) -> None:
    MODELS[manifest["kind"]].model_validate(manifest["spec"])


@pytest.mark.parametrize("model", MODELS.values())
@pytest.mark.parametrize(
    "name",
    ["path", "PATH", "Path", "ld.preload", "LD_PRELOAD", "ld-library_path", "home", "pythonpath", "kubernetes.x",
     "elt.job", "meltano-run.id", "path\n", "p\u0131thonpath", "tap x", "", "a=b", "a\0"],
)  # fmt: skip
def test_a_property_that_steers_the_process_is_a_problem_that_is_told(model: type[Fields], name: str) -> None:
    with pytest.raises(ValidationError, match="reserved or not allowed") as problem:
        model.model_validate({"image": "x", "command": ["x"], "pipelineName": "weather", "properties": {name: "x"}})
    assert problem.value.errors()[0]["loc"] == ("properties",)
