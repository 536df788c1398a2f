"""``python3 -m cluster VERB``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from cluster import providers
from cluster.errors import ClusterError
from cluster.local import Local
from cluster.settings import Settings

VERBS = {
    "up": "start the cluster; does nothing when it is up",
    "down": "take it down; nothing of it stays",
    "status": "say what of it is running; exit code 0 when it is healthy",
    "leftovers": "name what a killed local cluster has left on this machine; exit code 0 when there is nothing",
    "kubeconfig": "print the path of its administrator's kubeconfig",
    "audit-log": "print the path of the API server's audit log",
    "pod-logs": "print the path of its nodes' folder of the logs of pods",
    "bin": "print the folder of the built programs, kubectl among them",
    "load-image": "load OCI or docker image archives into it",
}


def main() -> int:
    """Do what the command line says; return the exit code."""
    parser = argparse.ArgumentParser(prog="cluster", description="The project's own test cluster.")
    verbs = parser.add_subparsers(dest="verb", required=True)
    for verb, meaning in VERBS.items():
        one = verbs.add_parser(verb, help=meaning)
        if verb == "load-image":
            one.add_argument("archives", nargs="+", type=Path, metavar="ARCHIVE")
    arguments = parser.parse_args()
    try:
        return run(arguments)
    except ClusterError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; `up` or `down` will clear up", file=sys.stderr)
        return 130


def run(arguments: argparse.Namespace) -> int:
    """Do what ``arguments`` say; return the exit code."""
    settings = Settings.from_environment()
    if arguments.verb == "bin":
        print(settings.bin)
        return 0
    if arguments.verb == "leftovers":
        return 0 if Local(settings).leftovers() else 1
    provider = providers.chosen(settings)
    match arguments.verb:
        case "up":
            provider.up()
        case "down":
            provider.down()
        case "status":
            return 0 if provider.status() else 1
        case "kubeconfig" | "audit-log" | "pod-logs":
            print(getattr(provider, arguments.verb.replace("-", "_")))
        case "load-image":
            for archive in arguments.archives:
                provider.load_image(archive)
    return 0


if __name__ == "__main__":
    sys.exit(main())
