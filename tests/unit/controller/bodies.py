"""Bodies that nobody would write, for hypothesis: real ones in which values, anywhere, are something else."""

import copy
from typing import Any

from hypothesis import strategies as st

WHEN = "2026-01-05T06:00:00Z"

TIMES = st.sampled_from(
    [
        "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "2026-01-01t00:00:00z", "2026-02-30T00:00:00Z",
        "2026-01-01", "2026-01-01T00:00:00", "2999-12-31T23:59:59Z", "1969-12-31T23:59:59Z", "24:00", "0", "-1", WHEN,
    ]
)  # fmt: skip
NUMBERS = st.sampled_from(
    ["9" * 5_000, "1" + "0" * 30, "100000000000000", "-1", "²", "①", "٣", "1e9", "0x10", " 7 ", "1_000", "000", "7"]
)
WORDS = st.sampled_from(
    [
        "", "\x00", "\ud83d", "\u202e", "\x1b[31m", "../../secrets", "a/b", "?watch=true", "x" * 5_000, "[" * 2_000,
        "weather-r" + "9" * 5_000, "weather-r9999999999", "weather-r1", "weather", "True", "Failed", "manual",
        "Stopped", "DeadlineExceeded", "ContainerStatusUnknown",
    ]
)  # fmt: skip
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from([2**63, -(2**63), 10**400, 2**31]),
    st.floats(allow_nan=True),
    st.text(max_size=20),
    st.text(alphabet=st.characters(categories=["Cs", "Cc", "Cf", "Nd"]), max_size=8),
    TIMES,
    NUMBERS,
    WORDS,
)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=6), inner, max_size=3)),
    max_leaves=6,
)


def _paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return where a value stands, for each value that ``value`` holds."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(found for name, item in inner for found in _paths(item, (*path, name)))]


def _with(body: Any, path: tuple[Any, ...], value: Any) -> Any:
    if not path:
        return value
    changed = copy.deepcopy(body)
    place = changed
    for name in path[:-1]:
        place = place[name]
    place[path[-1]] = value
    return changed


def each_with(body: Any, value: Any) -> list[Any]:
    """Return ``body`` with one of its values replaced, for each that it has."""
    return [_with(body, path, value) for path in _paths(body)]


@st.composite
def mangled(draw: st.DrawFn, body: Any) -> Any:
    """Draw ``body`` with up to four of its values replaced, by scalars that mislead or by any other JSON."""
    for _ in range(draw(st.integers(1, 4))):
        path = draw(st.sampled_from(_paths(body)))
        body = _with(body, path, draw(st.one_of(SCALARS, JSON)))
    return body


def _metadata(name: str, uid: str, owner: tuple[str, str, str] | None = None, **more: Any) -> dict[str, Any]:
    kind, api_version, owner_name = owner or ("", "", "")
    reference = {"apiVersion": api_version, "kind": kind, "name": owner_name, "uid": "owner-uid", "controller": True}
    return {
        "name": name,
        "namespace": "default",
        "uid": uid,
        "resourceVersion": "7",
        "generation": 3,
        "creationTimestamp": WHEN,
        "deletionTimestamp": WHEN,
        "deletionGracePeriodSeconds": 30,
        "labels": {
            "elt-operator.io/pipeline": "weather",
            "elt-operator.io/job": "job-1",
            "elt-operator.io/run-number": "1",
            "app.kubernetes.io/managed-by": "elt-operator",
            "batch.kubernetes.io/job-name": "weather-r1",
            "batch.kubernetes.io/controller-uid": "owner-uid",
        },
        **({"ownerReferences": [reference]} if owner else {}),
        **more,
    }


CONDITIONS = [
    {"type": kind, "status": "True", "reason": "R", "message": "m", "lastTransitionTime": WHEN}
    for kind in ("Complete", "Suspended", "Ready", "DisruptionTarget", "PodScheduled", "Stalled")
]
STATE = {
    "terminated": {
        "exitCode": 1, "reason": "StartError", "message": 'env: "A=b"', "startedAt": WHEN, "finishedAt": WHEN,
        "signal": 9,
    },
    "waiting": {"reason": "CreateContainerError", "message": 'environment "x"'},
    "running": {"startedAt": WHEN},
}  # fmt: skip

PIPELINE = {
    "metadata": _metadata("weather", "pipeline-uid"),
    "spec": {
        "image": "elt:1",
        "actions": ["run a b"],
        "properties": {"tap.x": "1", "tap.y": 2},
        "env": [{"name": "A", "value": "b"}],
        "schedule": "*/10 * * * *",
        "timeZone": "UTC",
        "suspend": False,
        "maxRetries": 2,
        "pod": {"labels": {"a": "b"}, "runAsUser": 7},
    },
    "status": {
        "observedGeneration": 3,
        "conditions": CONDITIONS,
        "lastJob": {"name": "job-0", "phase": "ERROR", "exitCode": 1, "startTime": WHEN, "endTime": WHEN},
        "lastRunNumber": 1,
        "lastScheduleTime": WHEN,
        "nextScheduleTime": WHEN,
        "skippedSlots": 3,
    },
}
JOB = {
    "metadata": _metadata("job-1", "owner-uid", annotations={"elt-operator.io/slot": "slot-uid"}),
    "spec": {
        "pipelineName": "weather",
        "arguments": ["a"],
        "properties": {"tap.x": "1"},
        "stop": False,
        "trigger": {"type": "Schedule", "scheduledTime": WHEN, "intervalStart": WHEN, "intervalEnd": WHEN},
    },
    "status": {
        "phase": "RUNNING",
        "reason": "Running",
        "startTime": WHEN,
        "taskName": "weather-r1",
        "arguments": ["a"],
        "conditions": CONDITIONS,
        "attempts": [{"number": 1, "pod": "p", "reason": "Evicted", "exitCode": 1, "startTime": WHEN, "endTime": WHEN}],
    },
}
RUN = {
    "metadata": _metadata(
        "weather-r1",
        "run-uid",
        ("Job", "elt-operator.io/v1alpha1", "job-1"),
        annotations={
            "elt-operator.io/pipeline-generation": "3",
            "elt-operator.io/pending-timeout-seconds": "600",
            "elt-operator.io/stop-reason": "Stopped",
            "elt-operator.io/stop-message": "m",
        },
    ),
    "spec": {"suspend": True, "backoffLimit": 2},
    "status": {"startTime": WHEN, "conditions": CONDITIONS},
}
SLOT = {
    "metadata": _metadata(
        "weather-29468280",
        "slot-uid",
        ("CronJob", "batch/v1", "weather"),
        annotations={
            "batch.kubernetes.io/cronjob-scheduled-timestamp": WHEN,
            "elt-operator.io/since": WHEN,
            "cronjob.kubernetes.io/instantiate": "manual",
        },
    ),
    "spec": {"suspend": True, "template": {"spec": {"schedulingGates": [{"name": "elt-operator.io/slot"}]}}},
}
CRON_JOB = {
    "metadata": _metadata(
        "weather",
        "owner-uid",
        ("Pipeline", "elt-operator.io/v1alpha1", "weather"),
        annotations={
            "elt-operator.io/pipeline-generation": "3",
            "elt-operator.io/schedule": "*/10 * * * * UTC",
            "elt-operator.io/since": WHEN,
        },
    ),
    "spec": {
        "schedule": "*/10 * * * *",
        "timeZone": "UTC",
        "suspend": False,
        "startingDeadlineSeconds": 60,
        "concurrencyPolicy": "Forbid",
        "jobTemplate": {
            "spec": {"suspend": True, "template": {"spec": {"schedulingGates": [{"name": "elt-operator.io/slot"}]}}}
        },
    },
}
POD = {
    "metadata": _metadata("weather-r1-x", "pod-uid", ("Job", "batch/v1", "weather-r1")),
    "spec": {
        "nodeName": "node",
        "activeDeadlineSeconds": 60,
        "containers": [{"name": "elt", "image": "elt:1", "command": ["bash", "$(X)"]}],
    },
    "status": {
        "phase": "Failed",
        "reason": "DeadlineExceeded",
        "message": "m",
        "startTime": WHEN,
        "conditions": CONDITIONS,
        "initContainerStatuses": [{"name": "agent", "state": STATE}],
        "containerStatuses": [{"name": "elt", "state": STATE}, {"name": "proxy", "state": STATE}],
    },
}

BODIES = {
    "eltpipelines": [PIPELINE],
    "eltjobs": [JOB],
    "jobs": [RUN, SLOT],
    "cronjobs": [CRON_JOB],
    "pods": [POD],
}
"""Real bodies by the plural of their resource."""
