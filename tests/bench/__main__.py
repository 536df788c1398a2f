"""``make bench``: measures, prints tables, and writes docs/performance/: results.json and the plots."""

import argparse
import asyncio
import json
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from bench import report
from bench.bed import FOLDER, ROOT, Plane
from bench.parts import PARTS, Part

TUNED: Final = {
    "CLUSTER_API_SERVER_FLAGS": "--profiling=true",
    "CLUSTER_KCM_FLAGS": (
        "--kube-api-qps=500 --kube-api-burst=1000 --concurrent-job-syncs=20 --concurrent-cron-job-syncs=20"
    ),
    "CLUSTER_SCHEDULER_FLAGS": "--kube-api-qps=500 --kube-api-burst=1000",
}
PLANES: Final[dict[str, dict[str, str]]] = {"default": {}, "tuned": TUNED}


def code_at(revision: str, folder: Path) -> Path:
    """Return where the operator's code is, as it was at a revision of this repository."""
    place = folder / revision.replace("/", "-")
    place.mkdir()
    tree = subprocess.run(["git", "archive", revision, "operator"], cwd=ROOT, check=True, stdout=subprocess.PIPE)
    subprocess.run(["tar", "--extract"], cwd=place, check=True, input=tree.stdout)
    return place / "operator"


async def measure(parts: list[Part], plane: Plane, keep: Callable[[str, Any], None]) -> None:
    """Have ``keep`` told what each of ``parts`` found."""
    for part in parts:
        print(f"{part.name} ({part.plane} control plane)", flush=True)
        start = time.monotonic()
        keep(part.name, await part.measure(plane))
        print(f"  took {time.monotonic() - start:.0f} s", flush=True)


def main() -> None:
    """Measure what the command line names; whoever ends it ends what it has started, too."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    parser = argparse.ArgumentParser(prog="bench", description="The project's benchmark.")
    parser.add_argument("only", nargs="*", choices=[[], *PARTS], metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--before", action="append", default=[], metavar="REVISION", help="for the part `changes`")
    parser.add_argument("--times", type=int, default=0, help="how often makespans are measured; 0: as each part says")
    arguments = parser.parse_args()
    wanted = arguments.only or [name for name, part in PARTS.items() if part.by_default]
    FOLDER.mkdir(parents=True, exist_ok=True)
    file = FOLDER / "results.json"
    results = json.loads(file.read_text()) if file.exists() else {}

    def keep(name: str, found: Any) -> None:
        results[name] = found
        file.write_text(json.dumps(results, indent=1) + "\n")

    with tempfile.TemporaryDirectory(prefix="elt-bench-") as folder:
        before = {revision: code_at(revision, Path(folder)) for revision in arguments.before}
        for name, flags in PLANES.items():
            parts = [PARTS[part] for part in wanted if PARTS[part].plane == name]
            asyncio.run(measure(parts, Plane(flags, before, arguments.times), keep))
    report.plots(results, FOLDER)
    print(report.tables(results))


if __name__ == "__main__":
    main()
