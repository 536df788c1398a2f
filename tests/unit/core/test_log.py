"""What a run's log tells."""

import json

import pytest

from elt_operator.core import log


def meltano(event: str, level: str = "info", **fields: object) -> str:
    return json.dumps({"event": event, "level": level, **fields})


TAP_FAILED = "\n".join(
    [
        "Environment 'prod' is active",
        meltano('{"level": "info", "name": "tap-weather", "message": "start: bookmark=None"}', string_id="tap-weather"),
        meltano('{"level": "critical", "message": "source went away after 12000 records"}', string_id="tap-weather"),
        meltano("Gracefully shutting down...", string_id="target-postgres"),
        meltano("Extractor failed", "error"),
        meltano("Block run completed", "error", success=False, exit_codes={"extractors": 77}),
        meltano("Run completed", status="failure"),
        "Error: Run invocation could not be completed as block failed: Extractor failed",
    ]
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("", None, id="empty log"),
        pytest.param("one\ntwo\n\n", "two", id="plain text: the last line"),
        pytest.param("Error: no such file\ncleaning up", "Error: no such file", id="a line that calls itself an error"),
        pytest.param(
            "Traceback (most recent call last):\n  File x\npsycopg.OperationalError: password failed\n",
            "psycopg.OperationalError: password failed",
            id="the last word of a traceback",
        ),
        pytest.param(TAP_FAILED, "source went away after 12000 records", id="a tap's line within Meltano's"),
        pytest.param(
            meltano("Run completed") + "\n" + meltano("Extractor failed", "error"), "Extractor failed",
            id="only Meltano's summary",
        ),
        pytest.param("Error: Block tap-x not found", "Error: Block tap-x not found", id="Meltano's plain words"),
        pytest.param(
            json.dumps({"info": {"level": "error", "msg": "1 of 2 tests failed"}, "data": {}}), "1 of 2 tests failed",
            id="dbt",
        ),
        pytest.param('{"half":', '{"half":', id="not quite JSON"),
    ],
)  # fmt: skip
def test_a_failure_is_explained_by(text: str, expected: str | None) -> None:
    assert log.explanation(text) == expected


def test_failed_parts_are_those_of_the_last_failed_block() -> None:
    assert log.failed_parts(TAP_FAILED) == {"extractors": 77}
    assert log.failed_parts("nothing of Meltano's") == {}


@pytest.mark.parametrize(
    ("text", "limit", "expected"),
    [
        pytest.param("one\ntwo\n", 100, "one\ntwo", id="short enough"),
        pytest.param("one\ntwo\nthree\n", 9, "two\nthree", id="cut at a line's end"),
        pytest.param("one\ntwo\nthree\n", 7, "three", id="no half lines"),
        pytest.param("abcdefghij", 4, "ghij", id="one long line"),
        pytest.param("aé", 1, "", id="never half a character"),
        pytest.param("\x1b[31mred\x1b[0m\x07", 100, "red", id="no colours, no bells"),
    ],
)
def test_the_tail_has_whole_lines(text: str, limit: int, expected: str) -> None:
    assert log.tail(text, limit) == expected
