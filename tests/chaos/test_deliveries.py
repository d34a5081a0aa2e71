"""Workers that are killed or stand still with deliveries under way: the receiver's ledger has all of them."""

import asyncio
import os
import random
import secrets
import signal
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from temula.kernel.crypto import new_ring
from temula.kernel.facts import Fact
from temula.outbound.webhooks.jobs import LEASE, PLACES
from tests.harness import house
from tests.harness.ground import found
from tests.harness.house import Running, Tenant, until
from tests.harness.places import open_folder
from tests.harness.postgres import Postgres
from tests.harness.receiver import Receiver
from tests.operations.processes import Program, Programs

ROUNDS = int(os.environ.get("TEMULA_CHAOS_ROUNDS", "8"))
SEED = int(os.environ.get("TEMULA_CHAOS_SEED", "0")) or secrets.randbits(32)
EACH = 150
TAKEN_OVER_WITHIN = 60.0


class Changed(Fact, frozen=True, kw_only=True):
    """What is told in these tests."""

    TYPE = "event.updated"
    n: int


class Site:
    """A Temula whose workers are processes of their own, an endpoint at the receiver, and what was told to it."""

    def __init__(self, temula: Running, tenant: Tenant, programs: Programs, environ: dict[str, str]) -> None:
        self.temula, self.tenant, self._programs, self._environ = temula, tenant, programs, environ

    async def worker(self) -> Program:
        return await self._programs.temula("worker", **self._environ)

    async def tell(self, number: int) -> None:
        async with self.temula.house.database.unit(self.tenant.actor) as uow:
            for n in range(number):
                uow.tell(Changed(n=n))

    async def ids(self) -> set[str]:
        rows = await found(self.temula.owner_url, "SELECT id FROM facts WHERE organization_id = $1", self.tenant.id)
        return {one for (one,) in rows}

    async def waiting(self) -> int:
        ((number,),) = await found(self.temula.owner_url, "SELECT count(*) FROM webhook_deliveries")
        return number


@pytest.fixture
async def site(server: Postgres, hooks: Receiver) -> AsyncIterator[Site]:
    programs = Programs()
    with open_folder() as folder:
        ring = folder / "keys.json"
        ring.write_bytes(new_ring().dump())
        ring.chmod(0o600)
        async with server.database() as url, house.running(url, Path(folder), worker=False, ring=ring) as temula:
            tenant = await temula.tenant(connected=False)
            await tenant.api.post("/webhooks/endpoints", {"url": hooks.url, "types": ["*"]})
            environ = {
                "TEMULA_DATABASE_URL": url, "TEMULA_KEYS_FILE": str(ring), "TEMULA_DATA_DIR": str(folder),
                "TEMULA_LOG_LEVEL": "warning",
            }  # fmt: skip
            try:
                yield Site(temula, tenant, programs, environ)
            finally:
                await programs.end()


async def all_arrived(site: Site, hooks: Receiver, patience: float = TAKEN_OVER_WITHIN) -> Counter[str]:
    """Wait until every message is there and nothing waits; gives how often each came."""

    async def look() -> bool:
        return await site.ids() <= {one.id for one in hooks.arrivals} and not await site.waiting()

    await until(look, patience)
    arrived = Counter(one.id for one in hooks.arrivals)
    assert set(arrived) == await site.ids(), "nothing that was not told"
    return arrived


async def test_killed_workers_lose_nothing(site: Site, hooks: Receiver) -> None:
    """`kill -9` with deliveries under way: each message arrives; again only what the killed had in hand."""
    print(f"TEMULA_CHAOS_SEED={SEED} TEMULA_CHAOS_ROUNDS={ROUNDS} repeat this run")
    chance = random.Random(SEED)
    workers = [await site.worker(), await site.worker()]
    told = 0
    for _ in range(ROUNDS):
        await site.tell(EACH)
        told += EACH
        # Somewhere in the middle of them.
        enough = len(hooks.arrivals) + chance.randint(1, EACH - 1)
        await until(lambda enough=enough: _has(hooks, enough), TAKEN_OVER_WITHIN)
        await workers.pop(chance.randrange(len(workers))).kill()
        workers.append(await site.worker())
    arrived = await all_arrived(site, hooks)
    assert len(arrived) == told
    repeated = sum(arrived.values()) - told
    print(f"{told} messages, {ROUNDS} workers killed, {repeated} arrived again")
    assert repeated <= ROUNDS * PLACES
    logged = await found(site.temula.owner_url, "SELECT count(*), count(DISTINCT delivery_id) FROM webhook_attempts")
    assert logged == [(told, told)], "each delivery ended once"


async def test_a_standing_worker_is_replaced(site: Site, hooks: Receiver) -> None:
    """SIGSTOP, longer than the lease: another takes its queue over, and what it says when it goes on counts no more."""
    first = await site.worker()
    await site.tell(EACH)
    await until(lambda: _has(hooks, EACH // 2), TAKEN_OVER_WITHIN)
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
    print(f"taken over within {took:.1f} s, {sum(arrived.values()) - len(arrived)} arrived again")
    assert took < TAKEN_OVER_WITHIN
    assert took > LEASE / 2, "it stood still longer than a hiccup"
    assert sum(arrived.values()) - len(arrived) <= PLACES
    outcomes: Any = await found(site.temula.owner_url, "SELECT outcome, count(*) FROM webhook_attempts GROUP BY 1")
    assert outcomes == [("delivered", 3 * EACH)]


async def _has(hooks: Receiver, number: int) -> bool:
    return len(hooks.arrivals) >= number
