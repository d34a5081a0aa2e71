"""PostgreSQL dies with deliveries under way: what was acknowledged is there and arrives, and no process ends."""

import os
import random
import signal
import time
from pathlib import Path

import aiohttp

from temula.operations import migrations
from temula.operations.embedded import EmbeddedPostgres
from tests.chaos.site import Site, again, all_arrived, have_come, site_on
from tests.harness.fleet import ready
from tests.harness.ground import found
from tests.harness.house import until
from tests.harness.places import open_folder
from tests.harness.receiver import Receiver

ROUNDS = int(os.environ.get("TEMULA_CHAOS_ROUNDS", "4"))
EACH = 150
IN_HAND = 64  # of an endpoint, at once
WORKERS = 2
READY_WITHIN = 10.0


async def test_postgresql_is_killed(hooks: Receiver, chance: random.Random) -> None:
    """Postmaster and all of its children at once, and the way an operator does it in need: lost 0, unexpected 0."""
    with open_folder() as folder:
        server = EmbeddedPostgres(folder / "postgres")
        await server.start()
        try:
            await migrations.apply(server.url())
            async with site_on(server.url(), hooks) as site:
                await _rounds(server, folder / "postgres", site, hooks, chance)
        finally:
            await server.stop()


async def _rounds(
    server: EmbeddedPostgres, folder: Path, site: Site, hooks: Receiver, chance: random.Random
) -> None:  # fmt: skip
    others = await present(site)
    workers = [await site.worker() for _ in range(WORKERS)]
    await until(lambda: all_present(site, others + WORKERS))  # who is still starting may end: that is no loss
    acknowledged: set[str] = set()
    slowest = 0.0
    async with aiohttp.ClientSession() as web:
        for number in range(ROUNDS):
            await site.tell(EACH)
            acknowledged |= await site.ids()
            await have_come(hooks, len(hooks.arrivals) + chance.randint(1, EACH - 1))
            for victim in family(folder) if number % 2 else [postmaster(folder)]:
                os.kill(victim, signal.SIGKILL if number % 2 else signal.SIGQUIT)
            await server.wait()
            await server.stop()
            await server.start()
            began = time.monotonic()
            await until(lambda: ready(web, site.temula.base_url))
            slowest = max(slowest, time.monotonic() - began)
    arrived = await all_arrived(site, hooks)
    print(f"{len(arrived)} messages, killed {ROUNDS} times, {again(arrived)} arrived again, ready in {slowest:.1f} s")
    assert acknowledged <= set(arrived)
    assert len(arrived) == ROUNDS * EACH
    assert slowest < READY_WITHIN
    assert all(worker.process.returncode is None for worker in workers)
    assert again(arrived) <= ROUNDS * WORKERS * IN_HAND
    assert await site.ended() == [(len(arrived), len(arrived))], "each delivery ended once"


def postmaster(folder: Path) -> int:
    note = (folder / "data" / "postmaster.pid").read_text()
    return int(note.splitlines()[0])


def family(folder: Path) -> list[int]:
    """The postmaster and its children, which are sessions of their own."""
    first = postmaster(folder)
    children = Path(f"/proc/{first}/task/{first}/children")
    return [first, *map(int, children.read_text().split())]


async def present(site: Site) -> int:
    """How many processes are connected: each holds a lock of its own as long as it is."""
    query = """
        SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database
        WHERE d.datname = current_database() AND l.locktype = 'advisory' AND l.objsubid = 1"""
    ((number,),) = await found(site.temula.owner_url, query)
    return int(number)


async def all_present(site: Site, number: int) -> bool:
    return await present(site) >= number
