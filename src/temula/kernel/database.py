"""The only way to PostgreSQL and the only commit: a unit of work is one transaction for one organization.

Row-level security is the second wall: each unit sets `temula.organization` for its transaction only. Crossing
organizations is a named act with a reason (`Database.crossing`), done under the role `temula_crossing`.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar

import asyncpg
import msgspec
import structlog

from temula.kernel import audit, facts, jobs
from temula.kernel.bell import Bell
from temula.kernel.clock import Clock, SharedClock
from temula.kernel.durability import require_durable, require_tables
from temula.kernel.errors import Conflict, DatabaseAway, Unavailable
from temula.kernel.ids import ORGANIZATION, OrganizationId
from temula.kernel.sql import Statement
from temula.kernel.tenancy import Actor, ActorKind
from temula.kernel.waiting import open_unit

T = TypeVar("T")
S = TypeVar("S", bound=msgspec.Struct)
Work = Callable[["UnitOfWork"], Awaitable[T]]

log = structlog.get_logger()

RETRIES = 6
# What the driver raises when a connection is gone; InternalClientError when it finds out in the middle of a statement.
GONE = (
    asyncpg.InternalClientError, asyncpg.PostgresConnectionError, asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError, asyncpg.CannotConnectNowError, asyncpg.IdleInTransactionSessionTimeoutError,
)  # fmt: skip
SESSION = {
    "application_name": "temula",
    "timezone": "UTC",
    "statement_timeout": "15s",
    "lock_timeout": "10s",
    "idle_in_transaction_session_timeout": "15s",
}


class UnitOfWork:
    """One open transaction. Facts, audit entries and jobs told here are written with it, or not at all."""

    def __init__(self, connection: "asyncpg.pool.PoolConnectionProxy", actor: Actor, clock: Clock) -> None:
        self._connection = connection
        self._facts: list[facts.Told] = []
        self._audit: list[audit.Entry] = []
        self._jobs: list[jobs.Wanted] = []
        self._topics: set[str] = set()
        self.actor = actor
        self.organization_id: OrganizationId = actor.organization_id
        self.now = clock.now()

    async def rows(self, into: type[S], statement: Statement, *args: object) -> list[S]:
        """Fetch all rows, each decoded into `into` by position: the statement names its columns in field order."""
        return [into(*record) for record in await self._connection.fetch(statement, *args)]

    async def row(self, into: type[S], statement: Statement, *args: object) -> S | None:
        """Fetch the first row, or None."""
        record = await self._connection.fetchrow(statement, *args)
        return None if record is None else into(*record)

    async def value(self, statement: Statement, *args: object) -> Any:
        """Fetch the first column of the first row, or None."""
        return await self._connection.fetchval(statement, *args)

    async def run(self, statement: Statement, *args: object) -> int:
        """Execute and give the number of rows touched."""
        status: str = await self._connection.execute(statement, *args)
        tail = status.rpartition(" ")[2]
        return int(tail) if tail.isdigit() else 0

    async def many(self, statement: Statement, rows: list[tuple[object, ...]]) -> None:
        """Execute once for each tuple of arguments, in one round trip."""
        if rows:
            await self._connection.executemany(statement, rows)

    def tell(self, fact: facts.Fact, *, event_id: str | None = None, about: tuple[str, ...] = ()) -> None:
        """Append a fact with this transaction; one about an event carries the event's team.

        `about` are ids of objects under which it is found too, beside those that it says itself.
        """
        self._facts.append(facts.Told(fact, self.organization_id, event_id, about))

    def audit(self, action: str, target: str, changes: object = None) -> None:
        """Record who did what to which object; `changes` must hold no secret."""
        self._audit.append(audit.Entry(action, target, changes))

    def enqueue(self, job: jobs.Job, *, delay: float = 0.0) -> None:
        """Enqueue background work with this transaction, due in `delay` seconds."""
        self._jobs.append(jobs.Wanted(job, self.organization_id, delay))

    def ring(self, topic: str) -> None:
        """Wake those who wait for `topic` once this transaction is committed."""
        self._topics.add(topic)

    async def flush(self) -> set[str]:
        """Write what was told and give the topics to ring after the commit."""
        topics = self._topics
        if self._jobs:
            await self.run(jobs.ENQUEUE, *jobs.arguments(self._jobs, self.now))
            topics.add(jobs.TOPIC)
        # Last, because the audit chain locks its head until the commit.
        if self._facts or self._audit:
            await self.run(
                facts.RECORD,
                *facts.arguments(self._facts, self.now),
                *audit.arguments(self._audit, self.actor, self.now),
            )
            if self._facts:
                topics.add(facts.TOPIC)
        return topics


class Database:
    """A pool of connections under the application's role."""

    def __init__(self, dsn: str, *, clock: Clock | None = None, size: int = 10) -> None:
        self._dsn = dsn
        self._size = size
        self._pool: asyncpg.Pool | None = None
        self.clock: Clock = clock or SharedClock()
        self.bell = Bell(dsn, self.clock)

    async def open(self) -> None:
        """Connect; the pool fills as it is used. Raises `Misconfigured` for a server that cannot be relied on."""
        try:
            self._pool = await asyncpg.create_pool(
                self._dsn,
                min_size=1,
                max_size=self._size,
                init=_prepare_connection,
                reset=_keep_connection,
                server_settings={**SESSION, "role": "temula_app"},
                command_timeout=30,
                max_inactive_connection_lifetime=120,
            )
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, ValueError) as error:
            raise Unavailable(f"The database does not let us in ({error}): look at TEMULA_DATABASE_URL.") from None
        try:
            async with self._pool.acquire() as connection:
                await require_durable(connection)
                await require_tables(connection)
        except BaseException:
            await self.close()
            raise
        await self.bell.open()

    async def close(self) -> None:
        """Give all connections back to PostgreSQL."""
        await self.bell.close()
        if self._pool is not None:
            await asyncio.wait_for(self._pool.close(), 10)
            self._pool = None

    async def run(self, actor: Actor, work: Work[T]) -> T:
        """Run `work` in one transaction, again from the start after a serialization failure or deadlock."""
        for attempt in range(RETRIES):
            try:
                async with self.unit(actor) as uow:
                    return await work(uow)
            except (asyncpg.SerializationError, asyncpg.DeadlockDetectedError):
                if attempt == RETRIES - 1:
                    raise Conflict("Too many writers at the same time; repeat the request.") from None
                await self.clock.sleep(random.uniform(0, 0.01 * 2**attempt))  # noqa: S311 - jitter
        raise AssertionError("unreachable")

    @asynccontextmanager
    async def unit(self, actor: Actor) -> AsyncIterator[UnitOfWork]:
        """Open a transaction that sees the actor's organization only; it commits when the block ends well."""
        organization = ORGANIZATION.parse(actor.organization_id)
        begin = f"BEGIN; SELECT set_config('temula.organization', '{organization}', true)"
        async with self._transaction(begin, actor) as uow:
            yield uow

    @asynccontextmanager
    async def reading(self, actor: Actor) -> AsyncIterator[UnitOfWork]:
        """Open a read-only transaction that sees the actor's organization only."""
        organization = ORGANIZATION.parse(actor.organization_id)
        begin = f"BEGIN READ ONLY; SELECT set_config('temula.organization', '{organization}', true)"
        async with self._transaction(begin, actor) as uow:
            yield uow

    @asynccontextmanager
    async def crossing(self, reason: str) -> AsyncIterator[UnitOfWork]:
        """Open a transaction that sees every organization; `reason` says why, in the logs and to the reader."""
        actor = Actor(ActorKind.SYSTEM, reason, OrganizationId(""))
        try:
            async with self._transaction("BEGIN; SET LOCAL ROLE temula_crossing", actor) as uow:
                yield uow
        except (asyncpg.SerializationError, asyncpg.DeadlockDetectedError) as error:
            # Those who cross are loops that look again anyway; they know our errors, not the driver's.
            raise Unavailable("Too many writers at the same time; look again.") from error

    @asynccontextmanager
    async def alone(self, doing: str) -> AsyncIterator[Callable[[], Awaitable[None]]]:
        """Be the only one, in all processes, who does this; raises `Conflict` if somebody does it now.

        No transaction is open meanwhile. A connection of its own holds a lock, which ends with it, however it ends.
        What is given raises `DatabaseAway` if it has ended; ask it before what cannot be taken back.
        """
        try:
            connection = await asyncpg.connect(
                self._dsn, timeout=10, server_settings={"application_name": "temula-alone"}
            )
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            raise DatabaseAway("The database cannot be reached now; repeat the request.") from error
        try:
            if not await connection.fetchval("SELECT pg_try_advisory_lock(hashtextextended($1, 0))", doing):
                raise Conflict(f"Somebody else is {doing} now; repeat it later.")

            async def still() -> None:
                try:
                    await connection.execute("SELECT 1")
                except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                    raise DatabaseAway(f"The database went away while {doing}; repeat it.") from error

            yield still
        finally:
            with suppress(OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
                await connection.close(timeout=5)

    @asynccontextmanager
    async def _transaction(self, begin: str, actor: Actor) -> AsyncIterator[UnitOfWork]:
        if self._pool is None:
            raise DatabaseAway("The database is not open.")
        if open_unit.get() is not None:
            raise RuntimeError(f"a unit of work is already open in this task: {open_unit.get()}")
        async with _acquired(self._pool) as connection:
            marker = open_unit.set(actor.id)
            try:
                await connection.execute(begin)
                uow = UnitOfWork(connection, actor, self.clock)
                yield uow
                topics = await uow.flush()
                await _commit(connection)
            except BaseException:
                await _roll_back(connection)
                raise
            finally:
                open_unit.reset(marker)
        for topic in topics:
            self.bell.ring(topic)


@asynccontextmanager
async def _acquired(pool: "asyncpg.Pool") -> AsyncIterator["asyncpg.pool.PoolConnectionProxy"]:
    try:
        connection = await pool.acquire(timeout=10)
    except (OSError, *GONE, asyncpg.TooManyConnectionsError, asyncpg.InterfaceError) as error:
        log.warning("database.unreachable", error=type(error).__name__)
        raise DatabaseAway("The database cannot be reached now; repeat the request.") from error
    try:
        yield connection
    except (asyncpg.QueryCanceledError, asyncpg.LockNotAvailableError) as error:
        log.warning("database.too_slow", error=type(error).__name__)
        raise Unavailable("The database could not do it in time; repeat the request.") from error
    except (OSError, *GONE, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        if not isinstance(error, GONE) and not _is_closed(connection):
            raise
        log.warning("database.lost", error=type(error).__name__)
        raise DatabaseAway("The database went away; repeat the request.") from error
    finally:
        await pool.release(connection)


async def _commit(connection: "asyncpg.pool.PoolConnectionProxy") -> None:
    # PostgreSQL answers ROLLBACK, and no error, if somebody went on after a statement had failed.
    if await connection.execute("COMMIT") != "COMMIT":
        raise RuntimeError("the unit of work went on after a statement had failed: nothing of it was kept")


async def _roll_back(connection: "asyncpg.pool.PoolConnectionProxy") -> None:
    try:
        await asyncio.shield(connection.execute("ROLLBACK"))
    except (OSError, *GONE, asyncpg.PostgresError, asyncpg.InterfaceError, asyncio.CancelledError):
        # A connection in doubt is never used again: closing it rolls back on the server's side.
        if not _is_closed(connection):
            connection.terminate()


def _is_closed(connection: "asyncpg.pool.PoolConnectionProxy") -> bool:
    try:
        return bool(connection.is_closed())
    except asyncpg.InterfaceError:  # the pool has taken it back already, because it broke
        return True


async def _prepare_connection(connection: "asyncpg.Connection") -> None:
    await connection.set_type_codec(
        "json", schema="pg_catalog", encoder=bytes, decoder=bytes, format="binary"
    )  # json travels as the bytes it is: nothing is parsed that is only passed on


async def _keep_connection(_connection: "asyncpg.Connection") -> None:
    """Nothing outlives a transaction here (settings are local), so the usual reset round trip is saved."""
