"""How programs write their logs: tables of patterns. A new format is a new row; `log` says what is done with them.

Each pattern is tried on the first characters of one line only, and none has a loop in a loop: what foreign programs
write must not be able to make it slow.
"""

import re
from typing import Final


def _any(*patterns: str) -> re.Pattern[str]:
    return re.compile("|".join(f"(?:{pattern})" for pattern in patterns))


# -- What a terminal would not show ------------------------------------------------------------------------------------

TERMINAL_CODES: Final = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*+[ -/]*+[@-~]"  # CSI: colours, the cursor
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c\n]*+(?:\x07|\x1b\\|\x9c)"  # OSC, DCS, SOS, PM, APC
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

# -- Levels ------------------------------------------------------------------------------------------------------------

_ERROR_WORDS: Final = (
    "error err erro critical crit fatal fata ftl severe emergency emerg alert panic pani dpanic fail failure"
)
_WARNING_WORDS: Final = "warning warn wrn"
_INFO_WORDS: Final = (
    "info inf information informational notice success log debug dbg debu trace trc trac verbose"
    " fine finer finest config"
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
    r"|\d\d?:\d\d(?::\d\d)?(?:[.,]\d{1,9})?(?: ?[AP]M)?(?=[\s|\]-])"
    r"|\d{10}(?:\.\d{1,9})?(?=\s)"
    r")(?:\]|\))?"
)
_BETWEEN: Final = (  # threads, processes, files, between the time and the level
    rf"(?:(?:\[(?!\s*(?:[\w-]{{1,40}}:)?(?i:{_WORDS})\b)[^\[\]\n]{{0,80}}\]|\{{[^{{}}\n]{{0,80}}\}}"
    rf"|\((?!(?i:{_WORDS})\b)[^()\n]{{0,60}}\)|\d{{1,10}}|[-|:])\s*+){{0,5}}+"
)
# A logger, or a host and a program.
_NAME: Final = r"(?:(?!of |npm )[\w.$/@:-]{1,60}+(?: \S{1,40}\[\d{1,9}\]:)?\s++(?:[-|:]\s++)?)"
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
OTHER_LEVELS: Final = _any(
    r"(?P<klog>[IWEFD])\d{4} \d\d:\d\d:\d\d\.\d{1,9}\s+\d{1,9} [^\]\n]{1,80}\] ",
    r"(?P<logrus>ERRO|FATA|PANI|WARN|INFO|DEBU|TRAC)\[\d{1,9}\]\s?",
    r"npm (?P<npm>ERR|error|warn|WARN|notice|info)!?(?: |$)",
)
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
PADDING: Final = re.compile(r"\s{3,}")
GUTTER: Final = re.compile(r"\s*[|+│] ?(?=[^\s|+-]|\s)")
"""What stands left of an exception group, and left of a message in a frame."""

# -- Lines of key=value ------------------------------------------------------------------------------------------------

PAIRS: Final = re.compile(
    r"""([\w.@-]{1,40}+)=(?:"((?:[^"\\]|\\.)*+)(?:"|\\?\Z)|'((?:[^'\\]|\\.)*+)(?:'|\\?\Z)|(\S*+))"""
)
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
)  # fmt: skip
LEVEL_FIELDS: Final = _ranks(
    "info.level", "record.level.name", "log.level", "level", "severity", "levelname", "level_name", "lvl", "loglevel",
    "log_level", "severitytext", "severity_text", "@l", "levelno", "severitynumber", "priority", "trace.type", "status",
)  # fmt: skip
ERROR_FIELDS: Final = _ranks(
    "error.message", "err.message", "exception.message", "error.msg", "error", "err", "errormessage", "error_message",
    "fields.error", "fields.err", "exc_info", "exception", "@x", "error.stack_trace", "error.stack", "err.stack",
    "stack", "stack_trace", "stacktrace", "thrown", "log.stack_trace", "trace.error.internal_message",
    "trace.error.stack_trace", "reason",
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

# -- Parts of a report -------------------------------------------------------------------------------------------------

TRACEBACK: Final = re.compile(r"(?:\W{0,3}(?:Exception Group )?|\W+|.{0,200}: )Traceback \(most recent call last\)\W*$")
PYTHON_FRAME: Final = re.compile(r'>?\s{0,12}File "[^"\n]{1,250}", line \d')
RAISED: Final = re.compile(r"[\w.<>\[\]$-]{1,200}(?:: ?|$| \()")
FRAMES_OF_RICH: Final = "│╰╭"
CHAINS: Final = {
    "The above exception was the direct cause of the following exception:": True,
    "During handling of the above exception, another exception occurred:": False,
}
"""Lines between two tracebacks; whether the first caused the second."""
STACK: Final = _any(r"(?i:(?:driver )?(?:stack ?)?(?:back)?trace:)\s*$", r"goroutine \d", r"Require stack:")
"""Where a stack begins that has no mark on its lines."""
STACK_LINE: Final = re.compile(r"\s|- /|\d+\. [└├│ ]|[\w./*()\[\]{}$-]{1,200}\(.*\)$|created by ")
FRAME: Final = re.compile(
    r"\s+at \S|\s*\.\.\. \d+ (?:more|common|lines)|\s+from \S{1,200}:\d+:in |#\d+ |\s+\[Previous line|\s*Suppressed: "
    r"|\s+/\S{1,200}:\d+ \+0x|at (?:async )?[\w.$<>/]{1,200}\("
)
FRAME_BEGINS: Final = ("\tat ", "    at ")
CAUSED_BY: Final = re.compile(
    r"\s*(?:Caused by|\[cause\]|Root cause|Original error|---> ?)\s*:?\s*(?P<cause>.*)", re.DOTALL
)
CONTINUES: Final = _any(
    r"(?:\[\d+\] )?(?:DETAIL|HINT|Reason|HTTP response body|Details?|Message|Cause)\s?:", r": \S", r"~ "
)
"""Lines that belong to the error above them, though nothing else says so."""
LOGGING_ERROR: Final = "--- Logging error ---"
LOGGING_ERROR_GOES_ON: Final = "Call stack:"
LOGGING_ERROR_END: Final = "Arguments: "

VAGUE: Final = _any(
    r".*[:,{(\[]\s*$",
    r".*\bAn error occurred while calling o\d+",
    r".*\b\d+ validation errors?\b",
    r".*\bcannot open the connection$",
    r"(?:[A-Z]\w+ ){1,2}Error(?: in [a-z][\w ]{0,40} \S{1,200} \([^()]{1,200}\))?$",
    r"Failure in [a-z]\w* \S",
    r"Msg \d+, Level|[A-Z]\w+ error \(\w+\) at ",
    r".*Exception: \(\d{3}\)$",
)
"""Beginnings that explain nothing without the lines that follow."""

# -- What a line amounts to --------------------------------------------------------------------------------------------

DECORATION: Final = _any(
    r"[\W_]*$",
    r"LINE \d+:",
    r"\+-|\^-+|=+\d+=+(?:ABORTING|HINT)|Total time: |(?:Full report at|Help|Query ID|Stacktrace):",
    r"[-=*#~_ ]{3,}.{0,80}[-=*#~_ ]{3,}$",
    r"(?i:note: (?:run with|some details))|  ?= (?:note|help)",
    r"\(Background on this error|(?:For more information|More details here|Learn more)\b",
    r"\[(?:SQL|parameters):",
    r"goroutine \d+|\[signal SIG|created by ",
    r"exit status \d+$|Execution halted$|\[Process exited",
    r"Location:(?: \S{1,60})?$|Job ID: ?\S*$|Calls: |In addition: Warning messages?:",
    r"(?i:compiled code at )|(?:\[\d+\] )?(?:STATEMENT|CONTEXT|QUERY):",
    r"Node\.js v\d|node:|Emitted 'error' event|\(Use `node --trace",
    r"(?:code|errno|syscall|address|port|hostname|requireStack|path): ?(?:'|-?\d|\[).{0,200},?$",
    r"thrown in |\{main\}|--- End of ",
    r"<class '[^']{1,200}'>$",
    r"For further information visit|A complete log of this run|To see a list of scripts|npm run$",
    r"(?i:usage): |Try '.{0,80} --help'",
    r"% Total |Dload +Upload",
    r"Arguments: |Message: '|Call stack:$",
    r"(?:enoent )?This is related to npm|enoent$",
    r"Need help fixing this problem|(?i:join our (?:friendly )?slack)",
    r"Traceback \(most recent",
    r"--- [\w./-]{1,80}(?::\d+)? ?[\w.()*]{0,80} ---$",
)
"""Lines that never explain anything."""

NOISE: Final = _any(
    r"(?i:bye|good ?bye|done|ok|end|exit|exiting|finished|stopping|stopped|shutting down|clean(?:ing"
    r"|ed)? ?up)\b[\s.!]*$",
    r"(?i:(?:gracefully )?shutting down|exiting|cleaning up)\b.{0,40}$",
    r"[\W\d_]+$",
    r"METRIC: |INFO METRIC",
    r"(?:START|END|REPORT) RequestId",
)
"""Lines that explain little: the last words of whatever comes after a failure."""

_WHAT: Final = (
    "application|block|build|command|container|copy|dag|execution|export|extract|extraction|extractor|flow|import"
    "|ingestion|invocation"
    "|job|load|loader|loading|mapper|mappers|operation|pipeline|plugin|process|program|run|script|stage|step|sync"
    "|tap|target|task"
    "|test|tests|transfer|transform|transformation|work|worker|workflow"
)
SUMMARY: Final = _any(
    r"(?:Block run|Run) completed\b",
    r"(?:Error: )?Run invocation could not be completed as block failed: (?:[\w-]+(?: and )?){1,3} failed\.?$",
    r"(?:subprocess\.)?CalledProcessError: |jq: \d+ compile errors?$|Aborted \(core dumped\)$",
    r"g?make(?:\[\d+\])?: (?:\*\*\*|Leaving|Entering)",
    r"(?:Completed with|Finished running|Done\. PASS=|Encountered an error:?$)",
    r"\d+ of \d+ (?:ERROR|FAIL|SKIP|OK|PASS|WARN|START)\b",
    r"(?:[\w.]+\.)?(?:BrokenPipeError|ConnectionResetError: \[Errno \d+\] Connection lost|CancelledError)\b",
    r"SystemExit(?:: \d+)?$",
    r"(?:[\w.]+\.)?(?:Base)?ExceptionGroup: .{0,200} \(\d+ sub-exceptions?\)$",
    r".{0,200}\bprevious errors?\b",
    r"error: (?:could not compile|aborting due to|recipe `)",
    r"(?:code ELIFECYCLE|errno \d+|Lifecycle script|code \w+$|syscall \w+$|path \S+$)",
    r"Task exception was never retrieved|future: <Task|Exception in thread [\w-]+ ?\(?[\w.-]*\)?:$",
)
"""Beginnings of lines that say that something failed, not why: what failed stands in a line before them."""

SHORT: Final = 120
SUMMARY_WORDS: Final = re.compile(
    r"(?i:fail|abort|cancel|terminat|unsuccessful|exit|return|giving|broken|epipe|recoverable|occurred|encountered"
    r"|found|see )"
)
"""No line without one of these is one of the next table."""
SHORT_SUMMARY: Final = _any(
    r"(?i:(?:error|fatal|critical): )?(?:[\w'\"`/.\[\]-]+ ){0,5}?"
    rf"(?i:{_WHAT})s?\b(?: [\w'\"`/.\[\]()-]+){{0,4}}? (?i:has |have |was |were |is )?"
    r"(?i:failed|aborted|cancell?ed|terminated|unsuccessful)(?:[.!]*| (?:after|with|in|at) [^:]{1,40})$",
    r"(?i:(?:error|fatal|critical): )?(?i:aborted|giving up|failed|failure|exit|(?:aborting"
    r"|exiting)\b[^:]{0,40})[\s.!]*$",
    r".*\b(?i:exit(?:ed)?|return(?:ed)?|terminated|finished|completed|failed)(?: \w+){0,3} (?i:exit |return "
    r"|non-?zero ).{0,20}"
    r"(?:code|status|value)",
    r".*\b(?i:exit(?:ed|ing)?) (?:with )?(?:(?i:code|status) ?:? ?)?[1-9]\d{0,2}\.?$",
    r"(?:.*: )?(?:write (?:failed|error): )?(?i:broken pipe)$|.*\bEPIPE\b",
    r"(?:.*: )?(?:Error is not recoverable|Exiting with failure status)",
    r"(?i:(?:there (?:was|were) )?(?:an? )?\d{0,6} ?(?:unexpected |unknown |fatal )?errors? (?:occurred|encountered"
    r"|found)[.!]*$)",
    r"(?i:see (?:the )?(?:log|above|output)\b.{0,60})$",
)
"""The same, of lines that are this short as a whole."""

_PROGRAMS: Final = (
    "awk|gawk|mawk|nawk|sed|grep|tar|gzip|gunzip|unzip|zip|cat|cp|mv|rm|ls|mkdir|find|sort|head|tail|cut|split|tee"
    "|xargs|env|timeout"
    "|nohup|jq|yq|curl|wget|ssh|scp|sftp|rsync|git|ftp|kubectl|helm|docker|aws|gcloud|gsutil|bq|az|s3cmd|rclone"
    "|openssl|gpg|base64"
    "|psql|pg_dump|pg_restore|mysql|mysqldump|mysqlimport|mongo|mongosh|mongoimport|sqlcmd|bcp|sqlite3|redis-cli"
    "|clickhouse|duckdb"
    "|python|python3|perl|ruby|php|node|java|bash|sh|dash|zsh|ksh|ash|exec|su|sudo|chmod|chown|mount|date|test"
    "|\\[|nc|dig|host|ping"
)
_COMPLAINT: Final = (
    "can't|cannot|can not|could not|couldn't|unable to|failed|failure|no such|no module|not found|command not found"
    "|invalid"
    "|unrecognized|unknown|missing|illegal|permission denied|access denied|bad |syntax error|unexpected|error|fatal"
    "|not |no "
)
SEVERE: Final = _any(
    # An exception by its name, as Python, Java, JavaScript and .NET write it.
    r"(?:Uncaught |Unhandled exception\.? |Unhandled (?:rejection|error):? |Exception in thread \"[^\"\n]{0,100}\" "
    r"|\[)?"
    r"[\w.$:/\\<>-]{0,200}(?:Error|Exception|\wExit|\wInterrupt|\wFailure|Rejection|Throwable|\wFault|\wWarning: )"
    r"(?: ?\[\w+\])?(?::|\]$|$)",
    r"[\w.$]{0,200}(?:Error|Exception)\b[^:\n]{0,120} ?:(?:\s|$)",
    r"(?i:failed|unable|could not|couldn't|cannot|can't|can not) (?:to )?\w",
    r".{0,120}: exec format error$|\*\* \(|[A-Z]\w+ error(?: \(|\b[^:]{0,60}: )|=+\d+=+\s?ERROR",
    r"(?:[A-Z][\w-]* ){1,3}[Ee]rror: ",
    # A line that calls itself an error.
    r"\W{0,3}(?i:fatal|critical|error|panic|severe|failure|failed)(?i: error| exception)?(?:\[\w+\])?\]?\s?(?:[:!]"
    r"|\(|$)",
    r"(?:[\w-]+ ){0,3}(?:[Ee]rror|ERROR|Failure|[Ee]xception):(?: |$)",
    r"(?:PHP )?(?:Fatal|Parse|Recoverable fatal) error: |FAILED: |ERROR \d+ \(|BigQuery error in ",
    r"[^\s:]{1,120}(?::[^\s:]{1,60}){0,3}:\s(?:\w+ )?(?i:error|fatal|panic|critical)\b\s?[:(\[]",
    # Runtimes and programs that have words of their own.
    r"panic: |fatal error: |thread '[^'\n]{0,100}' .{0,40}panicked at",
    r"[A-Z]{3,5}-\d{4,5}: |Msg \d+, Level (?:1[1-9]|2\d)|SQLSTATE\[|SQL[A-Z]* ?(?:compilation|execution) error",
    r"curl: \(\d+\)|(?:fatal error: )?An error occurred \(",
    r"(?:[A-Z]\w+ ){1,2}Error(?: in [a-z]|$)|Failure in [a-z]|Got \d+ results?, configured to fail",
    r"\S{1,200}:\d+:in [`'].{0,200}': ",
    r"(?!Use of uninitialized|Useless use).{1,250} at \S{1,200} line \d+\.$",
    rf"(?:\S{{0,150}}/)?(?:{_PROGRAMS})(?:[\d.]{{1,5}})?: (?:\(|.{{0,200}}\b(?i:{_COMPLAINT}|denied|refused|closed"
    rf"|missing|error|line \d))",
    r"(?:[^\s:]{1,150}: )(?:line )?\d+: .{0,200}(?:not found|not set|unbound|rror\b|denied|No such|cannot|expected"
    r"|syntax|bad |unable|invalid)",
    rf"(?:/\S{{1,150}}|\w[\w.-]{{0,60}}): (?i:{_COMPLAINT})",
    r"(?:\S{1,120}: (?:line \d+: )?\s*\d+ )?(?:Killed|Terminated|Segmentation fault|Aborted|Bus error"
    r"|Illegal instruction"
    r"|Floating point exception|Out of memory)(?: \(core dumped\))?(?:\s{2,}\S.{0,250})?$",
    r"(?:\[[\s\d.]{1,20}\] )?(?i:out of memory|oom[- ]?kill|cannot allocate memory|no space left on device"
    r"|\[UnhandledPromiseRejection)",
)
"""Lines without a level that report an error."""

TROUBLE: Final = _any(
    r"(?i:no such file or directory|permission denied|connection (?:refused|reset|timed out|aborted)"
    r"|operation timed out)",
    r"(?i:could not resolve|(?:name or service|host) not known|unknown host|no route to host|network is unreachable)",
    r"(?i:no space left|cannot allocate memory|access (?:is )?denied|authentication failed|not authori[sz]ed"
    r"|\bunauthori[sz]ed\b)",
    r"(?i:: (?:command )?not found$|is not recognized as|unbound variable$|parameter not set$"
    r"|certificate (?:verify failed|has expired)"
    r"|does not exist\b)",
)
"""What an operating system, a network or a database says of trouble, anywhere in a line."""

HARMLESS: Final = _any(
    r"(?i:(?:no|0|zero) (?:\w+ )?(?:error|failure|exception|problem)s?\b)",
    r"(?i:(?:\w+ ){0,2}(?:error|failure|exception|failed|fatal)s?(?: (?:count|rate|total))?\s?[:=]\s?(?:0|none|null"
    r"|nil|no|false|\[\])[\s.,;]*$)",
    r".{0,250}\b(?i:retry|retrying|retried|trying again|try again|ignor(?:ed|ing)|skipp(?:ed|ing))\b",
)
"""Lines that only look like an error."""
