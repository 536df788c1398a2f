"""Reading all logs of a node: which there are, how far each is read, and what of it the keeper has."""

import asyncio
import logging
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from elt_operator.archive.exchange import MOST_PODS, Known, PodName
from elt_operator.archive.frames import Frame
from elt_operator.log_reader.files import ContainerFiles
from elt_operator.log_reader.keeper import Away, Keeper, UnknownPod, Unwanted
from elt_operator.log_reader.pod_folders import PodFolders
from elt_operator.log_reader.spool import Spool
from elt_operator.log_reader.tail import Tail

logger = logging.getLogger(__name__)

LOOK_SECONDS: Final = 0.5
SYNC_SECONDS: Final = 1.0
"""How often the keeper is asked while there are logs; a pod's end is learnt by this."""
IDLE_SYNC_SECONDS: Final = 10.0
_FORGET_SECONDS: Final = 600.0
"""How long a pod that the keeper does not know is borne in mind; a foreign pod can have a container of our name."""
_ASK_AGAIN_SECONDS: Final = 300.0
_MOST_REFUSALS: Final = 5
"""How often in a row a log is read anew because the keeper does not take a frame of it."""
_LONGEST_PAUSE: Final = 30.0
_PUSH_SECONDS: Final = 0.5
_SIDE_BY_SIDE: Final = 8
_MOST_WAITING: Final = 8 * 1024 * 1024
"""How many bytes of text are in memory at most before they become frames."""
_TELL_SECONDS: Final = 60.0
"""How often it is said that the keeper is away."""


@dataclass
class Log:
    """The log of one pod, as far as this reader is concerned."""

    pod: PodName
    since: float
    files: ContainerFiles
    tail: Tail | None = None
    """``None``: nobody knows yet where to go on."""
    refusals: int = 0
    """How often in a row the keeper has not taken a frame of it."""
    unknown_since: float | None = None
    """Since when the keeper has answered that it does not know the pod."""
    _told: str = ""

    def look(self, now: float) -> None:
        """Take up its new files; tell once why one cannot be read."""
        try:
            self.files.look(now)
        except OSError as error:  # too many open files, perhaps
            self.files.unreadable = str(error)
        if self.files.unreadable != self._told:
            self._told = self.files.unreadable
            logger.warning(
                "pod %s/%s: part of its log cannot be read: %s", self.pod.namespace, self.pod.name, self._told
            )


@dataclass(frozen=True)
class Waits:
    """When the frames of a pod are next brought, after the keeper did not take them."""

    until: float = float("-inf")
    pause: float = 0.5

    def longer(self, now: float) -> "Waits":
        """Return when it is tried again."""
        pause = min(_LONGEST_PAUSE, 2 * self.pause)
        return Waits(now + pause * random.uniform(0.5, 1.0), pause)  # noqa: S311 - so that not all nodes come at once


@dataclass
class Reader:
    """Reads logs from the kubelet's files into the spool, and brings them from there to the keeper."""

    folders: PodFolders
    spool: Spool
    keeper: Keeper
    patterns: Sequence[Any]
    now: Callable[[], float]
    """A clock's seconds that never go back."""
    logs: dict[str, Log] = field(default_factory=dict)
    """By the pod's UID."""
    finished: dict[str, float] = field(default_factory=dict)
    """Until when the keeper is not asked again of a pod of which it wants nothing; as long as its folder is there."""
    bytes_read: int = 0
    frames_taken: int = 0
    away_since: float | None = None
    """Since when the keeper does not answer."""
    _tell_again_at: float = 0.0
    _looked: bool = False
    _looked_at: float = float("-inf")
    _waits: dict[str, Waits] = field(default_factory=dict)
    """By the pod's UID."""
    _wake: asyncio.Event = field(default_factory=asyncio.Event)
    """Is set when the keeper should be asked at once."""

    # -- files -> spool ------------------------------------------------------------------------------------------------

    async def read(self) -> None:
        """Read what is written, for ever."""
        while True:
            if not await self.step():
                await asyncio.sleep(LOOK_SECONDS)

    async def step(self) -> bool:
        """Read a block of each log; return whether more may be there at once."""
        self._find()
        self._look()
        self._cut_early()
        more = False
        for uid, log in list(self.logs.items()):
            if self.now() - self._looked_at >= LOOK_SECONDS:  # while others are read, files may come and go
                self._look()
            more |= self._read(uid, log)
            await asyncio.sleep(0)  # a block takes some 50 ms
        return more

    def _look(self) -> None:
        """Take up the new files of all logs."""
        self._looked_at = self.now()
        for log in self.logs.values():
            if not (log.tail and log.tail.closed):
                log.look(self._looked_at)

    def _cut_early(self) -> None:
        """Cut what waits for its frame to be full, or for the end of its line, if that is too much of all logs."""
        tails = [(uid, log, log.tail) for uid, log in self.logs.items() if log.tail and not log.tail.closed]
        if sum(tail.cutter.size for _, _, tail in tails) >= _MOST_WAITING:
            self.cut_all()
        if sum(tail.unfinished for _, _, tail in tails) >= _MOST_WAITING:
            largest = sorted(tails, key=lambda one: -one[2].unfinished)
            for uid, log, tail in largest[: 1 + len(largest) // 4]:
                self._put(uid, log, tail.hand_on)

    def _find(self) -> None:
        now = self.now()
        self.folders.look(now)
        self.finished = {uid: until for uid, until in self.finished.items() if uid in self.folders.found}
        for uid, pod in self.folders.found.items():
            if uid not in self.logs and self.finished.get(uid, now) <= now:
                self._take_up(uid, pod, now, new=self._looked and uid not in self.finished)
        if not self._looked:
            for uid, pod in self.spool.pods().items():
                if uid not in self.logs:  # its folder is gone
                    self.logs[uid] = Log(pod, now, self._files(uid, pod))
        self._looked = True

    def _take_up(self, uid: str, pod: PodName, now: float, *, new: bool) -> None:
        """Begin with a pod; ``new``: no reader has read anything of it."""
        log = self.logs[uid] = Log(pod, now, self._files(uid, pod))
        known = self.spool.known(uid) or (Known() if new else None)
        if known and not known.closed:
            log.tail = self._tail(uid, log, known)
        self._wake.set()

    def _tail(self, uid: str, log: Log, known: Known) -> Tail:
        return Tail.of(uid, log.files, log.since, known, self.patterns)

    def _go_on(self, uid: str, log: Log, known: Known) -> None:
        """Read on where ``known`` ends; give up a log of which the keeper knows nonsense."""
        try:
            log.tail = self._tail(uid, log, known)
        except ValueError as error:
            logger.error("the log of pod %s/%s is given up: %s", log.pod.namespace, log.pod.name, error)  # noqa: TRY400
            self._finish(uid, log)

    def _files(self, uid: str, pod: PodName) -> ContainerFiles:
        return ContainerFiles(self.folders.container(uid, pod))

    def _read(self, uid: str, log: Log) -> bool:
        """Read a block of a log; return whether there was one."""
        tail = log.tail
        if tail is None or tail.closed or log.unknown_since is not None:
            return False
        if self.spool.is_full(uid):
            tail.held_back = True
            return False
        before = tail.bytes_read
        self._put(uid, log, lambda: tail.step(self.now()))
        self.bytes_read += tail.bytes_read - before
        return tail.bytes_read > before

    def _put(self, uid: str, log: Log, cut: Callable[[], Iterable[Frame]]) -> None:
        """Put what ``cut`` yields into the spool; what fails with one log is no matter of the others."""
        try:
            for frame in cut():
                self.spool.put(uid, log.pod, frame)
        except OSError as error:
            logger.warning("the spool cannot be written; the log of pod %s waits: %s", uid, error)
            self._ask_anew(uid, log)
        except Exception:
            logger.exception("the log of pod %s/%s is given up: this is a bug", log.pod.namespace, log.pod.name)
            self._finish(uid, log)

    def cut_all(self) -> None:
        """Put all that is read into the spool."""
        for uid, log in list(self.logs.items()):
            if log.tail and not log.tail.closed:
                self._put(uid, log, log.tail.cutter.cut)

    # -- keeper --------------------------------------------------------------------------------------------------------

    async def sync(self) -> None:
        """Ask the keeper what it has, for ever."""
        while True:
            self._wake.clear()
            try:
                await self.sync_once()
            except Away as error:
                self._is_away(error)
            pause = SYNC_SECONDS if self.logs else IDLE_SYNC_SECONDS
            try:
                async with asyncio.timeout(pause):
                    await self._wake.wait()
                await asyncio.sleep(SYNC_SECONDS / 4)
            except TimeoutError:
                pass

    async def sync_once(self) -> None:
        """Ask once; raises ``Away``."""
        asked = dict(list(self.logs.items())[:MOST_PODS])
        known = await self.keeper.sync({uid: log.pod for uid, log in asked.items()})
        self._is_back()
        for uid, log in asked.items():
            if self.logs.get(uid) is log and uid in known:
                self._learn(uid, log, known[uid])

    def _learn(self, uid: str, log: Log, known: Known | None) -> None:
        now = self.now()
        if known is None:
            log.unknown_since = now if log.unknown_since is None else log.unknown_since
            if now - log.unknown_since >= _FORGET_SECONDS:
                self._finish(uid, log, until=now + _ASK_AGAIN_SECONDS)
            return
        log.unknown_since = None
        if known.closed:
            self._finish(uid, log)
        elif log.tail is None:
            spooled = self.spool.known(uid)
            if (uid in self.folders.found or log.files.holds_files) and not (spooled and spooled.closed):
                self._go_on(uid, log, spooled or known)
            elif not spooled:  # nothing more of it will be found here
                self._finish(uid, log)
        if log.tail:
            log.tail.ended, log.tail.followed = known.ended, known.followed

    def _finish(self, uid: str, log: Log, *, until: float = float("inf")) -> None:
        """Let go of a log, of which the keeper wants nothing ``until`` then."""
        log.files.close()
        self.spool.drop(uid)
        self._waits.pop(uid, None)
        del self.logs[uid]
        self.finished[uid] = until

    def _refused(self, uid: str, log: Log) -> None:
        """Forget what waits of a log: the keeper says where to go on; unless it refuses again and again."""
        log.refusals += 1
        if log.refusals > _MOST_REFUSALS:
            logger.error("the log of pod %s/%s is given up: the keeper refuses it", log.pod.namespace, log.pod.name)
            self._finish(uid, log)
            return
        self.spool.drop(uid)
        self._ask_anew(uid, log)
        self._wake.set()

    def _ask_anew(self, uid: str, log: Log) -> None:
        """Read on where the frames end that are stored."""
        log.files.close()
        log.files, log.tail = self._files(uid, log.pod), None

    def _is_away(self, error: Away) -> None:
        now = self.now()
        self.away_since = now if self.away_since is None else self.away_since
        if now >= self._tell_again_at:
            self._tell_again_at = now + _TELL_SECONDS
            logger.warning("%s; logs are spooled meanwhile", error)

    def _is_back(self) -> None:
        if self.away_since is not None:
            logger.info("the keeper answers again, after %.0f s", self.now() - self.away_since)
            self.away_since = None

    # -- spool -> keeper -----------------------------------------------------------------------------------------------

    async def push(self) -> None:
        """Bring what is in the spool to the keeper, for ever."""
        while True:
            await self.spool.filled.wait()
            self.spool.filled.clear()
            while await self.push_all():
                try:
                    async with asyncio.timeout(_PUSH_SECONDS):
                        await self.spool.filled.wait()
                    self.spool.filled.clear()
                except TimeoutError:
                    pass

    async def push_all(self) -> bool:
        """Bring what is in the spool now, but for pods that wait; return whether something is left."""
        turns, now = asyncio.Semaphore(_SIDE_BY_SIDE), self.now()

        async def push(uid: str, waits: Waits) -> None:
            async with turns:
                if await self._push_pod(uid):
                    self._waits.pop(uid, None)
                else:
                    self._waits[uid] = waits.longer(now)

        waiting = {uid: self._waits.get(uid, Waits()) for uid in self.spool.pods()}
        await asyncio.gather(*(push(uid, waits) for uid, waits in waiting.items() if waits.until <= now))
        return bool(self.spool.pods())

    async def _push_pod(self, uid: str) -> bool:
        """Bring the frames of one pod in their order; return whether none is left."""
        while (spooled := self.spool.next(uid)) and (log := self.logs.get(uid)):
            try:
                known = await self.keeper.push(uid, spooled.path.read_bytes())
            except Away as error:
                logger.debug("the log of pod %s waits: %s", uid, error)
                return False
            except UnknownPod:
                return False
            except Unwanted as error:
                logger.warning("pod %s/%s: reading its log anew: %s", log.pod.namespace, log.pod.name, error)
                if self.logs.get(uid) is log:
                    self._refused(uid, log)
                return True
            if self.logs.get(uid) is not log:  # it was let go meanwhile
                return True
            self.spool.taken(uid)
            self.frames_taken += 1
            log.refusals = 0
            if known.closed:
                self._finish(uid, log)
            elif log.tail:
                log.tail.ended, log.tail.followed = known.ended, known.followed
        return True
