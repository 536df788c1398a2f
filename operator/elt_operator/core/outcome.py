"""How a run ended. A list of rules, in order; the first that answers decides. A new ending is a new rule."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from typing import Final

from elt_operator.api.job import MESSAGE_BYTES, MOST_ATTEMPTS, Attempt, Phase
from elt_operator.api.reasons import Reason
from elt_operator.core import log
from elt_operator.core.situation import Pod, PodLog, Run

_SIGKILL: Final = 9


@dataclass(frozen=True)
class Evidence:
    """All that is known of a run that is over."""

    run: Run
    pods: Sequence[Pod]
    """Its attempts, the oldest first; empty when they are gone."""
    log: PodLog | None = None
    """The end of the last attempt's log."""

    @property
    def last(self) -> Pod | None:
        """The attempt that decides: one that succeeded, else the last."""
        succeeded = [pod for pod in self.pods if pod.phase == "Succeeded"]
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


@dataclass(frozen=True)
class Verdict:
    """What a rule says of a run that is over."""

    phase: Phase
    reason: Reason
    message: str
    container_ended: bool = True
    """Whether the exit code is that of a process; a container that never started has none."""


Rule = Callable[[Evidence], Verdict | None]


def _error(reason: Reason, message: str, *, container_ended: bool = True) -> Verdict:
    return Verdict(Phase.ERROR, reason, message, container_ended)


def completed(evidence: Evidence) -> Verdict | None:
    """A pod succeeded, or the batch Job controller says that one did."""
    last, finish = evidence.last, evidence.run.finish
    if last and last.phase == "Succeeded":
        retries = len(evidence.pods) - 1
        after = f" after {retries} failed {'attempt' if retries == 1 else 'attempts'}" if retries else ""
        return Verdict(Phase.COMPLETE, Reason.COMPLETED, f"The run ended with exit code 0{after}.")
    if finish and finish.succeeded:
        gone = "The run succeeded; its pod was deleted before its exit code and log could be read."
        return Verdict(Phase.COMPLETE, Reason.COMPLETED, gone, container_ended=False)
    return None


def never_started(evidence: Evidence) -> Verdict | None:
    """The container runtime could not start the process, so the exit code in the pod (128) is nobody's."""
    last = evidence.last
    if not (last and last.ended and last.ended.reason in {"StartError", "ContainerCannotRun"}):
        return None
    message = f"The container could not be started: {last.ended.message.strip()}"
    return _error(Reason.START_ERROR, message, container_ended=False)


def out_of_memory(evidence: Evidence) -> Verdict | None:
    """The kernel killed the container's main process, or a child of it: the container's reason says so."""
    last = evidence.last
    if not (last and last.ended and last.ended.reason == "OOMKilled"):
        return None
    return _error(
        Reason.OUT_OF_MEMORY,
        f"Memory ran out: the container was over its limit (OOMKilled, exit code {last.ended.exit_code}). "
        "Raise spec.resources.limits.memory of the Pipeline.",
    )


def timed_out(evidence: Evidence) -> Verdict | None:
    """The kubelet ended the pod at its deadline (``activeDeadlineSeconds``)."""
    last = evidence.last
    if not (last and last.reason == "DeadlineExceeded"):
        return None
    return _error(Reason.TIMED_OUT, "The run took longer than timeoutSeconds of the Pipeline allows, and was ended.")


def killed_part(evidence: Evidence) -> Verdict | None:
    """Meltano lived on and reports that a tap or target was killed by SIGKILL, as the kernel does when memory runs out.

    The kubelet's word for it can be lost in a race, so Meltano's is taken as well.
    """
    killed = [part for part, code in log.failed_parts(evidence.log_text).items() if code == -_SIGKILL]
    last = evidence.last
    if not killed or not (last and last.ended and last.ended.exit_code):
        return None
    return _error(
        Reason.OUT_OF_MEMORY,
        f"Memory ran out, most likely: Meltano's {' and '.join(killed)} were killed by SIGKILL "
        f"(exit code {last.ended.exit_code}). Raise spec.resources.limits.memory of the Pipeline.",
    )


def failed(evidence: Evidence) -> Verdict | None:
    """The process ended with another exit code than 0."""
    last = evidence.last
    if not (last and last.ended):
        return None
    parts = ", ".join(f"{part} {code}" for part, code in log.failed_parts(evidence.log_text).items())
    of_parts = f" (Meltano's {parts})" if parts else ""
    because = f": {evidence.explanation}" if evidence.explanation else "."
    return _error(Reason.APPLICATION_ERROR, f"The run ended with exit code {last.ended.exit_code}{of_parts}{because}")


def failed_unseen(evidence: Evidence) -> Verdict | None:
    """The batch Job controller says that the run failed, and no container is left to say more."""
    last, finish = evidence.last, evidence.run.finish
    if not finish:
        return None
    words = " ".join(word for word in (last.message if last else "", finish.message) if word) or finish.reason
    return _error(
        Reason.APPLICATION_ERROR,
        f"The run failed, and no container is left that could say why: {words}",
        container_ended=False,
    )


RULES: Sequence[Rule] = (
    completed,
    never_started,
    out_of_memory,
    timed_out,
    killed_part,
    failed,
    failed_unseen,
)


@dataclass(frozen=True)
class Outcome:
    """How a run ended, as its Job's status tells it."""

    verdict: Verdict
    exit_code: int | None
    end_time: datetime | None
    exit_message: str | None
    error_message: str | None
    log_tail: str | None
    attempts: list[Attempt]


def is_over(run: Run, pods: Sequence[Pod]) -> bool:
    """Return whether ``run`` is over.

    A pod that succeeded says so at once; after one that failed only the batch Job controller knows of retries.
    """
    return run.finish is not None or any(pod.phase == "Succeeded" for pod in pods)


def verdict(evidence: Evidence, rules: Sequence[Rule] = RULES) -> Verdict:
    """Return what the first rule that answers says."""
    for rule in rules:
        if answer := rule(evidence):
            return answer
    return Verdict(
        Phase.UNKNOWN,
        Reason.RESULT_LOST,
        "The run is over and nothing is left that says how it ended. Create a new Job to run it again.",
        container_ended=False,
    )


def _exit_message(evidence: Evidence) -> str | None:
    """Return what the process wrote as its termination message, not the kubelet's copy of the log's end."""
    last = evidence.last
    if not (last and last.ended and last.ended.message) or last.ended.reason in {
        "StartError",
        "ContainerCannotRun",
    }:
        return None
    message = log.clean(last.ended.message).strip()
    copied = last.ended.exit_code != 0 and (
        evidence.log is None or evidence.log.text is None or log.clean(evidence.log_text).strip().endswith(message)
    )
    return None if copied or not message else message.encode()[:MESSAGE_BYTES].decode(errors="ignore")


def attempts(pods: Sequence[Pod], run: Run) -> list[Attempt]:
    """Return one entry for each of the run's last pods, each judged by itself."""
    entries = []
    for number, pod in list(enumerate(pods, start=1))[-MOST_ATTEMPTS:]:
        alone = verdict(Evidence(run=replace(run, finish=None), pods=[pod]))
        ended = pod.ended if alone.container_ended else None
        entries.append(
            Attempt(
                number=number,
                pod=pod.name,
                exit_code=ended.exit_code if ended else None,
                reason=alone.reason,
                start_time=ended.start_time if ended else pod.started,
                end_time=ended.end_time if ended else None,
            )
        )
    return entries


def outcome(evidence: Evidence) -> Outcome:
    """Return how the run that ``evidence`` is about ended. It must be over."""
    decided = verdict(evidence)
    last = evidence.last
    ended = last.ended if last and decided.container_ended else None
    finish_time = evidence.run.finish.time if evidence.run.finish else None
    succeeded = decided.phase is Phase.COMPLETE
    return Outcome(
        verdict=decided,
        exit_code=ended.exit_code if ended else None,
        end_time=(ended.end_time if ended else None) or finish_time,
        exit_message=_exit_message(evidence),
        error_message=None if succeeded else evidence.explanation,
        log_tail=log.tail(evidence.log_text) or None,
        attempts=attempts(evidence.pods, evidence.run),
    )
