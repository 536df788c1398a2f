"""What the run's own container starts: Meltano, a script, a command, or the image's entrypoint."""

import re
from pathlib import PurePosixPath
from typing import Final

from elt_operator.resources.fields import Json
from elt_operator.resources.job import JobSpec
from elt_operator.resources.pipeline import PipelineSpec

# All wrappers are fixed text: what a user wrote reaches them as positional parameters only, so no shell ever reads it
# as code that it was not meant to be.

# Bash as process 1 ignores SIGTERM and does not pass it on; so the work is a child that a trap can reach. The signal
# may come before the trap knows the child, hence the second look at `stopped`. It also interrupts `wait`, whose answer
# is then not the exit code of the child: hence `again`.
ACTIONS_WRAPPER: Final = """\
set -f
trap 'again=1 stopped=1; kill -TERM "$child" 2>/dev/null' TERM INT
count=$1; shift
actions=("${@:1:count}"); shift "$count"
for action in "${actions[@]}"; do
  [ -z "${stopped-}" ] || exit 143
  meltano $action "$@" & child=$!
  [ -z "${stopped-}" ] || kill -TERM "$child" 2>/dev/null
  again=1; while [ -n "$again" ]; do again=; wait "$child"; code=$?; done
  [ "$code" -eq 0 ] || exit "$code"
done
"""

# A script starts further programs, and bash does not end them when it is told to end: job control gives the script a
# process group of its own, and the signal goes to the whole group. It also reports the script's end; so standard error
# is the script's alone.
SCRIPT_WRAPPER: Final = """\
set -m
trap 'again=1 stopped=1; kill -TERM -- "-$child"' TERM INT
exec 3>&2 2>/dev/null
"$@" 2>&3 3>&- & child=$!
[ -z "${stopped-}" ] || kill -TERM -- "-$child"
again=1; while [ -n "$again" ]; do again=; wait "$child"; code=$?; done
exit "$code"
"""

# `--` keeps a script that starts with `-` from being taken for an option.
_BY_BASH: Final = ["bash", "-euo", "pipefail", "-c", "--"]

# The kernel starts a script for another interpreter, from a file: `man 2 execve`, "Interpreter scripts".
OTHER_SCRIPT_WRAPPER: Final = f"""\
if ! command -v -- "$2" > /dev/null; then
  echo "The image has no $2, which the script's first line names. Use an image that has it." >&2
  exit 127
fi
file=`mktemp` && printf %s "$1" >| "$file" && chmod 700 "$file" || exit 126
shift 2
set -- "$file" "$@"
{SCRIPT_WRAPPER}"""

_SHELLS: Final = frozenset({"ash", "bash", "dash", "sh"})
"""Shells whose scripts bash carries out."""

_FIRST_LINE: Final = re.compile(r"\s*(?P<line>#![ \t]*(?P<program>[^ \t\n]+)(?:[ \t]+(?P<rest>[^\n]*))?)")
"""The kernel parts words at spaces and tabs only. It wants the line to be the first: empty ones before it are left out.
"""

_OF_ENV: Final = re.compile(r"(?:-S[ \t]*)?(?:\w+=[\w./:,@%+-]*[ \t]+)*(?P<program>(?!-)[\w./+-]*[\w+])(?:[ \t].*)?")
"""What follows ``env``, in its plain forms: variables, and the program."""

STARTED_BYTES: Final = 32 * 1024
"""How much of what is started a Job's status repeats: what 32 actions with their arguments come to could not be stored.
"""


def started_arguments(pipeline: PipelineSpec, job: JobSpec) -> list[str]:
    """Return what is started, for people: the argument vector, or one command line for each action.

    It has at most ``STARTED_BYTES`` in all; where there is more, the last text ends in ``…``.
    """
    return _shortened(_started(pipeline, job), STARTED_BYTES)


def _shortened(texts: list[str], most: int) -> list[str]:
    """Return ``texts`` as far as they have ``most`` bytes in all."""
    kept: list[str] = []
    for text in texts:
        encoded = text.encode(errors="replace")
        if len(encoded) > most:
            return [*kept, encoded[:most].decode(errors="ignore") + "…"]
        kept.append(text)
        most -= len(encoded)
    return kept


def _started(pipeline: PipelineSpec, job: JobSpec) -> list[str]:
    arguments = job.arguments or []
    if pipeline.actions:
        return [" ".join(["meltano", action, *arguments]) for action in pipeline.actions]
    if pipeline.script:
        return ["script", *arguments]
    return [*(pipeline.command or []), *(pipeline.args or []), *arguments]


def command_of(pipeline: PipelineSpec, job: JobSpec) -> Json:
    """Return the container's ``command`` and ``args``."""
    arguments = job.arguments or []
    if pipeline.actions:
        parameters = [str(len(pipeline.actions)), *pipeline.actions, *arguments]
        return {"command": ["bash", "-c", ACTIONS_WRAPPER, "elt"], "args": literal(parameters)}
    if pipeline.script:
        return _script(pipeline.script, arguments)
    # Command and args may name the container's variables as `$(NAME)`, as in any pod; a Job's arguments may not.
    args = [*(pipeline.args or []), *literal(arguments)]
    return {name: value for name, value in (("command", pipeline.command), ("args", args)) if value}


def _script(written: str, arguments: list[str]) -> Json:
    """Return what runs a script: bash, or the program that its first line names."""
    script = _as_on_linux(written)
    first = _FIRST_LINE.match(script)
    if not first or PurePosixPath(needed := _needed(first)).name in _SHELLS:
        start, wrapper = [*_BY_BASH, script, "script"], SCRIPT_WRAPPER
    else:
        start, wrapper = [script[first.start("line") :], needed], OTHER_SCRIPT_WRAPPER
    return {"command": ["bash", "-c", wrapper, "elt"], "args": literal([*start, *arguments])}


def _as_on_linux(script: str) -> str:
    """Return ``script`` without what editors on Windows put into it: byte order marks, and CR before line ends."""
    return re.sub(r"\r+(?=\n|\Z)", "", script.lstrip("\ufeff"))


def _needed(first: re.Match[str]) -> str:
    """Return the program without which a script cannot run: what its first line names, or has ``env`` look for.

    Where the words after ``env`` are not plainly to be read, it is ``env``, which says itself what it does not find.
    """
    program, rest = first["program"], first["rest"] or ""
    if PurePosixPath(program).name != "env":
        return program if "/" in program else f"./{program}"  # the kernel does not look it up in PATH
    found = _OF_ENV.fullmatch(rest)
    return found["program"] if found else program


def literal(arguments: list[str]) -> list[str]:
    """Return ``arguments`` so that Kubernetes hands them on as they are; to it ``$$`` is ``$`` and ``$(NAME)`` a value.

    https://kubernetes.io/docs/tasks/inject-data-application/define-interdependent-environment-variables/
    """
    return [argument.replace("$", "$$") for argument in arguments]
