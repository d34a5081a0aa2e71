"""Workers that are killed or stand still with deliveries under way: the receiver's ledger has all of them."""

import asyncio
import os
import random
import signal
from typing import Any

from temula.outbound.webhooks.jobs import LEASE, PLACES
from tests.chaos.site import TAKEN_OVER_WITHIN, Site, again, all_arrived, have_come
from tests.harness.ground import found
from tests.harness.receiver import Receiver

ROUNDS = int(os.environ.get("TEMULA_CHAOS_ROUNDS", "8"))
EACH = 150


async def test_killed_workers_lose_nothing(site: Site, hooks: Receiver, chance: random.Random) -> None:
    """`kill -9` with deliveries under way: each message arrives; again only what the killed had in hand."""
    workers = [await site.worker(), await site.worker()]
    told = 0
    for _ in range(ROUNDS):
        await site.tell(EACH)
        told += EACH
        # Somewhere in the middle of them.
        await have_come(hooks, len(hooks.arrivals) + chance.randint(1, EACH - 1))
        await workers.pop(chance.randrange(len(workers))).kill()
        workers.append(await site.worker())
    arrived = await all_arrived(site, hooks)
    assert len(arrived) == told
    repeated = again(arrived)
    print(f"{told} messages, {ROUNDS} workers killed, {repeated} arrived again")
    assert repeated <= ROUNDS * PLACES
    logged = await found(site.temula.owner_url, "SELECT count(*), count(DISTINCT delivery_id) FROM webhook_attempts")
    assert logged == [(told, told)], "each delivery ended once"


async def test_a_standing_worker_is_replaced(site: Site, hooks: Receiver) -> None:
    """SIGSTOP, longer than the lease: another takes its queue over, and what it says when it goes on counts no more."""
    first = await site.worker()
    await site.tell(EACH)
    await have_come(hooks, EACH // 2)
    first.process.send_signal(signal.SIGSTOP)
    began = asyncio.get_running_loop().time()
    second = await site.worker()
    try:
        await site.tell(EACH)
        arrived = await all_arrived(site, hooks)
        took = asyncio.get_running_loop().time() - began
        first.process.send_signal(signal.SIGCONT)
        await site.tell(EACH)
        arrived = await all_arrived(site, hooks)
    finally:
        first.process.send_signal(signal.SIGCONT)
        await second.kill()
    print(f"taken over within {took:.1f} s, {again(arrived)} arrived again")
    assert took < TAKEN_OVER_WITHIN
    assert took > LEASE / 2, "it stood still longer than a hiccup"
    assert again(arrived) <= PLACES
    outcomes: Any = await found(site.temula.owner_url, "SELECT outcome, count(*) FROM webhook_attempts GROUP BY 1")
    assert outcomes == [("delivered", 3 * EACH)]
