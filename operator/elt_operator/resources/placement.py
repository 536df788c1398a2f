"""Where a run's pod may go, in the terms of Kubernetes.

See https://kubernetes.io/docs/concepts/scheduling-eviction/assign-pod-node/.
"""

from typing import Annotated, Literal

from pydantic import Field

from elt_operator.resources.fields import (
    ATOMIC,
    LABEL_VALUE,
    QUALIFIED_NAME,
    Fields,
    ObjectName,
    extra,
    list_map,
    matches,
    rule,
    rules,
)
from elt_operator.resources.keys import KEY_WORDS

LabelKey = Annotated[
    str, Field(min_length=1, max_length=317), extra(rules(rule(matches("self", QUALIFIED_NAME), KEY_WORDS)))
]


class NodeRequirement(
    Fields,
    json_schema_extra=rules(
        rule(
            "!(self.operator in ['In', 'NotIn']) || has(self.values) && self.values.size() > 0",
            "operator In or NotIn needs `values`",
            field=".values",
        ),
        rule(
            "!(self.operator in ['Exists', 'DoesNotExist']) || !has(self.values) || self.values.size() == 0",
            "`values` must not be set with operator Exists or DoesNotExist",
            field=".values",
        ),
        rule(
            "!(self.operator in ['Gt', 'Lt'])"
            " || has(self.values) && self.values.size() == 1 && self.values[0].matches('^[0-9]{1,18}$')",
            "operator Gt or Lt needs exactly one value, a number without a sign",
            field=".values",
        ),
    ),
):
    """A requirement on a label of a node."""

    key: LabelKey
    """The label's key."""
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"]
    """How the label's value is compared with values."""
    values: (
        Annotated[
            list[Annotated[str, Field(max_length=63, pattern=LABEL_VALUE)]],
            Field(max_length=32),
            ATOMIC,
        ]
        | None
    ) = None
    """What it is compared with."""


class NodeTerm(Fields):
    """Nodes whose labels meet all requirements."""

    match_expressions: Annotated[list[NodeRequirement], Field(min_length=1, max_length=16), ATOMIC]
    """The requirements."""


class RequiredNodes(Fields):
    """Nodes that match at least one of the terms."""

    node_selector_terms: Annotated[list[NodeTerm], Field(min_length=1, max_length=8), ATOMIC]
    """The terms."""


class PreferredNodes(Fields):
    """Nodes that the scheduler prefers."""

    weight: Annotated[int, Field(ge=1, le=100)]
    """How much it counts, relative to other preferences."""
    preference: NodeTerm
    """Which nodes."""


class NodeAffinity(
    Fields,
    json_schema_extra=rules(
        rule(
            "has(self.requiredDuringSchedulingIgnoredDuringExecution)"
            " || has(self.preferredDuringSchedulingIgnoredDuringExecution)",
            "set requiredDuringSchedulingIgnoredDuringExecution or preferredDuringSchedulingIgnoredDuringExecution",
        )
    ),
):
    """Which nodes the pod requires or prefers."""

    required_during_scheduling_ignored_during_execution: RequiredNodes | None = None
    """The nodes that it requires."""
    preferred_during_scheduling_ignored_during_execution: (
        Annotated[list[PreferredNodes], Field(max_length=8), ATOMIC] | None
    ) = None
    """The nodes that it prefers."""


class PodSelector(Fields):
    """Pods of the namespace, by their labels."""

    match_labels: Annotated[
        dict[Annotated[str, Field(max_length=317)], Annotated[str, Field(max_length=63, pattern=LABEL_VALUE)]],
        Field(min_length=1, max_length=16),
        extra(rules(rule(f"self.all(key, {matches('key', QUALIFIED_NAME)})", KEY_WORDS))),
    ]
    """Labels that all of them have."""


class TopologySpread(Fields):
    """Spreads pods over nodes, zones or whatever else a node label distinguishes."""

    max_skew: Annotated[int, Field(ge=1, le=1000)]
    """How many more of the pods one place may have than another."""
    topology_key: LabelKey
    """The node label that distinguishes the places, for example topology.kubernetes.io/zone."""
    when_unsatisfiable: Literal["DoNotSchedule", "ScheduleAnyway"]
    """What happens if that is not possible."""
    label_selector: PodSelector | None = None
    """Which pods are spread; if unset, all runs of the namespace."""


TopologySpreads = Annotated[
    list[TopologySpread],
    Field(max_length=8),
    list_map("topologyKey", "whenUnsatisfiable"),
]


class HostAlias(Fields):
    """Names of a host that DNS does not know: one line in the pod's /etc/hosts."""

    ip: Annotated[
        str,
        Field(min_length=2, max_length=45),
        extra(rules(rule("isIP(self)", "it must be an IPv4 or IPv6 address, for example 10.0.0.7"))),
    ]
    """Its address."""
    hostnames: Annotated[
        list[ObjectName],
        Field(min_length=1, max_length=16),
        ATOMIC,
    ]
    """Its names."""


HostAliases = Annotated[
    list[HostAlias],
    Field(max_length=16),
    list_map("ip"),
]
