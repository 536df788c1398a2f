"""The CronJob that keeps a schedule's time: as it has to be, repaired where somebody changed it; never a stranger's."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from builders import a_cron_job, a_pipeline, a_situation, a_slot, at, decided
from elt_operator.core import cron, schedule
from elt_operator.core import plan as planning
from elt_operator.core.actions import WritePipelineStatus
from elt_operator.core.model import CronJob, Pipeline, Refusal
from elt_operator.core.plan import Ask, Plan
from elt_operator.core.questions import WarningsAbout
from elt_operator.core.situation import Situation
from elt_operator.resources.pipeline import PipelineStatus
from elt_operator.resources.reasons import Reason

EVERY_TEN = a_pipeline(schedule="*/10 * * * *")
SUSPENDED = a_pipeline(schedule="*/10 * * * *", suspend=True)
PAUSED: dict[str, Any] = {"suspend": True, "in_force": "*/10 * * * * UTC (suspended)"}


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
                    "managedBy": "elt-operator.io/slots",
                    "template": {
                        "metadata": {"labels": labels},
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
                        },
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
        pytest.param({"slots_marked": False}, id="slots would not be known"),
        pytest.param({"since": None}, id="annotation removed"),
        pytest.param({"since": at(30 + 61)}, id="since a time to come"),
        pytest.param({"since": datetime(2999, 1, 1, tzinfo=UTC)}, id="since a time that nobody will see"),
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


LEFT_BEHIND = a_cron_job(owner_uid="", left_behind=True)
"""Its Pipeline was deleted with --cascade=orphan, or somebody took its owner reference away."""


def test_a_cron_job_that_was_left_behind_is_taken_over() -> None:
    made = change(EVERY_TEN, LEFT_BEHIND, now=900)

    assert made
    assert made.found is LEFT_BEHIND
    assert made.manifest
    assert made.manifest["metadata"]["ownerReferences"] == [schedule.owned_by(EVERY_TEN)]
    since = made.manifest["metadata"]["annotations"]["elt-operator.io/since"]
    assert datetime.fromisoformat(since) == at(900), "what passed before is not made up for"
    situation = a_situation(pipeline=EVERY_TEN, cron_job=LEFT_BEHIND)
    assert schedule.first_trouble(situation, EVERY_TEN).finding is None


def test_a_cron_job_that_was_left_behind_goes_where_there_is_no_schedule() -> None:
    assert change(a_pipeline(), LEFT_BEHIND) == schedule.CronJobChange(LEFT_BEHIND, None)


def test_a_cron_job_that_was_left_behind_and_is_being_deleted_is_left_alone() -> None:
    assert change(EVERY_TEN, replace(LEFT_BEHIND, deleting=True)) is None


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
NONSENSE = PipelineStatus(observed_generation=1, next_schedule_time=cron.EARLIEST)
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
            a_pipeline(schedule="*/10 * * * *", status=NONSENSE), None, at(900), id="promised before there are years"
        ),
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
            'spec.schedule "0 6 * * 7": day-of-week "7": Sunday is 0 or SUN, not 7. No scheduled Job will start',
            id="invalid",
        ),
        pytest.param(
            a_situation(pipeline=EVERY_TEN, cron_job=a_cron_job(owner_uid="")),
            Reason.NAME_CONFLICT,
            "CronJob weather already exists and does not belong to the operator. "
            "Delete it, or give the Pipeline another name.",
            id="a stranger's CronJob",
        ),
        pytest.param(
            a_situation(pipeline=EVERY_TEN, cron_job=a_cron_job(owner_uid="other")),
            Reason.NAME_CONFLICT,
            "CronJob weather belongs to a deleted Pipeline of the same name and is being removed.",
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

    found = schedule.first_trouble(situation, situation.pipeline).finding

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


# --- a time that is overdue


QUOTA = (
    'Error creating job: jobs.batch "weather-29468280" is forbidden: exceeded quota: few, '
    "requested: count/jobs.batch=1, used: count/jobs.batch=1, limited: count/jobs.batch=1"
)
UNEXPECTED = "Saw a job that the controller did not create or forgot: now"
LATE = a_situation(pipeline=EVERY_TEN, cron_job=a_cron_job(), now=631)


def with_last(seconds: float, **spec: Any) -> Pipeline:
    return a_pipeline(schedule="*/10 * * * *", status=PipelineStatus(last_schedule_time=at(seconds)), **spec)


@pytest.mark.parametrize(
    ("situation", "time"),
    [
        pytest.param(LATE, at(600), id="31 s late"),
        pytest.param(replace(LATE, now=at(630)), None, id="30 s late"),
        pytest.param(replace(LATE, now=at(5000)), at(600), id="the first of many: what is said does not change"),
        pytest.param(replace(LATE, slots=[a_slot()]), None, id="there is a slot: it is on us"),
        pytest.param(replace(LATE, slots=[a_slot(1200)]), None, id="there is a later one"),
        pytest.param(replace(LATE, slots=[a_slot(None)]), at(600), id="there is a wish: it is none of the schedule"),
        pytest.param(
            replace(LATE, slots=[replace(a_slot(), cron_job_uid="other")]), at(600), id="there is a stranger's slot"
        ),
        pytest.param(replace(LATE, pipeline=with_last(600)), None, id="it was dealt with"),
        pytest.param(replace(LATE, pipeline=with_last(600), now=at(1231)), at(1200), id="the one after"),
        pytest.param(replace(LATE, pipeline=with_last(10**9)), at(600), id="a time to come was written down"),
        pytest.param(replace(LATE, pipeline=SUSPENDED), None, id="suspended"),
        pytest.param(replace(LATE, cron_job=a_cron_job(suspend=True)), None, id="not yet resumed"),
        pytest.param(replace(LATE, cron_job=a_cron_job(schedule="0 * * * *")), None, id="not yet in place"),
        pytest.param(replace(LATE, cron_job=a_cron_job(since=at(600))), None, id="before the schedule was in force"),
        pytest.param(replace(LATE, cron_job=a_cron_job(since=None)), None, id="nobody knows since when it is"),
        pytest.param(replace(LATE, cron_job=a_cron_job(owner_uid="")), None, id="the CronJob is not ours"),
        pytest.param(replace(LATE, cron_job=None), None, id="there is no CronJob"),
        pytest.param(replace(LATE, pipeline=a_pipeline()), None, id="no schedule"),
        pytest.param(
            replace(LATE, cron_job=a_cron_job(starting_deadline_seconds=31)),
            None,
            id="startingDeadlineSeconds are over",
        ),
        pytest.param(
            replace(LATE, cron_job=a_cron_job(starting_deadline_seconds=32)), at(600), id="they are about to be"
        ),
    ],
)
def test_a_time_without_a_slot_is_overdue(situation: Situation, time: datetime | None) -> None:
    found = schedule.overdue(situation)

    assert (found and found.time) == time
    asked = [step for step in planning._pipeline_status(situation) if isinstance(step, Ask)]
    assert (Ask(WarningsAbout("cron-job-uid")) in asked) is (time is not None)


@pytest.mark.parametrize(
    ("warning", "words"),
    [
        pytest.param(
            QUOTA,
            'Kubernetes cannot create the Job scheduled for 2026-01-05T06:10:00Z: jobs.batch "weather-29468280" is '
            "forbidden: exceeded quota: few, requested: count/jobs.batch=1, used: count/jobs.batch=1, limited: "
            "count/jobs.batch=1. The schedule resumes by itself once this is fixed.",
            id="a quota",
        ),
        pytest.param(
            "admission webhook said no.", "06:10:00Z: admission webhook said no. The schedule", id="a webhook"
        ),
        pytest.param(UNEXPECTED, "", id="about a Job by hand"),
        pytest.param("", "", id="nothing"),
    ],
)
def test_kubernetes_says_why_a_time_is_overdue(warning: str, words: str) -> None:
    situation = replace(LATE, warnings={"cron-job-uid": warning})

    found = schedule.first_trouble(situation, EVERY_TEN).finding

    assert bool(found) is bool(words)
    assert found is None or (found.reason, found.passing) == (Reason.REJECTED, True)
    assert words in (found.message if found else "")
    in_time = replace(situation, now=at(620))
    assert schedule.first_trouble(in_time, EVERY_TEN).finding is None, (
        "an old warning says nothing of a time that is not overdue"
    )


def test_the_pipeline_says_so_once_and_is_ready_again_with_the_slot() -> None:
    told = {"cron-job-uid": QUOTA}
    (written,) = decided(replace(LATE, warnings=told)).when_idle
    assert isinstance(written, WritePipelineStatus)
    assert {one.type: one.status for one in written.status.conditions or []} == {
        "Ready": "False",
        "Reconciling": "True",
    }

    told_already = replace(EVERY_TEN, status=written.status)
    for later in (651, 700, 1300, 4000):
        assert decided(replace(LATE, now=at(later), warnings=told, pipeline=told_already)).when_idle == []

    there = replace(LATE, pipeline=told_already, slots=[a_slot()], caused_jobs={"weather-1-uid": True}, now=at(660))
    healed, _ = decided(there).when_idle
    assert isinstance(healed, WritePipelineStatus)
    assert [(one.type, one.status) for one in healed.status.conditions or []] == [("Ready", "True")]


@pytest.mark.parametrize(
    ("now", "seconds"),
    [
        pytest.param(0, 631, id="of the next time, whether it is overdue"),
        pytest.param(630, 1, id="the moment after"),
        pytest.param(631, 20, id="while it is, every 20 s"),
        pytest.param(600 + 600, 120, id="later on less and less"),
        pytest.param(600 + 86_400, 300, id="but every five minutes at least"),
    ],
)
def test_the_next_look_at_the_schedule(now: float, seconds: float) -> None:
    until = schedule.first_trouble(replace(LATE, now=at(now)), EVERY_TEN).until

    assert until == at(now) + timedelta(seconds=seconds)
    assert schedule.first_trouble(replace(LATE, now=at(now)), a_pipeline()).until is None


def test_a_schedule_that_is_kept_costs_no_write_between_its_times() -> None:
    for_the_first_time = a_situation(pipeline=with_last(600), cron_job=a_cron_job(), now=602)
    (written,) = decided(for_the_first_time).when_idle
    assert isinstance(written, WritePipelineStatus)

    for seconds in range(602, 902, 10):
        settled = replace(with_last(600), status=written.status)
        assert decided(replace(for_the_first_time, pipeline=settled, now=at(seconds))) == Plan(
            look_again=timedelta(seconds=1231 - seconds)
        )
