"""Each time of the schedule becomes a Job, once, or is skipped and said so."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders import a_cron_job, a_job, a_pipeline, a_run, a_situation, a_slot, at, decided
from elt_operator.core import cron, schedule, slots
from elt_operator.core import plan as planning
from elt_operator.core.actions import ChangeCronJob, CreateJob, DeleteSlot, WritePipelineStatus
from elt_operator.core.model import CronJob, Job, Refusal, Slot
from elt_operator.core.plan import LookAgain
from elt_operator.core.situation import Situation
from elt_operator.resources.conditions import Condition
from elt_operator.resources.pipeline import PipelineStatus

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
            "annotations": {"elt-operator.io/slot": "weather-1-uid", "elt-operator.io/slot-name": "weather-1"},
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
            "it would have started 61 s late (startingDeadlineSeconds: 60)",
            id="too late",
        ),
        pytest.param(
            scheduled(now=1200),
            "a later one (2026-01-05T06:20:00Z) was already due, and only the latest is run",
            id="a later time has come",
        ),
        pytest.param(scheduled(a_job(), runs=[a_run()]), None, id="Queue: behind an active Job"),
        pytest.param(scheduled(a_job()), None, id="Queue: behind a Job that waits, made by hand"),
        pytest.param(
            scheduled(WAITING),
            "scheduled Job weather-0 is already queued; at most one may wait (concurrencyPolicy: Queue)",
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
            scheduled(caused_jobs={"weather-1-uid": False}),
            "another Job is already named weather-1",
            id="its name is taken",
        ),
        pytest.param(
            scheduled(slot=a_slot(None, name="Not.A.Name")),
            "a Job cannot have this name; choose at most 63 lower-case letters, digits and `-`",
            id="by hand, with a name that no Job may have",
        ),
        pytest.param(
            scheduled(slot=BY_HAND, caused_jobs={"now-please-uid": False}),
            "another Job is already named now-please; choose another name",
            id="by hand, with a name that is taken",
        ),
        pytest.param(scheduled(slot=a_slot(660), now=600), None, id="a minute ahead: clocks differ"),
        pytest.param(
            scheduled(slot=a_slot(661), now=600),
            "batch Job weather-1 was created before that time; check the clocks of the control plane",
            id="further ahead",
        ),
        pytest.param(scheduled(slot=replace(BY_HAND, cron_job_uid="")), None, id="by hand, and nobody owns it"),
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

    assert slots.skipped_because(situation, a_slot()) == "spec.schedule is no longer valid"


def monthly(
    day: int, *, dealt_with: datetime | None = None, since: datetime = datetime(2026, 1, 1, tzinfo=UTC)
) -> Situation:
    """The CronJob has made a slot for 06:00 of a day in April; the schedule is that of the last day but two."""
    pipeline = a_pipeline(schedule="0 6 L-2 * *", status=PipelineStatus(last_schedule_time=dealt_with))
    moment = datetime(2026, 4, day, 6, tzinfo=UTC)
    cron_job = a_cron_job(schedule="0 6 26-29 * *", since=since)
    slot = replace(a_slot(), time=moment, created=moment, since=since)
    return replace(a_situation(pipeline=pipeline, cron_job=cron_job, slots=[slot]), now=moment + timedelta(seconds=1))


MARCH, APRIL = datetime(2026, 3, 29, 6, tzinfo=UTC), datetime(2026, 4, 28, 6, tzinfo=UTC)


def test_a_day_from_the_end_becomes_a_job_with_its_month_as_interval() -> None:
    situation = monthly(28, dealt_with=MARCH)

    (slot,) = slots.due(situation)

    trigger = slots.job_manifest(situation, slot)["spec"]["trigger"]
    assert (trigger["intervalStart"], trigger["intervalEnd"]) == ("2026-03-29T06:00:00Z", "2026-04-28T06:00:00Z")


@pytest.mark.parametrize(
    "situation",
    [
        pytest.param(monthly(26, dealt_with=MARCH), id="before the day"),
        pytest.param(monthly(29, dealt_with=APRIL), id="after it"),
        pytest.param(monthly(29, since=datetime(2026, 4, 28, 7, tzinfo=UTC)), id="before the first one"),
    ],
)
def test_a_day_that_does_not_count_is_no_skipped_time(situation: Situation) -> None:
    assert slots.due(situation) == []
    (settled,) = slots.settled(situation)
    assert (settled.skipped, settled.events) == (0, ())
    assert situation.pipeline
    assert slots.last_time(situation.pipeline, [settled]) == situation.pipeline.status.last_schedule_time


def test_a_day_that_was_missed_becomes_a_job_by_the_slot_of_one_that_does_not_count() -> None:
    situation = monthly(29, dealt_with=MARCH)

    (slot,) = slots.due(situation)

    assert slot.time == APRIL
    assert slots.job_manifest(situation, slot)["spec"]["trigger"]["scheduledTime"] == "2026-04-28T06:00:00Z"


@pytest.mark.parametrize(
    "situation",
    [
        pytest.param(scheduled(a_scheduled_job("weather-1", slot_uid="weather-1-uid")), id="its Job waits, or runs"),
        pytest.param(scheduled(caused_jobs={"weather-1-uid": True}), id="its Job was made, and has ended since"),
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
    looks = [step.moment for step in planning._schedule(scheduled(refusals=refused)) if isinstance(step, LookAgain)]
    assert looks == [at(640)]
    assert slots.due(scheduled(refusals=refused, now=640)) != []


def test_one_that_goes_already_and_one_without_pipeline_are_left_alone() -> None:
    assert slots.due(scheduled(slot=a_slot(deleting=True))) == []
    assert slots.due(replace(scheduled(), pipeline=None)) == []


MADE = {"weather-1-uid": True}


@pytest.mark.parametrize(
    ("last", "since", "told"),
    [
        pytest.param(3000, 0, "", id="none was missed"),
        pytest.param(2400, 0, "1 scheduled time (2026-01-05T06:50:00Z)", id="one"),
        pytest.param(600, 0, "4 scheduled times (2026-01-05T06:20:00Z to 2026-01-05T06:50:00Z)", id="more"),
        pytest.param(600, 2000, "2 scheduled times (2026-01-05T06:40:00Z to 2026-01-05T06:50:00Z)", id="since resumed"),
        pytest.param(None, 0, "5 scheduled times (2026-01-05T06:10:00Z to 2026-01-05T06:50:00Z)", id="since it began"),
    ],
)
def test_times_without_a_slot_are_counted(last: float | None, since: float, told: str) -> None:
    status = PipelineStatus(last_schedule_time=None if last is None else at(last), skipped_slots=2)
    situation = scheduled(slot=a_slot(3600, since=since), caused_jobs=MADE, status=status, now=3601)
    assert situation.pipeline

    (settled,) = slots.settled(situation)

    assert settled.skipped == int(told[:1] or 0)
    assert [event.message for event in settled.events] == ([f"Skipped {told}."] if told else [])
    assert slots.skipped(situation.pipeline, [settled]) == 2 + settled.skipped
    assert slots.last_time(situation.pipeline, [settled]) == at(3600)


def test_very_many_are_not_all_counted() -> None:
    pipeline = a_pipeline(schedule="* * * * *")
    situation = replace(
        scheduled(slot=a_slot(10**6 * 60), caused_jobs=MADE, now=10**6 * 60 + 1),
        pipeline=pipeline,
    )

    (settled,) = slots.settled(situation)

    assert settled.skipped == slots.MOST_COUNTED
    assert "Skipped at least 1000 scheduled times" in settled.events[0].message


def test_the_pipeline_tells_of_a_slot_before_it_is_deleted() -> None:
    written, deleted = decided(scheduled(caused_jobs=MADE, status=PipelineStatus(last_schedule_time=at(0)))).when_idle

    assert isinstance(written, WritePipelineStatus)
    assert written.status.last_schedule_time == at(600)
    assert isinstance(deleted, DeleteSlot)
    assert deleted.slot == a_slot()


def test_a_slots_job_is_made_first_of_all() -> None:
    first, *_ = decided(scheduled(a_job())).actions

    assert isinstance(first, CreateJob)
    assert first.cause_uid == a_slot().uid


def test_of_two_slots_the_newest_becomes_a_job() -> None:
    older, newer = a_slot(600, name="a"), a_slot(1200, name="b")
    situation = scheduled(slots=[older, newer], now=1201)

    assert slots.due(situation) == [newer]
    assert [one.slot for one in slots.settled(situation)] == [older]


def test_a_time_far_in_the_past_is_no_trouble() -> None:
    moment: datetime = at(-(10**9))
    situation = scheduled(slot=replace(a_slot(), time=moment, since=moment))

    assert slots.skipped_because(situation, situation.slots[0])


def without_schedule(**known: Any) -> Situation:
    """The schedule was taken away while its slot was there."""
    return replace(scheduled(status=PipelineStatus(last_schedule_time=at(0))), **{"pipeline": a_pipeline(), **known})


def test_a_cron_job_that_has_to_go_waits_for_the_jobs_of_its_slots() -> None:
    (made,) = decided(without_schedule()).actions

    assert isinstance(made, CreateJob)


def test_a_cron_job_that_has_to_go_goes_once_its_slots_are_told() -> None:
    wanted = decided(without_schedule(caused_jobs=MADE))

    assert wanted.actions == []
    assert [type(action) for action in wanted.when_idle] == [WritePipelineStatus, DeleteSlot, ChangeCronJob]
    told, *_ = wanted.when_idle
    assert isinstance(told, WritePipelineStatus)
    assert told.status.last_schedule_time == at(600)


@pytest.mark.parametrize(
    "known",
    [
        pytest.param({"slots": []}, id="none is left"),
        pytest.param({"refusals": {"weather-1-uid": Refusal("exceeded quota", at(640))}}, id="its Job is refused"),
    ],
)
def test_a_cron_job_that_has_to_go_waits_for_nothing_else(known: dict[str, Any]) -> None:
    (gone,) = decided(without_schedule(**known)).actions

    assert isinstance(gone, ChangeCronJob)
    assert gone.change.deletes


# --- whose slots they are


def theirs(**known: Any) -> list[Slot]:
    """Return the slots that are dealt with, or left to be: ``known`` differs from what is ours."""
    situation = replace(scheduled(), **known)
    return [*slots.due(situation), *(one.slot for one in slots.settled(situation))]


@pytest.mark.parametrize("by_hand", [False, True])
@pytest.mark.parametrize(
    ("cron_job", "owner"),
    [
        pytest.param(a_cron_job(), "other-uid", id="another CronJob of this name made it"),
        pytest.param(a_cron_job(owner_uid=""), "cron-job-uid", id="a stranger's CronJob made it"),
        pytest.param(a_cron_job(owner_uid=""), "", id="nobody's, beside a stranger's CronJob"),
        pytest.param(a_cron_job(owner_uid="older-uid"), "cron-job-uid", id="that of a deleted Pipeline made it"),
        pytest.param(a_cron_job(owner_uid="older-uid"), "", id="nobody's, beside that of a deleted Pipeline"),
        pytest.param(a_cron_job(owner_uid="", left_behind=True), "", id="nobody's, beside one that is not yet ours"),
        pytest.param(None, "cron-job-uid", id="its CronJob is gone"),
        pytest.param(None, "", id="nobody's, and there is no CronJob"),
    ],
)
def test_what_our_cron_job_did_not_make_is_left_alone(cron_job: CronJob | None, owner: str, by_hand: bool) -> None:
    slot = replace(BY_HAND if by_hand else a_slot(), cron_job_uid=owner)

    assert theirs(cron_job=cron_job, slots=[slot]) == []


def test_a_batch_job_that_nobody_owns_is_a_wish_beside_our_cron_job() -> None:
    wish = replace(BY_HAND, cron_job_uid="")

    assert theirs(slots=[wish]) == [wish]


def test_a_wish_that_cannot_be_granted_is_told_and_deleted() -> None:
    situation = scheduled(slot=a_slot(None, name="Not.A.Name"))

    *_, deleted = decided(situation).when_idle

    assert isinstance(deleted, DeleteSlot)
    assert deleted.events[0].message == (
        "Batch Job Not.A.Name did not start a Job and was deleted: a Job cannot have this name; "
        "choose at most 63 lower-case letters, digits and `-`."
    )


def test_a_copy_of_a_slots_job_does_not_count_as_its_job() -> None:
    copy = a_scheduled_job("weather-1-again", slot_uid="weather-1-uid")

    assert not slots.made(scheduled(copy), a_slot())


# --- times that others wrote down


FUTURE = datetime(2999, 12, 31, tzinfo=UTC)


def test_a_slot_of_a_time_to_come_is_told_and_goes_and_the_schedule_goes_on() -> None:
    situation = scheduled(slots=[a_slot(), replace(a_slot(name="forged"), time=FUTURE)], caused_jobs=MADE)
    assert situation.pipeline

    real, forged = slots.settled(situation)

    assert (real.slot.name, forged.slot.name, forged.skipped) == ("weather-1", "forged", 0)
    assert forged.events[0].message == (
        "Skipped the run scheduled for 2999-12-31T00:00:00Z: batch Job forged was created before that time; "
        "check the clocks of the control plane."
    )
    assert slots.last_time(situation.pipeline, [real, forged]) == at(600)


@pytest.mark.parametrize("told", [FUTURE, at(601 + 61)])
def test_a_last_time_that_is_to_come_is_not_believed_and_put_right(told: datetime) -> None:
    situation = scheduled(status=PipelineStatus(last_schedule_time=told))

    assert slots.due(situation) == [a_slot()]

    written, *_ = decided(replace(situation, caused_jobs=MADE)).when_idle
    assert isinstance(written, WritePipelineStatus)
    assert written.status.last_schedule_time == at(600)
    assert not written.status.skipped_slots, "nothing is known of earlier times"
    repaired, *_ = decided(replace(situation, slots=[])).when_idle
    assert isinstance(repaired, WritePipelineStatus)
    assert repaired.status.last_schedule_time == at(0)


def test_a_last_time_of_the_next_minute_is_believed() -> None:
    soon = PipelineStatus(last_schedule_time=at(601 + 60))

    assert slots.due(scheduled(status=soon)) == []


@pytest.mark.parametrize("since", [FUTURE, datetime.max.replace(tzinfo=UTC)])
def test_a_slot_whose_schedule_is_to_come_is_dealt_with_like_any(since: datetime) -> None:
    assert slots.due(scheduled(slot=replace(a_slot(), since=since))) != []


MOMENTS = st.one_of(
    st.integers(-7200, 7200).map(at),
    st.datetimes(timezones=st.timezones() | st.just(UTC)),
    st.sampled_from([datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)]),
)


@st.composite
def situations(draw: st.DrawFn) -> Situation:
    """A situation whose times anybody may have written."""
    stored = PipelineStatus(
        last_schedule_time=draw(st.none() | MOMENTS.filter(cron.within_bounds)),
        next_schedule_time=draw(st.none() | MOMENTS.filter(cron.within_bounds)),
        observed_generation=1,
    )
    slots = [
        replace(a_slot(name=f"slot-{number}"), time=draw(st.none() | MOMENTS), since=draw(MOMENTS))
        for number in range(draw(st.integers(0, 2)))
    ]
    pipeline = a_pipeline(
        schedule=draw(st.sampled_from(["*/10 * * * *", "0 * * * *", "0 0 29 2 *"])),
        status=stored,
        startingDeadlineSeconds=draw(st.none() | st.sampled_from([0, 60, 2**31 - 1])),
        suspend=draw(st.booleans()),
    )
    owner = draw(st.sampled_from(["pipeline-uid", ""]))
    cron_job = a_cron_job(owner_uid=owner, left_behind=not owner, since=draw(st.none() | MOMENTS))
    made = {"slot-0-uid": True} if draw(st.booleans()) else {}
    found = draw(st.sampled_from([cron_job, None]))
    return a_situation(pipeline=pipeline, cron_job=found, slots=slots, caused_jobs=made, now=601)


@settings(max_examples=100, deadline=None)
@given(situation=situations())
def test_no_time_does_harm_whoever_wrote_it(situation: Situation) -> None:
    assert situation.pipeline
    wanted = decided(situation)

    assert wanted.look_again is None or wanted.look_again > timedelta()
    last = slots.last_time(slots.believable(situation, situation.pipeline), slots.settled(situation))
    assert last is None or last <= at(661)


# --- times that have passed without a slot


CREATED_LATE = "Kubernetes cannot create the Job scheduled for 2026-01-05T06:20:00Z: exceeded quota: few."


def not_ready(since: float, message: str = CREATED_LATE + schedule.GOES_ON) -> PipelineStatus:
    ready = {"type": "Ready", "status": "False", "reason": "Rejected", "message": message}
    told = Condition.model_validate({**ready, "lastTransitionTime": at(since)})
    return PipelineStatus(last_schedule_time=at(600), conditions=[told])


@pytest.mark.parametrize(
    ("status", "cause"),
    [
        pytest.param(not_ready(1260), f": {CREATED_LATE}", id="the Pipeline has said why since they began to pass"),
        pytest.param(not_ready(1320), f": {CREATED_LATE}", id="within two minutes"),
        pytest.param(not_ready(1321), ".", id="it was not known of the first ones"),
        pytest.param(PipelineStatus(last_schedule_time=at(600)), ".", id="it said nothing"),
        pytest.param(not_ready(1260).model_copy(update={"conditions": None}), ".", id="nothing at all"),
    ],
)
def test_what_passed_is_explained_by_what_was_known(status: PipelineStatus, cause: str) -> None:
    situation = scheduled(slot=a_slot(3600), caused_jobs=MADE, status=status, now=3601)

    (settled,) = slots.settled(situation)

    assert [event.message for event in settled.events] == [
        f"Skipped 4 scheduled times (2026-01-05T06:20:00Z to 2026-01-05T06:50:00Z){cause}"
    ]


def test_a_pipeline_that_was_ready_explains_nothing() -> None:
    told = not_ready(1260).conditions or []
    ready = [condition.model_copy(update={"status": "True"}) for condition in told]
    status = PipelineStatus(last_schedule_time=at(600), conditions=ready)

    (settled,) = slots.settled(scheduled(slot=a_slot(3600), caused_jobs=MADE, status=status, now=3601))

    assert settled.events[0].message.endswith("06:50:00Z).")
