"""The CronJob that keeps a schedule's time: as it has to be, repaired where somebody changed it; never a stranger's."""

from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from builders import a_cron_job, a_pipeline, a_situation, a_slot, at
from elt_operator.api.pipeline import PipelineStatus
from elt_operator.api.reasons import Reason
from elt_operator.core import schedule
from elt_operator.core.situation import CronJob, Pipeline, Refusal, Situation

EVERY_TEN = a_pipeline(schedule="*/10 * * * *")
SUSPENDED = a_pipeline(schedule="*/10 * * * *", suspend=True)
PAUSED: dict[str, Any] = {"suspend": True, "agreed": "*/10 * * * * UTC (suspended)"}


def change(pipeline: Pipeline, found: CronJob | None = None, **known: Any) -> schedule.CronJobChange | None:
    return schedule.cron_job_change(a_situation(pipeline=pipeline, cron_job=found, **known))


def test_a_schedule_gets_a_cron_job_whose_batch_jobs_never_run() -> None:
    pipeline = a_pipeline(schedule="0 6 ? * mon", timeZone="Europe/London", startingDeadlineSeconds=300)

    made = change(pipeline)

    assert made
    assert made.found is None
    owner = {"apiVersion": "elt-operator.io/v1alpha1", "kind": "Pipeline", "name": "weather", "uid": "pipeline-uid"}
    labels = {"app.kubernetes.io/managed-by": "elt-operator", "elt-operator.io/pipeline": "weather"}
    assert made.manifest == {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {
            "name": "weather",
            "namespace": "default",
            "labels": labels,
            "annotations": {
                "elt-operator.io/pipeline-generation": "1",
                "elt-operator.io/schedule": "0 6 * * MON Europe/London",
                "elt-operator.io/since": "2026-01-05T06:00:30Z",
            },
            "ownerReferences": [{**owner, "controller": True, "blockOwnerDeletion": True}],
        },
        "spec": {
            "schedule": "0 6 * * MON",
            "timeZone": "Europe/London",
            "suspend": False,
            "startingDeadlineSeconds": 300,
            "concurrencyPolicy": "Forbid",
            "jobTemplate": {
                "metadata": {"labels": labels, "annotations": {"elt-operator.io/since": "2026-01-05T06:00:30Z"}},
                "spec": {
                    "suspend": True,
                    "template": {
                        "spec": {
                            "restartPolicy": "Never",
                            "automountServiceAccountToken": False,
                            "schedulingGates": [{"name": "elt-operator.io/slot"}],
                            "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
                            "containers": [
                                {
                                    "name": "elt",
                                    "image": "elt:1",
                                    "securityContext": {
                                        "allowPrivilegeEscalation": False,
                                        "capabilities": {"drop": ["ALL"]},
                                    },
                                }
                            ],
                        }
                    },
                },
            },
        },
    }


@pytest.mark.parametrize(
    ("pipeline", "found"),
    [
        pytest.param(EVERY_TEN, a_cron_job(), id="as it has to be"),
        pytest.param(SUSPENDED, a_cron_job(**PAUSED), id="suspended as it has to be"),
        pytest.param(a_pipeline(), None, id="no schedule and no CronJob"),
        pytest.param(a_pipeline(schedule="61 * * * *"), None, id="a schedule that cannot be carried out"),
        pytest.param(EVERY_TEN, a_cron_job(deleting=True), id="on its way out: the next one comes when it is gone"),
        pytest.param(EVERY_TEN, a_cron_job(owner_uid=""), id="a stranger's is left alone"),
        pytest.param(EVERY_TEN, a_cron_job(owner_uid="other"), id="that of a deleted Pipeline is left to be collected"),
        pytest.param(a_pipeline(), a_cron_job(owner_uid=""), id="a stranger's, though there is no schedule"),
    ],
)
def test_nothing_is_done(pipeline: Pipeline, found: CronJob | None) -> None:
    assert change(pipeline, found) is None


@pytest.mark.parametrize(
    "drifted",
    [
        pytest.param({"schedule": "0 0 * * *"}, id="schedule"),
        pytest.param({"time_zone": "Mars"}, id="zone"),
        pytest.param({"suspend": True}, id="suspended"),
        pytest.param({"starting_deadline_seconds": 5}, id="deadline"),
        pytest.param({"concurrency_policy": "Allow"}, id="policy"),
        pytest.param({"slots_suspended": False}, id="slots would run"),
        pytest.param({"since": None}, id="annotation removed"),
    ],
)
def test_what_somebody_changed_is_put_right(drifted: dict[str, Any]) -> None:
    found = a_cron_job(**drifted)

    made = change(EVERY_TEN, found)

    assert made
    assert made.found is found
    assert made.manifest
    assert made.manifest["spec"] | {"jobTemplate": None} == {
        "schedule": "*/10 * * * *",
        "timeZone": "UTC",
        "suspend": False,
        "startingDeadlineSeconds": None,
        "concurrencyPolicy": "Forbid",
        "jobTemplate": None,
    }


def test_without_a_schedule_our_cron_job_goes() -> None:
    found = a_cron_job()

    assert change(a_pipeline(), found) == schedule.CronJobChange(found, None)


def test_while_it_cannot_be_read_the_old_one_is_suspended() -> None:
    made = change(a_pipeline(schedule="61 * * * *", generation=2), a_cron_job())

    assert made
    assert made.manifest
    assert (made.manifest["spec"]["suspend"], made.manifest["spec"]["schedule"]) == (True, "*/10 * * * *")


def test_a_cron_job_that_was_refused_is_tried_again_later() -> None:
    refused = {"pipeline-uid": Refusal("exceeded quota", at(40))}

    assert change(EVERY_TEN, refusals=refused, now=39) is None
    assert change(EVERY_TEN, refusals=refused, now=40) is not None


RENAMED = a_pipeline(schedule="*/5 * * * *", generation=2)
PROMISED = PipelineStatus(observed_generation=1, next_schedule_time=at(600))


@pytest.mark.parametrize(
    ("pipeline", "found", "since"),
    [
        pytest.param(EVERY_TEN, a_cron_job(suspend=True), at(0), id="drift: as before"),
        pytest.param(RENAMED, a_cron_job(), at(900), id="another schedule: from now on"),
        pytest.param(SUSPENDED, a_cron_job(), at(0), id="suspended: as before"),
        pytest.param(EVERY_TEN, a_cron_job(**PAUSED), at(900), id="resumed: from now on"),
        pytest.param(
            a_pipeline(schedule="*/10 * * * *", startingDeadlineSeconds=400),
            a_cron_job(**PAUSED),
            at(500),
            id="resumed with a deadline: as far back as that",
        ),
        pytest.param(
            a_pipeline(schedule="*/10 * * * *", startingDeadlineSeconds=4000),
            a_cron_job(**PAUSED),
            at(0),
            id="resumed with a long deadline: but not before it began",
        ),
        pytest.param(EVERY_TEN, None, at(900), id="new: from now on"),
        pytest.param(
            a_pipeline(schedule="*/10 * * * *", status=PROMISED), None, at(599), id="deleted by hand: what was promised"
        ),
        pytest.param(
            a_pipeline(schedule="*/10 * * * *", status=PROMISED, generation=2), None, at(900), id="of another spec"
        ),
    ],
)
def test_since_when_it_is_in_force(pipeline: Pipeline, found: CronJob | None, since: datetime) -> None:
    made = change(pipeline, found, now=900)

    assert made
    assert made.manifest
    text = made.manifest["metadata"]["annotations"]["elt-operator.io/since"]
    assert datetime.fromisoformat(text) == since
    assert made.manifest["spec"]["jobTemplate"]["metadata"]["annotations"]["elt-operator.io/since"] == text


REFUSED = Refusal("exceeded quota: count/cronjobs.batch", at(60))


@pytest.mark.parametrize(
    ("situation", "reason", "words"),
    [
        pytest.param(a_situation(), None, "", id="no schedule"),
        pytest.param(a_situation(pipeline=EVERY_TEN, cron_job=a_cron_job()), None, "", id="in place"),
        pytest.param(
            a_situation(pipeline=a_pipeline(schedule="0 6 * * 7")),
            Reason.INVALID_SCHEDULE,
            'spec.schedule "0 6 * * 7": day-of-week "7": Sunday is 0 or SUN, never 7. Nothing is started by schedule',
            id="invalid",
        ),
        pytest.param(
            a_situation(pipeline=EVERY_TEN, cron_job=a_cron_job(owner_uid="")),
            Reason.NAME_CONFLICT,
            "There is a CronJob weather that is not the operator's. Rename or delete it, or the Pipeline.",
            id="a stranger's CronJob",
        ),
        pytest.param(
            a_situation(pipeline=EVERY_TEN, cron_job=a_cron_job(owner_uid="other")),
            Reason.NAME_CONFLICT,
            "CronJob weather of a deleted Pipeline of this name is being removed.",
            id="that of the Pipeline before",
        ),
        pytest.param(
            a_situation(pipeline=EVERY_TEN, refusals={"pipeline-uid": REFUSED}),
            Reason.REJECTED,
            "exceeded quota: count/cronjobs.batch",
            id="the CronJob is refused",
        ),
        pytest.param(
            a_situation(
                pipeline=EVERY_TEN, cron_job=a_cron_job(), slots=[a_slot()], refusals={"weather-1-uid": REFUSED}
            ),
            Reason.REJECTED,
            "exceeded quota",
            id="a Job is refused",
        ),
    ],
)
def test_why_a_schedule_is_not_in_place(situation: Situation, reason: Reason | None, words: str) -> None:
    assert situation.pipeline

    found = schedule.trouble(situation, situation.pipeline)

    assert (found and found.reason) == reason
    assert words in (found.message if found else "")


def test_the_next_time_is_told_unless_there_is_none() -> None:
    def told(pipeline: Pipeline, **known: Any) -> datetime | None:
        return schedule.next_time(a_situation(pipeline=pipeline, now=601, **known), pipeline)

    assert told(EVERY_TEN, cron_job=a_cron_job()) == at(1200)
    assert told(SUSPENDED, cron_job=a_cron_job()) is None
    assert told(a_pipeline()) is None
    assert told(EVERY_TEN, cron_job=a_cron_job(owner_uid="")) is None
    assert told(a_pipeline(schedule="61 * * * *")) is None


def test_without_a_pipeline_nothing_is_done() -> None:
    assert schedule.cron_job_change(replace(a_situation(cron_job=a_cron_job()), pipeline=None)) is None
