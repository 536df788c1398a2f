"""Conditions as kstatus, ``kubectl wait`` and people read them (metav1.Condition).

``Reconciling`` and ``Stalled`` are of abnormal-true polarity: absent means False.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from elt_operator.resources.fields import Fields, Text, list_map
from elt_operator.resources.texts import Moment

READY = "Ready"
"""Pipeline: its spec is accepted and in place. A failed Job does not touch it."""

RECONCILING = "Reconciling"
"""The operator, or the cluster, is still at work. Absent when it is not."""

STALLED = "Stalled"
"""It will not go on by itself: somebody must act. Absent when it will."""

SUCCEEDED = "Succeeded"
"""Job: Unknown until it ends, then True or False for ever."""

LAST_JOB_SUCCEEDED = "LastJobSucceeded"
"""Pipeline: how its last Job ended. Absent before the first one did."""


DATA_HEALTHY = "DataHealthy"
"""Pipeline: whether its data is as its spec.expect says. Absent where that says nothing. It never touches Ready."""


class ConditionStatus(StrEnum):
    """A condition's status."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


class Condition(Fields):
    """One aspect of the object's state (metav1.Condition)."""

    type: Annotated[Text, Field(max_length=316, pattern=r"^[A-Za-z0-9]([-A-Za-z0-9_./]*[A-Za-z0-9])?$")]
    """What the condition is about, for example Ready."""
    status: Literal["True", "False", "Unknown"]
    """Whether it holds."""
    reason: Annotated[Text, Field(max_length=1024, pattern=r"^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$")]
    """One CamelCase word that says why; the words are listed in docs/job.md."""
    message: Annotated[Text, Field(max_length=32768)]
    """An explanation for people, and what to do if anything has to be done."""
    last_transition_time: Moment
    """When the status last changed from one value to another."""
    observed_generation: Annotated[int, Field(ge=-1, le=2**62)] = -1
    """The metadata.generation that this condition describes."""


Conditions = Annotated[list[Condition], list_map("type"), Field(max_length=16)]


def of_type(conditions: Sequence[Condition] | None, kind: str) -> Condition | None:
    """Return the condition of this type; ``None``: there is none."""
    return next((condition for condition in conditions or () if condition.type == kind), None)


def transitioned(previous: Sequence[Condition], current: Sequence[Condition]) -> list[Condition]:
    """Return ``current``, each with the transition time of ``previous`` where its status did not change."""
    since = {(condition.type, condition.status): condition.last_transition_time for condition in previous}
    return [
        condition.model_copy(
            update={
                "last_transition_time": since.get((condition.type, condition.status), condition.last_transition_time)
            }
        )
        for condition in current
    ]
