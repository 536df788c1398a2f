"""When a log is settled, and what is then said to be missing."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from elt_operator.archive.exchange import PodName
from elt_operator.archive.frames import Gap, GapReason
from elt_operator.logs import settling
from elt_operator.logs.jobs import JobFacts, PodFacts, Tried, Watched, job_facts, pod_facts
from elt_operator.logs.open_logs import OpenAttempt
from elt_operator.logs.readers import Readers
from elt_operator.logs.settling import READER_PATIENCE, Heard, Settled
from unit.logs.chain import POD, job, pod

END = datetime(2026, 1, 1, 0, 1, tzinfo=UTC)
SOON, LATER = END + timedelta(seconds=1), END + timedelta(seconds=30)
NOW = END + timedelta(minutes=1)


def facts() -> tuple[JobFacts, PodFacts]:
    found, of_pod = job_facts(job("COMPLETE")), pod_facts(pod(ended=True))
    assert found
    assert of_pod
    return found, of_pod


def settled(attempt: OpenAttempt | None, heard: Heard, now: datetime = NOW) -> Settled | None:
    found, of_pod = facts()
    return settling.settled(found, {POD: attempt} if attempt else {}, [of_pod], {POD: heard}, now)


def reasons(found: Settled | None) -> list[GapReason]:
    assert found
    return [gap.reason for gap in found.gaps]


def test_a_log_that_is_closed_is_settled() -> None:
    assert reasons(settled(OpenAttempt(POD, closed=True), Heard(END))) == []


def test_while_the_reader_has_it_more_may_come() -> None:
    assert settled(OpenAttempt(POD, number=3), Heard(LATER)) is None
    assert settled(None, Heard(LATER)) is None


def test_a_reader_that_was_heard_before_the_end_only_is_waited_for() -> None:
    assert settled(OpenAttempt(POD, number=3), Heard(SOON, has_it=False)) is None


def test_what_a_reader_does_not_have_after_the_end_never_comes() -> None:
    assert reasons(settled(OpenAttempt(POD, number=3), Heard(LATER, has_it=False))) == ["ReaderAway"]
    assert reasons(settled(None, Heard(LATER, has_it=False))) == ["NeverSeen"]


def test_a_node_that_is_silent_is_lost_in_the_end() -> None:
    attempt, heard = OpenAttempt(POD, number=3, lines=5), Heard(SOON)

    assert settled(attempt, heard, SOON + READER_PATIENCE - timedelta(seconds=1)) is None
    assert reasons(settled(attempt, heard, SOON + READER_PATIENCE)) == ["NodeLost"]


def test_a_log_that_was_rotated_at_the_first_look_may_lack_its_beginning() -> None:
    start = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp()) * 1_000_000
    late = OpenAttempt(POD, closed=True, gaps=[Gap(line=0, before=start + 60_000_000, reason="LateStart")])
    soon = OpenAttempt(POD, closed=True, gaps=[Gap(line=0, before=start + 900_000, reason="LateStart")])

    assert reasons(settled(late, Heard(END))) == ["LateStart"]
    assert reasons(settled(soon, Heard(END))) == []  # no kubelet has rotated by then
    set_back = OpenAttempt(POD, closed=True, gaps=[Gap(line=0, before=start - 60_000_000, reason="LateStart")])
    assert reasons(settled(set_back, Heard(END))) == ["LateStart"]


def not_told_of(*pods: PodFacts, heard: Heard, now: datetime = NOW) -> Settled | None:
    """Settle a Job that was collecting, and does not know when its attempt started."""
    found = job_facts(job("ERROR", attempts=[{"number": 1, "pod": "weather-1-abcde"}], log={"state": "Collecting"}))
    assert found
    return settling.settled(found, {}, pods, {POD: heard, "weather-1-abcde": heard}, now)


def test_an_attempt_of_which_nobody_knows_whether_it_started_is_waited_for() -> None:
    assert not_told_of(heard=Heard(END)) is None
    assert reasons(not_told_of(heard=Heard(END), now=END + READER_PATIENCE)) == ["NeverSeen"]


def test_an_attempt_that_the_job_does_not_know_to_have_started_may_be_on_its_way() -> None:
    _, of_pod = facts()

    assert not_told_of(replace(of_pod, started=None), heard=Heard(LATER)) is None
    assert reasons(not_told_of(replace(of_pod, started=END), heard=Heard(LATER, has_it=False))) == ["NeverSeen"]


def test_a_container_that_never_started_has_no_log() -> None:
    found, of_pod = facts()
    tried = [*found.attempts, Tried(2, "weather-1-fghij", None)]
    second = replace(of_pod, uid="second", name="weather-1-fghij", started=None)
    closed, heard = {POD: OpenAttempt(POD, closed=True)}, {POD: Heard(END), "second": Heard(LATER, has_it=False)}

    assert reasons(settling.settled(replace(found, attempts=tried), closed, [of_pod, second], heard, NOW)) == []


def test_a_pod_that_never_was_on_a_node_is_not_waited_for() -> None:
    found, of_pod = facts()
    tried = [*found.attempts, Tried(2, "weather-1-fghij", None)]
    second = replace(of_pod, uid="second", name="weather-1-fghij", started=None, node="")
    closed, heard = {POD: OpenAttempt(POD, closed=True)}, {POD: Heard(END), "second": Heard(END)}

    assert reasons(settling.settled(replace(found, attempts=tried), closed, [of_pod, second], heard, NOW)) == []


def test_the_pod_of_a_job_that_is_deleted_at_once_may_not_have_been_seen_yet() -> None:
    found, _ = facts()
    deleted = replace(found, attempts=(), awaited=False)

    assert settling.settled(deleted, {}, [], {}, SOON) is None
    assert settling.settled(deleted, {}, [], {}, LATER) == Settled([], [])


def test_a_pod_that_is_deleted_by_force_may_write_on() -> None:
    moment = [END]
    watched = Watched(lambda: moment[0])
    watched.take_job(job())
    watched.take_pod(pod())
    watched.take_pod(pod(), deleted=True)
    (known,) = watched.pods.values()

    assert not known.has_ended(SOON)
    assert known.has_ended(END + timedelta(minutes=5))


def test_a_pod_whose_phase_is_final_may_write_on() -> None:
    failed = pod()
    failed["status"]["phase"] = "Failed"
    moment = [END]
    watched = Watched(lambda: moment[0])
    watched.take_pod(failed)
    moment[0] = SOON
    watched.take_pod(failed)
    (known,) = watched.pods.values()

    assert not known.has_ended(SOON)
    assert known.has_ended(END + timedelta(minutes=5))


def test_attempts_of_which_a_status_tells_no_more_come_first() -> None:
    found, of_pod = facts()
    early = replace(of_pod, uid="early", name="weather-1-aaaaa", created=END - timedelta(hours=2))
    told = replace(of_pod, created=END - timedelta(hours=1))
    late = replace(of_pod, uid="late", name="weather-1-zzzzz", created=END)
    job_of_many = replace(found, attempts=[Tried(65, "weather-1-abcde", END)])

    assert [(one.number, one.pod) for one in settling.attempts_of(job_of_many, [late, told, early])] == [
        (64, "weather-1-aaaaa"), (65, "weather-1-abcde"), (66, "weather-1-zzzzz"),
    ]  # fmt: skip


def readers_of_a_job_that_ended(moment: list[datetime]) -> Readers:
    """Return what is known of readers, at the ``moment`` that the list has."""
    watched = Watched(lambda: moment[0])
    watched.take_job(job("COMPLETE"))
    watched.take_pod(pod(ended=True))
    return Readers(watched, lambda: moment[0], since=END)


def test_a_keeper_that_slept_waits_for_all_readers_anew() -> None:
    moment, (found, of_pod) = [END], facts()
    readers = readers_of_a_job_that_ended(moment)
    readers.hear("node-1", {POD: PodName(namespace="team", name="weather-1-abcde")})
    assert readers.heard_of(found)[POD].at == END
    moment[0] = END + timedelta(minutes=11)

    assert readers.heard_of(found)[POD].at == moment[0]
    assert settling.settled(found, {}, [of_pod], readers.heard_of(found), moment[0]) is None


def test_a_keeper_that_is_cut_off_waits_for_an_hour() -> None:
    moment, (found, of_pod) = [END], facts()
    readers = readers_of_a_job_that_ended(moment)
    settled_after = None
    for seconds in range(0, 6000, 10):
        moment[0] = END + timedelta(seconds=seconds)
        if settling.settled(found, {}, [of_pod], readers.heard_of(found), moment[0]):
            settled_after = seconds
            break

    assert settled_after
    assert 3600 + 540 < settled_after <= 3600 + 600
