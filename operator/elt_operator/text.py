"""Foreign text, made fit to be shown: what a terminal would show of it, in whole characters."""

import re
from typing import Final

TERMINAL_CODES: Final = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*+[ -/]*+[@-~]"  # CSI: colours, the cursor
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x90\x98\x9c-\x9f\n]*+(?:\x07|\x1b\\|\x9c)"  # OSC, DCS, PM, APC
    r"|\x1b[ -/]++[0-~]"  # character sets
    r"|\x1b[0-~]?"
)

ESCAPED_CODES: Final = re.compile(
    r"(?<!\\)\\++u00(?i:"
    r"1b(?:\[[0-?]{0,64}+[ -/]{0,8}+[@-~]|\][^\"\\\n]{0,256}+(?:\\++u0007|\\++u001b\\{0,4})|[ !#-/]{0,4}+[0-Z^-~])?"
    r"|9b(?:[0-?]{0,64}+[ !#-/]{0,8}+[@-~])?"
    r"|0[0-8bcef]|1[0-9a-f]|7f|[89][0-9a-f])"
    r"|(?<!\\)\\++u(?i:20(?:0[b-f]|2[a-e]|6[0-9a-f])|061c|feff)"
)
"""The same, and the unseen characters below, as JSON writes them."""

UNSEEN: Final = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f"  # controls; what NUL and backspace stand between is one word
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U000e0000-\U000e0fff]"
)
"""Controls, bidirectional controls, and characters without a width: they can make a text look like another one."""

REDRAWN: Final = re.compile(r"^[^\n]*\r", re.MULTILINE)
"""What a progress bar has drawn over."""

CHARACTERS: Final = 64 * 1024
"""What is read of a log: its end. That is all that the operator fetches."""


def _whole(text: str) -> str:
    """Return ``text`` with whole characters only: two halves of one are joined, a single half is replaced."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def shown(text: str) -> str:
    """Return ``text`` as a terminal would show it in the end: no codes, no unseen characters, nothing drawn over."""
    if text.isascii() and text.isprintable():
        return text
    text = UNSEEN.sub("", TERMINAL_CODES.sub("", _whole(text)))
    if "\r" in text:
        ends = "\n".join(line.rstrip("\r") for line in text.split("\n"))
        text = REDRAWN.sub("", ends)
    return text.replace("\u2028", "\n").replace("\u2029", "\n")


def clean(text: str) -> str:
    """Return ``text`` as `shown`, and without the codes and unseen characters that are written as escapes of JSON."""
    text = shown(text)
    return ESCAPED_CODES.sub("", text) if "\\" in text else text


def cut(text: str, limit: int) -> str:
    """Return the beginning of ``text`` that fits into ``limit`` bytes."""
    return text[:limit].encode()[:limit].decode(errors="ignore")


def whole_characters(text: bytes, begin: int, stop: int) -> int:
    """Return where to cut ``text``, at ``stop`` or right before, so that no character of UTF-8 is cut in two."""
    place = stop
    while stop < len(text) and place > max(begin, stop - 3) and text[place] & 0xC0 == 0x80:  # noqa: PLR2004 - 10xxxxxx
        place -= 1
    return place if place > begin else stop
