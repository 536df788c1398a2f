"""Foreign text, made fit to be shown: what a terminal would show of it, in whole characters."""

from typing import Final

from elt_operator.core import log_formats as formats

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
    text = formats.UNSEEN.sub("", formats.TERMINAL_CODES.sub("", _whole(text)))
    if "\r" in text:
        ends = "\n".join(line.rstrip("\r") for line in text.split("\n"))
        text = formats.REDRAWN.sub("", ends)
    return text.replace("\u2028", "\n").replace("\u2029", "\n")


def clean(text: str) -> str:
    """Return ``text`` as `shown`, and without the codes and unseen characters that are written as escapes of JSON."""
    text = shown(text)
    return formats.ESCAPED_CODES.sub("", text) if "\\" in text else text


def cut(text: str, limit: int) -> str:
    """Return the beginning of ``text`` that fits into ``limit`` bytes."""
    return text[:limit].encode()[:limit].decode(errors="ignore")
