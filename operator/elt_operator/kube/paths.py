"""Paths and selectors of the API server. A name is one segment or one value, whatever somebody has put into it.

The API server takes a path apart after it has unquoted it; so quoting alone would not do
(https://pkg.go.dev/k8s.io/apimachinery/pkg/api/validation/path#IsValidPathSegmentName).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, urlencode

from elt_operator.errors import OperatorError

_NAME_CHARACTERS: Final = 253
_LABEL_VALUE: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")
"""What a label may hold (https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/), but empty."""
_OBJECT_NAME: Final = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?")
_TOLD_CHARACTERS: Final = 80


class Unaddressable(OperatorError):
    """No object can have this name: there is nothing to ask the API server for."""

    def __init__(self, name: str) -> None:
        super().__init__(f"no object can be named {name[:_TOLD_CHARACTERS]!a}")


def segment(name: str) -> str:
    """Return ``name`` as one segment of a path; raises ``Unaddressable``."""
    possible = 0 < len(name) <= _NAME_CHARACTERS and name not in {".", ".."} and not {"/", "%"} & set(name)
    if not possible or not name.isprintable():  # which surrogates are not, either
        raise Unaddressable(name)
    return quote(name, safe="")


def labelled(label: str, value: str) -> str:
    """Return the label selector for ``value``; raises ``Unaddressable``."""
    if not _LABEL_VALUE.fullmatch(value):
        raise Unaddressable(value)
    return f"{label}={value}"


def named(name: str) -> str:
    """Return the field selector for the object of this name; raises ``Unaddressable``."""
    if not _OBJECT_NAME.fullmatch(name):
        raise Unaddressable(name)
    return f"metadata.name={name}"


def query(parameters: Mapping[str, str]) -> str:
    """Return ``parameters`` as the end of a URL, with its question mark; empty: there are none."""
    return f"?{urlencode(parameters, quote_via=quote, errors='replace')}" if parameters else ""


@dataclass(frozen=True)
class Resource:
    """A resource of one API group and version."""

    root: str
    """The path of the API group and version."""
    plural: str

    def collection(self, namespace: str | None = None) -> str:
        """Return the path of the objects in ``namespace``; ``None``: in all of them. Raises ``Unaddressable``."""
        place = f"/namespaces/{segment(namespace)}" if namespace is not None else ""
        return f"{self.root}{place}/{self.plural}"

    def object(self, namespace: str, name: str, subresource: str = "") -> str:
        """Return the path of an object, or of its ``subresource``; raises ``Unaddressable``."""
        below = f"/{subresource}" if subresource else ""
        return f"{self.collection(namespace)}/{segment(name)}{below}"


BATCH_JOBS: Final = Resource("/apis/batch/v1", "jobs")
CRON_JOBS: Final = Resource("/apis/batch/v1", "cronjobs")
PODS: Final = Resource("/api/v1", "pods")
EVENTS: Final = Resource("/api/v1", "events")
LEASES: Final = Resource("/apis/coordination.k8s.io/v1", "leases")
