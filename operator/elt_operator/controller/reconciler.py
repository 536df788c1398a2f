"""The reconciler: gather, plan, carry out. The same for an event, a retry and a restart."""

import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import Final

from elt_operator.controller.cache import Cache
from elt_operator.controller.carry_out import Executor
from elt_operator.controller.cluster import Cluster
from elt_operator.controller.gather import from_cache, planned, pods_over
from elt_operator.controller.metrics import Metrics
from elt_operator.controller.queue import WorkQueue
from elt_operator.core import faults
from elt_operator.core.actions import DeleteSlot
from elt_operator.core.events import Event
from elt_operator.core.faults import Fault
from elt_operator.core.model import Job, Pipeline, PipelineKey
from elt_operator.core.plan import Plan
from elt_operator.core.situation import Limits, Situation
from elt_operator.errors import FailsOn, NotLeading, Refused, Stale
from elt_operator.kube.troubles import OUTAGES
from elt_operator.resources.reasons import Reason

logger = logging.getLogger(__name__)

_LONGEST_PUT_OFF: Final = timedelta(seconds=60)
"""How long a write that only people wait for is put off while Jobs have work to be done."""

_LONGEST_FOR_SLOTS: Final = timedelta(seconds=15)
"""The same where a slot waits to be deleted: if that came after the schedule's next time, it would cost that one."""


@dataclass(frozen=True)
class Reconciler:
    """Brings one Pipeline at a time to where its plan says."""

    cluster: Cluster
    cache: Cache
    queue: WorkQueue[PipelineKey]
    clock: Callable[[], datetime]
    """The present, an aware UTC time in whole seconds."""
    limits: Limits
    metrics: Metrics = field(default_factory=Metrics)
    leads: Callable[[], bool] = lambda: True
    """Whether it is on us to act."""
    serves: Callable[[str], bool] = lambda _namespace: True
    """Whether all of a namespace can be seen; nothing is decided with half the sight."""
    _put_off: dict[PipelineKey, datetime] = field(default_factory=dict)
    """Since when writes that only people wait for are put off."""

    @cached_property
    def executor(self) -> Executor:
        """What carries out its plans."""
        return Executor(self.cluster, self.cache, self.queue, self.clock, self.metrics)

    async def look_at(self, key: PipelineKey) -> None:
        """Reconcile ``key``; whatever goes wrong is tried again, later and later.

        A standby does nothing: when the Lease becomes ours, every Pipeline is looked at; and so are those of a
        namespace once it can be seen again.
        """
        if not self.leads() or not self.serves(key.namespace):
            return
        with self.metrics.reconcile.time():
            await self._reconcile(key)

    async def _reconcile(self, key: PipelineKey) -> None:
        try:
            wanted = await self._plan(key)
            await self.executor.carry_out(wanted.actions)
            if wanted.actions:
                self.queue.add(key)  # what was done may call for more; then only for what people look at
            else:
                await self._write_for_people(key, wanted)
        except Stale as stale:
            logger.debug("%s: looking again: %s", key, stale)
            self.queue.add_after(key, self.queue.back_off_seconds(key))
        except NotLeading:
            logger.info("%s: left to the replica that holds the Lease now", key)
        except (*OUTAGES, Refused) as error:
            seconds = self.queue.failed(key)
            logger.warning("%s: trying again in %.1f s: %s: %s", key, seconds, type(error).__name__, error)
        except FailsOn as failed:
            await self._remember_fault(key, failed)
        except Exception:
            self.metrics.bugs.inc()
            logger.exception("%s: this is a bug in the operator; trying again", key)
            self.queue.failed(key)
        else:
            self.queue.succeeded(key)
            self.cache.forget_passing_faults(key)
            if wanted.look_again is not None:
                self.queue.add_after(key, wanted.look_again.total_seconds())

    async def _plan(self, key: PipelineKey) -> Plan:
        now = self.clock()
        self.cache.tidy(key, now)
        known, wanted = await planned(self.cluster, from_cache(self.cache, key, now, self.limits))
        self._keep_last_logs(known)
        self.cache.pods_over |= pods_over(known)
        return wanted

    def _keep_last_logs(self, situation: Situation) -> None:
        """Keep the logs of pods that are about to go, for when their run is over."""
        read = {uid: log for uid, log in situation.logs.items() if log.text is not None}
        if read:
            self.cache.last_logs.setdefault(situation.key, {}).update(read)

    async def _write_for_people(self, key: PipelineKey, wanted: Plan) -> None:
        now = self.clock()
        slots_wait = any(isinstance(action, DeleteSlot) for action in wanted.when_idle)
        longest = _LONGEST_FOR_SLOTS if slots_wait else _LONGEST_PUT_OFF
        if wanted.when_idle and not self.queue.is_idle(but=key):
            due = self._put_off.setdefault(key, now) + longest
            if now < due:
                self.queue.put_off(key, (due - now).total_seconds())
                return
        self._put_off.pop(key, None)
        await self.executor.carry_out(wanted.when_idle)

    async def _remember_fault(self, key: PipelineKey, failed: FailsOn) -> None:
        """Count one more failure on an object; the plan then goes by plainer facts, and at last goes on without it."""
        before = self.cache.faults.get(failed.uid, Fault("", failed.generation, times=0))
        fault = before.once_more(str(failed), failed.generation)
        self.cache.faults[failed.uid] = fault
        self.queue.failed(key)
        cause = failed.__cause__
        found = self.cache.jobs.get(failed.uid) or self.cache.pipelines.get(failed.uid)
        what = f"{type(found).__name__} {_name(found)}" if found else "an object that is gone"
        refused = isinstance(cause, Refused)
        if fault.times == 1 and refused:
            logger.error("%s: Kubernetes rejects the status of %s: %s (trying again)", key, what, failed)
        elif fault.times == 1:
            self.metrics.bugs.inc()
            logger.error("%s: this is a bug in the operator: %s", key, failed, exc_info=cause)
        if fault.times == faults.LEFT_OUT_AFTER:
            why = f"Kubernetes rejects its status: {failed}" if refused else str(failed)
            message = (
                f"The operator has set {what} aside: {why}. "
                "It tries again in a few minutes, or when the object changes. All other objects are unaffected."
            )
            logger.error("%s: %s", key, message)
            if found:
                with suppress(NotLeading):  # who leads now finds out by itself
                    await self.executor.tell(found, [Event("Warning", Reason.OPERATOR_ERROR, message)])


def _name(found: Job | Pipeline) -> str:
    return found.name if isinstance(found, Job) else found.key.pipeline
