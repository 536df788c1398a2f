"""How programs write their logs: tables of patterns. A new format is a new row; `log` says what is done with them.

Each pattern is tried on the first characters of one line only, and none has a loop in a loop: what foreign programs
write must not be able to make it slow.
"""

import re
from typing import Final


def any_of(*patterns: str) -> re.Pattern[str]:
    """Return one pattern for all."""
    return re.compile("|".join(f"(?:{pattern})" for pattern in patterns))


# -- Levels ------------------------------------------------------------------------------------------------------------

_ERROR_WORDS: Final = (
    "error err erro critical crit fatal fata ftl severe emergency emerg alert panic pani dpanic fail failure"
)
_WARNING_WORDS: Final = "warning warn wrn"
_INFO_WORDS: Final = (
    "info inf information informational notice success log debug dbg debu trace trc trac verbose"
    " fine finer finest config dbug trce"
)

LEVELS: Final = {
    **dict.fromkeys(_ERROR_WORDS.split(), "error"),
    **dict.fromkeys(_WARNING_WORDS.split(), "warning"),
    **dict.fromkeys(_INFO_WORDS.split(), "info"),
    "e": "error",
    "f": "error",
    "w": "warning",
    "i": "info",
    "d": "info",
}
"""What a level's name, in lower case, amounts to."""

# A logger's numbers: from which on it is an error, and a warning.
PYTHON_SCALE: Final = (40, 30)
NODE_SCALE: Final = (50, 40)
NODE_KEYS: Final = frozenset({"hostname", "v"})
"""A line of a Node logger has one of these."""
SCALES: Final = {"severitynumber": (17, 13)}
"""Fields with a scale of their own: OpenTelemetry's."""
NUMBERED: Final = frozenset(
    {"level", "levelno", "lvl", "severity", "severitynumber", "priority", "log.level", "info.level"}
)
"""Fields whose numbers are levels."""
LOWEST_OF_OTHERS: Final = 10
SYSLOG_ERROR, SYSLOG_WARNING = 3, 4
"""In syslog's scale, 0 to 7, lower is worse; all others begin at 10."""
SYSLOG_KEYS: Final = frozenset({"short_message", "syslog_identifier", "_hostname", "__realtime_timestamp"})
"""A line of GELF or of the journal has one of these."""

# -- The beginning of a line -------------------------------------------------------------------------------------------

_WORDS: Final = "|".join(sorted(f"{_ERROR_WORDS} {_WARNING_WORDS} {_INFO_WORDS}".split(), key=len, reverse=True))
_BARE: Final = "|".join(word for word in _WORDS.upper().split("|") if word not in {"FAIL", "FAILURE", "SUCCESS"})
_TIME: Final = (
    r"(?:\[[\w.-]{1,40}\]\s{1,4}\d{1,9}\s{1,4}-\s{1,4})?[\[(]?(?:"  # in brackets, an application and its process
    r"\d{4}[-/]\d\d[-/]\d\d(?:[T ,_-]\s?\d\d:\d\d(?::\d\d)?(?:[.,:]\d{1,9})?)?(?:\s?(?:Z|UTC|GMT|CES?T"
    r"|[+-]\d\d:?\d\d)\b)?"
    r"|\d\d[/.]\d\d[/.]\d\d(?:\d\d)? \d\d:\d\d:\d\d(?:[.,]\d{1,9})?"
    r"|\d\d?/[A-Z][a-z]{2}/\d{4}[: ]\d\d:\d\d:\d\d(?: [+-]\d{4})?"
    r"|\d\d?/\d\d?/\d{4},? \d\d?:\d\d:\d\d(?:[.,]\d{1,9})?(?: [AP]M)?"
    r"|(?:[A-Z][a-z]{2},? )?[A-Z][a-z]{2},? +\d\d?(?:, \d{4},?)? \d\d?:\d\d:\d\d(?:[.,]\d{1,9})?(?: [AP]M| \d{4})?"
    r"|\d\d?:\d\d(?::\d\d)?(?:[.,]\d{1,9})?(?: ?[AP]M)?(?=[\s|\]-]|$)"
    r"|\d{10}(?:\.\d{1,9})?(?=\s)"
    r")(?:\]|\))?(?: [\w-]{1,40} > )?"  # a program whose line is passed on
)
_BETWEEN: Final = (  # threads, processes, files, between the time and the level
    rf"(?:(?:\[(?!\s*(?:[\w-]{{1,40}}:)?(?i:{_WORDS})\b)[^\[\]\n]{{0,80}}\]|\{{[^{{}}\n]{{0,80}}\}}"
    rf"|\((?!(?i:{_WORDS})\b)[^()\n]{{0,60}}\)|\d{{1,10}}|[-|:])\s*+){{0,5}}+"
)
# A logger, or a host and a program.
_NAME: Final = r"(?:(?!of |npm )[\w.$/@:-]{1,60}+(?: \S{1,40}\[\d{1,9}\]:?)?\s++(?:[-|:]\s++)?)"
_AFTER: Final = r"(?:\s*+[\])>])?(?:\s*+\|\s?|\s*+-\s|/[\w.-]{1,40}\]\s?|:(?:  (?=\S))?\s?|\s++|(?=\W|$))"

TIMED_LEVEL: Final = re.compile(
    rf"{_TIME}[\s|,:-]{{0,4}}+{_BETWEEN}"
    rf"(?:[\[(<]\s*+(?:[\w-]{{1,40}}:)?(?P<level>(?i:{_WORDS}))(?=\s*[\])>])|(?:[\w-]{{1,40}}\.)?(?P<bare>{_BARE})\b"
    rf"|(?P<word>(?i:{_WORDS})(?=\s?[:|])|error|warning|warn|info|debug)\b"
    rf"|{_NAME}{_BETWEEN}[\[(<]?\s*+(?P<late>{_BARE})\b){_AFTER}"
)
LEVEL: Final = re.compile(
    rf"(?:[\[(<]\s*+(?P<level>(?i:{_WORDS}))\s*+[\])>]|(?P<bare>{_BARE})(?=[\s:|/\]-])"
    rf"|(?P<word>(?i:{_WORDS}))(?=:\s|:$))"
    rf"{_AFTER}(?:{_TIME}[\s|,:-]{{0,3}})?"
)
TIME: Final = re.compile(rf"{_TIME}(?:\s{{0,2}}[|:,-]\s?|\s{{1,2}}|$)")
OTHER_LEVELS: Final = any_of(
    r"(?P<klog>[IWEFD])\d{4} \d\d:\d\d:\d\d\.\d{1,9}\s+\d{1,9} [^\]\n]{1,80}\] ",
    r"(?P<logrus>ERRO|FATA|PANI|WARN|INFO|DEBU|TRAC)\[\d{1,9}\]\s?",
    r"npm (?P<npm>ERR|error|warn|WARN|notice|info)!?(?: |$)",
    rf"\[(?!(?i:{_WORDS})\])[\w.#-]{{1,40}}\] (?P<threaded>{_BARE})\s{{1,3}}",
    rf"\s{{8,24}}(?P<padded>{_BARE})\s{{1,8}}(?=\S)",  # below a time that is not repeated
)
LEVEL_ALONE: Final = re.compile(r"(crit|fail|warn|info|dbug|trce): [\w.`+]{1,200}\[\d{1,9}\]$")
"""A line of .NET's with level and logger; the message begins in the next one."""
CALLER: Final = re.compile(r"[\w./-]{1,80}\.(?:go|py|rs|js|ts|rb|cpp):\d{1,6}(?::\s?|\s+)(?=\S)")
"""The place in a program, left of the message."""
RIGHT_COLUMN: Final = re.compile(r"\s{2,}[\w.-]{1,60}\.py:\d{1,6}$")
"""The place in a program, right of the message."""
MELTANO_COLUMN: Final = re.compile(r"(meltano|(?:tap|target|mapper|dbt|utility)\b[\w.-]{0,60})(?: |$)")
"""The program whose line Meltano passes on, in a column of at least twelve characters."""
PASSED_ON_PAIRS: Final = re.compile(r"\s(?:cmd_type|stdio|string_id)=\S")
PAIRS_BEGIN: Final = re.compile(
    r"\s+(?:block_type|cmd_type|consumer|duration_seconds|job_name|name|producer|run_id|set_number|state_id|stdio"
    r"|string_id)=\S"
)
"""What older Meltanos write behind a line that they pass on."""
COLUMN_WIDTH: Final = 12
COLUMN_ROLES: Final = {"tap": "Extractor ", "target": "Loader "}
GUTTER: Final = re.compile(r"\s*[|+│] ?(?=[^\s|+-]|\s)")
"""What stands left of an exception group, and left of a message in a frame."""

# -- Lines of key=value ------------------------------------------------------------------------------------------------

PAIRS: Final = re.compile(
    r"""([\w.@-]{1,40}+)=(?:"((?:[^"\\]|\\.)*+)(?:"|\\?\Z)|'((?:[^'\\]|\\.)*+)(?:'|\\?\Z)"""
    r"""|(\S*+(?:\s++(?![\w.@-]{1,40}=)\S++)*+))"""
)
"""A value without quotes goes on to the next key."""
FIRST_PAIR: Final = re.compile(r"[\w.@-]{1,40}=\S")
HALF_PAIRS: Final = re.compile(
    r"""(?:"((?:[^"\\]|\\.)*+)(?:"|\\?\Z)|'((?:[^'\\]|\\.)*+)(?:'|\\?\Z))(\s{0,4}:\s{0,4}(?:([\w.+-]{1,30}))?)?"""
)
"""The strings of a line that is nearly JSON, each with what follows a colon."""

# -- Fields, by their path, in lower case; the first that is there counts ----------------------------------------------


def _ranks(*paths: str) -> dict[str, int]:
    return {path: rank for rank, path in enumerate(paths)}


MESSAGE_FIELDS: Final = _ranks(
    "info.msg", "record.message", "trace.error.message", "log.message", "fields.message", "jsonpayload.message",
    "event", "message", "msg", "short_message", "@m", "@mt", "log", "textpayload", "body", "body.stringvalue", "text",
    "m",
)  # fmt: skip
LEVEL_FIELDS: Final = _ranks(
    "info.level", "record.level.name", "log.level", "level", "severity", "levelname", "level_name", "lvl", "loglevel",
    "log_level", "severitytext", "severity_text", "@l", "levelno", "severitynumber", "priority", "trace.type", "status",
    "l",
)  # fmt: skip
ERROR_FIELDS: Final = _ranks(
    "error.message", "err.message", "exception.message", "error.msg", "error", "err", "errormessage", "error_message",
    "error_description",
    "fields.error", "fields.err", "fields.error.msg", "fields.error.message", "record.exception", "exc_info",
    "exception", "@x", "error.stack_trace", "error.stack", "err.stack", "stack", "stack_trace", "stacktrace",
    "thrown", "log.stack_trace", "trace.error.internal_message",
    "trace.error.stack_trace", "reason", "error_detail",
)  # fmt: skip
ERRORS: Final = frozenset({"error", "err", "exception", "error_message", "errormessage", "exc_info"})
"""Fields that say that there was an error, where no level does."""
EXCEPTION_FIELDS: Final = (("exc_type", "type", "name", "class"), ("exc_value", "message", "msg", "value"))
"""What an error that is an object calls its name, and its words."""
TELLING: Final = frozenset(MESSAGE_FIELDS) | frozenset(ERROR_FIELDS)
PARENTS: Final = frozenset(
    path[:end]
    for path in (*MESSAGE_FIELDS, *LEVEL_FIELDS, *ERROR_FIELDS)
    for end in range(len(path))
    if path[end] == "."
)
"""Fields that have fields."""
PASSED_ON: Final = frozenset({"stdio", "string_id", "producer", "consumer"})
"""A line with one of these passes on what another program said; its own level says nothing of that."""
ROLES: Final = {"producer": "Extractor ", "consumer": "Loader "}
DATA: Final = frozenset({"RECORD", "SCHEMA", "STATE", "ACTIVATE_VERSION", "BATCH", "CATALOG", "SPEC"})
"""Types of JSON lines that are data, not a log."""
NOTHING: Final = frozenset({"", "null", "none", "nil", "<nil>", "false", "true", "0", "[]", "{}", "-", "n/a"})
"""Values of an error field that mean that there was none."""
TELLING_STACK: Final = re.compile(r"(?:Error|Exception|Traceback|Caused by|Failure)\b")

FRAME_BEGINS: Final = ("\tat ", "    at ")
"""Lines of a stack, of which a run counts as one line."""
