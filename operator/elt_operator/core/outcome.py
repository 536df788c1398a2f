"""How a run ended. A list of rules, in order; the first that answers decides. A new ending is a new rule."""

from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from signal import Signals
from typing import Final

from elt_operator.core import log, results
from elt_operator.core.findings import Finding, first
from elt_operator.core.model import NOT_STARTED, Ended, Pod, PodLog, Run
from elt_operator.core.words import shortened
from elt_operator.resources.job import MESSAGE_BYTES, MOST_ATTEMPTS, Attempt
from elt_operator.resources.phases import Phase
from elt_operator.resources.reasons import Reason
from elt_operator.resources.result import JobWarning, Result

_SIGKILL: Final = 9
_KILLED_BY: Final = 128
"""A process that a signal ended has this and the signal's number as its exit code."""

_NODE_GIVEN_UP: Final = frozenset({"DeletionByPodGC", "DeletionByTaintManager"})
"""Who deletes the pods of a node that does not answer; where it does answer, their containers' end is known."""


@dataclass(frozen=True)
class Evidence:
    """All that is known of a run that is over."""

    run: Run
    pods: Sequence[Pod]
    """Its attempts, the oldest first; empty when they are gone."""
    log: PodLog | None = None
    """The end of the last attempt's log."""
    recorded: Sequence[Attempt] = ()
    """Attempts that the Job's status tells of; the pods of some may be gone."""
    rows_may_differ: bool = False
    """Whether nobody wants to know where fewer rows were loaded than read."""

    @property
    def last(self) -> Pod | None:
        """The attempt that decides: one that succeeded, else the last.

        One that somebody had begun to end did not succeed in the batch Job controller's count if another followed it.
        """
        succeeded = [pod for pod in self.pods if pod.succeeded and (not pod.interrupted or pod is self.pods[-1])]
        deciding = succeeded or list(self.pods)
        return deciding[-1] if deciding else None

    @property
    def log_text(self) -> str:
        """The end of the log; empty when it is lost."""
        return (self.log and self.log.text) or ""

    @cached_property
    def explanation(self) -> str | None:
        """The line of the log that explains a failure; the kubelet's copy of the log where the log is lost."""
        last = self.last
        return log.explanation(self.log_text or (last.ended.message if last and last.ended else ""))


Rule = Callable[[Evidence], Finding | None]


def exit_code_in_words(code: int) -> str:
    """Return an exit code for people: with the signal's name, where it tells of one."""
    number = code - _KILLED_BY
    named = f" ({Signals(number).name})" if number in set(Signals) else ""
    return f"exit code {code}{named}"


def stopped(evidence: Evidence) -> Finding | None:
    """A person, or a newer Job, stopped it; whatever its process made of that."""
    stop, last = evidence.run.stop, evidence.last
    if not stop or stop.reason not in {Reason.STOPPED, Reason.REPLACED}:
        return None
    if not (last and last.ended):
        never = last and not last.started
        end = ", before the run's own container had started" if never else "; how its process ended is unknown"
        return Finding(stop.reason, f"{stop.message}{end}.")
    message = f"{stop.message}; its process ended with {exit_code_in_words(last.ended.exit_code)}."
    return Finding(stop.reason, message)


def completed(evidence: Evidence) -> Finding | None:
    """A pod succeeded, or the batch Job controller says that one did."""
    last, finish = evidence.last, evidence.run.finish
    if last and last.succeeded and not taken_back(evidence.run, last):
        retries = len({pod.name for pod in evidence.pods} | {attempt.pod for attempt in evidence.recorded}) - 1
        after = f" after {retries} failed {'attempt' if retries == 1 else 'attempts'}" if retries else ""
        return Finding(Reason.COMPLETED, f"The run ended with exit code 0{after}.{of_others(last)}")
    if finish and finish.succeeded:
        gone = "The run succeeded; its pod was deleted before its exit code and log could be read."
        return Finding(Reason.COMPLETED, gone)
    return None


def of_others(pod: Pod) -> str:
    """Return what containers did that others added, for people; empty where there is nothing to tell."""
    if pod.kept_alive_by:
        names = " and ".join(pod.kept_alive_by)
        return f" Container {names}, which is not part of the run, kept running and is being ended."
    failed = [other for other in pod.others if other.exit_code and not other.prepares]
    ends = [f"{other.name} ended with {exit_code_in_words(other.exit_code or 0)}" for other in failed]
    return f" Not part of the run: container {', '.join(ends)}." if ends else ""


def given_up(evidence: Evidence) -> Finding | None:
    """The operator ended it, since its container did not start in time."""
    stop, last = evidence.run.stop, evidence.last
    if not stop:
        return None
    ended = process_end(last) if last else None
    late = f" Its process was then ended, with {exit_code_in_words(ended.exit_code)}." if ended else ""
    return Finding(stop.reason, f"{stop.message}{late}")


def run_deleted(evidence: Evidence) -> Finding | None:
    """Somebody deleted the batch Job under way, and its pods with it."""
    run, last = evidence.run, evidence.last
    if not run.gone or run.finish:
        return None
    end = f"; its process ended with {exit_code_in_words(last.ended.exit_code)}" if last and last.ended else ""
    return Finding(Reason.RUN_DELETED, f"Somebody deleted batch Job {run.name} before it ended{end}.")


def never_started(evidence: Evidence) -> Finding | None:
    """The container runtime could not start the process, so the exit code in the pod (128) is nobody's."""
    last = evidence.last
    if not (last and last.ended and last.ended.reason in NOT_STARTED):
        return None
    message = f"The container could not be started: {last.ended.message.strip()}"
    return Finding(Reason.START_ERROR, message)


def suspended(evidence: Evidence) -> Finding | None:
    """Kueue, or somebody, took the pod away by suspending the run, which makes a new attempt once it is resumed."""
    last = evidence.last
    if not last or not taken_back(evidence.run, last):
        return None
    end = f" with {exit_code_in_words(last.ended.exit_code)}" if last.ended else ""
    return Finding(
        Reason.EVICTED, f"Pod {last.name} was ended{end} because batch Job {evidence.run.name} was suspended."
    )


def out_of_memory(evidence: Evidence) -> Finding | None:
    """The kernel killed the container's main process, or a child of it: the container's reason says so."""
    last = evidence.last
    if not (last and last.ended and last.ended.reason == "OOMKilled"):
        return None
    return Finding(
        Reason.OUT_OF_MEMORY,
        f"Memory ran out: the container exceeded its limit (OOMKilled, exit code {last.ended.exit_code}). "
        "Raise spec.resources.limits.memory of the Pipeline.",
    )


def timed_out(evidence: Evidence) -> Finding | None:
    """The kubelet ended the pod at its deadline (``activeDeadlineSeconds``)."""
    last = evidence.last
    if not (last and last.reason == "DeadlineExceeded") or last.failed_by_itself:
        return None
    return Finding(Reason.TIMED_OUT, "The run took longer than the Pipeline's timeoutSeconds and was ended.")


def node_lost(evidence: Evidence) -> Finding | None:
    """The pod was deleted after its node had been given up: nobody saw its process end."""
    last = evidence.last
    if not (last and last.disruption in _NODE_GIVEN_UP) or last.ended:
        return None
    message = f"Node {last.node} was lost, and pod {last.name} with it; how its process ended is unknown."
    return Finding(Reason.NODE_LOST, message)


def evicted(evidence: Evidence) -> Finding | None:
    """The cluster took the pod away: a drain, a preemption, a node short of memory."""
    last = evidence.last
    if not last or not (last.disruption or last.reason == "Evicted") or last.failed_by_itself:
        return None
    words = ": ".join(word for word in (last.disruption or last.reason, last.message) if word)
    end = f", with {exit_code_in_words(last.ended.exit_code)}" if last.ended else ""
    return Finding(Reason.EVICTED, f"The cluster ended pod {last.name}{end} ({words}).")


def killed_part(evidence: Evidence) -> Finding | None:
    """Meltano lived on and reports that a tap or target was killed by SIGKILL, as the kernel does when memory runs out.

    The kubelet's word for it can be lost in a race, so Meltano's is taken as well.
    """
    killed = [part for part, code in log.failed_parts(evidence.log_text).items() if code == -_SIGKILL]
    last = evidence.last
    if not killed or not (last and last.ended and last.ended.exit_code):
        return None
    return Finding(
        Reason.OUT_OF_MEMORY,
        f"Memory probably ran out: Meltano's {' and '.join(killed)} were killed by SIGKILL "
        f"(exit code {last.ended.exit_code}). Raise spec.resources.limits.memory of the Pipeline.",
    )


def failed(evidence: Evidence) -> Finding | None:
    """The process ended with another exit code than 0."""
    last = evidence.last
    if not (last and last.ended):
        return None
    parts = ", ".join(f"{part} {code}" for part, code in log.failed_parts(evidence.log_text).items())
    of_parts = f" (Meltano's {parts})" if parts else ""
    because = f": {' '.join(evidence.explanation.split())}" if evidence.explanation else "."
    code, others = exit_code_in_words(last.ended.exit_code), of_others(last)
    stop = "." if others and not because.endswith((".", "!", "?")) else ""
    return Finding(Reason.APPLICATION_ERROR, f"The run ended with {code}{of_parts}{because}{stop}{others}")


def not_prepared(evidence: Evidence) -> Finding | None:
    """A container that comes before ours has failed: ours was never started."""
    last = evidence.last
    if not last or last.ended or last.started:
        return None
    failed = last.failed_preparation
    if not failed or failed.exit_code is None:
        return None
    if failed.reason in NOT_STARTED:
        message = f"Init container {failed.name} could not be started: {failed.message.strip()}"
        return Finding(Reason.PREPARATION_FAILED, message)
    if failed.reason == "OOMKilled":
        message = (
            f"Init container {failed.name} ran out of memory (OOMKilled, exit code {failed.exit_code}), so the run's "
            "own container was not started. Raise its resources.limits.memory in spec.initContainers of the Pipeline."
        )
        return Finding(Reason.PREPARATION_FAILED, message)
    said = " ".join((log.explanation(failed.message) or "").split())
    reason = f" ({failed.reason})" if failed.reason not in {"", "Error"} else ""
    message = (
        f"Init container {failed.name} ended with {exit_code_in_words(failed.exit_code)}{reason}, so the run's own "
        f"container was not started{f': {said}' if said else f'. See: kubectl logs {last.name} -c {failed.name}'}"
    )
    return Finding(Reason.PREPARATION_FAILED, message)


def failed_unseen(evidence: Evidence) -> Finding | None:
    """The batch Job controller says that the run failed, and no container is left to say more."""
    last, finish = evidence.last, evidence.run.finish
    if not finish:
        return None
    words = " ".join(word for word in (last.message if last else "", finish.message) if word) or finish.reason
    return Finding(
        Reason.APPLICATION_ERROR,
        f"The run failed and its containers are gone. Kubernetes reports: {words}",
    )


RULES: Sequence[Rule] = (
    stopped,
    completed,
    given_up,
    run_deleted,
    never_started,
    timed_out,
    node_lost,
    evicted,
    suspended,
    out_of_memory,
    killed_part,
    failed,
    not_prepared,
    failed_unseen,
)


@dataclass(frozen=True)
class Outcome:
    """How a run ended, as its Job's status tells it."""

    ending: Finding
    exit_code: int | None
    end_time: datetime | None
    exit_message: str | None
    error_message: str | None
    log_tail: str | None
    attempts: list[Attempt]
    result: Result | None = None
    warnings: list[JobWarning] = field(default_factory=list)
    """Only of a run that completed."""


def process_end(pod: Pod) -> Ended | None:
    """Return how the process of ``pod`` ended; ``None`` when none did, or none had started."""
    return None if pod.ended and pod.ended.reason in NOT_STARTED else pod.ended


def taken_back(run: Run, pod: Pod) -> bool:
    """Return whether ``pod`` was ended by a suspension of ``run``, whatever its process made of that.

    The batch Job controller counts such a pod neither as failed nor as succeeded, and has it followed by another one.
    ``run`` starts anew when it is resumed, so a pod made before that, and being ended by then, was ended by a
    suspension. Times are whole seconds: one that is made and deleted in the second of the start was not.
    """
    before = (
        run.started is not None
        and pod.interrupted_at is not None
        and pod.created < run.started
        and pod.interrupted_at <= run.started
    )
    return pod.interrupted and run.stop is None and (run.suspended or before)


def tried_all(run: Run, pods: Sequence[Pod]) -> bool:
    """Return whether no further attempt will be made: only the batch Job controller's word to that may be to come."""
    codes = [pod.ended.exit_code for pod in pods if pod.ended and pod.failed_by_itself]
    unprepared = sum(pod.phase == "Failed" and pod.failed_preparation is not None for pod in pods)
    return len(codes) + unprepared > run.retries or any(code in run.final_exit_codes for code in codes)


def is_over(run: Run, pods: Sequence[Pod]) -> bool:
    """Return whether ``run`` is over: nothing of it is at work, and nothing of it will be.

    A pod that succeeded says so at once, unless somebody had begun to end it; after that, and after one that failed,
    only the batch Job controller knows of further attempts, unless there will be none: the run was told to stop, is
    gone, or has none to make and our container has failed in a pod that others keep alive.
    """
    if run.finish or any(pod.succeeded and not pod.interrupted for pod in pods):
        return True
    if tried_all(run, pods) and any(pod.others and pod.failed_by_itself for pod in pods):
        return True
    no_more_pods = run.gone or (run.stop is not None and run.no_more_pods)
    return no_more_pods and not any(pod.alive for pod in pods)


def is_proven_over(run: Run, pods: Sequence[Pod]) -> bool:
    """Return whether somebody has said that ``run`` is over, so that this does not rest on pods that nobody knows."""
    return run.finish is not None or any(pod.phase == "Succeeded" and not pod.interrupted for pod in pods)


def may_go_on(run: Run, pods: Sequence[Pod]) -> bool:
    """Return whether Kubernetes may make a further attempt though the work is done: others fail the pod, or may."""
    if run.finish or run.gone or run.retries == 0 or (run.stop and run.no_more_pods):
        return False
    return any(pod.succeeded and (pod.phase == "Failed" or pod.kept_alive_by) for pod in pods)


def attempt_to_end(run: Run, pods: Sequence[Pod], told: AbstractSet[str]) -> Pod | None:
    """Return the pod to be ended so that the next attempt can follow: ours has failed in it, and others go on.

    ``told`` are the UIDs of those that were told to end already.
    """
    if is_over(run, pods) or run.stop or run.gone:
        return None
    return next((pod for pod in pods if pod.kept_alive_by and not pod.deletion_due and pod.uid not in told), None)


def ending_of(evidence: Evidence, rules: Sequence[Rule] = RULES) -> Finding:
    """Return why the run ended as it did; the phase of the reason is the phase that its Job ends in."""
    unknown = "The run is over, and how it ended is unknown. Create a new Job to run it again."
    return first(rules, evidence).finding or Finding(Reason.RESULT_LOST, unknown)


def _copied_log(evidence: Evidence) -> str:
    """Return the kubelet's copy of a lost log's end, or of an init container's; it makes one of each that failed."""
    if evidence.last and not evidence.last.ended and (failed := evidence.last.failed_preparation):
        return failed.message if failed.reason not in NOT_STARTED else ""
    ended = evidence.last.ended if evidence.last else None
    lost = evidence.log is None or evidence.log.text is None
    return ended.message if lost and ended and ended.exit_code and ended.reason not in NOT_STARTED else ""


def _exit_message(evidence: Evidence) -> str | None:
    """Return what the process wrote as its termination message, not the kubelet's copy of the log's end."""
    last = evidence.last
    if not (last and last.ended and last.ended.message) or last.ended.reason in NOT_STARTED:
        return None
    message = log.clean(last.ended.message).strip()
    copied = last.ended.exit_code != 0 and (
        evidence.log is None or evidence.log.text is None or log.clean(evidence.log_text).strip().endswith(message)
    )
    return None if copied or not message else message.encode()[:MESSAGE_BYTES].decode(errors="ignore")


def _attempt(run: Run, pod: Pod, number: int) -> Attempt:
    """Return how one pod ended, judged by itself; only of the last one is it known why it was told to."""
    alone = ending_of(Evidence(run=replace(run, finish=None), pods=[pod]))
    ended = process_end(pod)
    return Attempt(
        number=number,
        pod=pod.name,
        exit_code=ended.exit_code if ended else None,
        reason=alone.reason,
        start_time=ended.start_time if ended else pod.started,
        end_time=ended.end_time if ended else None,
    )


def _later(pods: Sequence[Pod], recorded: Sequence[Attempt]) -> Sequence[Pod]:
    """Return the pods that may have come after what is on record: of many attempts the first are not, for good."""
    on_record = {attempt.pod for attempt in recorded}
    known = [place for place, pod in enumerate(pods) if pod.name in on_record]
    if known:
        return pods[known[-1] + 1 :]
    since = recorded[-1].end_time if recorded else None
    return [pod for pod in pods if since is None or pod.created >= since]


def attempts(run: Run, pods: Sequence[Pod], recorded: Sequence[Attempt]) -> list[Attempt]:
    """Return one entry for each of the run's last attempts; the pods of those on record may be gone."""
    on_record = {attempt.pod for attempt in recorded}
    first = recorded[-1].number + 1 if recorded else 1
    new = [pod for pod in _later(pods, recorded) if pod.name not in on_record]
    undisturbed = replace(run, stop=None, gone=False)
    judged = [_attempt(undisturbed, pod, number) for number, pod in enumerate(new[:-1], start=first)]
    last = [_attempt(run, pod, first + len(judged)) for pod in new[-1:]]
    return [*recorded, *judged, *last][-MOST_ATTEMPTS:]


def past_attempts(run: Run, pods: Sequence[Pod], recorded: Sequence[Attempt]) -> list[Attempt]:
    """Return the attempts of a run that goes on, as far as a newer one has followed them, or has to."""
    followed = [*pods[:-1], *(pod for pod in pods[-1:] if not pod.alive and taken_back(run, pod))]
    return attempts(replace(run, stop=None, gone=False), followed, recorded)


def error_message(ending: Finding, explanation: str | None) -> str | None:
    """Return why a run failed, in the words of who knows: the program's own where it failed, else the operator's."""
    if ending.reason.phase in {Phase.COMPLETE, Phase.STOPPED}:
        return None
    if ending.reason is Reason.APPLICATION_ERROR and explanation:
        return explanation
    return shortened(ending.message)


def outcome_of(evidence: Evidence) -> Outcome:
    """Return how the run that ``evidence`` is about ended. It must be over."""
    ending = ending_of(evidence)
    last = evidence.last
    ended = process_end(last) if last else None
    finish_time = evidence.run.finish.time if evidence.run.finish else None
    tried = attempts(evidence.run, evidence.pods, evidence.recorded)
    completed = ending.reason.phase is Phase.COMPLETE
    return Outcome(
        ending=ending,
        exit_code=ended.exit_code if ended else None,
        end_time=(ended.end_time if ended else None) or finish_time,
        exit_message=_exit_message(evidence),
        error_message=error_message(ending, evidence.explanation),
        log_tail=log.tail(evidence.log_text or _copied_log(evidence)) or None,
        attempts=tried,
        result=results.result_of(evidence.log),
        warnings=(
            results.warnings_of(evidence.log, tried, rows_may_differ=evidence.rows_may_differ) if completed else []
        ),
    )
