"""Names that are part of the product's contract: API group, plurals, labels, annotations."""

GROUP = "elt-operator.io"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"
API_ROOT = f"/apis/{API_VERSION}"
"""The path of our API group and version."""

PIPELINES = "eltpipelines"
JOBS = "eltjobs"

PIPELINE_LABEL = f"{GROUP}/pipeline"
"""On runs and their pods: the name of the Pipeline."""

JOB_LABEL = f"{GROUP}/job"
"""On runs and their pods: the name of the Job."""

JOB_UID_LABEL = f"{GROUP}/job-uid"
"""On runs and their pods: the UID of the Job. Names come again, UIDs never."""

RUN_NUMBER_LABEL = f"{GROUP}/run-number"
"""On runs and their pods: the run's number within its Pipeline, from 1."""

PIPELINE_GENERATION_ANNOTATION = f"{GROUP}/pipeline-generation"
"""On runs: ``metadata.generation`` of the Pipeline spec that the run was made from."""

PENDING_TIMEOUT_ANNOTATION = f"{GROUP}/pending-timeout-seconds"
"""On runs: the Pipeline's pendingTimeoutSeconds of the moment it started."""

STOP_REASON_ANNOTATION = f"{GROUP}/stop-reason"
"""On runs that were told to stop: the reason that their Job will give."""

STOP_MESSAGE_ANNOTATION = f"{GROUP}/stop-message"
"""On runs that were told to stop: the same for a person."""

SCHEDULE_ANNOTATION = f"{GROUP}/schedule"
"""On CronJobs: the schedule that was last put in place, with its zone, and whether it was suspended."""

SINCE_ANNOTATION = f"{GROUP}/since"
"""On CronJobs and their slots: since when the schedule is in force. Earlier times are not made up for."""

SLOT_ANNOTATION = f"{GROUP}/slot"
"""On Jobs that were made for a slot: its UID."""

SLOT_NAME_ANNOTATION = f"{GROUP}/slot-name"
"""On Jobs that were made for a slot: its name, and so their own. A copy under another name is not the operator's."""

SLOT_GATE = f"{GROUP}/slot"
"""The scheduling gate of the pods that slots would make: they are never scheduled."""

SLOT_CONTROLLER = f"{GROUP}/slots"
"""``spec.managedBy`` of slots, so that the batch Job controller never makes their pods."""

QUEUE_LABEL = "kueue.x-k8s.io/queue-name"
"""On runs: the queue of Kueue that admits them (https://kueue.sigs.k8s.io/docs/tasks/run/jobs/)."""

MANAGED_BY_LABEL = "app.kubernetes.io/managed-by"
MANAGER = "elt-operator"

CONTAINER = "elt"
"""The name of the run's own container."""
