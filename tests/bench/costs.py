"""What it costs, by what the kernel and the API server's audit log know."""

import json
import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

OPERATOR = "operator"
WRITES = {"create", "update", "patch", "delete", "deletecollection"}

_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Process:
    """A process, by what the kernel knows of it."""

    pid: int

    @property
    def cpu_seconds(self) -> float:
        """The time that it has had of a core, its system calls included."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def _status(self, name: str) -> float:
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:")) / 1024

    @property
    def peak_megabytes(self) -> float:
        """The most memory that it has had, MiB."""
        return self._status("VmHWM")

    @property
    def megabytes(self) -> float:
        """The memory that it has now, MiB."""
        return self._status("VmRSS")


def idle_seconds() -> float:
    """Return for how long the machine's cores have had nothing to do since it started, all of them together."""
    fields = Path("/proc/stat").read_text().split("\n", 1)[0].split()
    return (int(fields[4]) + int(fields[5])) / _TICKS


@dataclass
class Audit:
    """What the API server has written down of the operator's requests since this was made."""

    log: Path
    user: str
    _from: int = field(init=False)

    def __post_init__(self) -> None:
        self._from = self.log.stat().st_size

    def writes(self) -> Counter[str]:
        """Return how many writes there were, by verb and kind."""
        found: Counter[str] = Counter()
        with self.log.open() as lines:
            lines.seek(self._from)
            for line in lines:
                if self.user not in line:
                    continue
                event = json.loads(line)
                what = event.get("objectRef", {})
                if event["user"]["username"] == self.user and event["verb"] in WRITES:
                    kind = "/".join(word for word in (what.get("resource"), what.get("subresource")) if word)
                    found[f"{event['verb']} {kind}"] += 1
        return found


@dataclass
class Costs:
    """What it cost: CPU seconds of each process, those in which a core had nothing to do, and MiB."""

    cpu: dict[str, float]
    idle: float
    operator_peak: float
    """0 where no operator ran."""

    @property
    def operator_cpu(self) -> float:
        """What the operator had of it."""
        return self.cpu.get(OPERATOR, 0.0)


class Meter:
    """Reads what processes cost between its start and ``read``."""

    def __init__(self, processes: Mapping[str, Process], operator: Process | None) -> None:
        self._operator = operator
        self._processes = {**processes, **({OPERATOR: operator} if operator else {})}
        self._before = self._cpu()
        self._idle_before = idle_seconds()

    def _cpu(self) -> dict[str, float]:
        return {name: process.cpu_seconds for name, process in self._processes.items()}

    def read(self) -> Costs:
        """Return the costs so far."""
        return Costs(
            cpu={name: seconds - self._before[name] for name, seconds in self._cpu().items()},
            idle=idle_seconds() - self._idle_before,
            operator_peak=self._operator.peak_megabytes if self._operator else 0.0,
        )
