"""Schedules: a CronJob keeps the time, each of its slots becomes a Job or is skipped and said so."""

import json
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from functools import partial

import pytest

from e2e.clock import DAILY, day, days_from_the_end, lately, minutes_from_now, now, sleep_until, text
from e2e.world import Body, Namespace, Operator, Refused, batch, ended, kubectl, reason

TIMES = 'echo "at ${ELT_SCHEDULED_TIME-} from ${ELT_INTERVAL_START-} to ${ELT_INTERVAL_END-}"'


def ready(word: str) -> Callable[[Body], bool]:
    """Return whether a Pipeline's condition Ready gives ``word``, of its newest spec."""

    def holds(body: Body) -> bool:
        status = body.get("status", {})
        found = [one["reason"] for one in status.get("conditions", []) if one["type"] == "Ready"]
        return status.get("observedGeneration") == body["metadata"]["generation"] and found == [word]

    return holds


def message(pipeline: Body) -> str:
    """Return the message of a Pipeline's condition Ready."""
    return str(next(one["message"] for one in pipeline["status"]["conditions"] if one["type"] == "Ready"))


def told(namespace: Namespace, pipeline: str = "weather") -> list[str]:
    """Return the messages of the events about skipped slots."""
    return [event["message"] for event in namespace.events(pipeline, "Pipeline") if event["reason"] == "SlotSkipped"]


def wait_until_told(namespace: Namespace, message: str, pipeline: str = "weather") -> None:
    """Wait for the event, which is posted once the slot is gone: told of several, it has the words of the last."""
    namespace.until(lambda: told(namespace, pipeline) == [message])


def wait_for(namespace: Namespace, word: str, name: str = "weather") -> Body:
    return namespace.wait(name, ready(word), 30, "eltpipelines")


# --- the CronJob


def test_a_wrong_schedule_is_told_and_harms_nobody_and_a_fix_heals_it(namespace: Namespace) -> None:
    namespace.pipeline("wrong", schedule="0 6 * * MON#1", timeZone="Europe/London")
    namespace.pipeline("right", schedule="0 6 * * MON", timeZone="Europe/London")

    wrong, right = wait_for(namespace, "InvalidSchedule", "wrong"), wait_for(namespace, "Accepted", "right")

    assert 'spec.schedule "0 6 * * MON#1": day-of-week "MON#1": "#" (n-th weekday) is not supported' in message(wrong)
    assert {one["type"]: one["status"] for one in wrong["status"]["conditions"]} == {
        "Ready": "False",
        "Stalled": "True",
    }
    assert "nextScheduleTime" not in wrong["status"]
    assert right["status"]["nextScheduleTime"]
    assert namespace.run(pipeline="wrong")["status"]["phase"] == "COMPLETE", "Jobs by hand still run"
    namespace.until(lambda: "InvalidSchedule" in [one["reason"] for one in namespace.events("wrong", "Pipeline")])

    namespace.pipeline("wrong", schedule="0 6 1-7 * *", timeZone="Europe/London")

    healed = wait_for(namespace, "Accepted", "wrong")
    assert "Stalled" not in [one["type"] for one in healed["status"]["conditions"]]
    assert healed["status"]["nextScheduleTime"]
    table = kubectl("get", "eltpipelines", "--namespace", namespace.name).splitlines()
    assert [line.split()[:7] for line in table[1:]] == [
        ["right", "True", "0", "6", "*", "*", "MON"],
        ["wrong", "True", "0", "6", "1-7", "*", "*"],
    ]


def test_the_cron_job_is_kept_as_it_has_to_be(namespace: Namespace) -> None:
    namespace.pipeline(schedule=DAILY)
    wait_for(namespace, "Accepted")
    (made,) = namespace.cron_jobs()

    def kept() -> bool:
        found = namespace.cron_job()
        return found is not None and {**found["spec"], "jobTemplate": None} == {**made["spec"], "jobTemplate": None}

    changes: list[Body] = [{"suspend": True}, {"schedule": "* * * * *"}, {"concurrencyPolicy": "Allow"}]
    for change in changes:
        batch().patch_namespaced_cron_job("weather", namespace.name, {"spec": change})
        namespace.until(kept)
    batch().delete_namespaced_cron_job("weather", namespace.name)
    namespace.until(kept)
    assert namespace.jobs() == []

    namespace.pipeline()
    namespace.until(lambda: namespace.cron_jobs() == [])
    assert "nextScheduleTime" not in wait_for(namespace, "Accepted")["status"]


def test_a_strangers_cron_job_is_left_alone(namespace: Namespace) -> None:
    kubectl("create", "cronjob", "weather", "--namespace", namespace.name, "--image=x", f"--schedule={DAILY}")
    before = namespace.cron_jobs()
    namespace.pipeline(schedule="0 6 * * *")

    conflict = wait_for(namespace, "NameConflict")

    assert message(conflict).startswith("CronJob weather already exists and does not belong to the operator. Delete it")
    assert namespace.cron_jobs() == before
    assert namespace.run()["status"]["phase"] == "COMPLETE"

    batch().delete_namespaced_cron_job("weather", namespace.name)
    assert wait_for(namespace, "Accepted")["status"]["nextScheduleTime"]
    (ours,) = namespace.cron_jobs()
    assert ours["metadata"]["ownerReferences"][0]["kind"] == "Pipeline"


def test_a_suspended_schedule_starts_nothing_and_keeps_its_history(namespace: Namespace) -> None:
    namespace.pipeline(schedule=DAILY)
    first = namespace.slot(lately(0))
    namespace.wait(first, ended)

    namespace.pipeline(schedule=DAILY, suspend=True)

    paused = wait_for(namespace, "Suspended")
    namespace.until(lambda: bool((namespace.cron_job() or {}).get("spec", {}).get("suspend")))
    assert "nextScheduleTime" not in paused["status"]
    assert paused["status"]["lastScheduleTime"]
    assert namespace.run("by-hand")["status"]["phase"] == "COMPLETE"
    namespace.slot(lately(1))
    namespace.until(lambda: namespace.slots() == [])
    because = "the schedule is suspended (spec.suspend)"
    wait_until_told(namespace, f"Skipped the run scheduled for {text(lately(1))}: {because}.")

    namespace.pipeline(schedule=DAILY)
    resumed = wait_for(namespace, "Accepted")
    assert resumed["status"]["nextScheduleTime"]
    assert {job["metadata"]["name"] for job in namespace.jobs()} == {first, "by-hand"}


# --- slots


def test_a_slot_becomes_a_job_that_knows_its_interval(namespace: Namespace) -> None:
    namespace.pipeline(script=TIMES, schedule=DAILY)

    name = namespace.slot(lately(0))

    job, moment, before = namespace.wait(name, ended), text(lately(0)), text(day(-1))
    assert (job["status"]["phase"], job["status"]["logTail"]) == ("COMPLETE", f"at {moment} from {before} to {moment}")
    assert job["spec"]["trigger"] == {
        "type": "Schedule",
        "scheduledTime": moment,
        "intervalStart": before,
        "intervalEnd": moment,
    }
    assert job["metadata"]["ownerReferences"][0]["kind"] == "Pipeline"
    namespace.until(lambda: namespace.slots() == [])
    assert namespace.get("weather", "eltpipelines")["status"]["lastScheduleTime"] == moment


def test_kubectl_can_start_it_now(namespace: Namespace) -> None:
    namespace.pipeline(script=TIMES, schedule=DAILY)
    wait_for(namespace, "Accepted")

    kubectl("create", "job", "now", "--from=cronjob/weather", "--namespace", namespace.name)

    job = namespace.wait("now", ended)
    assert job["spec"]["trigger"] == {"type": "Manual"}
    assert job["status"]["logTail"] == "at  from  to "
    namespace.until(lambda: namespace.slots() == [])
    assert [run["metadata"]["name"] for run in namespace.runs()] == ["weather-r1"]


def test_a_job_by_hand_may_name_its_interval(namespace: Namespace) -> None:
    namespace.pipeline(script=TIMES)
    interval = {"intervalStart": "2026-02-01T00:00:00Z", "intervalEnd": "2026-03-01T00:00:00+01:00"}

    job = namespace.run(trigger=interval)

    assert job["status"]["logTail"] == "at  from 2026-02-01T00:00:00Z to 2026-02-28T23:00:00Z"
    with pytest.raises(Refused, match=r"trigger.intervalStart: Invalid value: .*the start before the end"):
        namespace.apply(
            {
                "apiVersion": "elt-operator.io/v1alpha1",
                "kind": "Job",
                "metadata": {"name": "backwards"},
                "spec": {"pipelineName": "weather", "trigger": {**interval, "intervalEnd": "2026-01-01T00:00:00Z"}},
            }
        )


def there(namespace: Namespace, name: str) -> bool:
    return name in {job["metadata"]["name"] for job in namespace.jobs()}


def test_a_wish_to_run_now_becomes_a_job_whatever_tool_makes_it(namespace: Namespace) -> None:
    """Tools copy more or less of the CronJob's template, and make it the controller, a mere owner, or neither."""
    namespace.pipeline(schedule="0 3 * * *")
    namespace.until(lambda: namespace.cron_job() is not None)
    cron_job = namespace.cron_job() or {}
    template = cron_job["spec"]["jobTemplate"]
    owner = {"apiVersion": "batch/v1", "kind": "CronJob", "name": "weather", "uid": cron_job["metadata"]["uid"]}
    manual = {"cronjob.kubernetes.io/instantiate": "manual"}
    wishes: dict[str, Body] = {
        "mere-owner": {**template["metadata"], "ownerReferences": [owner]},
        "blocking-owner": {**template["metadata"], "ownerReferences": [{**owner, "blockOwnerDeletion": True}]},
        "no-owner": {**template["metadata"], "annotations": manual},
        "no-labels": {"annotations": manual, "ownerReferences": [{**owner, "controller": True}]},
    }
    for name, metadata in wishes.items():
        body = {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {**metadata, "name": name},
            "spec": template["spec"],
        }
        kubectl("create", "--namespace", namespace.name, "-f", "-", stdin=json.dumps(body))
    kubectl("create", "job", "by-kubectl", "--namespace", namespace.name, "--from=cronjob/weather")

    for name in (*wishes, "by-kubectl"):
        namespace.until(partial(there, namespace, name))
        assert namespace.wait(name, ended)["status"]["phase"] == "COMPLETE"
    namespace.until(lambda: {body["metadata"]["name"] for body in namespace.batch_jobs()}.isdisjoint(wishes))


def test_a_slow_pipeline_does_not_pile_up(namespace: Namespace) -> None:
    namespace.leftovers_allowed = True
    namespace.pipeline(script="sleep 300", schedule=DAILY, pod={"terminationGracePeriodSeconds": 1})

    first, second, *_ = (at_rest(namespace, lately(number)) for number in range(4))

    assert namespace.get(first)["status"]["phase"] == "RUNNING"
    assert namespace.wait(second, reason("PipelineBusy"))["status"]["phase"] == "QUEUED"
    assert {job["metadata"]["name"] for job in namespace.jobs()} == {first, second}
    pipeline = namespace.wait("weather", lambda body: body["status"].get("skippedSlots") == 2, plural="eltpipelines")
    assert pipeline["status"]["lastScheduleTime"] == text(lately(3))
    because = f"scheduled Job {second} is already queued; at most one may wait (concurrencyPolicy: Queue)"
    wait_until_told(namespace, f"Skipped the run scheduled for {text(lately(3))}: {because}.")


def at_rest(namespace: Namespace, moment: datetime) -> str:
    """Make a slot; return its name when it is dealt with."""
    name = namespace.slot(moment)
    namespace.until(lambda: namespace.slots() == [])
    return name


def test_jobs_of_the_schedule_are_known_by_their_label(namespace: Namespace) -> None:
    """The history limits go by it; test_crashes.py has what they do."""
    namespace.pipeline(schedule=DAILY)
    namespace.run("by-hand")

    job = namespace.wait(namespace.slot(lately(0)), ended)

    assert job["metadata"]["labels"] == {"app.kubernetes.io/managed-by": "elt-operator"}
    assert "labels" not in namespace.get("by-hand")["metadata"]


@pytest.mark.long(1.5)
def test_a_day_counted_from_the_months_end_fires_and_no_other_day_that_the_cron_job_names(namespace: Namespace) -> None:
    if now().hour == 23 and now().minute > 56:
        sleep_until(minutes_from_now(5))
    today, another_day = days_from_the_end(now())
    for name, days in (("today", today), ("another", another_day)):
        namespace.pipeline(name, schedule=f"* * {days} * *")

    namespace.until(lambda: bool(namespace.jobs()), timeout=100)
    namespace.pipeline("today", schedule=f"* * {today} * *", suspend=True)
    (job,) = namespace.jobs()
    fired = datetime.fromisoformat(job["spec"]["trigger"]["scheduledTime"])

    def has_fired() -> bool:
        last = (namespace.cron_job("another") or {}).get("status", {}).get("lastScheduleTime")
        return last is not None and datetime.fromisoformat(last) >= fired

    if another_day.startswith("L"):
        namespace.until(lambda: has_fired() and not namespace.slots(), timeout=60)
    assert job["spec"]["pipelineName"] == "today"
    assert namespace.wait(job["metadata"]["name"], ended)["status"]["phase"] == "COMPLETE"
    status = namespace.get("another", "eltpipelines")["status"]
    assert not status.keys() & {"skippedSlots", "lastScheduleTime"}
    assert datetime.fromisoformat(status["nextScheduleTime"]) > fired
    assert not told(namespace, "another")


# --- minute by minute


def times(namespace: Namespace, pipeline: str) -> dict[str, str]:
    """Return the scheduled times of a Pipeline's Jobs, and their phases."""
    jobs = [job for job in namespace.jobs() if job["spec"]["pipelineName"] == pipeline]
    for job in jobs:
        minute = int(datetime.fromisoformat(job["spec"]["trigger"]["scheduledTime"]).timestamp()) // 60
        assert job["metadata"]["name"] == f"{pipeline}-{minute}"
        start, end = (job["spec"]["trigger"][name] for name in ("intervalStart", "intervalEnd"))
        assert datetime.fromisoformat(end) - datetime.fromisoformat(start) == timedelta(minutes=1)
    return {str(job["spec"]["trigger"]["scheduledTime"]): str(job["status"]["phase"]) for job in jobs}


SPECS: dict[str, Body] = {
    "steady": {},
    "slow": {"script": '[ "$ELT_RUN_NUMBER" != 1 ] || sleep 75'},
    "hasty": {"startingDeadlineSeconds": 15},
    "paused": {},
    "lenient": {"startingDeadlineSeconds": 45},
}


def apply(namespace: Namespace, names: Iterable[str], *, suspend: bool) -> None:
    """Apply Pipelines that fire each minute, and wait until their schedules are in place, or suspended."""
    for name in names:
        namespace.pipeline(name, schedule="* * * * *", suspend=suspend, **SPECS[name])
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda name: wait_for(namespace, "Suspended" if suspend else "Accepted", name), names))


def next_minutes(namespace: Namespace, operator: Operator, count: int, *names: str) -> list[datetime]:
    """Start the operator and the Pipelines of these names; return the next slots, before the first of them has come."""
    operator.start()
    if now().second > 50:
        sleep_until(minutes_from_now(1))
    slots = [minutes_from_now(number + 1) for number in range(count)]
    apply(namespace, names, suspend=False)
    return slots


def all_is_over(namespace: Namespace) -> bool:
    return namespace.slots() == [] and all(ended(job) for job in namespace.jobs())


def completed(slots: list[datetime], *numbers: int) -> dict[str, str]:
    """Return what ``times`` returns of a Pipeline whose slots of these numbers, from 1, were run."""
    return {text(slots[number - 1]): "COMPLETE" for number in numbers}


def is_at_work(job: Body) -> bool:
    return bool(job["status"]["phase"] == "RUNNING")


@pytest.mark.alone
@pytest.mark.long(5)
@pytest.mark.timeout(580)
def test_the_operator_is_away_over_one_slot(namespace: Namespace, operator: Operator) -> None:
    """Four slots pass; two Pipelines are suspended over two of them.

    minute      1        2        3        4
    operator    up       up       |-down-| up
    steady      runs     runs     runs, late runs
    slow        runs for 75 s, the next one waits
    hasty       startingDeadlineSeconds: 15: the slot over which the operator is away is skipped
    paused      runs     |---suspended---| runs
    lenient     the same with startingDeadlineSeconds: 45: when it is resumed, the third slot still runs
    """
    slots = next_minutes(namespace, operator, 4, *SPECS)
    sleep_until(slots[0] + timedelta(seconds=20))
    apply(namespace, ["paused", "lenient"], suspend=True)
    second_of_slow = f"slow-{int(slots[1].timestamp()) // 60}"
    waiting = namespace.wait(second_of_slow, reason("PipelineBusy"), int((slots[1] - now()).total_seconds()) + 13)
    assert waiting["status"]["phase"] == "QUEUED"
    sleep_until(slots[1] + timedelta(seconds=50))
    operator.kill()
    sleep_until(slots[2] + timedelta(seconds=20))
    operator.start()
    sleep_until(slots[2] + timedelta(seconds=30))
    apply(namespace, ["paused", "lenient"], suspend=False)
    sleep_until(slots[3])
    namespace.until(lambda: all(text(slots[3]) in times(namespace, name) for name in SPECS), 20)
    apply(namespace, SPECS, suspend=True)
    namespace.until(lambda: all_is_over(namespace))

    assert {name: times(namespace, name) for name in SPECS} == {
        "steady": completed(slots, 1, 2, 3, 4),
        "slow": completed(slots, 1, 2, 3, 4),
        "hasty": completed(slots, 1, 2, 4),
        "paused": completed(slots, 1, 4),
        "lenient": completed(slots, 1, 3, 4),
    }
    skipped = {name: namespace.get(name, "eltpipelines")["status"].get("skippedSlots", 0) for name in SPECS}
    assert skipped == {**dict.fromkeys(SPECS, 0), "hasty": 1}
    assert any("startingDeadlineSeconds: 15" in words for words in told(namespace, "hasty"))
    assert "Traceback" not in operator.log()


@pytest.mark.alone
@pytest.mark.long(4)
@pytest.mark.timeout(580)
def test_the_operator_is_away_over_two_slots(namespace: Namespace, operator: Operator) -> None:
    """Three slots pass, of which the operator sees the last one late, and the one before never.

    minute      1        2        3
    operator    up  |------down------| up
    steady      runs     skipped  runs, late
    slow        runs for 75 s and ends unseen; then as steady
    hasty       startingDeadlineSeconds: 15: both slots over which the operator is away are skipped
    lenient     startingDeadlineSeconds: 45: as steady
    """
    names = [name for name in SPECS if name != "paused"]
    slots = next_minutes(namespace, operator, 3, *names)
    of_slow = f"slow-{int(slots[0].timestamp()) // 60}"
    namespace.wait(of_slow, is_at_work, int((slots[0] - now()).total_seconds()) + 30)
    sleep_until(slots[0] + timedelta(seconds=30))
    operator.kill()
    sleep_until(slots[2] + timedelta(seconds=20))
    operator.start()
    late = [name for name in names if name != "hasty"]
    namespace.until(lambda: all(text(slots[2]) in times(namespace, name) for name in late), 20)
    apply(namespace, names, suspend=True)
    namespace.until(lambda: all_is_over(namespace))

    assert {name: times(namespace, name) for name in names} == {
        "steady": completed(slots, 1, 3),
        "slow": completed(slots, 1, 3),
        "hasty": completed(slots, 1),
        "lenient": completed(slots, 1, 3),
    }
    skipped = {name: namespace.get(name, "eltpipelines")["status"].get("skippedSlots") for name in late}
    assert skipped == dict.fromkeys(late, 1)
    because = f"a later one ({text(slots[2])}) was already due, and only the latest is run."
    wait_until_told(namespace, f"Skipped the run scheduled for {text(slots[1])}: {because}", "steady")
    assert any("startingDeadlineSeconds: 15" in words for words in told(namespace, "hasty"))
    assert "Traceback" not in operator.log()
