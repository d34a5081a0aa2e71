"""Webhooks from the fact log to the receiver and back into the log, with everything on, beside bare clients.

Facts are there when a worker starts; it fans them out, signs, sends and records, until nothing waits. The clock starts
once some are delivered: what is measured is the rate at which it goes on, with connections made and statements
prepared, for the bare clients too. PostgreSQL is durable and on this machine, as is the receiver, in a process of its
own. Beside it, in the same rounds: a bare aiohttp loop and a bare httptools loop that post the same bodies to the same
receiver, without a database.
"""

import asyncio
import re
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

import asyncpg
import uvloop

from benchmarks.harness import ROUNDS, reachable
from benchmarks.receivers import Answering, Farm, farm
from benchmarks.sender import AT_ONCE, Client, bare_aiohttp, bare_httptools
from temula.domain.organizations import service as organizations
from temula.domain.organizations.model import Plan
from temula.kernel.addresses import AddressPolicy
from temula.kernel.consumers import ConsumerLoop
from temula.kernel.crypto import KeyRing, new_ring
from temula.kernel.database import Database
from temula.kernel.facts import Fact
from temula.kernel.http import Http
from temula.kernel.ids import ENDPOINT
from temula.kernel.sql import Statement
from temula.kernel.tenancy import Actor, system
from temula.operations import migrations
from temula.operations.embedded import EmbeddedPostgres
from temula.operations.running import collect_rarely, log_quietly
from temula.operations.wiring import MOST_IDLE
from temula.outbound.webhooks.jobs import Deliverer, fan_out
from temula.outbound.webhooks.model import Message, envelope, new_secret, secret_context

ORGANIZATIONS = 10
MESSAGES, WARM_UP = 50_000, 5_000
STEADY, STEADY_RATE = 2000, 200.0
TOLD = re.compile(rb'"told_at":([0-9.]+)')
POLICY = AddressPolicy(allow_loopback=True)
ADD_ENDPOINT = Statement("""
INSERT INTO webhook_endpoints (organization_id, id, url, description, state, types, event_ids, secret, created_at,
    updated_at) VALUES ($1, $2, $3, '', 'enabled', '{*}', '{}', $4, $5, $5)
""")
SAID = Statement("""
SELECT id, organization_id, type, team_id, event_id, occurred_at, data FROM facts ORDER BY transaction, position
""")


class Happened(Fact, frozen=True, kw_only=True):
    """A fact whose message is a kilobyte."""

    TYPE = "ticket.issued"
    ticket_id: str = "tkt_01kxyzxyzxyzxyzxyzxyzxyzxy"
    text: str = "x" * 740
    told_at: float = 0.0


class Hearing(Answering):
    """Answers, and writes down how long each message has taken, in seconds."""

    def __init__(self, ledger: Path) -> None:
        super().__init__()
        self._ledger = ledger.open("a")

    def data_received(self, data: bytes) -> None:
        now = time.time()
        for told in TOLD.findall(data):
            self._ledger.write(f"{now - float(told)}\n")
        self._ledger.flush()
        super().data_received(data)


class Ground:
    """A database with organizations whose endpoints are at the receivers, and what a worker needs."""

    def __init__(self, owner: asyncpg.Connection, database: Database, ring: KeyRing, http: Http) -> None:
        self.owner = owner
        self.database = database
        self.ring = ring
        self.http = http

    async def organizations(self, there: list[str], number: int, fan: int) -> list[Actor]:
        """Add organizations with so many endpoints each, round and round over the addresses."""
        made = []
        for n in range(number):
            _, sandbox = await organizations.create_twins(self.database, name="B", plan=Plan.PRO, part="benchmark")
            made.append(system("benchmark", sandbox.organization_id))
            for m in range(fan):
                await self.add_endpoint(made[-1], there[(n * fan + m) % len(there)])
        return made

    async def add_endpoint(self, actor: Actor, url: str) -> str:
        """Add an endpoint that hears everything."""
        async with self.database.unit(actor) as uow:
            identifier = ENDPOINT.new(uow.now)
            context = secret_context(actor.organization_id, identifier, "secret")
            sealed = self.ring.seal(new_secret().encode(), context)
            await uow.run(ADD_ENDPOINT, actor.organization_id, identifier, url, sealed, uow.now)
        return identifier

    async def tell(self, actors: list[Actor], number: int) -> None:
        """Write facts, many in one transaction, of one organization after the other, round and round."""
        left = [number // len(actors)] * len(actors)
        while any(left):
            for n, actor in enumerate(actors):
                some = min(left[n], 50)
                left[n] -= some
                async with self.database.unit(actor) as uow:
                    for _ in range(some):
                        uow.tell(Happened(told_at=time.time()))

    @asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        """A worker of webhooks: fan-out and delivery."""
        stop = asyncio.Event()
        deliverer = Deliverer(self.database, self.http, self.ring, POLICY)
        loops = [
            asyncio.create_task(ConsumerLoop(self.database, fan_out()).serve(stop)),
            asyncio.create_task(deliverer.serve(stop)),
        ]
        try:
            yield
        finally:
            stop.set()
            await asyncio.gather(*loops)

    async def bodies(self) -> list[bytes]:
        """What has been said until now, as it is sent."""
        async with self.database.crossing("a benchmark reads what was said") as uow:
            said = await uow.rows(Message, SAID)
        return [envelope(one.id, one.type, one.occurred_at, one.organization_id, one.team_id, one.data) for one in said]

    async def delivered(self) -> int:
        """How many attempts are in the log."""
        return int(await self.owner.fetchval("SELECT coalesce(sum(delivered), 0) FROM webhook_hours"))

    async def all_delivered(self, number: int) -> None:
        """Wait until so many are."""
        async with asyncio.timeout(600):
            while await self.delivered() < number:  # noqa: ASYNC110 - what is waited for happens in the database
                await asyncio.sleep(0.02)


@asynccontextmanager
async def ground(there: Farm) -> AsyncIterator[Ground]:
    """A database of its own."""
    with tempfile.TemporaryDirectory(prefix="temula-bench-") as scratch:
        server = EmbeddedPostgres(reachable(scratch) / "postgres")
        await server.start()
        try:
            await migrations.apply(server.url())
            database = Database(server.url())
            await database.open()
            owner = await asyncpg.connect(server.url())
            try:
                async with Http(tls=there.tls, max_idle=MOST_IDLE) as http:
                    yield Ground(owner, database, new_ring(), http)
            finally:
                await owner.close()
                await database.close()
        finally:
            await server.stop()


class Round(NamedTuple):
    """Deliveries a second, with and without a database."""

    fan_out_1: float
    fan_out_5: float
    aiohttp: float
    httptools: float


def main() -> None:
    """Print rates and ratios, and how long a message takes from commit to arrival."""
    log_quietly()
    collect_rarely()  # as a worker does, and the bare clients get it too
    for tls in (False, True):
        with farm([Answering] * 10, tls=tls) as there:
            rounds = [uvloop.run(_round(there)) for _ in range(ROUNDS)]
        _print("TLS" if tls else "clear", rounds)
    with tempfile.TemporaryDirectory(prefix="temula-bench-") as folder:
        ledger = Path(folder) / "ledger"
        with farm([partial(Hearing, ledger)] * 10) as there:
            uvloop.run(_latency(there))
        heard = [float(line) for line in ledger.read_text().split()][STEADY // 10 :]  # what warmed up does not count
    took = sorted(one * 1000 for one in heard)
    p50, p95, p99 = (took[int(len(took) * share)] for share in (0.5, 0.95, 0.99))
    print(f"commit to arrival at {STEADY_RATE:.0f}/s, {len(took)}: p50 {p50:.1f}, p95 {p95:.1f}, p99 {p99:.1f} ms")


async def _round(there: Farm) -> Round:
    async with ground(there) as g:
        one = await _sustained(g, there, 1)
        bodies = await g.bodies()
        five = await _sustained(g, there, 5)
    return Round(one, five, await _bare(bare_aiohttp, there, bodies), await _bare(bare_httptools, there, bodies))


async def _bare(client: Client, there: Farm, bodies: list[bytes]) -> float:
    """POSTs a second of a client that does nothing else."""
    async with AsyncExitStack() as stack:
        post = await client(there, stack, bodies)

        async def posted(numbers: Iterator[int]) -> None:
            async def some() -> None:
                for n in numbers:
                    await post(n)

            await asyncio.gather(*(some() for _ in range(AT_ONCE)))

        await posted(iter(range(WARM_UP)))
        began = time.perf_counter()
        await posted(iter(range(WARM_UP, len(bodies))))
        return (len(bodies) - WARM_UP) / (time.perf_counter() - began)


async def _sustained(g: Ground, there: Farm, fan: int) -> float:
    """Deliveries a second, from when so many are delivered until nothing waits, by one worker."""
    urls = [there.url(n) for n in range(len(there.ports))]
    actors = await g.organizations(urls, ORGANIZATIONS, fan)
    await g.tell(actors, (WARM_UP + MESSAGES) // fan)
    before = await g.delivered()
    async with g.working():
        await g.all_delivered(before + WARM_UP)
        warm, began = await g.delivered(), time.perf_counter()
        await g.all_delivered(before + WARM_UP + MESSAGES)
        return (before + WARM_UP + MESSAGES - warm) / (time.perf_counter() - began)


async def _latency(there: Farm) -> None:
    async with ground(there) as g:
        actors = await g.organizations([there.url(n) for n in range(len(there.ports))], ORGANIZATIONS, 1)
        async with g.working():
            await _steadily(g, actors, STEADY // 10)
            await _steadily(g, actors, STEADY)
            await g.all_delivered(STEADY + STEADY // 10)


async def _steadily(g: Ground, actors: list[Actor], number: int) -> None:
    """Commit one fact after the other at the steady rate; each carries the time just before its commit."""
    begun = asyncio.get_running_loop().time()
    acts = set()

    async def act(n: int) -> None:
        async with g.database.unit(actors[n % len(actors)]) as uow:
            uow.tell(Happened(told_at=time.time()))

    for n in range(number):
        await asyncio.sleep(max(0.0, begun + n / STEADY_RATE - asyncio.get_running_loop().time()))
        task = asyncio.create_task(act(n))
        acts.add(task)
        task.add_done_callback(acts.discard)
    await asyncio.gather(*acts)


def _print(title: str, rounds: list[Round]) -> None:
    middle = Round(*map(statistics.median, zip(*rounds, strict=True)))
    print(f"{title}, 1 KB, median of {len(rounds)}:")
    print(f"  bare aiohttp {middle.aiohttp:,.0f}/s, bare httptools {middle.httptools:,.0f}/s")
    for name, rate in (("fan-out 1", middle.fan_out_1), ("fan-out 5", middle.fan_out_5)):
        print(
            f"  {name}: {rate:,.0f} deliveries/s, {rate / middle.aiohttp:.2f} of aiohttp, "
            f"{rate / middle.httptools:.2f} of httptools"
        )
