"""What may have to be read live before a decision: a cache may make us look, it never proves that something is gone."""

from dataclasses import dataclass


@dataclass(frozen=True)
class LiveRun:
    """Is there a run of this name?"""

    name: str


@dataclass(frozen=True)
class LivePods:
    """Which pods has this run?"""

    run_name: str
    run_uid: str


@dataclass(frozen=True)
class StillThere:
    """Is this pod, whose watch said that it was deleted under way, still there?"""

    pod_name: str
    pod_uid: str


@dataclass(frozen=True)
class LogOf:
    """How does the log of this pod end?"""

    pod_name: str
    pod_uid: str


@dataclass(frozen=True)
class LogToItsEnd:
    """How does the log of this pod, whose process is being ended, go on? The answer is kept for ``LogOf``."""

    pod_name: str
    pod_uid: str


@dataclass(frozen=True)
class WarningsAbout:
    """What did Kubernetes last warn of about this object?"""

    uid: str


@dataclass(frozen=True)
class LiveJob:
    """What does this Job, which is in the cache no more, say of itself?"""

    name: str
    uid: str


@dataclass(frozen=True)
class RunOf:
    """Is there a run of this Job, under whatever name?"""

    job_name: str
    job_uid: str


@dataclass(frozen=True)
class StillWaits:
    """Does this Job, which nothing holds up, still wait to be started?"""

    job_name: str
    job_uid: str


Question = LiveRun | LivePods | StillThere | LogOf | LogToItsEnd | WarningsAbout | LiveJob | RunOf | StillWaits
