"""By what a line of a log is told to be a cause, a summary or decoration, and what belongs to it: tables of patterns.

Each pattern is tried on the first characters of one line only, and none has a loop in a loop: what foreign programs
write must not be able to make it slow.
"""

import re
from typing import Final

from elt_operator.core.log_formats import any_of

# -- Parts of a report -------------------------------------------------------------------------------------------------

PADDING: Final = re.compile(r"\s{3,}")
TRACEBACK: Final = re.compile(r"(?:\W{0,3}(?:Exception Group )?|\W+|.{0,200}: )Traceback \(most recent call last\)\W*$")
PYTHON_FRAME: Final = re.compile(r'>?\s{0,12}File "[^"\n]{1,250}", line \d')
RAISED: Final = re.compile(r"[\w.<>\[\]$-]{1,200}(?:: ?|$| \()")
GROUP: Final = re.compile(r"(?:[\w.]{1,100}\.)?(?:Base)?ExceptionGroup: .{0,200} \(\d+ sub-exceptions?\)$")
FRAMES_OF_RICH: Final = "│╰╭"
CHAINS: Final = {
    "The above exception was the direct cause of the following exception:": True,
    "During handling of the above exception, another exception occurred:": False,
}
"""Lines between two tracebacks; whether the first caused the second."""
STACK: Final = any_of(
    r"(?i:(?:driver )?(?:stack ?)?(?:back)?trace(?:back)?:)\s*$",
    r"goroutine \d|(?:Require stack|Location|Exception data):\s*$|CallStack \(from |error: called from$",
)
"""Where a stack begins that has no mark on its lines."""
STACK_LINE: Final = re.compile(r"\s|- /|\d+\. [└├│ ]|[\w./*()\[\]{}$-]{1,200}\(.*\)$|created by ")
FRAME: Final = re.compile(
    r"\s+at \S|\s*\.\.\. \d+ (?:more|common|lines)|\s+from \S{1,200}:\d+:in |#\d+ |\s+\[Previous line|\s*Suppressed: "
    r"|\s+/\S{1,200}:\d+ \+0x|\s*\d+[.:] .{0,180}\b0x[0-9a-f]{3}|at (?:async )?[\w.$<>/]{1,200}\("
)
CAUSED_BY: Final = re.compile(
    r"\s*(?:Caused by|\[cause\]|Root cause|Original error|---> ?)\s*:?\s*(?P<cause>.*)", re.DOTALL
)
CONTINUES: Final = any_of(
    r"(?:\[\d+\] )?(?:HINT|Reason|HTTP response body|Details?|Message|Cause|Description)\s{0,3}[:=]",
    r"(?:\[\d+\] )?(?:D[EÉ]TAIL|DETALLE|DETALHE|DETTAGLI|ПОДРОБНОСТИ|TIPP|ASTUCE|SUGERENCIA|DICA|ПОДСКАЗКА)\s?:",
    r": \S|~ |> \S|Linux\S{0,20} Error: \d",
)
"""Lines that belong to the error above them, though nothing else says so."""
CODED: Final = re.compile(r"[A-Z][A-Z*]{1,3}[\w*]{0,8}-\d{3,5}: ")
"""What a database puts before each line of one error."""
FIELDS_BEGIN: Final = "{"
"""The end of a stack's last line, where the fields of an error of Node's follow."""
FIELD_WITH_WORDS: Final = re.compile(r"(?:detail|hint|message|reason|sqlMessage|stderr): ['\"`]\S|\[cause\]: ")
MESSAGE_FIELD: Final = re.compile(r"[\"']?(?i:message|msg|detail|reason|description)[\"']?\s?[:=]+>?\s?[\"'(\w]")
HEADING: Final = re.compile(r"[\"'\w]{1,40}:(?: [\[{(])?$")
"""A line within an error that says nothing."""
DOWNSTREAM: Final = re.compile(r"\w[\w.-]{0,30}: (?:\(?stdin\)?|standard input|-): ")
"""A program that got nothing to read from the one before it."""
ALIKE: Final = 24
"""So many characters begin two lines alike that are one error."""
WRAPPED_AT: Final = 60
"""A line that is shorter than this was not wrapped."""
CLAIM: Final = re.compile(
    r"(?:[\w.$:-]{1,60} )?(?i:failed|unable|could not|couldn't|cannot|can't|can not) (?:(?!: ).){1,120}$"
    r"|curl: \(22\) "
)
"""A line that says what a program could not do: where the reason stands right above it, it is a part of that."""
AFTERMATH: Final = any_of(
    r"Exception ignored (?:in|on|while|from)\b|Error in (?:atexit\._run_exitfuncs|sys\.excepthook):",
    r"(?:asyncio\W{1,3})?(?:Unclosed (?:client session|connector|connection)\b|Task was destroyed but it is pending)",
    r"(?:client_session|connector|connections): [<\[]|sys:1: \w+Warning",
    r"(?:[\w.]+: )?(?:Uncaught )?[Ee]xception (?:while deleting Spark temp|in thread shutdown-hook)",
)
"""Lines about what goes wrong while a program ends that has failed already."""
LOGGING_ERROR: Final = "--- Logging error ---"
LOGGING_ERROR_GOES_ON: Final = "Call stack:"
LOGGING_ERROR_END: Final = "Arguments: "

VAGUE: Final = any_of(
    r".*[:,{(\[]\s*$",
    r".*\bAn error occurred while calling o\d+",
    r".*\b\d+ validation errors?\b",
    r".*\bcannot open the connection$",
    r"(?:[A-Z]\w+ ){1,2}Error(?: in [a-z][\w ]{0,40} \S{1,200} \([^()]{1,200}\))?$",
    r"Failure in [a-z]\w* \S",
    r"Msg \d+, Level|[A-Z]\w+ error \(\w+\) at ",
    r".*Exception: \(\d{3}\)$",
    r".*\.c(?:pp)?:\d+: \w{1,8}$|.*\.ps1:\d+$|Execution failed for task '",
)
"""Beginnings that explain nothing without the lines that follow."""

# -- What a line amounts to --------------------------------------------------------------------------------------------

DECORATION: Final = any_of(
    r"[\W_]*$",
    r"(?:LINE|ZEILE|LIGNE|LÍNEA|LINHA|RIGA|СТРОКА|行) ?\d+ ?[:\uff1a]",  # noqa: RUF001 - a word of Russian
    r"[\u2800-\u28ff◐-◓◜-◟] ",  # a spinner
    r"in expression starting at |(?:SQL ?State|Error Code)\s{0,3}[:=]",
    r"\+-|\^-+|=+\d+=+(?:ABORTING|HINT)|Total time: |(?:Full report at|Help|Query ID|Stacktrace):",
    r"[-=*#~_ ]{3,}+.{0,80}?[-=*#~_ ]{3,}+$",
    r"(?i:note: (?:run with|some details))|  ?= (?:note|help)",
    r"\(Background on this error|(?:For more information|More details here|Learn more)\b",
    r"\[(?:SQL|parameters):",
    r"goroutine \d+|\[signal SIG|created by ",
    r"exit status \d+$|Execution halted$|\[Process exited",
    r"Location:(?: \S{1,60})?$|Job ID: ?\S*$|Calls: |(?:In addition: )?Warning messages?:",
    r"-{1,2}\w\S{0,60}(?: \S{1,60}){0,4}\s{2,}\S",  # an option, in a program's help
    r"(?i:(?:\w{1,20} )?(?:options|flags|commands|arguments|usage|name|examples):)$",
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
    r"[+:]- |'[A-Z]\w+(?: \[|$)",  # a plan of Spark
    r"The statement has been terminated\.$|Run `rlang::|note: This error originates|\[end of output\]$",
    r"ORA-06512: |ClientConnectionId:|Error Number:\d|Position: \d+$|Additional information: \d+$"
    r"|debug_error_string = |End Error$",
    r"(?:Method|Path|Params|Headers): ",
    r"\[Help \d+\]|(?:To see the full stack trace|Re-run Maven|Run with --)",
    r"(?:.{0,80}[:\s])?\d{1,3}(?:\.\d+)?%\s?(?:\||\[|\()|.{0,80}[\[|][=#>. *-]{8,}[\]|]"
    r"|\[Stage \d+:|.{0,80}[\u2580-\u259f\u2501\u2578]{4}"
    r"|\d{1,3}(?:\.\d+)? ?%$|[\d.:kKMGT -]{20,}$|.{0,80}\[\d\d:\d\d(?::\d\d)?[<,].{1,60}\]",
)
"""Lines that never explain anything."""

NOISE: Final = any_of(
    r"(?:\S{1,200}:\d+: |\(node:\d+\) (?:\[\w+\] )?)(?!Unhandled)\w*Warning: |.{0,60}Unhandled promise rejection\. ",
    r"(?:[^\w\s]{1,2} ?)?(?i:bye|good ?bye|done|(?:not )?ok|end|exit|exiting|finished|stopping|stopped|shutting down"
    r"|clean(?:ing|ed)? ?up)\b[\s.!]*$",
    r"(?i:(?:gracefully )?(?:shutting down|exiting|cleaning|clos(?:ing|ed)|disconnect(?:ing|ed)|stopp(?:ing|ed)"
    r"|releas(?:ing|ed)|flush(?:ing|ed)|terminating|roll(?:ing|ed) back|waiting)\b.{0,60}$)",
    r"(?i:(?!.{0,120}\b(?:is|are|was|were|been|already|not|unexpectedly)\b)"
    r"(?:\S{1,30} ){1,4}(?:closed|shut ?down|disconnected|stopped|cleaned up|finished|completed)[.! ]*$)",
    r"[\W\d_]+$",
    r"METRIC: |INFO METRIC",
    r"(?:START|END|REPORT) RequestId",
    r"(?:Finished running\b|Done(?:\.(?: |$)| in \d))|\d+ of \d+ (?:SKIP|OK|PASS|WARN|START|NO-OP)\b",
    r"(?:Started|Finished|Elapsed): |Oops! \d+ failures?\b|Nothing to do\b|221[ -]",
)
"""Lines that explain little: the last words of whatever comes after a failure."""

_WHAT: Final = (
    "application|block|build|command|container|copy|dag|execution|export|extract|extraction|extractor|flow|import"
    "|ingestion|invocation"
    "|job|load|loader|loading|mapper|mappers|operation|pipeline|plugin|process|program|run|script|stage|step|sync"
    "|tap|target|task"
    "|test|tests|transfer|transform|transformation|work|worker|workflow"
)
SUMMARY: Final = any_of(
    r"(?:Block run|Run) completed\b",
    r"(?:Error: )?(?:Run invocation|ELT) could not be completed(?: as block failed)?:"
    r" (?:[\w-]+(?: and )?){1,3} failed\.?$",
    r"(?:subprocess\.)?CalledProcessError: |jq: \d+ compile errors?$|Aborted \(core dumped\)$",
    r"g?make(?:\[\d+\])?: (?:\*\*\*|Leaving|Entering)",
    r"(?:Completed with|Encountered an error:?$)|\d+ of \d+ (?:ERROR|FAIL)\b",
    r"Error: (?:Could not create the Java Virtual Machine|A fatal exception has occurred)",
    r"(?:\w+: )?\d+ files?(?:/objects?)? could not be|Failed to install plugin|DTExec: The package execution returned",
    r".{0,120}\b(?:RUN|STEP|JOB|TASK|PIPELINE)_FAILURE\b",
    r"\s?(?:ELIFECYCLE|ERR_PNPM_RECURSIVE\w*)\b",
    r"(?:[\w.]+\.)?(?:BrokenPipeError|ConnectionResetError: \[Errno \d+\] Connection lost|CancelledError)\b",
    r".{0,150}\bSystemExit(?:: \d+|\) exit)?$",
    r"(?:[\w.]+\.)?(?:Base)?ExceptionGroup: .{0,200} \(\d+ sub-exceptions?\)$",
    r".{0,200}\bprevious errors?\b",
    r"error: (?:could not compile|aborting due to|recipe `)",
    r"(?:code ELIFECYCLE|errno \d+|Lifecycle script|code \w+$|syscall \w+$|(?:path|workspace|location) \S+$"
    r"|(?:in workspace|at location): \S+$"
    r"|command (?:failed$|sh -c ))|SP2-0(?:157|306): |.{0,120}\bFinished in state (?:Failed|Crashed)\b",
    r"BEGIN failed--compilation aborted|Task exception was never retrieved|future: <Task"
    r"|Exception in thread [\w-]+ ?\(?[\w.-]*\)?:$",
)
"""Beginnings of lines that say that something failed, not why: what failed stands in a line before them."""

ANNOUNCES: Final = re.compile(r".{0,150}\b(?i:errors?|exceptions?|reasons?|problems?|because):$")
"""The end of such a line, where the reason stands in the next one."""

SHORT: Final = 120
SUMMARY_WORDS: Final = (
    *("fail", "abort", "cancel", "terminat", "unsuccessful", "exit", "return", "giving", "broken", "epipe"),
    *("recoverable", "occurred", "encountered", "detect", "found", "see ", "curl: (23)"),
)
"""No line without one of these, in lower case, is one of the next table."""
SHORT_SUMMARY: Final = any_of(
    r"(?i:(?:error|fatal|critical|failure): )?(?:[\w'\"`/.\[\]-]+ ){0,5}?"
    rf"(?i:{_WHAT})s?\b(?: [\w'\"`/.\[\]()-]+){{0,4}}? (?i:has |have |was |were |is )?"
    r"(?i:failed|aborted|cancell?ed|terminated|unsuccessful)(?:[.!]*| (?:after|with|in|at) [^:]{1,40})$",
    r"(?i:(?:error|fatal|critical): )?(?i:aborted|giving up|failed|failure|exit|(?:aborting"
    r"|exiting)\b[^:]{0,40})[\s.!]*$",
    r".*\b(?i:exit(?:ed)?|return(?:ed)?|terminated|finished|completed|failed)(?: \w+){0,3} (?i:exit |return "
    r"|non-?zero ).{0,20}"
    r"(?:code|status|value)",
    r".*\b(?i:exit(?:ed|ing)?) (?:with )?(?:(?i:code|status) ?:? ?)?[1-9]\d{0,2}\.?$",
    r"(?:.*: )?(?:write (?:failed|error): )?(?i:broken pipe)$|.*\bEPIPE\b",
    r"curl: \(23\) |(?:\W{0,3}\d+ (?:\w+ )?(?:passed|failed|skipped|succeeded|errors?|warnings?|ok"
    r"|total)\b){2,8}\W{0,5}$",
    r"(?i:(?:error: )?failed (?:to (?:run|execute)|running|executing) [^:]{1,60}$)|.*\b(?i:return code:? [1-9])",
    r"(?:.*: )?(?:Error is not recoverable|Exiting with failure status)",
    r"(?:.{0,40} : )?(?i:(?:there (?:was|were) )?(?:an? )?\d{0,6} ?(?:unexpected |unknown |fatal )?errors?"
    r" (?:occurred|encountered|detected|found)[.!]*$)",
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
SEVERE: Final = any_of(
    # An exception by its name, as Python, Java, JavaScript and .NET write it.
    r"(?:Uncaught |Unhandled exception\.? |Unhandled (?:rejection|error):? |Exception in thread \"[^\"\n]{0,100}\" "
    r"|\[)?"
    r"[\w.$:/\\<>-]{0,200}(?:Error|Exception|\wExit|\wInterrupt|\wFailure|Rejection|Throwable|\wFault|\wWarning: )"
    r"(?: ?\[\w+\]| \(\w+\))?(?::|\]$|$)",
    r"[\w.$]{0,200}(?:Error|Exception)\b[^:\n]{0,120} ?:(?:\s|$)",
    r"(?:\w{1,40}\.){1,8}?_?(?:errors?|exceptions?)\.[A-Z]\w{1,80}: ",
    r"(?i:failed|unable|could not|couldn't|cannot|can't|can not) (?:to )?\w",
    r".{0,120}: exec format error$|\*\* \(|[A-Z]\w+ error(?: \(|\b[^:]{0,60}: )|=+\d+=+\s?ERROR",
    r"(?:[A-Z][\w-]* ){1,3}[Ee]rror: ",
    # A line that calls itself an error.
    r"\W{0,3}(?i:fatal|critical|error|panic|severe|failure|failed)(?i: error| exception)?(?:\[\w+\])?\]?\s?(?:[:!]"
    r"|\(|$)",
    r"(?:[\w-]+ ){0,3}(?:[Ee]rror|ERROR|Failure|[Ee]xception):(?: |$)",
    r"[✖✗✘❌⛔🛑🚨\u2a2f\u00d7] {0,2}\S|.{0,150}\b\d+ errors? (?:occurred|found|encountered):$",
    r"(?:PHP )?(?:Fatal|Parse|Recoverable fatal) error: |FAILED: |ERROR \d+ \(|BigQuery error in ",
    r"[^\s:]{1,120}(?::[^\s:]{1,60}){0,3}:\s(?:\w+ )?(?i:error|fatal|panic|critical)\b\s?[:(\[]",
    # Runtimes and programs that have words of their own.
    r"panic: |fatal error: |thread '[^'\n]{0,100}' .{0,40}panicked at",
    r"(?:# )?A fatal error has been detected|Execution failed for task '|lua\w*: \S{1,120}:\d+: ",
    r"[A-Z][A-Z*]{1,3}[\w*]{0,8}-\d{3,5}: |\d{4,6} \(\w{5}\): |SQL\d{4,5}[NC] |\*\*\* Failure \d",
    r"Msg \d+, Level (?:1[1-9]|2\d)|SQLSTATE\[|SQL[A-Z]* ?(?:compilation|execution) error",
    r"curl: \(\d+\)|(?:fatal error: )?An error occurred \(",
    r"(?:[A-Z]\w+ ){1,2}Error(?: in [a-z]|$)|Failure in [a-z]|Got \d+ results?, configured to fail",
    r"\S{1,200}:\d+:in [`'].{0,200}': |\S.{0,200} \[(?:FAILED|FAIL|ERROR)\]$",
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

TROUBLE: Final = (
    *("no such file or directory", "permission denied", "operation timed out", "is not recognized as"),
    *(f"connection {what}" for what in ("refused", "reset", "timed out", "aborted")),
    *("could not resolve", "service not known", "host not known", "unknown host"),
    *("no route to host", "network is unreachable", "no space left", "cannot allocate memory", "does not exist"),
    *("access denied", "access is denied", "not authorized", "not authorised", "unauthorized", "unauthorised"),
    *(
        f"{what} {how}"
        for what in ("authentication", "login", "logon", "verification", "handshake", "negotiation")
        for how in ("failed", "incorrect", "denied")
    ),
    *("certificate verify failed", "certificate has expired"),
    # Words of operating systems that speak another language.
    *("datei oder verzeichnis nicht gefunden", "keine berechtigung", "verbindungsaufbau abgelehnt"),
    *("kommando nicht gefunden", "aucun fichier ou dossier de ce type", "permission non accordée"),
    *("connexion refusée", "commande introuvable", "no existe el archivo o el directorio"),
    *("no existe el fichero o el directorio", "permiso denegado", "conexión rehusada", "orden no encontrada"),
    *("arquivo ou diretório inexistente", "permissão negada", "conexão recusada", "file o directory non esistente"),
    *("permesso negato", "connessione rifiutata", "нет такого файла или каталога", "отказано в доступе"),
    *("в соединении отказано", "nie ma takiego pliku ani katalogu", "brak dostępu", "没有那个文件或目录"),
    *("权限不够", "拒绝连接", "そのようなファイルやディレクトリはありません", "許可がありません"),
)
"""What an operating system, a network or a database says of trouble, anywhere in a line; in lower case."""
TROUBLE_ENDS: Final = (": not found", ": command not found", "unbound variable", "parameter not set")
"""The same, at the end of a line."""

OTHER_LANGUAGES: Final = re.compile(
    r"(?:[^\s:]{1,60}: ?){0,4}(?i:fehler|erreur|errore?|erro|fout|fel|błąd|chyba|hata|ошибка|エラー|错误|錯誤|오류)"
    r"(?: \w{1,20})? ?[:\uff1a]"
)
"""A line that calls itself an error, in another language."""

_FAILS: Final = r"(?:fail|error|unable|could not|cannot|can't|couldn't|issuing)\w*+"
ENDING: Final = any_of(
    rf".{{0,100}}\b(?i:{_FAILS}(?: \S{{1,40}}){{0,4}}? (?:clos(?:e|ing)|disconnect\w*|releas(?:e|ing)|shut\w* ?down"
    r"|clean\w*[ -]?up|roll\w*[ -]?back|unlock\w*|telemetry|traces?|spans?|metrics|analytics|usage (?:data|stat\w+)"
    r"|crash reports?|notif\w+|alerts?|heartbeats?|e-?mails?|webhooks?)\b)",
    rf".{{0,100}}\b(?i:(?:rollback|clean-?up|shutdown|teardown|telemetry|notification)\b.{{0,40}}\b{_FAILS})",
    r"(?:\S{0,100}/)?(?:rm|rmdir|kill|umount): ",
    r".{0,100}\b(?i:opentelemetry|otlp|sentry(?:_sdk|\.io)|api\.segment\.io|posthog|snowplow|statsd|rudderstack)\b",
    r".{0,100}\b(?i:(?:connection|cursor|session|pool|client|channel|engine) (?:is |was |has been |already )*closed\b)",
    r".{0,100}\b(?:RejectedExecutionException|Shutdown in progress|interpreter shutdown|[Ee]vent loop is closed)\b",
)
"""Errors of a program that ends, cleans up or reports on itself: seldom why it failed, if there was another one."""

HINT: Final = re.compile(
    r"\b(?i:fail\w*|error\w*|fatal\w*|unable|can(?:not|'t)|could(?: not|n't)|invalid|illegal|missing|mismatch\w*"
    r"|den(?:ied|ies)|refus\w+|reject\w+|expired|exceed\w+|unexpected\w*|unavailable|corrupt\w*|duplicate\w*|violat\w+"
    r"|conflict\w*|tim(?:e|ed) ?out|unknown|unsupported|unrecogni[sz]ed|not|no|doesn't"
    r"|too (?:large|long|many|big|few)|must|overflow|forbidden|unauthori[sz]ed"
    r"|unreachable|lost|killed|abort\w*|crash\w*|broken|wrong|fehl\w+|nicht|ungültig\w*|échou\w*|échec"
    r"|impossible|introuvable|keine?\w*|abbruch|aucun\w*|ning[uú]n\w*"
    r"|falló|fallo|inválid\w*|не)\b|失败|失敗|无法|できません"
    rf"|^(?:\S{{0,150}}/)?(?:{_PROGRAMS}): "
)
"""Words in a line without a level that make it a better explanation than one that has none of them."""

HARMLESS: Final = any_of(
    r"(?i:(?:no|0|zero) (?:\w+ )?(?:error|failure|exception|problem)s?\b)",
    r"(?i:(?:\w+ ){0,2}(?:error|failure|exception|failed|fatal)s?(?: (?:count|rate|total))?\s?[:=]\s?(?:0|none|null"
    r"|nil|no|false|\[\])[\s.,;]*$)",
    r".{0,250}\b(?i:retry|retrying|retried|trying again|try again|ignor(?:ed|ing)|skipp(?:ed|ing))\b",
)
"""Lines that only look like an error."""
