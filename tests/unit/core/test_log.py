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
    ("codes", "expected"),
    [
        pytest.param({"loaders": True, "extractors": False}, {}, id="a truth value is no code"),
        pytest.param({"loaders": 1.0, "extractors": "1", "mappers": None}, {}, id="nor is another type"),
        pytest.param({"loaders": 10**18}, {}, id="nor is a number that no system has"),
        pytest.param({"loaders": -9, "extractors": 0}, {"loaders": -9}, id="a signal"),
        pytest.param({"load\u001b[31mers\u202e\n": 1}, {"loaders": 1}, id="a name without control characters"),
        pytest.param({"half \ud83d": 1}, {"half \ufffd": 1}, id="a name without half a character"),
        pytest.param({"x" * 1000: 1}, {"x" * 63: 1}, id="a name of bounded length"),
    ],
)
def test_failed_parts_are_codes_by_name(codes: dict[str, object], expected: dict[str, int]) -> None:
    assert log.failed_parts(meltano("Block run completed", "error", exit_codes=codes)) == expected


def test_failed_parts_are_few() -> None:
    codes = {f"part {number}": 1 for number in range(500)}
    assert len(log.failed_parts(meltano("Block run completed", exit_codes=codes))) == 8


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("plain, with\ttabs\nand lines", "plain, with\ttabs\nand lines", id="nothing to do"),
        pytest.param("\x1b[1;31mred\x1b[0m \x1b[38;2;1;2;3mtext\x1b[m", "red text", id="colours"),
        pytest.param("\x1b[2K\x1b[1A\x1b[?25lrow", "row", id="the cursor"),
        pytest.param("\x1b]0;title\x07a\x1b]8;;http://x\x1b\\b\x9d2;x\x9cc", "abc", id="titles and links"),
        pytest.param("\x1bPq#0;2\x1b\\a\x1b^x\x1b\\b\x1b_y\x9cc", "abc", id="device strings"),
        pytest.param("\x1b(Ba\x1b)0b\x1b7c\x1bMd\x1b", "abcd", id="character sets, single codes"),
        pytest.param("\x9b31mred\x9b0m\x85", "red", id="C1"),
        pytest.param("\x1b]0;never ended\nError: disk full", "0;never ended\nError: disk full", id="no end: no loss"),
        pytest.param(" 10%\r 20%\r100%\r\ndone\r\n", "100%\ndone\n", id="a progress bar"),
        pytest.param("50%\r", "50%", id="a progress bar that has not gone on"),
        pytest.param("E\0r\0r\0o\0r\0:\0 disk\b full", "Error: disk full", id="UTF-16 by accident, backspaces"),
        pytest.param("a\u202eb\u2066c\u200fd\u061ce\u200bf\ufeffg", "abcdefg", id="unseen characters"),
        pytest.param(r'{"m": "\u001b[31mred\u001b[0m \u009b1m\u202e\u0007"}', '{"m": "red "}', id="as escapes of JSON"),
        pytest.param("\ud83d\ude00 and \ud83d", "\U0001f600 and \ufffd", id="halves of characters"),
    ],
)
def test_a_clean_text_is_what_a_terminal_shows(text: str, expected: str) -> None:
    assert log.clean(text) == expected


def test_an_explanation_fits_with_its_cause() -> None:
    text = (
        'Exception in thread "main" a.B: ' + "x" * 5_000 + "\n\tat a.B.c(B.java:1)\nCaused by: d.E: the disk is full\n"
    )
    explained = log.explanation(text) or ""
    assert explained.endswith("\nCaused by: d.E: the disk is full")
    assert len(explained.encode()) <= 1024


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
