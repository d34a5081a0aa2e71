"""Without what only hurries: the bell is lost again and again, and every claim holds; the poll finds what is due."""

import asyncio
import random
import statistics

from tests.chaos.site import Site, again, all_arrived
from tests.harness.ground import found
from tests.harness.receiver import Receiver

MESSAGES = 80
LATER_BY = 1.0  # at most, than with it: the poll's interval
IN_HAND = 64
CUT = """
SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
WHERE datname = current_database() AND application_name = 'temula-bell'
"""


async def test_the_bell_is_cut(site: Site, hooks: Receiver, chance: random.Random) -> None:
    """Each bell's connection is ended all the while: nothing is lost, and it takes a poll longer at most."""
    workers = [await site.worker(), await site.worker()]
    with_bell = await _each_took(site, hooks, chance)
    repeated = again(await all_arrived(site, hooks))
    assert repeated == 0
    stop = asyncio.Event()
    cutting = asyncio.create_task(_cut(site, stop))
    without = await _each_took(site, hooks, chance)
    stop.set()
    times = await cutting
    arrived = await all_arrived(site, hooks)
    print(f"median {with_bell:.3f} s with the bell, {without:.3f} s while it was cut {times} times; "
          f"{again(arrived)} arrived again")  # fmt: skip
    assert without <= with_bell + LATER_BY + 0.5
    assert again(arrived) <= times * IN_HAND
    assert all(worker.process.returncode is None for worker in workers)
    assert await site.ended() == [(len(arrived), len(arrived))]


async def _each_took(site: Site, hooks: Receiver, chance: random.Random) -> float:
    """Tell one by one; the median of how long each took from commit to arrival."""
    clock, took = asyncio.get_running_loop().time, []
    for _ in range(MESSAGES // 4):
        number, began = len({one.id for one in hooks.arrivals}), clock()
        await site.tell(4)
        async with asyncio.timeout(30):
            while len({one.id for one in hooks.arrivals}) < number + 4:
                await asyncio.sleep(0.002)
        took.append(clock() - began)
        await asyncio.sleep(chance.uniform(0, 0.05))
    return statistics.median(took)


async def _cut(site: Site, stop: asyncio.Event) -> int:
    times = 0
    while not stop.is_set():
        await found(site.temula.owner_url, CUT)
        times += 1
        await asyncio.sleep(0.3)
    return times
