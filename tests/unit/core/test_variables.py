"""Properties and the environment variables they become."""

import re
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from elt_operator.core.variables import variable, variables
from elt_operator.resources.job import JobSpec
from elt_operator.resources.pipeline import PROPERTY_NAME, RESERVED_PROPERTY


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("tap-weather.start_date", "TAP_WEATHER_START_DATE"),
        ("a", "A"),
        ("target-x.schema.name", "TARGET_X_SCHEMA_NAME"),
    ],
)
def test_a_property_becomes(name: str, expected: str) -> None:
    assert variable(name) == expected


@given(st.from_regex(PROPERTY_NAME.rstrip("$"), fullmatch=True))
def test_what_the_api_server_lets_through_steers_no_process(name: str) -> None:
    found = variable(name)

    reserved = found in {"PATH", "HOME", "MELTANO_RUN_ID"} or found.startswith(("KUBERNETES_", "LD_", "ELT_", "PYTHON"))
    assert reserved == bool(re.match(RESERVED_PROPERTY, name))


@given(st.dictionaries(st.one_of(st.text(), st.from_regex(PROPERTY_NAME.rstrip("$"))), st.text()))
def test_no_stored_property_steers_a_process(properties: dict[str, str]) -> None:
    with suppress(ValidationError):
        job = JobSpec.model_validate({"pipelineName": "weather", "properties": properties})
        for found in variables(job.properties):
            assert re.fullmatch("[A-Z0-9][A-Z0-9_]*", found)
            assert not re.match("(KUBERNETES_|LD_|ELT_|PYTHON|(PATH|HOME|MELTANO_RUN_ID)$)", found)
