"""What others say, made fit for a status: the words of a container runtime may quote a variable, and so a Secret."""

import re
from collections.abc import Set as AbstractSet
from typing import Final

_ABOUT_THE_PROCESS: Final = re.compile(r"(?i)environment|\benv|oci runtime|\brunc\b|\bcrun\b|container init|KeyValue")
"""Words about how a process is made: only they can repeat its environment, or its arguments with values put in."""

_QUOTED: Final = re.compile(r'"((?:[^"\\]|\\.)*)"|\'([^\']*)\'|`([^`]*)`')
_ASSIGNED: Final = re.compile(r"\b([A-Za-z_][A-Za-z0-9_]{0,252})=.*", re.DOTALL)
_CHARACTERS: Final = 4096
_MESSAGE_CHARACTERS: Final = 2048
_LEFT_OUT: Final = "…"


def without_values(message: str, written: AbstractSet[str] = frozenset()) -> str:
    """Return what a runtime or kubelet says about a container, without values that only it knows.

    ``written`` is what stands in the pod's own manifest: quoted, it may stay. Anything else in quotes may be the value
    of a Secret's key, and goes, wherever the message repeats it; so does all that follows a variable's ``NAME=``.
    """
    message = message[:_CHARACTERS]
    if not _ABOUT_THE_PROCESS.search(message):
        return message
    for quoted in _QUOTED.finditer(message):
        value = next((group for group in quoted.groups() if group is not None), "")
        if value and value not in written:
            message = message.replace(value, _LEFT_OUT)
    if message.count('"') % 2:  # the rest of a quotation was cut off before it came to us
        message = message.rpartition('"')[0] + f'"{_LEFT_OUT}'
    return _ASSIGNED.sub(rf"\1={_LEFT_OUT}", message)


def shortened(message: str) -> str:
    """Return ``message`` as a status tells it: at most 2,048 characters of it."""
    return message if len(message) <= _MESSAGE_CHARACTERS else message[: _MESSAGE_CHARACTERS - 1] + "…"
