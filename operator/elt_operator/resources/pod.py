"""What a user may say about the pod of a run: an allow-list, so that no field gives more than its namespace allows."""

from typing import Annotated, Final, Literal

from pydantic import Field

from elt_operator.resources import texts
from elt_operator.resources.fields import (
    ATOMIC,
    DNS_SUBDOMAIN,
    LABEL_VALUE,
    QUALIFIED_NAME,
    SET,
    Count,
    Fields,
    Key,
    Label,
    ObjectName,
    Quantity,
    ShortText,
    extra,
    list_map,
    matches,
    rule,
    rules,
)
from elt_operator.resources.keys import KEY_WORDS, AnnotationMap, LabelMap, NodeSelector
from elt_operator.resources.placement import HostAliases, NodeAffinity, TopologySpreads


class KeyToPath(Fields):
    """One key of a Secret or ConfigMap as a file."""

    key: Key
    """The key."""
    path: Annotated[
        str,
        Field(min_length=1, max_length=1024),
        extra(rules(texts.NO_NUL, texts.RELATIVE_FILE)),
    ]
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
    """Which keys to use, and where; if unset, all of them."""
    optional: bool | None = None
    """Continue without it if it is missing."""


class SecretVolume(Fields):
    """A Secret as files."""

    secret_name: ObjectName
    """Name of the Secret."""
    items: Items | None = None
    """Which keys to use, and where; if unset, all of them."""
    optional: bool | None = None
    """Continue without it if it is missing."""


class EmptyVolume(Fields):
    """A directory that is empty at the start of each attempt and is deleted with its pod."""

    medium: Literal["", "Memory"] | None = None
    """Memory makes it a tmpfs, which counts against the memory limit."""
    size_limit: Quantity | None = None
    """Its maximum size."""


OWN_TMP_VOLUME: Final = "elt-tmp"
"""The volume at /tmp that a run has when its other files cannot be written."""


class Volume(
    Fields,
    json_schema_extra=rules(
        rule(
            "[has(self.persistentVolumeClaim), has(self.configMap), has(self.secret), has(self.emptyDir)]"
            ".filter(given, given).size() == 1",
            "exactly one of `persistentVolumeClaim`, `configMap`, `secret` and `emptyDir` must be set",
        ),
        rule(
            f"self.name != '{OWN_TMP_VOLUME}'",
            "this name is reserved for the operator; choose another one",
            field=".name",
            reason="FieldValueForbidden",
        ),
    ),
):
    """A volume and where the container sees it; exactly one of the sources is set."""

    name: Label
    """Name of the volume, unique within the Pipeline."""
    mount_path: Annotated[
        str,
        Field(min_length=1, max_length=1024, pattern=r"^/[^:]*$"),
        extra(
            rules(
                texts.NO_NUL,
                rule(
                    f"!{matches('self', '^/+$|/[.][.](/|$)')}",
                    "the path must not be `/` itself and must not contain `..`",
                ),
            )
        ),
    ]
    """Absolute path at which the container sees it."""
    sub_path: Annotated[str, Field(max_length=1024), extra(rules(texts.NO_NUL, texts.RELATIVE_PATH))] | None = None
    """Mount only this relative path of the volume."""
    read_only: bool = False
    """Mount it read-only."""
    persistent_volume_claim: ClaimVolume | None = None
    """A claim in the same namespace, for state that outlives the pod."""
    config_map: ConfigMapVolume | None = None
    """Files from a ConfigMap."""
    secret: SecretVolume | None = None
    """Files from a Secret."""
    empty_dir: EmptyVolume | None = None
    """Scratch space."""


class Toleration(
    Fields,
    json_schema_extra=rules(
        rule(
            "(has(self.key) && self.key != '') || (has(self.operator) && self.operator == 'Exists')",
            "without `key`, `operator` must be Exists, which tolerates all taints",
            field=".operator",
        ),
        rule(
            "!has(self.value) || self.value == '' || !has(self.operator) || self.operator != 'Exists'",
            "`value` must not be set with operator Exists",
            field=".value",
        ),
        rule(
            "!has(self.tolerationSeconds) || (has(self.effect) && self.effect == 'NoExecute')",
            "`tolerationSeconds` needs effect NoExecute",
            field=".effect",
        ),
    ),
):
    """Allows the run's pod on nodes with a matching taint."""

    key: (
        Annotated[
            str,
            Field(max_length=316),
            extra(rules(rule(f"self == '' || {matches('self', QUALIFIED_NAME)}", KEY_WORDS))),
        ]
        | None
    ) = None
    """The taint's key; if unset, all keys (operator Exists)."""
    operator: Literal["Equal", "Exists"] | None = None
    """How the key's value is compared; if unset, Equal."""
    value: (
        Annotated[
            str,
            Field(max_length=63),
            extra(rules(rule(matches("self", LABEL_VALUE), "a value contains only letters, digits, `-`, `_` and `.`"))),
        ]
        | None
    ) = None
    """The taint's value."""
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None
    """The taint's effect; if unset, all effects."""
    toleration_seconds: Annotated[int, Field(ge=0, le=2**31 - 1)] | None = None
    """How many seconds a NoExecute taint is tolerated; if unset, forever."""


Id = Annotated[int, Field(ge=0, le=2**31 - 1)]


class PodSettings(Fields):
    """The fields of the run's pod that a user may set. All others are fixed, for safety."""

    service_account_name: ObjectName | None = None
    """The service account of the pod; if unset, the namespace's `default`."""
    automount_service_account_token: bool = False
    """Mount the service account's token. Off by default, because an ELT run rarely needs the Kubernetes API."""
    node_selector: NodeSelector | None = None
    """Labels that a node must have."""
    tolerations: Annotated[list[Toleration], Field(max_length=16), ATOMIC] | None = None
    """Taints that the pod tolerates."""
    node_affinity: NodeAffinity | None = None
    """Nodes that the pod requires or prefers."""
    topology_spread_constraints: TopologySpreads | None = None
    """How runs are spread over nodes or zones."""
    host_aliases: HostAliases | None = None
    """Host names that DNS does not know, with their addresses."""
    priority_class_name: ObjectName | None = None
    """The pod's priority class."""
    labels: LabelMap | None = None
    """Labels of the pod, besides the operator's own, for example app.kubernetes.io/name if a policy requires it."""
    annotations: AnnotationMap | None = None
    """Annotations of the pod."""
    run_as_user: Id | None = None
    """The user id of the process; if unset, the image's own. With runAsNonRoot it must not be 0."""
    run_as_group: Id | None = None
    """The group id of the process; if unset, the image's own."""
    fs_group: Id | None = None
    """The group that owns the volumes; needed for most claims to be writable."""
    supplemental_groups: Annotated[list[Id], Field(max_length=16), SET] | None = None
    """Additional groups of the process."""
    run_as_non_root: bool = True
    """Refuse to start as root. PodSecurity `restricted` requires it."""
    read_only_root_filesystem: bool = False
    """Make the image's files read-only. /tmp is then an emptyDir, unless you mount a volume there."""
    termination_grace_period_seconds: Count = 30
    """How many seconds the process has between SIGTERM and SIGKILL."""


def _items_bytes(source: str) -> str:
    return texts.if_set(f"volume.{source}.items", f"volume.{source}.items.map(item, {texts.of('item.path')}).sum()")


Volumes = Annotated[
    list[Volume],
    Field(max_length=32),
    extra(
        {
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["name"],
            **rules(
                rule(
                    "self.all(one, self.exists_one(other, other.mountPath == one.mountPath))",
                    "two volumes must not have the same mountPath",
                )
            ),
        }
    ),
]

_VOLUME_BYTES: Final = texts.total(
    texts.of("volume.mountPath"),
    texts.if_set("volume.subPath", texts.of("volume.subPath")),
    _items_bytes("configMap"),
    _items_bytes("secret"),
)
VOLUMES_BYTES: Final = f"self.volumes.map(volume, {_VOLUME_BYTES}).sum()"
"""In CEL, how many bytes the paths of ``volumes`` have."""


class PullSecret(Fields):
    """A Secret with credentials of an image registry."""

    name: Annotated[
        ShortText,
        extra(
            rules(
                rule(
                    f"self.size() <= 253 && {matches('self', DNS_SUBDOMAIN)}",
                    "a Secret's name has at most 253 lower-case letters, digits, `-` and `.`",
                )
            )
        ),
    ]
    """Its name."""


PullSecrets = Annotated[list[PullSecret], Field(max_length=8), list_map("name")]
