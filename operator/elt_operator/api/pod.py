"""What a user may say about the pod of a run: an allow-list, so that no field gives more than its namespace allows."""

from typing import Annotated, Literal

from pydantic import Field

from elt_operator.api import names
from elt_operator.api.fields import (
    ATOMIC,
    LABEL_VALUE,
    Count,
    EnvName,
    Fields,
    Key,
    Label,
    ObjectName,
    Quantity,
    ShortText,
    extra,
    list_map,
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
    """Go on without it when it is missing."""


class ConfigMapKey(Fields):
    """One key of a ConfigMap in the same namespace."""

    name: ObjectName
    """Name of the ConfigMap."""
    key: Key
    """The key within it."""
    optional: bool | None = None
    """Go on without it when it is missing."""


class PodField(Fields):
    """A field of the pod itself."""

    field_path: Annotated[str, Field(min_length=1, max_length=256)]
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
            "names that start with ELT_ and MELTANO_RUN_ID are set by the operator; choose another name",
            field=".name",
            reason="FieldValueForbidden",
        ),
    ),
):
    """An environment variable of the run's container."""

    name: EnvName
    """Name of the variable. Names that start with ELT_ and MELTANO_RUN_ID are the operator's."""
    value: Annotated[str, Field(max_length=32768)] | None = None
    """Its value. Never put a secret here: everybody who may read the Pipeline could read it."""
    value_from: EnvSource | None = None
    """Where its value comes from instead."""


class NamedSource(Fields):
    """A Secret or ConfigMap in the same namespace."""

    name: ObjectName
    """Its name."""
    optional: bool | None = None
    """Go on without it when it is missing."""


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

    prefix: Annotated[str, Field(max_length=253, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")] | None = None
    """Put before each key."""
    secret_ref: NamedSource | None = None
    """The Secret."""
    config_map_ref: NamedSource | None = None
    """The ConfigMap."""


class KeyToPath(Fields):
    """One key of a Secret or ConfigMap as a file."""

    key: Key
    """The key."""
    path: Annotated[str, Field(min_length=1, max_length=1024)]
    """Relative path of the file within the volume; without `..`."""
    mode: Annotated[int, Field(ge=0, le=0o777)] | None = None
    """Permission bits of the file."""


Items = Annotated[list[KeyToPath], Field(max_length=64), ATOMIC]


class ClaimVolume(Fields):
    """A PersistentVolumeClaim in the same namespace."""

    claim_name: ObjectName
    """Name of the claim."""


class ConfigMapVolume(Fields):
    """A ConfigMap as files."""

    name: ObjectName
    """Name of the ConfigMap."""
    items: Items | None = None
    """Which keys, and where; all of them when absent."""
    optional: bool | None = None
    """Go on without it when it is missing."""


class SecretVolume(Fields):
    """A Secret as files."""

    secret_name: ObjectName
    """Name of the Secret."""
    items: Items | None = None
    """Which keys, and where; all of them when absent."""
    optional: bool | None = None
    """Go on without it when it is missing."""


class EmptyVolume(Fields):
    """A directory that is empty at the start of each attempt and goes with its pod."""

    medium: Literal["", "Memory"] | None = None
    """Memory makes it a tmpfs, which counts against the memory limit."""
    size_limit: Quantity | None = None
    """How large it may become."""


class Volume(
    Fields,
    json_schema_extra=rules(
        rule(
            "[has(self.persistentVolumeClaim), has(self.configMap), has(self.secret), has(self.emptyDir)]"
            ".filter(given, given).size() == 1",
            "exactly one of `persistentVolumeClaim`, `configMap`, `secret` and `emptyDir` must be set",
        )
    ),
):
    """A volume and where the container sees it; exactly one of the sources is set."""

    name: Label
    """Name of the volume, unique within the Pipeline."""
    mount_path: Annotated[str, Field(min_length=1, max_length=1024, pattern=r"^/[^:]*$")]
    """Absolute path at which the container sees it."""
    sub_path: Annotated[str, Field(max_length=1024)] | None = None
    """Mount only this relative path of the volume."""
    read_only: bool = False
    """Refuse writes."""
    persistent_volume_claim: ClaimVolume | None = None
    """A claim in the same namespace, for state that outlives the pod."""
    config_map: ConfigMapVolume | None = None
    """Files from a ConfigMap."""
    secret: SecretVolume | None = None
    """Files from a Secret."""
    empty_dir: EmptyVolume | None = None
    """Scratch space."""


Resources = Annotated[dict[Annotated[str, Field(max_length=253)], Quantity], Field(max_length=16)]


class ResourceRequirements(Fields):
    """CPU, memory and other resources of the run's container."""

    requests: Resources | None = None
    """What the scheduler reserves."""
    limits: Resources | None = None
    """What it may use; above its memory limit a process is killed (OutOfMemory)."""


class Toleration(Fields):
    """Lets the run's pod onto nodes with a matching taint."""

    key: Annotated[str, Field(max_length=316)] | None = None
    """The taint's key; all keys when absent (operator Exists)."""
    operator: Literal["Equal", "Exists"] | None = None
    """How the key's value is compared; Equal when absent."""
    value: Annotated[str, Field(max_length=63)] | None = None
    """The taint's value."""
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None
    """The taint's effect; all effects when absent."""
    toleration_seconds: Annotated[int, Field(ge=0, le=2**31 - 1)] | None = None
    """How long a NoExecute taint is tolerated; for ever when absent."""


LabelMap = Annotated[
    dict[
        Annotated[str, Field(max_length=317)],
        Annotated[str, Field(max_length=63, pattern=LABEL_VALUE)],
    ],
    Field(max_length=32),
    extra(
        rules(
            rule(
                f"self.all(key, !key.startsWith('{names.GROUP}/') && !key.contains('kubernetes.io/'))",
                f"keys of {names.GROUP} and kubernetes.io are not yours to set; choose another prefix",
                reason="FieldValueForbidden",
            )
        )
    ),
]

AnnotationMap = Annotated[
    dict[Annotated[str, Field(max_length=317)], Annotated[str, Field(max_length=8192)]],
    Field(max_length=32),
    extra(
        rules(
            rule(
                f"self.all(key, !key.startsWith('{names.GROUP}/'))",
                f"keys of {names.GROUP} are set by the operator; choose another prefix",
                reason="FieldValueForbidden",
            )
        )
    ),
]

NodeSelector = Annotated[
    dict[Annotated[str, Field(max_length=317)], Annotated[str, Field(max_length=63, pattern=LABEL_VALUE)]],
    Field(max_length=32),
]

Id = Annotated[int, Field(ge=0, le=2**31 - 1)]


class PodSettings(Fields):
    """The fields of the run's pod that a user may set. What is not here is fixed, for safety."""

    service_account_name: ObjectName | None = None
    """The service account of the pod; the namespace's `default` when absent."""
    automount_service_account_token: bool = False
    """Mount the service account's token. Off, since an ELT run seldom needs the Kubernetes API."""
    node_selector: NodeSelector | None = None
    """Labels that a node must have."""
    tolerations: Annotated[list[Toleration], Field(max_length=16), ATOMIC] | None = None
    """Taints that the pod tolerates."""
    priority_class_name: ObjectName | None = None
    """The pod's priority class."""
    labels: LabelMap | None = None
    """Labels of the pod, beside the operator's own."""
    annotations: AnnotationMap | None = None
    """Annotations of the pod."""
    run_as_user: Id | None = None
    """The user id of the process; the image's own when absent. With runAsNonRoot it must not be 0."""
    run_as_group: Id | None = None
    """The group id of the process; the image's own when absent."""
    fs_group: Id | None = None
    """The group that owns the volumes; needed for most claims to be writable."""
    run_as_non_root: bool = True
    """Refuse to start as root. PodSecurity `restricted` demands it."""
    read_only_root_filesystem: bool = False
    """Make the image's files read-only. /tmp is then an emptyDir, if no volume of yours is mounted there."""
    termination_grace_period_seconds: Count = 30
    """How many seconds the process has between SIGTERM and SIGKILL."""


EnvVars = Annotated[list[EnvVar], Field(max_length=128), list_map("name")]
EnvFromSources = Annotated[list[EnvFromSource], Field(max_length=32), ATOMIC]
Volumes = Annotated[list[Volume], Field(max_length=32), list_map("name")]


class PullSecret(Fields):
    """A Secret with credentials of an image registry."""

    name: ShortText
    """Its name."""


PullSecrets = Annotated[list[PullSecret], Field(max_length=8), list_map("name")]
