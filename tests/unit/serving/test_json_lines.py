"""Log lines, for people and for what collects them."""

import json
import logging

import pytest

from elt_operator.serving import json_lines


@pytest.fixture
def record() -> logging.LogRecord:
    line = logging.LogRecord(
        "elt_operator.controller.reconciler", logging.INFO, "x.py", 1, "Job %s: ERROR", ("a/b",), None
    )
    line.__dict__ |= {"namespace": "a", "pipeline": "weather", "job": "b", "reason": "OutOfMemory"}
    return line


def test_a_line_as_an_object(record: logging.LogRecord) -> None:
    told = json.loads(json_lines._json().format(record))

    assert told.pop("time")
    assert told == {
        "level": "INFO",
        "logger": "elt_operator.controller.reconciler",
        "message": "Job a/b: ERROR",
        "namespace": "a",
        "pipeline": "weather",
        "job": "b",
        "reason": "OutOfMemory",
    }


def test_a_line_as_text(record: logging.LogRecord) -> None:
    text = logging.Formatter(json_lines.TEXT).format(record)

    assert text.endswith(" INFO elt_operator.controller.reconciler: Job a/b: ERROR")
