"""A program as a process: settings, logging, event loop, and what is said when it cannot start."""

import asyncio
import logging
import signal
import sys
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, Literal, NoReturn, Protocol, TypeVar

import uvloop
from pydantic import ValidationError

from elt_operator.errors import NotSetUp
from elt_operator.serving import json_lines

_NOT_SET_UP = 2


class LogSettings(Protocol):
    """The settings that every program has."""

    @property
    def log_level(self) -> Literal["DEBUG", "INFO", "WARNING", "ERROR"]:
        """The least severe lines that are logged."""

    @property
    def log_format(self) -> Literal["json", "text"]:
        """How they look."""


S = TypeVar("S", bound=LogSettings)


def start(
    settings: Callable[[], S],
    run: Callable[[S], Coroutine[Any, Any, None]],
    edit: Callable[[logging.LogRecord], bool] = lambda _record: True,
) -> None:
    """Run a program until it ends; exits with 2 when it is not set up, saying what is missing.

    ``edit`` may change each line that is logged, or leave it out by answering no.
    """
    try:
        chosen = settings()
    except ValidationError as error:
        _exit(_invalid(error))
    json_lines.configure(chosen.log_level, chosen.log_format, edit)
    try:
        with suppress(asyncio.CancelledError):  # told to end before it had begun
            uvloop.run(run(chosen))
    except NotSetUp as error:
        _exit(str(error))


def told_to_end() -> asyncio.Event:
    """Return what SIGTERM and SIGINT set from now on."""
    told = asyncio.Event()
    end_by_setting(told)
    return told


def end_by_setting(told: asyncio.Event) -> None:
    """Have SIGTERM and SIGINT set this event from now on."""
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, told.set)


def _invalid(error: ValidationError) -> str:
    """Return what is wrong with each setting, in a line of its own."""
    wrong = [
        f"{'' if name.startswith('POD_') else 'ELT_OPERATOR_'}{name}: {found['msg']} (it is {found['input']!r})"
        for found in error.errors(include_url=False)
        for name in [str(found["loc"][0]).upper()]
    ]
    return "\n  ".join(["the settings are invalid:", *wrong])


def _exit(words: str) -> NoReturn:
    print(f"elt-operator: {words}", file=sys.stderr)  # noqa: T201 - there may be no log yet
    sys.exit(_NOT_SET_UP)
