"""The run: the batch Job that carries out one Job, as a manifest."""

import re
from datetime import UTC, datetime
from typing import Any, Final

from elt_operator.api import names
from elt_operator.api.fields import DNS_LABEL, Json
from elt_operator.api.job import JobSpec, Trigger
from elt_operator.api.pipeline import PipelineSpec
from elt_operator.api.pod import OWN_TMP_VOLUME, PodSettings, Volume
from elt_operator.core.situation import Job, Limits, Pipeline
from elt_operator.core.variables import variables

# Both wrappers are fixed text: what a user wrote reaches them as positional parameters only, so no shell ever reads it
# as code that it was not meant to be.

# Bash as process 1 ignores SIGTERM and does not pass it on; so the work is a child that a trap can reach. The signal
# may come before the trap knows the child, hence the second look at `stopped`. It also interrupts `wait`, whose answer
# is then not the exit code of the child: hence `again`.
ACTIONS_WRAPPER: Final = """\
set -f
trap 'again=1 stopped=1; kill -TERM "$child" 2>/dev/null' TERM INT
count=$1; shift
actions=("${@:1:count}"); shift "$count"
for action in "${actions[@]}"; do
  [ -z "${stopped-}" ] || exit 143
  meltano $action "$@" & child=$!
  [ -z "${stopped-}" ] || kill -TERM "$child" 2>/dev/null
  again=1; while [ -n "$again" ]; do again=; wait "$child"; code=$?; done
  [ "$code" -eq 0 ] || exit "$code"
done
"""

# A script starts further programs, and bash does not end them when it is told to end: job control gives the script a
# process group of its own, and the signal goes to the whole group. It also reports the script's end; so standard error
# is the script's alone. `--` keeps a script that starts with `-` from being taken for an option.
SCRIPT_WRAPPER: Final = """\
set -m
trap 'again=1 stopped=1; kill -TERM -- "-$child"' TERM INT
exec 3>&2 2>/dev/null
bash -euo pipefail -c -- "$@" 2>&3 3>&- & child=$!
[ -z "${stopped-}" ] || kill -TERM -- "-$child"
again=1; while [ -n "$again" ]; do again=; wait "$child"; code=$?; done
exit "$code"
"""

# What keeps Meltano quiet, offline and readable by machines; a Pipeline may set each of them otherwise.
MELTANO_DEFAULTS: Final = {
    "MELTANO_AUTO_INSTALL": "false",
    "MELTANO_CLI_DISABLE_VERSION_CHECK": "true",
    "MELTANO_CLI_LOG_FORMAT": "json",
    "MELTANO_SEND_ANONYMOUS_USAGE_STATS": "false",
    "PYTHONUNBUFFERED": "1",
}

STARTED_BYTES: Final = 32 * 1024
"""How much of what is started a Job's status repeats: what 32 actions with their arguments come to could not be stored.
"""

_LONGEST_JOB_NAME: Final = 63
_NUMBER_DIGITS: Final = 9
HIGHEST_NUMBER: Final = 10**_NUMBER_DIGITS - 1
"""Of a run; with a Pipeline's longest name it makes the longest name that a batch Job may have."""


def run_name(pipeline: str, number: int) -> str:
    """Return the name of a Pipeline's run; its uniqueness in the API server is the lock (design: one run at a time)."""
    return f"{pipeline}-r{number}"


def number_of(pipeline: str, name: str) -> int | None:
    """Return the number in a run's name; ``None`` when ``name`` is not that of a run of ``pipeline``."""
    digits = name.removeprefix(f"{pipeline}-r")
    if digits == name or len(digits) > _NUMBER_DIGITS or not (digits.isascii() and digits.isdigit()):
        return None
    return int(digits) if digits[0] != "0" else None


def may_name_a_job(name: str) -> bool:
    """Return whether a Job of ours may have this name."""
    return len(name) <= _LONGEST_JOB_NAME and re.fullmatch(DNS_LABEL, name) is not None


def started_arguments(pipeline: PipelineSpec, job: JobSpec) -> list[str]:
    """Return what is started, for people: the argument vector, or one command line for each action.

    It has at most ``STARTED_BYTES`` in all; where there is more, the last text ends in ``…``.
    """
    return _shortened(_started(pipeline, job), STARTED_BYTES)


def _shortened(texts: list[str], most: int) -> list[str]:
    """Return ``texts`` as far as they have ``most`` bytes in all."""
    kept: list[str] = []
    for text in texts:
        encoded = text.encode(errors="replace")
        if len(encoded) > most:
            return [*kept, encoded[:most].decode(errors="ignore") + "…"]
        kept.append(text)
        most -= len(encoded)
    return kept


def _started(pipeline: PipelineSpec, job: JobSpec) -> list[str]:
    arguments = job.arguments or []
    if pipeline.actions:
        return [" ".join(["meltano", action, *arguments]) for action in pipeline.actions]
    if pipeline.script:
        return ["script", *arguments]
    return [*(pipeline.command or []), *arguments]


def _command(pipeline: PipelineSpec, job: JobSpec) -> Json:
    """Return the container's ``command`` and ``args``."""
    arguments = job.arguments or []
    if pipeline.actions:
        parameters = [str(len(pipeline.actions)), *pipeline.actions, *arguments]
        return {"command": ["bash", "-c", ACTIONS_WRAPPER, "elt"], "args": _literal(parameters)}
    if pipeline.script:
        return {
            "command": ["bash", "-c", SCRIPT_WRAPPER, "elt"],
            "args": _literal([pipeline.script, "script", *arguments]),
        }
    # The command may name the container's variables as `$(NAME)`, as in any pod; a Job's arguments may not.
    return {"command": pipeline.command, "args": _literal(arguments)}


def _literal(arguments: list[str]) -> list[str]:
    """Return ``arguments`` so that Kubernetes hands them on as they are; to it ``$$`` is ``$`` and ``$(NAME)`` a value.

    https://kubernetes.io/docs/tasks/inject-data-application/define-interdependent-environment-variables/
    """
    return [argument.replace("$", "$$") for argument in arguments]


def _environment(pipeline: Pipeline, job: Job, number: int) -> list[Json]:
    """Return the container's environment: defaults, then properties, then ``env``, then what is the operator's own."""
    spec, job_spec = _specs(pipeline, job)
    literals = {
        **MELTANO_DEFAULTS,
        "MELTANO_RUN_STATE_ID_SUFFIX": f"{job.key.namespace}-{job.key.pipeline}",
        **variables(spec.properties),
        **variables(job_spec.properties),
    }
    entries: dict[str, Json] = {
        name: {"name": name, "value": value}
        for name, value in zip(literals, _literal(list(literals.values())), strict=True)
    }
    entries |= {entry.name: entry.as_json() for entry in spec.env or []}
    fixed = {
        "ELT_NAMESPACE": job.key.namespace,
        "ELT_PIPELINE": job.key.pipeline,
        "ELT_JOB": job.name,
        "ELT_RUN_NUMBER": str(number),
        "ELT_FULL_REFRESH": str(job_spec.full_refresh).lower(),
        "MELTANO_RUN_ID": job.uid,
        **_times(job_spec.trigger),
    }
    if job_spec.full_refresh:
        fixed["MELTANO_RUN_FULL_REFRESH"] = "true"
    entries |= {name: {"name": name, "value": value} for name, value in fixed.items()}
    return list(entries.values())


def _times(trigger: Trigger) -> dict[str, str]:
    """Return the variables that say which stretch of time the Job stands for, as far as it says so: UTC, RFC 3339."""
    times = {
        "ELT_SCHEDULED_TIME": trigger.scheduled_time,
        "ELT_INTERVAL_START": trigger.interval_start,
        "ELT_INTERVAL_END": trigger.interval_end,
    }
    return {name: time_text(moment) for name, moment in times.items() if moment}


def time_text(moment: datetime) -> str:
    """Return a time as Kubernetes writes it: RFC 3339, in UTC, with whole seconds."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _specs(pipeline: Pipeline, job: Job) -> tuple[PipelineSpec, JobSpec]:
    """Return both specs; only what can be read is ever admitted, so neither is missing here."""
    if pipeline.spec is None or job.spec is None:
        raise ValueError(f"Job {job.name} was admitted without a readable spec")
    return pipeline.spec, job.spec


def _volume_source(volume: Volume) -> Json:
    """Return a volume as the pod declares it."""
    source = volume.as_json()
    for own in ("mountPath", "subPath", "readOnly"):
        source.pop(own, None)
    return source


def _mount(volume: Volume) -> Json:
    """Return a volume as the container sees it."""
    mount: Json = {"name": volume.name, "mountPath": volume.mount_path}
    if volume.sub_path:
        mount["subPath"] = volume.sub_path
    if volume.read_only:
        mount["readOnly"] = True
    return mount


def _volumes(spec: PipelineSpec) -> tuple[list[Json], list[Json]]:
    """Return the pod's volumes and the container's mounts."""
    volumes = spec.volumes or []
    sources, mounts = [_volume_source(volume) for volume in volumes], [_mount(volume) for volume in volumes]
    if spec.pod.read_only_root_filesystem and all(volume.mount_path.rstrip("/") != "/tmp" for volume in volumes):  # noqa: S108 - the pod's, not ours
        sources.append({"name": OWN_TMP_VOLUME, "emptyDir": {}})
        mounts.append({"name": OWN_TMP_VOLUME, "mountPath": "/tmp"})  # noqa: S108 - the pod's, not ours
    return sources, mounts


def _pod_security(pod: PodSettings) -> Json:
    """Return the pod's security context, as PodSecurity ``restricted`` demands it.

    https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted
    """
    ids = {"runAsUser": pod.run_as_user, "runAsGroup": pod.run_as_group, "fsGroup": pod.fs_group}
    return {
        "runAsNonRoot": pod.run_as_non_root,
        "seccompProfile": {"type": "RuntimeDefault"},
        **{name: value for name, value in ids.items() if value is not None},
    }


def _container(pipeline: Pipeline, job: Job, number: int) -> Json:
    spec, job_spec = _specs(pipeline, job)
    _, mounts = _volumes(spec)
    optional: Json = {
        "imagePullPolicy": spec.image_pull_policy,
        "envFrom": [source.as_json() for source in spec.env_from or []],
        "resources": spec.resources.as_json() if spec.resources else None,
        "volumeMounts": mounts,
    }
    return {
        "name": names.CONTAINER,
        "image": spec.image,
        **_command(spec, job_spec),
        "env": _environment(pipeline, job, number),
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": spec.pod.read_only_root_filesystem,
        },
        **{name: value for name, value in optional.items() if value},
    }


def _pod_spec(pipeline: Pipeline, job: Job, number: int, limits: Limits) -> Json:
    spec, _ = _specs(pipeline, job)
    pod = spec.pod
    timeout = limits.timeout if spec.timeout_seconds is None else spec.timeout_seconds
    volumes, _ = _volumes(spec)
    optional: Json = {
        # On the pod, not on the batch Job: the batch controller deletes the pod at its deadline, and the log with it.
        "activeDeadlineSeconds": timeout,
        "serviceAccountName": pod.service_account_name,
        "nodeSelector": pod.node_selector,
        "tolerations": [toleration.as_json() for toleration in pod.tolerations or []],
        "priorityClassName": pod.priority_class_name,
        "imagePullSecrets": [secret.as_json() for secret in spec.image_pull_secrets or []],
        "volumes": volumes,
    }
    return {
        "restartPolicy": "Never",
        "automountServiceAccountToken": pod.automount_service_account_token,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": pod.termination_grace_period_seconds,
        "securityContext": _pod_security(pod),
        "containers": [_container(pipeline, job, number)],
        **{name: value for name, value in optional.items() if value},
    }


def _pod_failure_policy(spec: PipelineSpec) -> Json:
    """Return which failures are the cluster's (never counted) and which are final."""
    disruption = {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}
    if not spec.no_retry_exit_codes:
        return {"rules": [disruption]}
    final = {"containerName": names.CONTAINER, "operator": "In", "values": sorted(spec.no_retry_exit_codes)}
    return {"rules": [disruption, {"action": "FailJob", "onExitCodes": final}]}


def idle_pod(pipeline: Pipeline) -> Json:
    """Return the pod of a slot. It is never made; and were the slot told to go on, no node would ever take it."""
    image = pipeline.spec.image if pipeline.spec else ""
    return {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "schedulingGates": [{"name": names.SLOT_GATE}],
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [
            {
                "name": names.CONTAINER,
                "image": image,
                "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
            }
        ],
    }


def run(pipeline: Pipeline, job: Job, number: int, limits: Limits) -> dict[str, Any]:
    """Return the batch Job that carries out ``job`` as run ``number`` of ``pipeline``.

    Labels and annotations are an allow-list: a tool's tracking labels copied to a child would make it prune the child.
    """
    spec, _ = _specs(pipeline, job)
    labels = {
        names.MANAGED_BY_LABEL: names.MANAGER,
        names.PIPELINE_LABEL: job.key.pipeline,
        names.JOB_LABEL: job.name,
        names.RUN_NUMBER_LABEL: str(number),
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": run_name(job.key.pipeline, number),
            "namespace": job.key.namespace,
            "labels": labels,
            "annotations": {
                names.PIPELINE_GENERATION_ANNOTATION: str(pipeline.generation),
                names.PENDING_TIMEOUT_ANNOTATION: str(spec.pending_timeout_seconds),
            },
            "ownerReferences": [
                {
                    "apiVersion": names.API_VERSION,
                    "kind": "Job",
                    "name": job.name,
                    "uid": job.uid,
                    "controller": True,
                    "blockOwnerDeletion": True,
                }
            ],
        },
        "spec": {
            "completions": 1,
            "parallelism": 1,
            "backoffLimit": spec.max_retries,
            "podReplacementPolicy": "Failed",
            "podFailurePolicy": _pod_failure_policy(spec),
            "template": {
                "metadata": {
                    "labels": {**(spec.pod.labels or {}), **labels},
                    **({"annotations": spec.pod.annotations} if spec.pod.annotations else {}),
                },
                "spec": _pod_spec(pipeline, job, number, limits),
            },
        },
    }
