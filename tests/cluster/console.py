"""What the tool tells the person who waits for it, and how it runs the programs it needs."""

from __future__ import annotations

import shlex
import subprocess
import sys
import time
from typing import TYPE_CHECKING

from cluster.errors import ClusterError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

STARTED = time.monotonic()
POLL_SECONDS = 0.1
SAY_STILL_BUSY_SECONDS = 30.0


def say(message: str) -> None:
    """Print ``message`` with the seconds since the tool started; on stderr, as stdout is for answers."""
    print(f"[{time.monotonic() - STARTED:6.1f} s] {message}", file=sys.stderr, flush=True)


def output_of(
    argv: Sequence[str | Path],
    *,
    env: Mapping[str, str] | None = None,
    stdin: str | None = None,
    timeout_seconds: float = 120,
) -> str:
    """Return what ``argv`` prints; raise ``ClusterError`` with its complaint when it fails or hangs."""
    command = shlex.join(str(word) for word in argv)
    try:
        done = subprocess.run(
            argv, env=env, input=stdin, capture_output=True, text=True, check=False, timeout=timeout_seconds
        )
    except subprocess.TimeoutExpired:
        raise ClusterError(f"no answer within {timeout_seconds:.0f} s from: {command}") from None
    except OSError as error:
        raise ClusterError(f"cannot run {argv[0]}: {error.strerror}") from None
    if done.returncode != 0:
        raise ClusterError(
            f"failed with exit code {done.returncode}: {command}\n{(done.stderr or done.stdout).strip()}"
        )
    return done.stdout


def run_for_long(argv: Sequence[str | Path], *, log: Path, env: Mapping[str, str], cwd: Path | None = None) -> None:
    """Run ``argv`` with its output in ``log`` and say now and then that it is still busy.

    Raise ``ClusterError`` with the end of ``log`` when it fails. There is no deadline: how long a compiler takes
    is up to the machine, and the person sees that it runs.
    """
    started = time.monotonic()
    with (
        log.open("wb") as sink,
        subprocess.Popen(argv, stdout=sink, stderr=subprocess.STDOUT, env=env, cwd=cwd) as busy,
    ):
        while (exit_code := code_after(busy, SAY_STILL_BUSY_SECONDS)) is None:
            say(f"... still busy after {time.monotonic() - started:.0f} s")
    if exit_code != 0:
        command = shlex.join(str(word) for word in argv)
        raise ClusterError(f"failed with exit code {exit_code}: {command}\n{end_of(log, lines=30)}")


def code_after(busy: subprocess.Popen[bytes], seconds: float) -> int | None:
    """Return the exit code of ``busy``, or ``None`` when it still runs after ``seconds``."""
    try:
        return busy.wait(seconds)
    except subprocess.TimeoutExpired:
        return None
    except BaseException:
        busy.terminate()  # a person's Ctrl-C must not leave a compiler behind
        raise


def wait_until(holds: Callable[[], bool], what: str, *, seconds: float = 180, logs: Iterable[Path] = ()) -> None:
    """Return once ``holds()``; raise ``ClusterError`` naming ``what`` and the ends of ``logs`` after ``seconds``."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            ends = "\n".join(f"--- the end of {log}\n{end_of(log)}" for log in logs)
            raise ClusterError(f"waited {seconds:.0f} s in vain for: {what}\n{ends}".rstrip())
        time.sleep(POLL_SECONDS)


def end_of(log: Path, lines: int = 12) -> str:
    """Return the last lines of ``log``, or a word that says there are none."""
    try:
        text = log.read_text(errors="replace")
    except OSError as error:
        return f"({error.strerror})"
    return "\n".join(text.splitlines()[-lines:]) or "(empty)"
