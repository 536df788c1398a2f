"""Kept logs as people and tests see them: through the keeper's door, and in its store."""

import hashlib
import json
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache

from e2e.served import Answer, Server, token_of
from e2e.world import Body, kubectl

KEEPER, READER = "deployment/elt-operator-logs", "daemonset/elt-operator-log-reader"
SETTLED = {"Kept", "Incomplete"}

WRITER = r"""
import hashlib, os, sys, time
megabytes, rate = float(sys.argv[1]), float(sys.argv[2]) * 1e6
out, digest, number, total, begun = os.fdopen(1, "wb", 0), hashlib.sha256(), 0, 0, time.monotonic()
while total < megabytes * 1e6:
    block = b"".join(b"%09d " % (number + more) + b"x" * 180 + b" end\n" for more in range(100))
    out.write(block)
    digest.update(block)
    number, total = number + 100, total + len(block)
    time.sleep(max(0.0, begun + total / rate - time.monotonic()))
out.write(b"SHA " + digest.hexdigest().encode() + b"\n")
"""
"""Writes so many megabytes at so many a second, and at the end the SHA-256 of it."""


@dataclass
class Door(Server):
    """The keeper's door."""

    where: str = KEEPER
    port: int = 8081

    def log(self, job: Body, token: str = "", query: str = "") -> Answer:
        """Return the log of a Job."""
        return self.ask(f"/v1/logs/{job['metadata']['uid']}{query}", token or administrator())

    def follow(self, job: Body) -> Iterator[bytes]:
        """Yield the lines of the log of a Job as they come, until it is complete."""
        request = self.request(f"/v1/logs/{job['metadata']['uid']}?follow=true", administrator())
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 - http://127.0.0.1
            yield from answer


@cache
def administrator() -> str:
    """Return the token of somebody who may read all logs."""
    kubectl("create", "serviceaccount", "--namespace=default", "e2e-logs", "--dry-run=client", "-o", "name")
    for what in (
        ["serviceaccount", "e2e-logs", "--namespace=default"],
        ["clusterrolebinding", "e2e-logs", "--clusterrole=view", "--serviceaccount=default:e2e-logs"],
    ):
        manifest = kubectl("create", *what, "--dry-run=client", "-o", "yaml")
        kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=manifest)
    return token_of("default", "e2e-logs")


def settled(job: Body) -> bool:
    """Whether a Job says what became of its log."""
    return job.get("status", {}).get("log", {}).get("state") in SETTLED


def is_equal(text: bytes) -> bool:
    """Return whether the SHA-256 at the end of what ``WRITER`` wrote is that of the rest."""
    rest, _, last = text.rstrip(b"\n").rpartition(b"\n")
    return last == b"SHA " + hashlib.sha256(rest + b"\n").hexdigest().encode()


def numbers_of(text: bytes) -> list[int]:
    """Return the numbers of the lines that ``WRITER`` wrote."""
    return [int(line[:9]) for line in text.splitlines() if line[:9].isdigit()]


def in_store(words: str) -> list[str]:
    """Return which objects of the keeper's store hold ``words``, compressed or not; that there are some is checked."""
    script = """
import os, pathlib, sys, json
from backports import zstd
found, count = [], 0
for path in [pathlib.Path(folder) / name for folder, _, names in os.walk("/logs") for name in names]:
    try:
        data = path.read_bytes()
    except FileNotFoundError:  # frames come and go
        continue
    if data:
        count += 1
        texts, rest = [data], data
        while rest and path.suffix == ".zst":
            one = zstd.ZstdDecompressor()
            if rest[:4] != b"\\x28\\xb5\\x2f\\xfd":
                size = 8 + int.from_bytes(rest[4:8], "little")
                payload, rest = rest[8:size], rest[size:]
                texts.append(zstd.decompress(payload))
                continue
            texts.append(one.decompress(rest))
            rest = one.unused_data
        if any(sys.argv[1].encode() in text for text in texts):
            found.append(str(path))
print(json.dumps([count, found]))
"""
    python = "/opt/elt-operator/bin/python3"
    answer = kubectl("exec", "--namespace=elt-operator", KEEPER, "--", python, "-c", script, words)
    count, found = json.loads(answer)
    assert count, "the store is empty"
    return list(found)


def processes(program: str) -> list[int]:
    """Return the processes of a program of the operator's on this machine."""
    found = subprocess.run(["pgrep", "-f", f"bin/elt-operator {program}$"], capture_output=True, text=True, check=False)
    return [int(line) for line in found.stdout.split()]


@contextmanager
def door() -> Iterator[Door]:
    """Give a door, and close it."""
    opened = Door()
    try:
        yield opened
    finally:
        opened.close()
