"""The run: the batch Job that carries out one Job, as a manifest."""

from typing import Any, Final

from elt_operator.core import run_names
from elt_operator.core.commands import command_of, literal
from elt_operator.core.model import Job, Pipeline, Run
from elt_operator.core.situation import Limits
from elt_operator.core.variables import variables
from elt_operator.resources import names
from elt_operator.resources.container import ExtraContainer
from elt_operator.resources.fields import Json
from elt_operator.resources.job import JobSpec, Trigger
from elt_operator.resources.pipeline import PipelineSpec
from elt_operator.resources.placement import TopologySpread
from elt_operator.resources.pod import OWN_TMP_VOLUME, PodSettings, Volume
from elt_operator.resources.texts import time_text

# What keeps Meltano quiet, offline and readable by machines; a Pipeline may set each of them otherwise.
MELTANO_DEFAULTS: Final = {
    "MELTANO_AUTO_INSTALL": "false",
    "MELTANO_CLI_DISABLE_VERSION_CHECK": "true",
    "MELTANO_CLI_LOG_FORMAT": "json",
    "MELTANO_SEND_ANONYMOUS_USAGE_STATS": "false",
    "PYTHONUNBUFFERED": "1",
}


def _given(fields: Json) -> Json:
    """Return the fields that say something: Kubernetes has its own defaults for the rest."""
    return {name: value for name, value in fields.items() if value}


def _environment(pipeline: Pipeline, job: Job, number: int) -> list[Json]:
    """Return the environment of the run's own container: ``env`` wins over properties, and they over the defaults."""
    spec, job_spec = _specs(pipeline, job)
    literals = {
        **MELTANO_DEFAULTS,
        "MELTANO_RUN_STATE_ID_SUFFIX": f"{job.key.namespace}-{job.key.pipeline}",
        **variables(spec.properties),
        **variables(job_spec.properties),
    }
    escaped = zip(literals, literal(list(literals.values())), strict=True)
    given = [{"name": name, "value": value} for name, value in escaped]
    return _beside_fixed(job, job_spec, number, [*given, *(entry.as_json() for entry in spec.env or [])])


def _beside_fixed(job: Job, job_spec: JobSpec, number: int, given: list[Json]) -> list[Json]:
    """Return the operator's own variables, then ``given``, the last of each name: it may refer to ours, never win."""
    fixed = {entry["name"]: entry for entry in _fixed(job, job_spec, number)}
    return list((fixed | {entry["name"]: entry for entry in given} | fixed).values())


def _fixed(job: Job, job_spec: JobSpec, number: int) -> list[Json]:
    """Return the variables that are the operator's own, and that say which Job the process belongs to."""
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
    return [{"name": name, "value": value} for name, value in fixed.items()]


def _times(trigger: Trigger) -> dict[str, str]:
    """Return the variables that say which stretch of time the Job stands for, as far as it says so: UTC, RFC 3339."""
    times = {
        "ELT_SCHEDULED_TIME": trigger.scheduled_time,
        "ELT_INTERVAL_START": trigger.interval_start,
        "ELT_INTERVAL_END": trigger.interval_end,
    }
    return {name: time_text(moment) for name, moment in times.items() if moment}


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
    ids = {
        "runAsUser": pod.run_as_user,
        "runAsGroup": pod.run_as_group,
        "fsGroup": pod.fs_group,
        "supplementalGroups": pod.supplemental_groups,
    }
    return {
        "runAsNonRoot": pod.run_as_non_root,
        "seccompProfile": {"type": "RuntimeDefault"},
        **{name: value for name, value in ids.items() if value is not None},
    }


def _settings(spec: PipelineSpec) -> Json:
    """Return what all containers of the pod have in common: the volumes, and what is fixed for safety."""
    _, mounts = _volumes(spec)
    return {
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": spec.pod.read_only_root_filesystem,
        },
        **_given({"volumeMounts": mounts}),
    }


def _chosen(said: PipelineSpec | ExtraContainer) -> Json:
    """Return what the Pipeline chose for one container, beside what it runs."""
    optional = {
        "imagePullPolicy": said.image_pull_policy,
        "envFrom": [source.as_json() for source in said.env_from or []],
        "resources": said.resources.as_json() if said.resources else None,
        "workingDir": said.working_dir,
    }
    return {"image": said.image, **_given(optional)}


def _container(pipeline: Pipeline, job: Job, number: int) -> Json:
    """Return the run's own container."""
    spec, job_spec = _specs(pipeline, job)
    return {
        "name": names.CONTAINER,
        **_chosen(spec),
        **command_of(spec, job_spec),
        "env": _environment(pipeline, job, number),
        **_settings(spec),
    }


def _beside(said: ExtraContainer, pipeline: Pipeline, job: Job, number: int) -> Json:
    """Return a container that the Pipeline puts beside the run's own."""
    spec, job_spec = _specs(pipeline, job)
    return {
        "name": said.name,
        **_chosen(said),
        **_given({"command": said.command, "args": said.args}),
        "env": _beside_fixed(job, job_spec, number, [entry.as_json() for entry in said.env or []]),
        **_settings(spec),
    }


def _containers_before(pipeline: Pipeline, job: Job, number: int) -> list[Json]:
    """Return what starts before the run's own container: init containers, then sidecars, which go on beside it.

    Kubernetes ends such sidecars once the others have ended
    (https://kubernetes.io/docs/concepts/workloads/pods/sidecar-containers/).
    """
    spec, _ = _specs(pipeline, job)
    first = [_beside(one, pipeline, job, number) for one in spec.init_containers or []]
    sidecars = [_beside(one, pipeline, job, number) | {"restartPolicy": "Always"} for one in spec.sidecars or []]
    return [*first, *sidecars]


def _spread(said: TopologySpread) -> Json:
    """Return a rule for spreading pods: without a selector Kubernetes would count none at all."""
    all_runs = {"labelSelector": {"matchLabels": {names.MANAGED_BY_LABEL: names.MANAGER}}}
    return all_runs | said.as_json()


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
        "affinity": {"nodeAffinity": pod.node_affinity.as_json()} if pod.node_affinity else None,
        "topologySpreadConstraints": [_spread(one) for one in pod.topology_spread_constraints or []],
        "hostAliases": [alias.as_json() for alias in pod.host_aliases or []],
        "priorityClassName": pod.priority_class_name,
        "imagePullSecrets": [secret.as_json() for secret in spec.image_pull_secrets or []],
        "volumes": volumes,
        "initContainers": _containers_before(pipeline, job, number),
    }
    return {
        "restartPolicy": "Never",
        "automountServiceAccountToken": pod.automount_service_account_token,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": pod.termination_grace_period_seconds,
        "securityContext": _pod_security(pod),
        "containers": [_container(pipeline, job, number)],
        **_given(optional),
    }


STOPPED_AFTER: Final = 1
"""``activeDeadlineSeconds`` of a batch Job that was told to stop. Ours have none otherwise: the pod has the limit."""


def end_of(run: Run) -> Json:
    """Return what a batch Job has to say so that its pods end, with their grace period, and no further one comes.

    Its deadline, when it has started: that fails it for good, where anybody, and Kueue above all, resumes what is only
    suspended. The deadline of one that has not started begins once it does: so it is suspended, too.
    """
    waits = run.started is None or run.suspended
    return {"activeDeadlineSeconds": STOPPED_AFTER} | ({"suspend": True} if waits else {})


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
        names.JOB_UID_LABEL: job.uid,
        names.RUN_NUMBER_LABEL: str(number),
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": run_names.run_name(job.key.pipeline, number),
            "namespace": job.key.namespace,
            "labels": labels | ({names.QUEUE_LABEL: spec.queue_name} if spec.queue_name else {}),
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
