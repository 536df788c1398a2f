"""Names that are part of the product's contract: API group, plurals, labels, annotations."""

GROUP = "elt-operator.io"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"

PIPELINES = "eltpipelines"
JOBS = "eltjobs"

PIPELINE_LABEL = f"{GROUP}/pipeline"
"""On runs and their pods: the name of the Pipeline."""

JOB_LABEL = f"{GROUP}/job"
"""On runs and their pods: the name of the Job."""

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

MANAGED_BY_LABEL = "app.kubernetes.io/managed-by"
MANAGER = "elt-operator"

CONTAINER = "elt"
"""The name of the one container of a run's pod."""
