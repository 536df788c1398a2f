"""Reading what others wrote: users, tenants, programs, kubelets. Nothing here raises, and each takes linear time.

A value of another type than expected counts as absent; so does a number or a time that no arithmetic is made for.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from elt_operator.text import clean

Body = Mapping[str, Any]

_TEXT_CHARACTERS: Final = 32_768
_NUMBER_DIGITS: Final = 9
_TIME_CHARACTERS: Final = 64
_ITEMS: Final = 1_000
_LARGEST_INTEGER: Final = 2**62

EARLIEST: Final = datetime(1970, 1, 1, tzinfo=UTC)
LATEST: Final = datetime(3000, 1, 1, tzinfo=UTC)
"""Years of arithmetic are left on both sides of these."""


def mapping(value: Any) -> Body:
    """Return an object; empty where ``value`` is none."""
    return value if isinstance(value, dict) else {}  # JSON has no other mapping; and this is the hot path


def part(value: Any, *path: str) -> Body:
    """Return the object at ``path`` within ``value``; empty where there is none."""
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value if isinstance(value, dict) else {}


def items(value: Any) -> Sequence[Body]:
    """Return the objects of a list, the first thousand; empty where ``value`` is none."""
    return [item for item in value[:_ITEMS] if isinstance(item, dict)] if isinstance(value, list) else ()


def text(value: Any, otherwise: str = "") -> str:
    """Return a string that can be encoded, at most 32 Ki characters of it; ``otherwise`` where ``value`` is none."""
    if not isinstance(value, str):
        return otherwise
    found: str = value[:_TEXT_CHARACTERS]
    return found if found.isascii() else found.encode(errors="replace").decode()


def integer(value: Any, otherwise: int = 0) -> int:
    """Return an integer of at most 62 bits; ``otherwise`` for anything else."""
    if not isinstance(value, int) or isinstance(value, bool):
        return otherwise
    return value if -_LARGEST_INTEGER <= value <= _LARGEST_INTEGER else otherwise


def integers(value: Any) -> list[int]:
    """Return the integers of a list, of its first thousand items; empty where ``value`` is none."""
    found = value[:_ITEMS] if isinstance(value, list) else []
    return [item for item in found if isinstance(item, int) and not isinstance(item, bool)]


def number(value: Any, largest: int = 10**_NUMBER_DIGITS - 1) -> int | None:
    """Return the number that a text holds, from 0 to ``largest``; ``None`` for anything else."""
    if not isinstance(value, str) or not 0 < len(value) <= _NUMBER_DIGITS or not (value.isascii() and value.isdigit()):
        return None
    found = int(value)
    return found if found <= largest else None


def time(value: Any) -> datetime | None:
    """Return a Kubernetes time (RFC 3339) as an aware UTC ``datetime``; ``None`` for none, or nonsense."""
    if not isinstance(value, str) or not 0 < len(value) <= _TIME_CHARACTERS:
        return None
    try:
        moment = datetime.fromisoformat(value)
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return moment if EARLIEST <= moment < LATEST else None


class Identity(NamedTuple):
    """What every stored object has."""

    namespace: str
    name: str
    uid: str


def identity(body: Any) -> Identity | None:
    """Return whose body it is; ``None`` where it does not say so."""
    metadata = part(body, "metadata")
    found = Identity(text(metadata.get("namespace")), text(metadata.get("name")), text(metadata.get("uid")))
    return found if all(found) else None


def uid(body: Any) -> str:
    """Return an object's UID, empty where it has none."""
    return text(part(body, "metadata").get("uid"))


def version(body: Any) -> str:
    """Return an object's resourceVersion, empty where it has none."""
    return text(part(body, "metadata").get("resourceVersion"))


def created(body: Body) -> datetime:
    """Return when an object was created; long ago where it does not say."""
    return time(part(body, "metadata").get("creationTimestamp")) or EARLIEST


LOST: Final = "ContainerStatusUnknown"
"""The kubelet makes up this end, exit code and all, for a container that it does not find any more, or never made."""


def was_lost(container: Body) -> bool:
    """Return whether a kubelet that does not find a container any more says of it that it was running.

    Of one that it never made, it tells no last state (pkg/kubelet/kubelet_pods.go, convertToAPIContainerStatuses).
    """
    return said(part(container, "lastState", "terminated"), "reason") == LOST


def annotation(body: Body, name: str) -> str:
    """Return an annotation, empty where there is none."""
    return text(part(body, "metadata", "annotations").get(name))


def label(body: Body, name: str) -> str:
    """Return a label, empty where there is none."""
    return text(part(body, "metadata", "labels").get(name))


class Owner(NamedTuple):
    """An owner reference."""

    name: str
    uid: str
    controls: bool


def owners(body: Body, kind: str, api_group: str) -> Iterator[Owner]:
    """Yield the object's owners of ``kind``."""
    for owner in items(part(body, "metadata").get("ownerReferences")):
        group = text(owner.get("apiVersion")).partition("/")[0]
        if owner.get("kind") == kind and group == api_group:
            yield Owner(text(owner.get("name")), text(owner.get("uid")), owner.get("controller") is True)


def controller(body: Body, kind: str, api_group: str) -> Owner | None:
    """Return the object's controller, if that is of ``kind``."""
    return next((owner for owner in owners(body, kind, api_group) if owner.controls), None)


def conditions_of(status: Body) -> Mapping[str, Body]:
    """Return the conditions by their type."""
    return {text(found.get("type")): found for found in items(status.get("conditions"))}


def holds(conditions: Mapping[str, Body], kind: str) -> bool:
    """Return whether the condition of this type is true."""
    return conditions.get(kind, {}).get("status") == "True"


def said(found: Body, name: str) -> str:
    """Return words of Kubernetes for a person."""
    words = text(found.get(name))
    return words if words.isprintable() else clean(words)


def seconds(value: Any) -> int | None:
    """Return a number of seconds that fits into 31 bits; ``None`` for anything else."""
    found = integer(value, -1)
    return found if 0 <= found < 2**31 else None
