"""Environment variables of a container, and where their values come from."""

from typing import Annotated, Final

from pydantic import Field

from elt_operator.resources import texts
from elt_operator.resources.fields import (
    ATOMIC,
    QUALIFIED_NAME,
    EnvName,
    Fields,
    Key,
    ObjectName,
    extra,
    list_map,
    matches,
    rule,
    rules,
)


class SecretKey(Fields):
    """One key of a Secret in the same namespace."""

    name: ObjectName
    """Name of the Secret."""
    key: Key
    """The key within it."""
    optional: bool | None = None
    """Continue without it if it is missing."""


class ConfigMapKey(Fields):
    """One key of a ConfigMap in the same namespace."""

    name: ObjectName
    """Name of the ConfigMap."""
    key: Key
    """The key within it."""
    optional: bool | None = None
    """Continue without it if it is missing."""


# What Kubernetes lets a variable be (https://kubernetes.io/docs/concepts/workloads/pods/downward-api/).
_FIELD_PATH: Final = (
    r"^(metadata\.(name|namespace|uid)|spec\.(nodeName|serviceAccountName)|status\.(hostIPs?|podIPs?)"
    rf"|metadata\.(labels|annotations)\['{QUALIFIED_NAME.strip('^$')}'\])$"
)


class PodField(Fields):
    """A field of the pod itself."""

    field_path: Annotated[
        str,
        Field(min_length=1, max_length=384),
        extra(
            rules(
                rule(
                    matches("self", _FIELD_PATH),
                    "use metadata.name, metadata.namespace, metadata.uid, metadata.labels['KEY'],"
                    " metadata.annotations['KEY'], spec.nodeName, spec.serviceAccountName, status.hostIP,"
                    " status.hostIPs, status.podIP or status.podIPs",
                )
            )
        ),
    ]
    """Path of the field, for example metadata.name or status.podIP."""


class EnvSource(
    Fields,
    json_schema_extra=rules(
        rule(
            "[has(self.secretKeyRef), has(self.configMapKeyRef), has(self.fieldRef)].filter(given, given).size() == 1",
            "exactly one of `secretKeyRef`, `configMapKeyRef` and `fieldRef` must be set",
        )
    ),
):
    """Where a variable's value comes from; exactly one of the fields is set."""

    secret_key_ref: SecretKey | None = None
    """A key of a Secret. The value is read by the kubelet, never by the operator."""
    config_map_key_ref: ConfigMapKey | None = None
    """A key of a ConfigMap."""
    field_ref: PodField | None = None
    """A field of the pod."""


class EnvVar(
    Fields,
    json_schema_extra=rules(
        rule("!(has(self.value) && has(self.valueFrom))", "`value` and `valueFrom` must not both be set"),
        rule(
            "!self.name.startsWith('ELT_') && self.name != 'MELTANO_RUN_ID'",
            "MELTANO_RUN_ID and names that start with ELT_ are set by the operator; choose another name",
            field=".name",
            reason="FieldValueForbidden",
        ),
    ),
):
    """An environment variable of the run's container."""

    name: EnvName
    """Name of the variable. MELTANO_RUN_ID and names that start with ELT_ are reserved for the operator."""
    value: Annotated[str, Field(max_length=32768), extra(rules(texts.NO_NUL, texts.ONE_VALUE))] | None = None
    """Its value. Never put a secret here: anyone who can read the Pipeline can read it."""
    value_from: EnvSource | None = None
    """Where its value comes from instead."""


class NamedSource(Fields):
    """A Secret or ConfigMap in the same namespace."""

    name: ObjectName
    """Its name."""
    optional: bool | None = None
    """Continue without it if it is missing."""


class EnvFromSource(
    Fields,
    json_schema_extra=rules(
        rule(
            "has(self.secretRef) != has(self.configMapRef)",
            "exactly one of `secretRef` and `configMapRef` must be set",
        )
    ),
):
    """All keys of one Secret or ConfigMap as environment variables; exactly one of the two is set."""

    prefix: Annotated[str, Field(max_length=253, pattern=r"^[_A-Za-z][-._A-Za-z0-9]*$")] | None = None
    """A prefix for each key."""
    secret_ref: NamedSource | None = None
    """The Secret."""
    config_map_ref: NamedSource | None = None
    """The ConfigMap."""


EnvVars = Annotated[list[EnvVar], Field(max_length=128), list_map("name")]
EnvFromSources = Annotated[list[EnvFromSource], Field(max_length=32), ATOMIC]


def env_bytes(variables: str) -> str:
    """Return in CEL how many bytes environment variables have, names and values."""
    return f"{variables}.map(entry, entry.name.size() + {texts.if_set('entry.value', texts.of('entry.value'))}).sum()"
