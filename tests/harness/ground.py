"""What tests of the kernel stand on: an organization, a fact and a job of the tests' own, and what came of them."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import asyncpg

from temula.domain.organizations import service as organizations
from temula.domain.organizations.model import Plan
from temula.kernel.consumers import ConsumerLoop
from temula.kernel.database import Database, UnitOfWork
from temula.kernel.facts import Fact
from temula.kernel.jobs import Job
from temula.kernel.runner import JobRunner
from temula.kernel.tenancy import Actor, system


class Happened(Fact, frozen=True, kw_only=True):
    """A fact that means nothing but itself."""

    TYPE = "test.happened"
    n: int
    by: str = ""


class Work(Job, frozen=True, kw_only=True):
    """A job that means nothing but itself."""

    KIND = "test.work"
    TRIES = 4
    name: str
    key: str | None = None

    @property
    def dedupe(self) -> str | None:
        return self.key


async def organization(database: Database) -> Actor:
    """The system acting in a new organization."""
    _, sandbox = await organizations.create_twins(database, name="Tenant", plan=Plan.ENTERPRISE, part="test")
    return system("test", sandbox.organization_id)


async def tell(database: Database, actor: Actor, *numbers: int, by: str = "") -> None:
    """One transaction with a fact for each number."""
    async with database.unit(actor) as uow:
        for n in numbers:
            uow.tell(Happened(n=n, by=by))


@asynccontextmanager
async def serving(*loops: ConsumerLoop | JobRunner, poll: float = 0.01) -> AsyncIterator[None]:
    """Loops at work, as in a worker; they end well afterwards."""
    stop = asyncio.Event()
    tasks = [asyncio.create_task(loop.serve(stop, poll=poll)) for loop in loops]
    try:
        yield
    finally:
        stop.set()
        await asyncio.gather(*tasks)


@asynccontextmanager
async def another(owner_url: str, like: Database) -> AsyncIterator[Database]:
    """A way into the same database with connections of its own, as another process has it."""
    database = Database(owner_url, clock=like.clock, size=4)
    await database.open()
    try:
        yield database
    finally:
        await database.close()


async def found(owner_url: str, query: str, *args: object) -> list[tuple]:
    """What the database holds, seen by a superuser, past all walls."""
    connection = await asyncpg.connect(owner_url)
    try:
        return [tuple(row) for row in await connection.fetch(query, *args)]
    finally:
        await connection.close()


async def holds(fact: Callable[[], bool], patience: float = 20.0) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(patience):
        while not fact():
            await asyncio.sleep(0.005)


class RolledBack(Exception):
    """A writer changes its mind."""


@asynccontextmanager
async def held_open(
    database: Database, actor: Actor, work: Callable[[UnitOfWork], Awaitable[object]], *, commit: bool = True
) -> AsyncIterator[None]:
    """A transaction of another task that has done its work and stays open for as long as the block runs."""
    worked, end = asyncio.Event(), asyncio.Event()

    async def hold() -> None:
        with suppress(RolledBack):
            async with database.unit(actor) as uow:
                await work(uow)
                worked.set()
                await end.wait()
                if not commit:
                    raise RolledBack

    task = asyncio.create_task(hold())
    await worked.wait()
    try:
        yield
    finally:
        end.set()
        await task
