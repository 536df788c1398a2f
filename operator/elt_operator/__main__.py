"""The entry point: settings, logging, run."""

import asyncio
import sys
from contextlib import suppress

import uvloop
from kubernetes.aio.config import ConfigException
from pydantic import ValidationError

from elt_operator.controller import program as operator
from elt_operator.serving import json_lines as logs
from elt_operator.settings.controller import Settings


def main() -> None:
    """Run the operator; exits with 2 when it is not set up, saying what is missing."""
    try:
        settings = Settings()
    except ValidationError as error:
        sys.exit(f"elt-operator: a setting (ELT_OPERATOR_*) is wrong: {error}")
    logs.configure(settings.log_level, settings.log_format)
    try:
        with suppress(asyncio.CancelledError):  # told to end before it had begun to watch
            uvloop.run(operator.run(settings))
    except ConfigException as error:
        sys.exit(f"elt-operator: no access to a cluster: {error} (set KUBECONFIG, or run it in a pod)")


if __name__ == "__main__":
    main()
