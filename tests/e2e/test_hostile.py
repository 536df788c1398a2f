"""Objects and logs that a tenant may write: none stops the operator, at its start or later, or holds up others."""

from typing import Any

import pytest

from e2e.world import GROUP, IMAGE, VERSION, Namespace, Operator, ended, kubectl, manifest, message

DIGITS = "9" * 5_000
OUT_OF_BOUNDS = "0001-01-01T00:00:00+01:00"
OURS = {f"{GROUP}/pipeline": "weather"}
NOBODY = "11111111-2222-3333-4444-555555555555"
KEEP = "example.com/keep"
"""A finalizer: without one, the garbage collector removes what belongs to nobody within a moment."""


def batch_job(name: str, owner: dict[str, Any] | None = None, **annotations: str) -> dict[str, Any]:
    metadata: dict[str, Any] = {"name": name, "labels": OURS, "annotations": annotations, "finalizers": [KEEP]}
    if owner:
        metadata["ownerReferences"] = [{"uid": NOBODY, "controller": True, **owner}]
    pod = {"restartPolicy": "Never", "containers": [{"name": "elt", "image": IMAGE}]}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": metadata,
        "spec": {"suspend": True, "template": {"metadata": {"labels": OURS}, "spec": pod}},
    }


def job_named(name: str) -> dict[str, Any]:
    return {"apiVersion": f"{GROUP}/{VERSION}", "kind": "Job", "name": name}


def hostile() -> list[dict[str, Any]]:
    """Return what anybody with the role `edit` can create in a namespace."""
    cron_jobs = [
        {
            "apiVersion": "batch/v1",
            "kind": "CronJob",
            "metadata": {"name": name, "annotations": annotations},
            "spec": {"schedule": "0 0 1 1 *", "suspend": True, "jobTemplate": {"spec": batch_job("x")["spec"]}},
        }
        for name, annotations in (
            ("digits", {f"{GROUP}/pipeline-generation": DIGITS}),
            ("time", {f"{GROUP}/since": OUT_OF_BOUNDS}),
        )
    ]
    slot = {f"{GROUP}/since": OUT_OF_BOUNDS, "batch.kubernetes.io/cronjob-scheduled-timestamp": "2999-12-31T23:59:59Z"}
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": "digits",
            "labels": OURS,
            "finalizers": [KEEP],
            "ownerReferences": [
                {
                    "apiVersion": "batch/v1",
                    "kind": "Job",
                    "name": f"weather-r{DIGITS}",
                    "uid": NOBODY,
                    "controller": True,
                }
            ],
        },
        "spec": {
            "schedulingGates": [{"name": "example.com/never"}],
            "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [
                {
                    "name": "elt",
                    "image": IMAGE,
                    "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
                }
            ],
        },
    }
    return [
        *cron_jobs,
        batch_job(
            "weather-r7", job_named("../../../../../../api/v1/pods"), **{f"{GROUP}/pending-timeout-seconds": DIGITS}
        ),
        batch_job(
            "weather-r8", job_named("../eltjobs?watch=true&x="), **{f"{GROUP}/pipeline-generation": "1" + "0" * 30}
        ),
        batch_job("weather-r9999999999", job_named("job-9")),
        batch_job("slot", {"apiVersion": "batch/v1", "kind": "CronJob", "name": "weather"}, **slot),
        pod,
    ]


def release(namespace: Namespace) -> None:
    """Let the namespace go."""
    for body in hostile():
        kind, name = body["kind"], body["metadata"]["name"]
        if kind != "CronJob":
            patch = '{"metadata":{"finalizers":null}}'
            kind = "job.batch" if kind == "Job" else "pod"
            kubectl("patch", "--namespace", namespace.name, kind, name, "--type=merge", "-p", patch)


LOGS = {
    "half an emoji": r"""print('{"level": "error", "event": "cannot store \\ud83d"}')""",
    "brackets": "print('{\"rows\": ' + '[' * 50000)",
    "digits": "print('{\"level\": ' + '9' * 50000 + '}')",
    "errors without a colon": "print('Error.' * 11000)",
    "one line of 30 MB": "print('x' * 30_000_000)",
    "random bytes": "import os, sys; sys.stdout.buffer.write(os.urandom(60000))",
    "terminal codes": r"print('\x1b]0;title\x07\x1b(B\x9b31m\u202eError: disk full')",
}
"""What a program may write, by its name: a line of Python."""


def test_no_log_keeps_a_job_from_its_end(namespace: Namespace) -> None:
    names = {f"log-{number}": code for number, code in enumerate(LOGS.values())}
    for name, code in names.items():
        namespace.pipeline(name, command=["python3", "-c", f"{code}; raise SystemExit(5)"])
        namespace.job(f"{name}-1", name)
        namespace.job(f"{name}-2", name)

    for name in names:
        first = namespace.wait(f"{name}-1", ended, timeout=90)
        assert (first["status"]["reason"], first["status"]["exitCode"]) == ("ApplicationError", 5), message(first)
        assert namespace.wait(f"{name}-2", ended, timeout=90)["status"]["exitCode"] == 5
    shown = str(namespace.jobs())
    assert not [code for code in "\x1b\x9b\u202e\ud83d" if code in shown]


@pytest.mark.alone
def test_no_object_of_a_tenant_keeps_the_operator_from_starting_or_going_on(
    namespace: Namespace, operator: Operator
) -> None:
    namespace.leftovers_allowed = True
    for body in hostile():
        namespace.apply(body)
    operator.settings = {"AUDIT_SECONDS": "2"}
    try:
        operator.start()
        namespace.pipeline("other")
        first = namespace.run("job-1", pipeline="other")
        for body in hostile()[:2]:
            kubectl(
                "annotate", "--namespace", namespace.name, "--overwrite", "cronjob", body["metadata"]["name"], "a=b"
            )
        operator.restart()
        second = namespace.run("job-2", pipeline="other")
    finally:
        release(namespace)

    assert [job["status"]["phase"] for job in (first, second)] == ["COMPLETE", "COMPLETE"]
    assert "Traceback" not in operator.log()


@pytest.mark.alone
def test_a_pipeline_that_cannot_be_told_does_not_hold_up_the_others_of_its_namespace(
    namespace: Namespace, operator: Operator
) -> None:
    namespace.apply(manifest("Pipeline", "odd", image=IMAGE, command=["true"], schedule="1² * * * *"))
    namespace.pipeline()
    operator.start()

    odd = namespace.wait("odd", lambda body: bool(body["status"].get("conditions")), plural="eltpipelines")
    by_hand = namespace.run("job-1", pipeline="odd")

    (ready,) = [condition for condition in odd["status"]["conditions"] if condition["type"] == "Ready"]
    assert (ready["status"], ready["reason"]) == ("False", "InvalidSchedule")
    assert by_hand["status"]["phase"] == "COMPLETE"
    assert namespace.run("job-2")["status"]["phase"] == "COMPLETE"
    assert "Traceback" not in operator.log()
