"""Dead endpoints beside living ones: a hundred endpoints, of which some take a request and never answer.

Messages come at a steady rate, round and round over all endpoints. What is told is how long those for the living took
from commit to arrival, beside the same without a dead one in the same rounds, and how fast a burst for the living is
told and delivered, in turns with the same burst where none is dead.
"""

import asyncio
import statistics
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import NamedTuple

import uvloop

from benchmarks.harness import ROUNDS
from benchmarks.receivers import Farm, farm
from benchmarks.webhooks import Ground, Happened, Hearing, ground
from temula.kernel.tenancy import Actor
from temula.operations.running import log_nothing

ENDPOINTS = 100
DEAD = (0, 1, 5, 20, 50)
RATE, SECONDS = 200.0, 20.0
BURST, BURSTS = 10_000, 7
LIVING_PORTS = 10


class Silent(asyncio.Protocol):
    """Takes everything and answers nothing."""

    def data_received(self, data: bytes) -> None:
        return


class Felt(NamedTuple):
    """Milliseconds from commit to arrival at the living."""

    p50_ms: float
    p99_ms: float


def main() -> None:
    """Print what the living feel with so many dead ones beside them, as medians."""
    log_nothing()
    with tempfile.TemporaryDirectory(prefix="temula-bench-") as folder:
        ledger = Path(folder) / "ledger"
        with farm([*[partial(Hearing, ledger)] * LIVING_PORTS, Silent]) as there:
            rounds = [[uvloop.run(_felt(there, ledger, dead)) for dead in DEAD] for _ in range(ROUNDS)]
            bursts = [uvloop.run(_bursts(there, dead)) for dead in DEAD]
    for dead, column, burst in zip(DEAD, zip(*rounds, strict=True), bursts, strict=True):
        one = Felt(*map(statistics.median, zip(*column, strict=True)))
        p99 = statistics.median(felt.p99_ms / none.p99_ms for felt, (none, *_) in zip(column, rounds, strict=True))
        rate = statistics.median(beside for beside, _ in burst)
        ratio = statistics.median(beside / alone for beside, alone in burst)
        print(
            f"{dead:3} dead of {ENDPOINTS}, at {RATE:.0f}/s: p50 {one.p50_ms:.1f} ms, p99 {one.p99_ms:.1f} ms "
            f"({p99:.2f} of none); a burst {rate:,.0f}/s ({ratio:.2f} of none)"
        )


async def _felt(there: Farm, ledger: Path, dead: int) -> Felt:
    async with ground(there) as g:
        living, silent = await _endpoints(g, there, dead)
        async with g.working():
            await _steadily(g, living + silent, RATE * 2)  # connections are made, and the dead have been met
            before = len(_heard(ledger))
            await _steadily(g, living + silent, RATE * SECONDS)
            await asyncio.sleep(0.5)
            took = sorted(_heard(ledger)[before:])
    return Felt(took[len(took) // 2], took[int(len(took) * 0.99)])


async def _bursts(there: Farm, dead: int) -> list[tuple[float, float]]:
    """Deliveries a second of bursts beside dead ones and without any, in turns: each has a database and a worker."""
    async with ground(there) as beside, ground(there) as alone:
        living, silent = await _endpoints(beside, there, dead)
        others, _ = await _endpoints(alone, there, 0)
        async with beside.working(), alone.working():
            await _steadily(beside, living + silent, RATE * 2)
            await _steadily(alone, others, RATE * 2)
            found = []
            for _ in range(BURSTS):
                if silent:
                    await beside.tell(silent, len(silent))  # they are told of something too, and hang meanwhile
                found.append((await _burst(beside, living), await _burst(alone, others[: len(living)])))
    return found


async def _endpoints(g: Ground, there: Farm, dead: int) -> tuple[list[Actor], list[Actor]]:
    """Add a hundred endpoints, each of an organization: those who live, and those who are dead."""
    living = await g.organizations([there.url(n) for n in range(LIVING_PORTS)], ENDPOINTS - dead, 1)
    return living, await g.organizations([there.url(LIVING_PORTS)], dead, 1) if dead else []


async def _burst(g: Ground, living: list[Actor]) -> float:
    """Deliveries a second of a burst, from its first fact to the log of its last attempt."""
    done, began = await g.delivered(), time.perf_counter()
    await g.tell(living, BURST)
    await g.all_delivered(done + BURST // len(living) * len(living))
    return BURST / (time.perf_counter() - began)


def _heard(ledger: Path) -> list[float]:
    """What the living have heard, in milliseconds from commit to arrival."""
    return [float(line) * 1000 for line in ledger.read_text().split()]


async def _steadily(g: Ground, actors: list[Actor], number: float) -> None:
    begun = asyncio.get_running_loop().time()
    for n in range(int(number)):
        await asyncio.sleep(max(0.0, begun + n / RATE - asyncio.get_running_loop().time()))
        async with g.database.unit(actors[n % len(actors)]) as uow:
            uow.tell(Happened(told_at=time.time()))
