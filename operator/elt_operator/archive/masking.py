"""What is hidden of a log before anybody stores or shows it: what looks like a secret.

Patterns know the form of a secret, never its value: what no pattern knows is kept as it is. All of them are RE2's
(https://github.com/google/re2/wiki/Syntax), so that one search takes linear time.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import re2

from elt_operator.text import whole_characters

MOST_PATTERNS: Final = 20
LONGEST_PATTERN: Final = 256
HIDDEN: Final = b"***"
_MEMORY: Final = 8 * 1024 * 1024
"""What the automaton of one pattern may take, in bytes."""
_MOST_OF_A_LINE: Final = 1_000
"""How often a user's pattern may be found in a line; beyond that, the rest of it is hidden. A pattern that needs all of
the line to decide, and matches everywhere, as ``x.*y|x`` may, would else take quadratic time."""
_LONGEST_SECRET: Final = 4096
"""How much of a long line is looked at around the place where it is cut."""
_BETWEEN: Final = 5
"""How many other lines may come between two of a private key: another thread's, or the other stream's."""

_START: Final = rb"(?:(?m:^)|[^a-z0-9_]|\x1b\[[0-9;]{0,12}m|\\[nrt])"
"""Where a word may begin: also behind a colour, or an escaped end of a line."""
_NAMES: Final = (
    rb"password|passwd|passphrase|passcode|secret(?:[_-]?(?:access)?[_-]?key)?|token|credentials?"
    rb"|(?:api|auth|access|account|sas|shared|private|signing|encryption)[_-]?key"
)
_KEY: Final = rb"(?:(?:" + _NAMES + rb"|(?:" + _START + rb"|_)(?:pwd|sig)|_pass)(?:[0-9]{1,4}|(?-i:_[A-Z0-9_]{1,40}))?)"
"""How the name of a secret ends; variables of the environment say more: ``DB_PASSWORD_2``."""
_QUOTED: Final = (
    rb"(?:(?:[a-z]{0,12}[(\[{]|[a-z$]{0,2})"  # SecretStr('…'), b'…',
    rb'(?:"((?:[^"\\\n]|\\[^\n])*)'  # in quotes,
    rb'|\\"((?:[^"\\\n]|\\\\\\"|\\\\[^"\n]|\\[^"\\\n])*)'  # in quotes of JSON that stands in JSON,
    rb"|\\{2,}\"([^\"\n]*)|\\*'([^'\n]*)))"  # and so on
)
_WORD: Final = rb"[(\[{\\]{0,3}[^\s\"'\\,;&)}\]<>]"
_VALUE: Final = rb"(?:" + _QUOTED + rb"|(" + _WORD + rb"+))"
"""In quotes, or up to what ends a word."""
_INK: Final = rb"(?:\x1b\[[0-9;]{0,12}m)*"
"""Colours."""
_SEPARATOR: Final = (
    rb"(?:\\*[\"'])?"
    + _INK
    + rb"[ \t]{0,40}"
    + _INK
    + rb"(?::=|==|=>|->|[:=]|%3D|\\u003d)"
    + _INK
    + rb"[ \t]{0,40}"
    + _INK
)
_NO_NUMBER: Final = rb"(?:" + _QUOTED + rb"|([0-9]*[^\s\"'\\,;&(){}\[\]<>0-9][^\s\"'\\,;&)}\]<>]*))"
"""The same, but no number: dbt counts with ``PASS=3``."""
_OPTION: Final = rb"--?(?:[a-z0-9]+[._-])*(?:" + _NAMES + rb"|pass|pwd)"
_PATTERNS: Final[Sequence[bytes]] = (
    rb"[a-z][a-z0-9+.-]*:(?:\\?/){2}[^\s:/?#@\"]*:((?:[^\s\"'<>]|[\"'][^\s\"'<>,;:)}\]])+)@",
    rb"[a-z][a-z0-9+.-]*://[^\s:/?#\"']*@[^\s:/?#\"']*:([^\s\"'<>/?#]+)@",  # a user's name with an @
    _START + rb"(?:bearer|basic)[ \t]+" + _INK + rb"([a-z0-9._~+/=-]{8,})",
    rb"authorization" + _SEPARATOR + rb"(?:" + _QUOTED + rb"|(?:[a-z0-9-]{1,20}[ \t]+)?((?:[^\n\"'\\]|\"[^\"\n]*\")+))",
    _START + rb"(eyJ[a-z0-9_-]{8,}\.[a-z0-9_-]{8,}(?:\.[a-z0-9_-]*)*)",
    _START + rb"((?:AKIA|ASIA)[0-9A-Z]{16})\b",
    _START + rb"(AIza[0-9a-z_-]{35}|ya29\.[0-9a-z_-]{20,})",
    _START + rb"((?:gh[opusr]|github_pat|glpat|xox[abeoprs]|xapp|[rsp]k_live|[rsp]k_test|npm|pypi)[_-][0-9a-z_-]{16,})",
    _START + rb"(dapi[0-9a-f]{32}|sk-[0-9a-z_-]{20,})",
    (
        _OPTION + rb"(?:[ \t]+(?:" + _QUOTED + rb"|([^\s-][^\s]*))"
        rb"|\\*[\"'],?[ \t]{0,8}\\*[\"']([^\"'\n]+))"  # in a list
    ),
    _KEY + _SEPARATOR + _VALUE,
    _START + rb"pass" + _SEPARATOR + _NO_NUMBER,
    rb"<[a-z0-9_.:-]*" + _KEY + rb">([^<>\n]+)<",
)
"""What is hidden is the group that is found."""
_BEGIN: Final = rb"-----BEGIN (?:[A-Z0-9]{1,16} )*PRIVATE KEY(?: BLOCK)?-----"
_END: Final = rb"-----END (?:[A-Z0-9]{1,16} )*PRIVATE KEY(?: BLOCK)?-----"
_OF_A_KEY: Final = rb"[A-Za-z0-9+/=]{32}|^\s*[A-Za-z0-9+/=]*\s*$|Proc-Type:|DEK-Info:|Version:|Comment:"
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


@cache
def _of_names() -> tuple[Any, Any]:
    return _compiled(rb"(?:" + _KEY + rb"|\bpass)$"), _compiled(rb"^" + _OPTION + rb"$")


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
    in_key: int = 0
    """How many other lines may still come before the next one of a private key; 0: none has begun."""
    hidden: int = 0
    """How many were found."""

    def mask(self, text: bytes) -> bytes:
        """Return ``text``, whole lines, without secrets."""
        any_of_them, own = _own()
        if self.in_key or any_of_them.search(text):
            text = self._without_keys(text)
            for pattern in own:
                text = self._without(_found(pattern, text), text)
        for pattern in self.patterns:
            text = self._without(_found_in_lines(pattern, text), text)
        return text

    def _without(self, spans: Iterator[tuple[int, int]], text: bytes) -> bytes:
        parts, position = [], 0
        for start, end in spans:
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
        content = line.rstrip(b"\r\n")
        parts, position = [], 0
        while found := (end if self.in_key else begin).search(content, position):
            parts.append(HIDDEN + found[0] if self.in_key else content[position : found.end()])
            self.hidden += not self.in_key
            self.in_key = 0 if self.in_key else _BETWEEN
            position = found.end()
        rest = content[position:]
        if self.in_key and (parts or of_a_key.search(rest)):
            self.in_key, rest = _BETWEEN, HIDDEN
        elif self.in_key:
            self.in_key -= 1
        return b"".join([*parts, rest, line[len(content) :]])


def place_to_cut(text: bytes) -> int:
    """Return where to cut a line that is too long: near its end, and within nothing that looks like a secret."""
    place = max(len(text) - _LONGEST_SECRET, len(text) // 2)
    begin = max(0, place - _LONGEST_SECRET)
    around = text[begin:]
    _, own = _own()
    found = [(begin + one.start(), begin + one.end()) for pattern in own for one in pattern.finditer(around)]
    place = min((start for start, end in found if 0 < start < place < end), default=place)
    return whole_characters(text, 0, place)


def masked_object(value: Any, patterns: Sequence[Any]) -> Any:
    """Return a JSON value with what looks like a secret hidden: in texts, and by the names that they have."""
    of_names, of_options = _of_names()
    if isinstance(value, str):
        return Masker(patterns).mask(value.encode(errors="replace")).decode(errors="replace")
    if isinstance(value, Mapping):
        named = value.get("name")  # of a variable: what is secret is its value
        return {
            key: _masked_as(named if key == "value" and named else key, below, of_names, patterns)
            for key, below in value.items()
        }
    if isinstance(value, list):
        return [
            _masked_as(option, item, of_options, patterns)
            for option, item in zip([None, *value], value)  # noqa: B905 - the last item is no option
        ]
    return value


def _masked_as(name: Any, value: Any, secrets: Any, patterns: Sequence[Any]) -> Any:
    """Return a value that has a name; ``secrets`` is found in those of secrets."""
    says_something = value not in {"", None} if isinstance(value, (str, int, float)) else False
    if (
        says_something
        and not isinstance(value, bool)
        and isinstance(name, str)
        and secrets.search(name.encode(errors="replace"))
    ):
        return HIDDEN.decode()
    return masked_object(value, patterns)


def _found(pattern: Any, text: bytes) -> Iterator[tuple[int, int]]:
    """Yield what is to be hidden: the groups that were found, else all of it."""
    for found in pattern.finditer(text):
        yield from _spans(pattern, found)


def _found_in_lines(pattern: Any, text: bytes) -> Iterator[tuple[int, int]]:
    """Do the same; of a line in which too much is found, yield all the rest."""
    position, goes_on = 0, True
    while goes_on:
        count, end, goes_on = 0, 0, False
        for found in pattern.finditer(text, position):
            if found.start() >= end:
                count, end = 0, _end_of_line(text, found.start())
            count += 1
            if count > _MOST_OF_A_LINE:
                yield found.start(), end
                position, goes_on = end, True
                break
            yield from _spans(pattern, found)


def _end_of_line(text: bytes, position: int) -> int:
    end = text.find(b"\n", position)
    return len(text) if end < 0 else end


def _spans(pattern: Any, found: Any) -> list[tuple[int, int]]:
    groups = [found.span(group) for group in range(1, pattern.groups + 1) if found.start(group) >= 0]
    return sorted(groups, key=lambda span: (span[0], -span[1])) or [found.span()]
