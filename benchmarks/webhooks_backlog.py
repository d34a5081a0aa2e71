"""What it costs to find work as the queue grows: ten thousand, a million, ten million waiting deliveries.

Deliveries wait for a hundred endpoints, half of them due. Each look is what a worker does: take queues, load what is
due of those it holds, with their messages; what was loaded is settled, so that the next look finds the next. Then a
whole worker delivers some of it, with everything on, while the rest waits. Each size has a database of its own, and the
rounds go from one to the next, so that all have their share of whatever else the machine does.
`TEMULA_BACKLOG=10000,1000000` chooses other sizes.
"""

import asyncio
import os
import statistics
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import NamedTuple

import uvloop

from benchmarks.receivers import Answering, Farm, farm
from benchmarks.webhooks import Ground, Happened, ground
from temula.kernel.sql import Statement
from temula.operations.running import collect_rarely, log_quietly
from temula.outbound.webhooks import store
from temula.outbound.webhooks.model import Held, Waiting

SIZES = [int(one) for one in os.environ.get("TEMULA_BACKLOG", "10000,1000000,10000000").split(",")]
ENDPOINTS = 100
LOOKS, EACH, WARM = 20, 2, 3
WARM_UP, DELIVERED, ROUNDS = 2000, 10_000, 5
FILL = Statement("""
INSERT INTO webhook_deliveries (organization_id, id, endpoint_id, message_id, type, lane, next_at, created_at)
SELECT e.organization_id, 'dlv_' || lpad(n::text, 26, '0'), e.id, f.id, f.type, 1,
    now() + make_interval(secs => CASE WHEN n / w.endpoints % 2 = 0 THEN -1 - n % 1000 ELSE 3600 + n % 86400 END), now()
FROM (SELECT organization_id, id, row_number() OVER (ORDER BY id) - 1 AS m FROM webhook_endpoints) AS e
JOIN facts f ON f.organization_id = e.organization_id
CROSS JOIN (SELECT count(*) AS endpoints FROM webhook_endpoints) AS w
JOIN generate_series($1::bigint + 1, $2::bigint) AS n ON n % w.endpoints = e.m
""")


class Cost(NamedTuple):
    """Milliseconds of a look, and of settling what it found; deliveries a second of a whole worker."""

    look_ms: float
    settle_ms: float
    rate: float


class Filled:
    """A database of its own with so many deliveries waiting, and how many have been added."""

    def __init__(self, g: Ground, size: int) -> None:
        self.g = g
        self.size = size
        self._number = 0

    async def more(self, number: int) -> None:
        """Add deliveries, half of them due."""
        await self.g.owner.execute("SET statement_timeout = 0")
        until = self._number + number
        while self._number < until:
            step = min(until, self._number + 1_000_000)
            await self.g.owner.execute(FILL, self._number, step)
            self._number = step


def main() -> None:
    """Print the medians for each size, beside those of the first in the same rounds."""
    log_quietly()
    collect_rarely()  # as a worker does
    with farm([Answering]) as there:
        uvloop.run(_measure(there))


async def _measure(there: Farm) -> None:
    rounds: dict[int, list[Cost]] = {size: [] for size in SIZES}
    async with AsyncExitStack() as stack:
        filled = [await _filled(await stack.enter_async_context(ground(there)), there, size) for size in SIZES]
        for _ in range(ROUNDS):
            for one in filled:
                await one.more(2 * (WARM_UP + 2 * DELIVERED))
                look_ms, settle_ms = await _cost(one.g)
                rounds[one.size].append(Cost(look_ms, settle_ms, await _rate(one.g)))
    for size, costs in rounds.items():
        look_ms, settle_ms, rate = map(statistics.median, zip(*costs, strict=True))
        ratios = [[a / b for a, b in zip(*pair, strict=True)] for pair in zip(costs, rounds[SIZES[0]], strict=True)]
        look, settle, rated = map(statistics.median, zip(*ratios, strict=True))
        print(
            f"{size:>10,} wait: a look {look_ms:.2f} ms ({look:.2f} of the first), "
            f"settling {EACH * ENDPOINTS} {settle_ms:.2f} ms ({settle:.2f}); "
            f"a worker delivers {rate:,.0f}/s ({rated:.2f}): a delivery costs {1 / rated:.2f} times"
        )


async def _filled(g: Ground, there: Farm, size: int) -> Filled:
    actors = await g.organizations([there.url(0)], ENDPOINTS, 1)
    for actor in actors:
        async with g.database.unit(actor) as uow:
            uow.tell(Happened())
    filled = Filled(g, size)
    await filled.more(size)
    await g.owner.execute("VACUUM ANALYZE webhook_deliveries")
    await g.owner.execute("CHECKPOINT")  # what filling has left to write is not what is measured
    return filled


async def _rate(g: Ground) -> float:
    """Deliveries a second of a whole worker."""
    before = await g.delivered()
    async with g.working():
        await g.all_delivered(before + WARM_UP)
        begun, began = await g.delivered(), time.perf_counter()
        await g.all_delivered(begun + DELIVERED)
        return (await g.delivered() - begun) / (time.perf_counter() - began)


async def _cost(g: Ground) -> tuple[float, float]:
    """Milliseconds of a look, and of settling."""
    looks, settles = [], []
    held: list[Held] = []
    for n in range(WARM + LOOKS):
        began = time.perf_counter()
        async with g.database.crossing("a benchmark looks") as uow:
            held += await store.take_queues(uow, g.database.bell.presence, 3600.0, ENDPOINTS)
            found = await store.load(uow, held, {one.endpoint_id: EACH for one in held}, [])
            await store.said(uow, sorted({(one.organization_id, one.message_id) for one in found}))
        looked = time.perf_counter()
        async with g.database.crossing("a benchmark settles") as uow:
            kept = await store.settle(uow, [_settled(one, held) for one in found])
        if len(kept) != EACH * ENDPOINTS:
            raise RuntimeError(f"{len(kept)} of {EACH * ENDPOINTS} were found")
        if n >= WARM:
            looks.append((looked - began) * 1000)
            settles.append((time.perf_counter() - looked) * 1000)
        await asyncio.sleep(0)
    async with g.database.crossing("a benchmark gives back") as uow:
        await store.give_queues_back(uow, held)
    return statistics.median(looks), statistics.median(settles)


def _settled(one: Waiting, held: Sequence[Held]) -> store.Settled:
    fence = next(queue.fence for queue in held if queue.endpoint_id == one.endpoint_id)
    return store.Settled(one.organization_id, one.id, one.endpoint_id, fence, one.attempts, None)
