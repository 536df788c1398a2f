"""What is hidden of a log before anybody stores or shows it: what looks like a secret.

Patterns know the form of a secret, never its value: what no pattern knows is kept as it is. All of them are RE2's
(https://github.com/google/re2/wiki/Syntax), so that one search takes linear time. A user's pattern that begins to match
at every character and needs the rest of the line to decide, such as ``x.*y|x``, is searched for anew behind each match,
which takes quadratic time on one long line.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final

import re2

MOST_PATTERNS: Final = 20
LONGEST_PATTERN: Final = 256
HIDDEN: Final = b"***"
_MEMORY: Final = 8 * 1024 * 1024
"""What the automaton of one pattern may take, in bytes."""

_KEY: Final = (
    rb"(?:password|passwd|passphrase|secret(?:[_-]?(?:access)?[_-]?key)?|token|credentials?"
    rb"|(?:api|access|account|sas|shared|private|signing|encryption)[_-]?key|(?:\b|_)(?:pwd|sig)|_pass)"
)
_QUOTED: Final = (
    rb'"((?:[^"\\\n]|\\[^\n])*)'  # in quotes,
    rb'|\\"((?:[^"\\\n]|\\\\\\"|\\\\[^"\n]|\\[^"\\\n])*)'  # in quotes of JSON that stands in JSON,
    rb"|'([^'\n]*)"
)
_VALUE: Final = rb"(?:" + _QUOTED + rb"|([^\s\"'\\,;&(){}\[\]<>][^\s\"'\\,;&(){}\[\]<>]*))"
"""In quotes, or up to what ends a word."""
_SEPARATOR: Final = rb"(?:\\?[\"'])?[ \t]{0,8}(?:=>|[:=])[ \t]{0,8}"
_NO_NUMBER: Final = rb"(?:" + _QUOTED + rb"|([0-9]*[^\s\"'\\,;&(){}\[\]<>0-9][^\s\"'\\,;&(){}\[\]<>]*))"
"""The same, but no number: dbt counts with ``PASS=3``."""
_PATTERNS: Final[Sequence[bytes]] = (
    rb"[a-z][a-z0-9+.-]*://[^\s:/?#@\"']*:([^\s\"'<>]+)@",
    rb"\b(?:bearer|basic)[ \t]+([a-z0-9._~+/=-]{8,})",
    rb"\b(eyJ[a-z0-9_-]{8,}\.[a-z0-9_-]{8,}(?:\.[a-z0-9_-]*)*)",
    rb"\b((?:AKIA|ASIA)[0-9A-Z]{16})\b",
    rb"\b(AIza[0-9a-z_-]{35}|ya29\.[0-9a-z_-]{20,})",
    rb"\b((?:gh[opusr]|github_pat|glpat|xox[abeoprs]|xapp|[rsp]k_live|[rsp]k_test|npm|pypi)[_-][0-9a-z_-]{16,})",
    rb"\b(dapi[0-9a-f]{32}|sk-[0-9a-z_-]{20,})",
    (
        rb"--?(?:[a-z0-9]+[_-])*(?:password|passwd|passphrase|secret|token|pwd|(?:api|access|account)[_-]?key)"
        rb"[ \t]+([^\s-][^\s]*)"
    ),
    _KEY + _SEPARATOR + _VALUE,
    rb"\bpass" + _SEPARATOR + _NO_NUMBER,
)
"""What is hidden is the group that is found."""
_BEGIN: Final = rb"-----BEGIN (?:[A-Z0-9]{1,16} )*PRIVATE KEY(?: BLOCK)?-----"
_END: Final = rb"-----END (?:[A-Z0-9]{1,16} )*PRIVATE KEY(?: BLOCK)?-----"
_OF_A_KEY: Final = rb"[A-Za-z0-9+/=]{16}|^[A-Za-z0-9+/=\s]*$|Proc-Type:|DEK-Info:|Version:|Comment:"
"""What a line within the block of a private key holds."""


class PatternError(ValueError):
    """A user's pattern cannot be used; the message says why."""


def _compiled(pattern: bytes, *, any_case: bool = True) -> Any:
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    options.case_sensitive = not any_case
    options.log_errors = False
    options.max_mem = _MEMORY
    options.never_nl = True  # lines stay lines
    return re2.compile(pattern, options)


@cache
def _own() -> tuple[Any, Sequence[Any]]:
    """Return one pattern that is found wherever any of our own is, and those by themselves."""
    any_of_them = _compiled(b"|".join((*_PATTERNS, _BEGIN)))
    return any_of_them, [_compiled(pattern) for pattern in _PATTERNS]


@cache
def _of_keys() -> tuple[Any, Any, Any]:
    return _compiled(_BEGIN), _compiled(_END), _compiled(_OF_A_KEY, any_case=False)


def users_pattern(pattern: str) -> Any:
    """Return a user's pattern, ready for use; raises ``PatternError``."""
    if not pattern or len(pattern.encode()) > LONGEST_PATTERN:
        raise PatternError(f"it must have 1 to {LONGEST_PATTERN} bytes")
    try:
        compiled = _compiled(b"(?m)" + pattern.encode(), any_case=False)
    except re2.error as error:
        words = error.args[0] if error.args else "it is invalid"
        raise PatternError(words.decode(errors="replace") if isinstance(words, bytes) else str(words)) from error
    if compiled.search(b""):
        raise PatternError("it matches the empty text, so it would match everywhere")
    return compiled


@dataclass
class Masker:
    """Hides secrets in the lines of one log, which it is given in order."""

    patterns: Sequence[Any] = ()
    """Those of the user; where one has groups, only those are hidden."""
    in_key: bool = False
    """Whether the next line may be part of a private key."""
    hidden: int = 0
    """How many were found."""
    _lines: list[bytes] = field(default_factory=list)

    def mask(self, text: bytes) -> bytes:
        """Return ``text``, whole lines, without secrets."""
        any_of_them, own = _own()
        if self.in_key or any_of_them.search(text):
            text = self._without_keys(text)
            for pattern in own:
                text = self._without(pattern, text)
        for pattern in self.patterns:
            text = self._without(pattern, text)
        return text

    def _without(self, pattern: Any, text: bytes) -> bytes:
        parts, position = [], 0
        for start, end in _found(pattern, text):
            if start >= position and end > start and text[start:end] != HIDDEN:
                parts += [text[position:start], HIDDEN]
                position = end
                self.hidden += 1
        return b"".join([*parts, text[position:]]) if parts else text

    def _without_keys(self, text: bytes) -> bytes:
        """Hide private keys: the lines stay, so that their numbers do."""
        begin, _, _ = _of_keys()
        if not self.in_key and not begin.search(text):
            return text
        return b"".join(self._without_key(line) for line in text.splitlines(keepends=True))

    def _without_key(self, line: bytes) -> bytes:
        begin, end, of_a_key = _of_keys()
        if self.in_key:
            ended = end.search(line)
            if ended:
                self.in_key = False
                return HIDDEN + line[ended.start() :]
            self.in_key = bool(of_a_key.search(line.rstrip(b"\r\n")))
            if self.in_key:
                return HIDDEN + line[len(line.rstrip(b"\r\n")) :]
        if begun := begin.search(line):
            self.hidden += 1
            ended = end.search(line, begun.end())
            self.in_key = ended is None
            after = line[ended.start() :] if ended else line[len(line.rstrip(b"\r\n")) :]
            return line[: begun.end()] + HIDDEN + after
        return line


def _found(pattern: Any, text: bytes) -> Iterator[tuple[int, int]]:
    """Yield what is to be hidden: the groups that were found, else all of it."""
    for found in pattern.finditer(text):
        groups = [found.span(group) for group in range(1, pattern.groups + 1) if found.start(group) >= 0]
        yield from groups or [found.span()]
