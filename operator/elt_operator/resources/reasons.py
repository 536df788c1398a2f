"""The words that say why a Job is in its phase; conditions, events and log lines share them."""

from enum import StrEnum
from typing import Self


class Reason(StrEnum):
    """Why a Job, or a Pipeline's condition, is as it is; ``sentence`` says it to a person."""

    sentence: str

    def __new__(cls, word: str, sentence: str) -> Self:
        """Make the member ``word`` with its documented sentence."""
        member = str.__new__(cls, word)
        member._value_ = word
        member.sentence = sentence
        return member

    QUEUED = "Queued", "The Job is waiting for its turn."
    PIPELINE_BUSY = "PipelineBusy", "Another Job of the same Pipeline has to end first."
    PIPELINE_NOT_FOUND = "PipelineNotFound", "There is no Pipeline of that name in the Job's namespace."
    STARTING = "Starting", "The run exists, but its container has not started yet."
    RUNNING = "Running", "The run is in progress."
    COMPLETED = "Completed", "The run ended with exit code 0."
    APPLICATION_ERROR = "ApplicationError", "The run's process ended with an exit code other than 0."
    OUT_OF_MEMORY = "OutOfMemory", "A process of the run was killed because memory ran out."
    TIMED_OUT = "TimedOut", "The run took longer than timeoutSeconds and was ended."
    STOPPED = "Stopped", "The Job was stopped by spec.stop."
    REPLACED = "Replaced", "A newer Job took this one's place (concurrencyPolicy: Replace)."
    IMAGE_PULL_FAILED = "ImagePullFailed", "The image cannot be pulled."
    UNSCHEDULABLE = "Unschedulable", "No node can take the run's pod."
    START_ERROR = "StartError", "The container cannot be started."
    PREPARATION_FAILED = "PreparationFailed", "An init container failed, so the run's own container was not started."
    INVALID_CONFIGURATION = (
        "InvalidConfiguration",
        "The Job or its Pipeline asks for something that is not allowed.",
    )
    REJECTED = "Rejected", "Admission or a quota refused the run or its pod."
    NAME_CONFLICT = "NameConflict", "Another object already has the name that the operator needs."
    EVICTED = "Evicted", "The run's pod was evicted from its node."
    NODE_LOST = "NodeLost", "The node of the run's pod is no longer responding."
    RUN_DELETED = "RunDeleted", "Somebody deleted the run before it ended."
    RESULT_LOST = "ResultLost", "The run is gone, and how it ended is unknown."
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
    SLOT_SKIPPED = "SlotSkipped", "A time of the schedule passed without a Job."
