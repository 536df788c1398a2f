"""The entry point: ``elt-operator [PROGRAM]`` starts one of the cluster's programs; without a word, the controller."""

import argparse
import importlib
import sys
from typing import Final

_PROGRAMS: Final = {
    "controller": "runs Pipelines and Jobs",
    "api": "answers requests over HTTP: the Jobs API",
    "log-reader": "reads the logs of a node's runs",
    "logs": "keeps the logs of all runs, and lets them be read",
}
"""Each is a package with a module ``program``, whose ``main`` runs it; only the one that is started is imported."""


def main() -> None:
    """Run a program; exits with 2 when it cannot be started, saying what is missing."""
    parser = argparse.ArgumentParser(
        prog="elt-operator",
        description="Run one of the operator's programs. Settings come from environment variables (ELT_OPERATOR_*).",
        epilog=" ".join(f"{name}: {what}." for name, what in _PROGRAMS.items()),
    )
    parser.add_argument(
        "program", nargs="?", choices=_PROGRAMS, default="controller", help="the program to run; controller if omitted"
    )
    asked = parser.parse_args()
    try:
        program = importlib.import_module(f"elt_operator.{asked.program.replace('-', '_')}.program")
    except ModuleNotFoundError as error:
        print(f"elt-operator: {error}; install the package with its extra: elt-operator[operator]", file=sys.stderr)  # noqa: T201 - before there is a log
        sys.exit(2)
    program.main()


if __name__ == "__main__":
    main()
