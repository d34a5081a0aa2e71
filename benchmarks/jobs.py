"""Our job table beside PgQueuer on the same database in the same run; decision 0006 says what came of it.

Enqueuing: one job in the caller's transaction with an insert under row-level security, one transaction after the other,
and eight at a time. Executing: jobs that do nothing, by one worker in this process. PgQueuer's tables have no
organization and no row-level security, which they would need beside them.
"""

import asyncio
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

import asyncpg
from pgqueuer import AsyncpgDriver, AsyncpgPoolDriver, PgQueuer, Queries
from pgqueuer.models import Job as TheirJob
from pgqueuer.types import QueueExecutionMode

from benchmarks.harness import ROUNDS, repeat
from temula.domain.organizations import service as organizations
from temula.domain.organizations.model import Plan
from temula.kernel.database import Database, UnitOfWork
from temula.kernel.ids import TEAM
from temula.kernel.jobs import Job
from temula.kernel.runner import Handler, JobRunner
from temula.kernel.sql import Statement
from temula.kernel.tenancy import Actor, system
from temula.operations import migrations
from temula.operations.embedded import EmbeddedPostgres

ENQUEUED, EXECUTED = 1000, 2000
THEIRS = "pgqueuer, pgqueuer_log, pgqueuer_statistics, pgqueuer_schedules"
# Written with each job, under row-level security: what the caller's transaction is about.
BESIDE = Statement("INSERT INTO teams (organization_id, id, name, created_at) VALUES ($1, $2, $2, $3)")


class Nothing(Job, frozen=True, kw_only=True):
    """A job that does nothing."""

    KIND = "benchmark.nothing"


class Ground(NamedTuple):
    """One database for both."""

    owner_url: str
    database: Database
    actor: Actor


def main() -> None:
    """Print each rate and the ratio of ours to PgQueuer's."""
    asyncio.run(_measure())


async def _measure() -> None:
    with tempfile.TemporaryDirectory(prefix="temula-bench-") as scratch:
        server = EmbeddedPostgres(Path(scratch) / "postgres")
        await server.start()
        try:
            await migrations.apply(server.url())
            await _install_theirs(server.url())
            database = Database(server.url(), size=10)
            await database.open()
            ground = Ground(server.url(), database, await _organization(database))
            await _compare("enqueue, one by one", _enqueuing(ground, _ours, 1), _enqueuing(ground, _theirs, 1))
            await _compare("enqueue, 8 at a time", _enqueuing(ground, _ours, 8), _enqueuing(ground, _theirs, 8))
            await _compare("execute, as we run it", _executing_ours(ground, 32), _executing_theirs(ground, 10))
            await _compare("execute, 100 at a time", _executing_ours(ground, 100), _executing_theirs(ground, 100))
            await database.close()
        finally:
            await server.stop()


async def _compare(name: str, ours: Callable[[], Awaitable[float]], theirs: Callable[[], Awaitable[float]]) -> None:
    rates = [(await ours(), await theirs()) for _ in range(ROUNDS)]
    own, other = (statistics.median(side) for side in zip(*rates, strict=True))
    print(f"{name}: own {own:,.0f}/s, PgQueuer {other:,.0f}/s; ratio {own / other:.2f} (median of {ROUNDS})")


async def _organization(database: Database) -> Actor:
    _, sandbox = await organizations.create_twins(database, name="Bench", plan=Plan.ENTERPRISE, part="bench")
    return system("bench", sandbox.organization_id)


async def _install_theirs(owner_url: str) -> None:
    connection = await asyncpg.connect(owner_url)
    try:
        await Queries(AsyncpgDriver(connection)).install()
        await connection.execute(f"GRANT ALL ON {THEIRS} TO {migrations.APP}")
        await connection.execute(f"GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO {migrations.APP}")
    finally:
        await connection.close()


async def _ours(uow: UnitOfWork) -> None:
    uow.enqueue(Nothing())


async def _theirs(uow: UnitOfWork) -> None:
    # The transaction is the caller's, so its connection is what PgQueuer writes through.
    await Queries(AsyncpgDriver(uow._connection)).enqueue(Nothing.KIND, b"{}")  # noqa: SLF001


def _enqueuing(
    ground: Ground, enqueue: Callable[[UnitOfWork], Awaitable[None]], at_once: int
) -> Callable[[], Awaitable[float]]:
    async def one(_n: int) -> None:
        async with ground.database.unit(ground.actor) as uow:
            await uow.run(BESIDE, uow.organization_id, TEAM.new(uow.now), uow.now)
            await enqueue(uow)

    async def measured() -> float:
        await _clear(ground)
        return (await repeat(one, ENQUEUED, at_once=at_once)).rate

    return measured


def _executing_ours(ground: Ground, at_once: int) -> Callable[[], Awaitable[float]]:
    async def measured() -> float:
        await _clear(ground)
        async with ground.database.unit(ground.actor) as uow:
            for _ in range(EXECUTED):
                uow.enqueue(Nothing())
        stop, ran = asyncio.Event(), 0

        async def nothing(_actor: Actor, _job: Nothing) -> None:
            nonlocal ran
            ran += 1
            if ran == EXECUTED:
                stop.set()

        began = time.perf_counter()
        runner = JobRunner(ground.database, {Nothing.KIND: Handler(Nothing, nothing)}, at_once=at_once)
        await runner.serve(stop, poll=0.01)  # the last look would otherwise wait for news that do not come
        took = time.perf_counter() - began
        await _require_empty(ground, "jobs")
        return EXECUTED / took

    return measured


def _executing_theirs(ground: Ground, batch: int) -> Callable[[], Awaitable[float]]:
    async def measured() -> float:
        await _clear(ground)
        async with asyncpg.create_pool(ground.owner_url, min_size=2, max_size=10) as pool:
            queries = Queries(AsyncpgPoolDriver(pool))
            await queries.enqueue([Nothing.KIND] * EXECUTED, [b"{}"] * EXECUTED, [0] * EXECUTED)
            queue = PgQueuer(AsyncpgPoolDriver(pool))

            @queue.entrypoint(Nothing.KIND)
            async def nothing(_job: TheirJob) -> None:
                return None

            began = time.perf_counter()
            await queue.run(batch_size=batch, mode=QueueExecutionMode.drain, dequeue_timeout=timedelta(seconds=1))
            took = time.perf_counter() - began
        await _require_empty(ground, "pgqueuer")
        return EXECUTED / took

    return measured


async def _clear(ground: Ground) -> None:
    connection = await asyncpg.connect(ground.owner_url)
    try:
        await connection.execute(f"TRUNCATE jobs, {THEIRS}")
    finally:
        await connection.close()


async def _require_empty(ground: Ground, table: str) -> None:
    connection = await asyncpg.connect(ground.owner_url)
    try:
        if left := await connection.fetchval(f"SELECT count(*) FROM {table}"):  # noqa: S608 - a name of ours
            raise RuntimeError(f"{left} jobs were left in {table}: the figure would be of other work")
    finally:
        await connection.close()
