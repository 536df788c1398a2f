"""Each time of the schedule becomes a Job, once, or is skipped and said so."""

from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from builders import a_cron_job, a_job, a_pipeline, a_run, a_situation, a_slot, at
from elt_operator.api.pipeline import PipelineStatus
from elt_operator.core import slots
from elt_operator.core.plan import CreateJob, DeleteSlot, WritePipelineStatus, plan
from elt_operator.core.situation import Job, Refusal, Situation, Slot

BY_HAND = a_slot(None, name="now-please")
BY_SCHEDULE = {"type": "Schedule"}


def scheduled(*jobs: Job, slot: Slot | None = None, now: float = 601, **known: Any) -> Situation:
    """The slot of 06:10 is there, a second after its time; the schedule has been in force since 06:00."""
    spec = known.pop("spec", {})
    status = known.pop("status", None)
    pipeline = a_pipeline(schedule="*/10 * * * *", status=status, **spec)
    found = known.pop("slots", [slot or a_slot()])
    return a_situation(*jobs, pipeline=pipeline, cron_job=a_cron_job(), slots=found, now=now, **known)


def a_scheduled_job(name: str = "weather-0", *, slot_uid: str = "weather-0-uid") -> Job:
    return replace(a_job(name, trigger=BY_SCHEDULE), slot_uid=slot_uid)


def test_a_slot_becomes_a_job_of_its_name() -> None:
    situation = scheduled()

    assert slots.due(situation) == list(situation.slots)
    assert slots.job_manifest(situation, a_slot()) == {
        "apiVersion": "elt-operator.io/v1alpha1",
        "kind": "Job",
        "metadata": {
            "name": "weather-1",
            "namespace": "default",
            "labels": {"app.kubernetes.io/managed-by": "elt-operator"},
            "annotations": {"elt-operator.io/slot": "weather-1-uid"},
            "ownerReferences": [
                {
                    "apiVersion": "elt-operator.io/v1alpha1",
                    "kind": "Pipeline",
                    "name": "weather",
                    "uid": "pipeline-uid",
                    "controller": True,
                    "blockOwnerDeletion": True,
                }
            ],
        },
        "spec": {
            "pipelineName": "weather",
            "trigger": {
                "type": "Schedule",
                "scheduledTime": "2026-01-05T06:10:00Z",
                "intervalStart": "2026-01-05T06:00:00Z",
                "intervalEnd": "2026-01-05T06:10:00Z",
            },
        },
    }


def test_one_made_by_hand_becomes_a_manual_job() -> None:
    situation = scheduled(slot=BY_HAND)

    assert slots.due(situation) == [BY_HAND]
    assert slots.job_manifest(situation, BY_HAND)["spec"] == {
        "pipelineName": "weather",
        "trigger": {"type": "Manual"},
    }


WAITING = a_scheduled_job()


@pytest.mark.parametrize(
    ("situation", "words"),
    [
        pytest.param(scheduled(), None, id="in time"),
        pytest.param(scheduled(now=1199), None, id="however late without a deadline, until the next one"),
        pytest.param(
            scheduled(spec={"suspend": True}), "the schedule is suspended (spec.suspend)", id="suspended meanwhile"
        ),
        pytest.param(
            scheduled(spec={"startingDeadlineSeconds": 60}, now=660), None, id="late, within startingDeadlineSeconds"
        ),
        pytest.param(
            scheduled(spec={"startingDeadlineSeconds": 60}, now=661),
            "it was seen 61 s late (startingDeadlineSeconds: 60)",
            id="too late",
        ),
        pytest.param(
            scheduled(now=1200),
            "it was seen only after the next one (2026-01-05T06:20:00Z) had come; the newest runs",
            id="a later time has come",
        ),
        pytest.param(scheduled(a_job(), runs=[a_run()]), None, id="Queue: behind an active Job"),
        pytest.param(scheduled(a_job()), None, id="Queue: behind a Job that waits, made by hand"),
        pytest.param(
            scheduled(WAITING),
            "scheduled Job weather-0 still waits for its turn, and one at most may (concurrencyPolicy: Queue)",
            id="Queue: a scheduled Job waits already",
        ),
        pytest.param(
            scheduled(WAITING, runs=[a_run(job="weather-0")]), None, id="Queue: behind a scheduled Job that runs"
        ),
        pytest.param(scheduled(replace(WAITING, deleting=True)), None, id="Queue: the one that waits is deleted"),
        pytest.param(
            scheduled(a_job(), spec={"concurrencyPolicy": "Forbid"}),
            "Job job-1 is active (concurrencyPolicy: Forbid)",
            id="Forbid: any Job",
        ),
        pytest.param(scheduled(spec={"concurrencyPolicy": "Forbid"}), None, id="Forbid: none"),
        pytest.param(scheduled(WAITING, spec={"concurrencyPolicy": "Replace"}), None, id="Replace: always"),
        pytest.param(
            scheduled(slot_jobs={"weather-1-uid": False}), "there is another Job weather-1", id="its name is taken"
        ),
        pytest.param(
            scheduled(slot=a_slot(None, name="Not.A.Name")),
            "a Job's name has at most 63 characters: lower-case letters, digits and `-`",
            id="by hand, with a name that no Job may have",
        ),
        pytest.param(scheduled(WAITING, slot=BY_HAND, now=9999), None, id="by hand: always"),
    ],
)
def test_why_a_slot_is_skipped(situation: Situation, words: str | None) -> None:
    (slot,) = situation.slots

    assert slots.skipped_because(situation, slot) == words
    assert slots.due(situation) == ([] if words else [slot])
    told = [event.message for one in slots.settled(situation) for event in one.events]
    assert (words is None) or any(words in message for message in told)


def test_a_schedule_that_cannot_be_read_any_more_skips() -> None:
    situation = replace(scheduled(), pipeline=a_pipeline(schedule="61 * * * *"))

    assert slots.skipped_because(situation, a_slot()) == "the schedule was changed to one that cannot be carried out"


@pytest.mark.parametrize(
    "situation",
    [
        pytest.param(scheduled(a_scheduled_job("weather-1", slot_uid="weather-1-uid")), id="its Job waits, or runs"),
        pytest.param(scheduled(slot_jobs={"weather-1-uid": True}), id="its Job was made, and has ended since"),
        pytest.param(scheduled(status=PipelineStatus(last_schedule_time=at(600))), id="the Pipeline tells of it"),
        pytest.param(scheduled(slot=a_slot(600, since=601)), id="of before the schedule came into force"),
    ],
)
def test_one_that_is_dealt_with_makes_no_job_and_goes(situation: Situation) -> None:
    assert slots.due(situation) == []
    assert [(one.slot, one.skipped) for one in slots.settled(situation)] == [(situation.slots[0], 0)]


def test_one_that_was_refused_is_tried_again_later() -> None:
    refused = {"weather-1-uid": Refusal("exceeded quota", at(640))}

    assert slots.due(scheduled(refusals=refused)) == []
    assert slots.settled(scheduled(refusals=refused)) == []
    assert slots.next_look(scheduled(refusals=refused)) == at(640) - at(601)
    assert slots.due(scheduled(refusals=refused, now=640)) != []


def test_one_that_goes_already_and_one_without_pipeline_are_left_alone() -> None:
    assert slots.due(scheduled(slot=a_slot(deleting=True))) == []
    assert slots.due(replace(scheduled(), pipeline=None)) == []


MADE = {"weather-1-uid": True}


@pytest.mark.parametrize(
    ("last", "since", "told"),
    [
        pytest.param(3000, 0, "", id="none was missed"),
        pytest.param(2400, 0, "1 passed while {}: 2026-01-05T06:50:00Z.", id="one"),
        pytest.param(600, 0, "4 passed while {}: 2026-01-05T06:20:00Z to 2026-01-05T06:50:00Z.", id="more"),
        pytest.param(600, 2000, "2 passed while {}: 2026-01-05T06:40:00Z to 2026-01-05T06:50:00Z.", id="since resumed"),
        pytest.param(None, 0, "5 passed while {}: 2026-01-05T06:10:00Z to 2026-01-05T06:50:00Z.", id="since it began"),
    ],
)
def test_times_without_a_slot_are_counted(last: float | None, since: float, told: str) -> None:
    status = PipelineStatus(last_schedule_time=None if last is None else at(last), skipped_slots=2)
    situation = scheduled(slot=a_slot(3600, since=since), slot_jobs=MADE, status=status, now=3601)
    assert situation.pipeline

    (settled,) = slots.settled(situation)

    assert settled.skipped == int(told[:1] or 0)
    words = told.format("operator, CronJob controller or API server were away")
    assert [event.message for event in settled.events] == ([words] if words else [])
    assert slots.skipped(situation.pipeline, [settled]) == 2 + settled.skipped
    assert slots.last_time(situation.pipeline, [settled]) == at(3600)


def test_very_many_are_not_all_counted() -> None:
    pipeline = a_pipeline(schedule="* * * * *")
    situation = replace(
        scheduled(slot=a_slot(10**6 * 60), slot_jobs=MADE, now=10**6 * 60 + 1),
        pipeline=pipeline,
    )

    (settled,) = slots.settled(situation)

    assert settled.skipped == slots.MOST_COUNTED
    assert "at least 1000 passed" in settled.events[0].message


def test_the_pipeline_tells_of_a_slot_before_it_is_deleted() -> None:
    written, deleted = plan(scheduled(slot_jobs=MADE, status=PipelineStatus(last_schedule_time=at(0)))).when_idle

    assert isinstance(written, WritePipelineStatus)
    assert written.status.last_schedule_time == at(600)
    assert isinstance(deleted, DeleteSlot)
    assert deleted.slot == a_slot()


def test_a_slots_job_is_made_first_of_all() -> None:
    first, *_ = plan(scheduled(a_job())).actions

    assert isinstance(first, CreateJob)
    assert first.slot == a_slot()


def test_of_two_slots_the_newest_becomes_a_job() -> None:
    older, newer = a_slot(600, name="a"), a_slot(1200, name="b")
    situation = scheduled(slots=[older, newer], now=1201)

    assert slots.due(situation) == [newer]
    assert [one.slot for one in slots.settled(situation)] == [older]


def test_a_time_far_in_the_past_is_no_trouble() -> None:
    moment: datetime = at(-(10**9))
    situation = scheduled(slot=replace(a_slot(), time=moment, since=moment))

    assert slots.skipped_because(situation, situation.slots[0])
