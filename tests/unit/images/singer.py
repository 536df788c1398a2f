"""Runs Singer's programs as their runners do, and sorts what they say."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

IMAGES = Path(__file__).resolve().parents[3] / "images"

Message = dict[str, Any]


@dataclass(frozen=True)
class Ended:
    """How a program ended and what it said."""

    code: int
    messages: list[Message]
    log: str

    @property
    def records(self) -> list[Message]:
        return [message["record"] for message in self.messages if message["type"] == "RECORD"]

    @property
    def states(self) -> list[Any]:
        return [message["value"] for message in self.messages if message["type"] == "STATE"]


def run(program: Path, *arguments: str | Path, environment: dict[str, str] | None = None, stdin: str = "") -> Ended:
    """Run ``program``, whose standard output is JSON, a document on each line."""
    ended = subprocess.run(
        [sys.executable, program, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=environment or {},
        input=stdin,
    )
    return Ended(ended.returncode, [json.loads(line) for line in ended.stdout.splitlines()], ended.stderr)


def a_file(path: Path, document: object) -> Path:
    """Write ``document`` as JSON."""
    path.write_text(json.dumps(document))
    return path
