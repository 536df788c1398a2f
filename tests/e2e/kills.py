"""When the operator is killed while Jobs end: the same moments again for the same CRASHES_SEED."""

import json
import os
import random
import re
import time
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from threading import Timer
from types import TracebackType
from typing import Self

from e2e.endings import Ending
from e2e.world import Operator

SEED = os.environ.get("CRASHES_SEED", "0")
EVERYWHERE = os.environ.get("CRASHES") == "all"
QUARTERS = 4
RECORDED = Path(__file__).resolve().parents[1] / "unit" / "recorded"
AWAY = 1.0
"""Seconds until it is started again: a kubelet takes no less."""
UP = 1.0
"""Seconds that an operator takes until it acts."""
SETTLED = 5.0
"""Seconds after which what it has just listed is certainly known to it."""


def to_be_killed(endings: Iterable[Ending]) -> list[Ending]:
    """Return at which endings to kill it: the fleeting ones, and a quarter of the others; with CRASHES=all at each."""
    fleeting = [ending for ending in endings if ending.fleeting]
    lasting = [ending for ending in endings if not ending.fleeting]
    return fleeting + (lasting if EVERYWHERE else lasting[int(SEED) % QUARTERS :: QUARTERS])


def moment_in(ending: Ending) -> float:
    """Return after how many seconds to kill it: at a moment between its start and the end of the Job."""
    return random.Random(f"{SEED} {ending.name}").uniform(0, UP + seconds_of(ending))  # noqa: S311 - no secret


def seconds_of(ending: Ending) -> float:
    """Return how long the ending took when it was recorded, 3 at least."""
    recorded = json.loads((RECORDED / f"{ending.file_name}.json").read_text())
    bodies = [one["body"] for kind in ("runs", "pods") for one in recorded[kind]]
    for body in bodies:
        body["metadata"].pop("deletionTimestamp", None)  # which may be yet to come
    found = re.findall(r"2\d{3}-\d\d-\d\dT\d\d:\d\d:\d\d", str(bodies))
    moments = [datetime.fromisoformat(moment) for moment in found]
    return max(3.0, (max(moments) - min(moments)).total_seconds()) if moments else 3.0


class Outage:
    """The operator is killed after some seconds, and is back a second later."""

    def __init__(self, operator: Operator, moment: float) -> None:
        self.operator, self.moment = operator, moment
        self.begun = self.over = 0.0
        self.timer = Timer(moment, self._take_place)

    def __enter__(self) -> Self:
        self.timer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Return when it is over; after an error it may not have begun."""
        if error:
            self.timer.cancel()
        self.timer.join()
        assert error or self.over, "the operator has not come up again"

    def _take_place(self) -> None:
        self.begun = time.monotonic()
        self.operator.kill()
        time.sleep(AWAY)
        self.operator.start()
        self.operator.wait_for_line(f"watching {self.operator.namespace}")
        self.over = time.monotonic()

    def fell_between(self, begun: float, ended: float) -> bool:
        """Whether it may have kept the operator from seeing what happened in this time."""
        return self.begun < ended and begun < self.over + SETTLED
