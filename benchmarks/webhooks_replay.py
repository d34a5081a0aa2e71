"""A hundred thousand messages that one request sends again, beside the first delivery of the same.

One organization, one endpoint, one worker with everything on: fan-out and delivery first, then a replay of what the log
has, then one of what a second endpoint, which came later, is missing. Seconds are from the request to the last record.
"""

import asyncio
import os
import statistics
import time
from collections.abc import Awaitable
from typing import NamedTuple

import uvloop

from benchmarks.harness import ROUNDS
from benchmarks.receivers import Answering, Farm, farm
from benchmarks.webhooks import Ground, Happened, ground
from temula.kernel.tenancy import Actor
from temula.operations.running import log_quietly
from temula.outbound.webhooks.jobs import Replayer
from temula.outbound.webhooks.model import Criteria, Progress, ReplayKind
from temula.outbound.webhooks.service import ReplayAsked, Replays, replays

MESSAGES = int(os.environ.get("TEMULA_REPLAYED", "100000"))


class Round(NamedTuple):
    """Seconds of each, and how long a preview took."""

    first: float
    filter: float
    missing: float
    preview: float


def main() -> None:
    """Print seconds and rates."""
    log_quietly()
    with farm([Answering] * 2) as there:
        rounds = [uvloop.run(_round(there)) for _ in range(ROUNDS)]
    middle = Round(*map(statistics.median, zip(*rounds, strict=True)))
    print(f"{MESSAGES:,} messages of 1 KB to one endpoint, median of {len(rounds)}:")
    for name, seconds in (
        ("first delivery", middle.first), ("replayed by filter", middle.filter), ("sent as missing", middle.missing),
    ):  # fmt: skip
        print(
            f"  {name}: {seconds:.1f} s, {MESSAGES / seconds:,.0f}/s, {middle.first / seconds:.2f} of the first's rate"
        )
    print(f"  counted before: {middle.preview:.2f} s")


async def _round(there: Farm) -> Round:
    async with ground(there) as g:
        (actor,) = await g.organizations([there.url(0)], 1, 1)
        await g.tell([actor], MESSAGES)
        acts = Replays(g.database.clock, frozenset({Happened.TYPE}))
        stop = asyncio.Event()
        async with g.working():
            first = await _timed(g.all_delivered(MESSAGES))
            stepping = asyncio.create_task(Replayer(g.database).serve(stop))
            async with g.database.reading(actor) as uow:
                preview = await _timed(acts.preview(uow, ReplayAsked(ReplayKind.FILTER)))
            again = await _timed(_replayed(g, actor, acts, ReplayAsked(ReplayKind.FILTER, rate=None)))
            later = await g.add_endpoint(actor, there.url(1))
            since = Criteria(since=g.database.clock.now().replace(year=2020))
            missing = ReplayAsked(ReplayKind.MISSING, since, later, rate=None)
            missed = await _timed(_replayed(g, actor, acts, missing))
            stop.set()
            await stepping
    return Round(first, again, missed, preview)


async def _timed(work: Awaitable[object]) -> float:
    began = time.perf_counter()
    await work
    return time.perf_counter() - began


async def _replayed(g: Ground, actor: Actor, acts: Replays, asked: ReplayAsked) -> Progress:
    async with g.database.unit(actor) as uow:
        made = await acts.create(uow, asked)
    while True:
        await asyncio.sleep(1)
        async with g.database.reading(actor) as uow:
            shown = await replays.get(uow, made.id)
        if shown.finished_at is not None:
            if shown.delivered != MESSAGES:
                raise RuntimeError(f"{shown.delivered} of {MESSAGES} were delivered")
            return shown
