"""Whatever happens to reader, keeper, store and files: a log that is called Kept is what was written, no line twice."""

import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from elt_operator.errors import OperatorError
from unit.logs.chain import Chain, running
from unit.logs.test_chain import Unsteady

HAPPENINGS = (
    ["line"] * 6 + ["burst", "turn", "turn", "wait", "rotate", "reader killed", "spool lost", "keeper killed"]
    + ["store away", "store back", "keeper away", "keeper back", "forgotten"]
)  # fmt: skip


@dataclass
class World:
    """The chain, and what may go wrong in it."""

    chain: Chain
    unsteady: Unsteady
    number: int = 0
    keeper_runs: bool = True

    def line(self) -> None:
        self.number += 1
        self.chain.log.line(b"line %d" % self.number)

    async def turn(self, seconds: float) -> None:
        with suppress(OperatorError):
            await self.chain.turn(seconds)

    async def start_keeper(self) -> None:
        self.unsteady.away = False
        if self.keeper_runs:
            await self.chain.stop_keeper()
        self.keeper_runs = True
        self.chain.start_parts()
        await self.chain.start_keeper()

    async def happen(self, what: str) -> None:
        match what:
            case "line":
                self.line()
            case "burst":
                for _ in range(30):
                    self.line()
            case "turn":
                await self.turn(1)
            case "wait":
                await self.turn(15)
            case "rotate":
                self.chain.log.rotate()
            case "store away" | "store back":
                self.unsteady.away = what == "store away"
            case "forgotten":
                self.chain.parts.keeper.open_logs.forget("6a0d3f0e-0000-4000-8000-000000000001")
            case _:
                await self.break_off(what)

    async def break_off(self, what: str) -> None:
        match what:
            case "reader killed":
                await self.chain.start_reader()
            case "spool lost":
                await self.chain.stop_reader()
                for path in (self.chain.folder / "spool").rglob("*.zst"):
                    path.unlink()
                await self.chain.start_reader()
            case "keeper killed" | "keeper back":
                await self.start_keeper()
            case "keeper away":
                await self.chain.stop_keeper()
                self.keeper_runs = False


@settings(deadline=None, max_examples=60)
@given(st.lists(st.sampled_from(HAPPENINGS), max_size=50))
async def test_a_log_that_is_called_kept_is_what_was_written(what: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        chain = Chain(Path(folder))
        unsteady = Unsteady(chain.store)
        chain.wrapped = lambda _store: unsteady  # type: ignore[assignment,return-value]  # it has all calls of a store
        chain.start_parts()
        async with running(chain):
            world = World(chain, unsteady)
            for one in what:
                await world.happen(one)
            await world.start_keeper()
            chain.end()
            told = await chain.finish()
            _, text = await chain.read()
            lines = [line for line in text.split(b"\n") if line]
            assert told["lines"] == len(lines)
            if told["state"] == "Kept":
                assert text == chain.log.text
            else:
                assert lines == [line for line in chain.log.text.split(b"\n") if line in set(lines)]
