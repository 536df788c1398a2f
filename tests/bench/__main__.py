"""``make bench``: measures, prints tables, and writes docs/performance/: results.json and the plots."""

import argparse
import asyncio
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

from bench import report
from bench.bed import FOLDER, Bed, api_server_of
from bench.kwok import fake_node
from bench.parts import PARTS, Part
from cluster.local import Local
from cluster.settings import Settings
from elt_operator.kube.client import Client

ROOT: Final = Path(__file__).resolve().parent.parent.parent

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


async def measure(
    local: Local, parts: list[Part], before: Mapping[str, Path], keep: Callable[[str, Any], None]
) -> None:
    """Have ``keep`` told what each of ``parts`` found, on the cluster that runs."""
    async with await Client.connect() as client:
        bed = Bed(client, local, api_server_of(local), before)
        for part in parts:
            print(f"{part.name} ({part.plane} control plane)", flush=True)
            start = time.monotonic()
            keep(part.name, await part.measure(bed))
            print(f"  took {time.monotonic() - start:.0f} s", flush=True)


def on_plane(plane: str, parts: list[Part], revisions: Sequence[str], keep: Callable[[str, Any], None]) -> None:
    """Start a cluster whose control plane has the flags of ``plane``, and measure on it."""
    with patch.dict(os.environ, PLANES[plane]), tempfile.TemporaryDirectory(prefix="elt-bench-") as work:
        local = Local(Settings.from_environment())
        local.down()
        local = Local(Settings.from_environment())
        local.up()
        for manifest in (*sorted((ROOT / "crds").glob("*.yaml")), ROOT / "manifests" / "install" / "cluster.yaml"):
            local.kubectl("apply", "--server-side", f"--filename={manifest}")
        # Only its rights are needed: the operator that is measured runs beside the cluster, where the kernel counts.
        local.kubectl("scale", "--namespace=elt-operator", "deployment/elt-operator", "--replicas=0")
        with fake_node(local, local.settings.cache, Path(work)):
            before = {revision: code_at(revision, Path(work)) for revision in revisions}
            asyncio.run(measure(local, parts, before, keep))


def main() -> None:
    """Measure what the command line names."""
    parser = argparse.ArgumentParser(prog="bench", description="The project's benchmark.")
    parser.add_argument("only", nargs="*", choices=[[], *PARTS], metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--before", action="append", default=[], metavar="REVISION", help="for the part `changes`")
    arguments = parser.parse_args()
    wanted = arguments.only or [name for name, part in PARTS.items() if part.by_default]
    FOLDER.mkdir(parents=True, exist_ok=True)
    file = FOLDER / "results.json"
    results = json.loads(file.read_text()) if file.exists() else {}

    def keep(name: str, found: Any) -> None:
        results[name] = found
        file.write_text(json.dumps(results, indent=1) + "\n")

    for plane in PLANES:
        parts = [PARTS[name] for name in wanted if PARTS[name].plane == plane]
        if parts:
            on_plane(plane, parts, arguments.before, keep)
    report.plots(results, FOLDER)
    print(report.tables(results))


if __name__ == "__main__":
    main()
