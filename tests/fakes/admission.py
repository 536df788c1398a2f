"""The API server's view of our CEL rules: which of them an object breaks. Bounds and types are not looked at."""

from collections.abc import Callable, Iterator
from decimal import Decimal, InvalidOperation
from functools import cache
from ipaddress import ip_address
from typing import Any, Final

import cel

from elt_operator.resources import crd
from elt_operator.resources.fields import Json

_UNITS: Final = {
    **{unit: Decimal(1000) ** power for unit, power in zip("numkMGTPE", (-3, -2, -1, 1, 2, 3, 4, 5, 6), strict=True)},
    **{f"{unit}i": Decimal(1024) ** power for power, unit in enumerate("KMGTPE", 1)},
}


def _quantity(text: str) -> float:
    """Return the number that a Kubernetes quantity means; raises ``InvalidOperation``."""
    for length in (2, 1):
        if text[-length:] in _UNITS and len(text) > length:
            return float(Decimal(text[:-length]) * _UNITS[text[-length:]])
    return float(Decimal(text))


def _is_quantity(text: str) -> bool:
    try:
        _quantity(text)
    except InvalidOperation:
        return False
    return True


def _is_ip(text: str) -> bool:
    """Return whether it is an address to the API server: one with a zone is none, nor is IPv4 written as IPv6."""
    try:
        address = ip_address(text)
    except ValueError:
        return False
    return address.version == 4 or not (address.scope_id or address.ipv4_mapped)


_LIBRARIES: Final[dict[str, Callable[..., Any]]] = {
    "sum": sum,
    "lowerAscii": lambda text: text.lower(),
    "replace": lambda text, old, new: text.replace(old, new),
    "isIP": _is_ip,
    "isQuantity": _is_quantity,
    "quantity": _quantity,
    "isLessThan": lambda one, other: one < other,
    "compareTo": lambda one, other: (one > other) - (one < other),
    "isInteger": lambda number: number == int(number),
    "asInteger": int,
}
"""What the API server has beyond the CEL standard: https://kubernetes.io/docs/reference/using-api/cel/#cel-options-language-features-and-libraries."""


def _holds(rule: Json, new: Any, old: Any) -> bool:
    context = cel.Context()
    for name, function in _LIBRARIES.items():
        context.add_function(name, function)
    context.add_variable("self", new)
    if old is not None:
        context.add_variable("oldSelf", old)
    return bool(cel.evaluate(rule["rule"], context))


def _below(schema: Json, new: Any, old: Any) -> Iterator[tuple[str, Json, Any, Any]]:
    """Yield path, schema, value and former value of each part that ``new`` has."""
    if isinstance(new, dict):
        former = old if isinstance(old, dict) else {}
        for name, value in new.items():
            if below := schema.get("properties", {}).get(name):
                yield f".{name}", below, value, former.get(name)
            elif isinstance(below := schema.get("additionalProperties"), dict):
                yield f"[{name}]", below, value, former.get(name)
    elif isinstance(new, list) and "items" in schema:
        for index, value in enumerate(new):
            yield f"[{index}]", schema["items"], value, None


def _broken(schema: Json, new: Any, old: Any, path: str) -> Iterator[str]:
    for rule in schema.get("x-kubernetes-validations", []):
        about_a_change = "oldSelf" in rule["rule"]
        if not (about_a_change and old is None) and not _holds(rule, new, old):
            yield f"{path}{rule.get('fieldPath', '')}: {rule['message']}".lstrip(".")
    for step, below, value, former in _below(schema, new, old):
        yield from _broken(below, value, former, path + step)


def _with_defaults(schema: Json, value: Any) -> Any:
    if isinstance(value, list):
        return [_with_defaults(schema.get("items", {}), item) for item in value]
    if not isinstance(value, dict):
        return value
    fields = schema.get("properties", {})
    absent = {name: field["default"] for name, field in fields.items() if "default" in field and name not in value}
    return {name: _with_defaults(fields.get(name, {}), part) for name, part in (value | absent).items()}


@cache
def _schema(kind_name: str) -> Json:
    (kind,) = [kind for kind in crd.KINDS if kind.kind == kind_name]
    (version,) = crd.definition(kind)["spec"]["versions"]
    schema: Json = version["schema"]["openAPIV3Schema"]
    return schema


def complaints(new: Json, old: Json | None = None) -> list[str]:
    """Return path and words of each rule that a manifest breaks, as the API server would tell them."""
    schema = _schema(new["kind"])
    former = None if old is None else _with_defaults(schema, old)
    return list(_broken(schema, _with_defaults(schema, new), former, ""))
