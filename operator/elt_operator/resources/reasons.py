"""The words that say why a Job is in its phase; conditions, events and log lines share them."""

from enum import Enum, StrEnum, auto
from typing import Self

from elt_operator.resources.phases import Phase


class Mark(Enum):
    """What else a reason means."""

    NEEDS_SOMEBODY = auto()
    """A person has to remove it, though the Job may still start or go on: so it becomes an event."""
    KEEPS_FROM_STARTING = auto()
    """It can be why no container started in time: then the Job ends with it."""


class Reason(StrEnum):
    """Why a Job, or a Pipeline's condition, is as it is.

    A member is its word, a sentence for people, what else it means, and, unless that is ERROR, the phase of a Job that
    ends for it.
    """

    sentence: str
    marks: frozenset[Mark]
    phase: Phase

    def __new__(cls, word: str, sentence: str, *meaning: Mark | Phase) -> Self:
        """Make the member ``word``."""
        member = str.__new__(cls, word)
        member._value_ = word
        member.sentence = sentence
        member.marks = frozenset(one for one in meaning if isinstance(one, Mark))
        member.phase = next((one for one in meaning if isinstance(one, Phase)), Phase.ERROR)
        return member

    QUEUED = "Queued", "The Job is waiting for its turn."
    PIPELINE_BUSY = "PipelineBusy", "Another Job of the same Pipeline has to end first."
    PIPELINE_NOT_FOUND = (
        "PipelineNotFound",
        "There is no Pipeline of that name in the Job's namespace.",
        Mark.NEEDS_SOMEBODY,
    )
    STARTING = "Starting", "The run exists, but its container has not started yet."
    RUNNING = "Running", "The run is in progress."
    COMPLETED = "Completed", "The run ended with exit code 0.", Phase.COMPLETE
    APPLICATION_ERROR = "ApplicationError", "The run's process ended with an exit code other than 0."
    OUT_OF_MEMORY = "OutOfMemory", "A process of the run was killed because memory ran out."
    TIMED_OUT = "TimedOut", "The run took longer than timeoutSeconds and was ended."
    STOPPED = "Stopped", "The Job was stopped by spec.stop.", Phase.STOPPED
    REPLACED = "Replaced", "A newer Job took this one's place (concurrencyPolicy: Replace).", Phase.STOPPED
    IMAGE_PULL_FAILED = "ImagePullFailed", "The image cannot be pulled.", Mark.NEEDS_SOMEBODY, Mark.KEEPS_FROM_STARTING
    UNSCHEDULABLE = "Unschedulable", "No node can take the run's pod.", Mark.NEEDS_SOMEBODY, Mark.KEEPS_FROM_STARTING
    START_ERROR = "StartError", "The container cannot be started.", Mark.NEEDS_SOMEBODY, Mark.KEEPS_FROM_STARTING
    PREPARATION_FAILED = "PreparationFailed", "An init container failed, so the run's own container was not started."
    INVALID_CONFIGURATION = (
        "InvalidConfiguration",
        "The Job or its Pipeline asks for something that is not allowed.",
        Mark.NEEDS_SOMEBODY,
    )
    REJECTED = (
        "Rejected",
        "Admission or a quota refused the run or its pod.",
        Mark.NEEDS_SOMEBODY,
        Mark.KEEPS_FROM_STARTING,
    )
    NAME_CONFLICT = "NameConflict", "Another object already has the name that the operator needs."
    EVICTED = "Evicted", "The run's pod was evicted from its node."
    NODE_LOST = "NodeLost", "The node of the run's pod is no longer responding.", Mark.NEEDS_SOMEBODY
    RUN_DELETED = "RunDeleted", "Somebody deleted the run before it ended."
    RESULT_LOST = "ResultLost", "The run is gone, and how it ended is unknown.", Phase.UNKNOWN
    OPERATOR_ERROR = (
        "OperatorError",
        "The operator cannot handle the object. This is a bug in the operator; please report it.",
    )

    ACCEPTED = "Accepted", "The Pipeline's spec is accepted."
    SUSPENDED = (
        "Suspended",
        "The Pipeline's spec is accepted; its schedule is suspended. Jobs created by hand still run.",
    )
    INVALID_SCHEDULE = "InvalidSchedule", "Kubernetes cannot run the Pipeline's schedule."
    RETRIED = "Retried", "The run completed, but not at the first attempt."
    CHECKS_WARNED = "ChecksWarned", "The run completed, but checks of its data warned."
    ROWS_DIFFER = "RowsDiffer", "The loader did not load as many rows as the extractor read."
    REPORTED = "Reported", "The program itself reported a warning (ELT-RESULT)."
    RESULT_IGNORED = "ResultIgnored", "What the program reported (ELT-RESULT) could not be read."

    FRESH = "Fresh", "The data meets spec.expect."
    NO_SUCCESS_YET = "NoSuccessYet", "No Job of the Pipeline has succeeded yet."
    LATE = "Late", "No Job has succeeded in the time that spec.expect allows."
    FEW_ROWS = "FewRows", "The last successful Job loaded fewer rows than spec.expect.minRows."
    ROWS_DROPPED = "RowsDropped", "The last successful Job loaded far fewer rows than those before it."

    LOG_NOT_KEPT = "LogNotKept", "The run was removed before its log was stored."
    SLOT_SKIPPED = "SlotSkipped", "A scheduled time passed without a Job."
