"""What all fields of the resources are made of: bounds, list types, CEL rules, names.

Every list, map, string and number is bounded, so that objects stay small and the API server can estimate the cost of
each CEL rule (https://kubernetes.io/docs/reference/using-api/cel/#resource-constraints).
"""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema
from pydantic.alias_generators import to_camel

Json = dict[str, Any]


class Fields(BaseModel):
    """A group of fields: camelCase outside, docstrings as descriptions, unknown ones ignored.

    The API server has already refused or pruned what is unknown; an object stored under a newer schema must still read.
    """

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        extra="ignore",
        frozen=True,
        use_attribute_docstrings=True,
    )

    def as_json(self) -> Json:
        """Return the fields that are set as the API server stores them."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


def rule(cel: str, message: str, field: str = "", reason: str = "FieldValueInvalid") -> Json:
    """Return one entry of ``x-kubernetes-validations``; ``field`` is a path below where the rule stands."""
    entry = {"rule": cel, "message": message, "reason": reason}
    return entry | ({"fieldPath": field} if field else {})


def matches(subject: str, pattern: str) -> str:
    """Return in CEL whether ``subject`` matches ``pattern``, which may hold anything but double quotes."""
    return f'{subject}.matches(r"{pattern}")'


def rules(*entries: Json) -> Json:
    """Return the schema part that holds ``entries``."""
    return {"x-kubernetes-validations": list(entries)}


def extra(schema: Json) -> Any:
    """Return an annotation that adds ``schema`` to a field's own."""
    return Field(json_schema_extra=schema)


def list_map(*keys: str) -> Any:
    """Return an annotation: a list whose items are told apart by ``keys``, so that appliers can merge it."""
    return extra({"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": list(keys)})


ATOMIC = extra({"x-kubernetes-list-type": "atomic"})
"""A list that is replaced as a whole."""

SET = extra({"x-kubernetes-list-type": "set"})
"""A list without duplicates and without order."""

DNS_LABEL = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
DNS_SUBDOMAIN = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"
QUALIFIED_NAME = (
    r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?"
    r"([A-Za-z0-9][-A-Za-z0-9_.]{0,61})?[A-Za-z0-9]$"
)
"""The key of a label, an annotation or a taint, or an extended resource's name."""
LABEL_VALUE = r"^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$"

Text = str
ShortText = Annotated[str, Field(max_length=256)]
ObjectName = Annotated[str, Field(min_length=1, max_length=253, pattern=DNS_SUBDOMAIN)]
"""The name of an object in the same namespace; there is no way to name one elsewhere."""
Label = Annotated[str, Field(min_length=1, max_length=63, pattern=DNS_LABEL)]
PipelineName = Annotated[str, Field(min_length=1, max_length=52, pattern=DNS_LABEL)]
"""52 characters: a CronJob's name may have no more, and a run appends ``-r`` and up to nine digits."""
Key = Annotated[
    str,
    Field(min_length=1, max_length=253, pattern=r"^[-._a-zA-Z0-9]+$"),
    extra(rules(rule("self != '.' && !self.startsWith('..')", "a key must not be `.` and must not start with `..`"))),
]
"""A key within a Secret or ConfigMap."""
EnvName = Annotated[str, Field(min_length=1, max_length=253, pattern=r"^[_A-Za-z][-._A-Za-z0-9]*$")]
"""Programs in Java take settings from names with dots, too: spring.profiles.active."""
Count = Annotated[int, Field(ge=0, le=2**31 - 1)]
Generation = Annotated[int, Field(ge=-1, le=2**62)]

_NUMBER = r"([0-9]+(\.[0-9]*)?|\.[0-9]+)"


def int_or_string(*entries: Json, **bounds: int | str) -> Any:
    """Return an annotation: an integer or a string, the string within ``bounds``, either of them by CEL rules."""
    either = {"x-kubernetes-int-or-string": True, "anyOf": [{"type": "integer"}, {"type": "string"}]}
    return WithJsonSchema({**either, **bounds, **rules(*entries)})


Quantity = Annotated[
    int | str,
    int_or_string(
        rule(
            "isQuantity(string(self)) && !quantity(string(self)).isLessThan(quantity('0'))",
            "the quantity must be a number of at least 0, for example 250m, 2 or 512Mi",
        ),
        maxLength=64,
        pattern=rf"^[+-]?{_NUMBER}([KMGTPE]i|[numkMGTPE]|[eE][+-]?[0-9]+)?$",
    ),
]
"""A Kubernetes quantity (https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/)."""
