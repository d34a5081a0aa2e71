"""Named readers of the fact log, each with its own cursor: at least once, in order, one at a time, rewindable."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import NamedTuple

import msgspec
import structlog

from temula.kernel import facts
from temula.kernel.bell import wait
from temula.kernel.database import Database, UnitOfWork
from temula.kernel.errors import Conflict, NotFound, TemulaError
from temula.kernel.facts import Position, StoredFact
from temula.kernel.sql import Statement

log = structlog.get_logger()

LEASE = 30.0
BATCH = 200
BEHIND_PAUSE = 0.01

Handle = Callable[[list[StoredFact]], Awaitable[None]]
Write = Callable[[UnitOfWork, list[StoredFact]], Awaitable[None]]


class Consumer(NamedTuple):
    """Who reads: `handle` gets facts in order and must bear getting the same ones again after a crash."""

    name: str
    handle: Handle
    batch: int = BATCH


class WritingConsumer(NamedTuple):
    """Who reads and only writes what follows: `write` and the cursor are one transaction, so each fact acts once.

    `write` gets a crossing unit of work. After a rewind the same facts come again, and act again.
    """

    name: str
    write: Write
    batch: int = BATCH


class Cursor(msgspec.Struct, frozen=True):
    """How far a consumer has read, and who reads for it now."""

    name: str
    transaction: int
    position: int
    fence: int
    updated_at: datetime


# A lease ends in time, or at once with the connection of who holds it: whoever was killed keeps nobody waiting.
# Who held it last takes it back: after its connections were lost it must not wait for itself.
CLAIM = Statement("""
INSERT INTO fact_consumers AS c (name, leased_until, holder)
VALUES ($1, $2::timestamptz + make_interval(secs => $3), $4)
ON CONFLICT (name) DO UPDATE SET leased_until = excluded.leased_until, holder = excluded.holder, fence = c.fence + 1,
    updated_at = $2
    WHERE c.leased_until <= $2 OR c.fence = $5 OR NOT EXISTS (
        SELECT FROM pg_locks l JOIN pg_database d ON d.oid = l.database
        WHERE d.datname = current_database() AND l.locktype = 'advisory' AND l.objsubid = 1
            AND l.classid::bigint << 32 | l.objid::bigint = c.holder)
RETURNING name, transaction, position, fence, updated_at
""")

ADVANCE = Statement("""
UPDATE fact_consumers SET transaction = $3, position = $4, updated_at = $5::timestamptz,
    leased_until = $5::timestamptz + make_interval(secs => $6)
WHERE name = $1 AND fence = $2
""")

RELEASE = Statement("UPDATE fact_consumers SET leased_until = $3 WHERE name = $1 AND fence = $2")

LIST = Statement("SELECT name, transaction, position, fence, updated_at FROM fact_consumers ORDER BY name")

# The fence moves too, so a reader that is at work now cannot overwrite the rewind. A rewind never goes forward: what
# the consumer has not read yet may be older than `since`, or not committed yet.
REWIND = Statement("""
WITH since AS (
    SELECT transaction, position - 1 AS position FROM facts WHERE occurred_at >= $2
    ORDER BY transaction, position LIMIT 1
)
UPDATE fact_consumers c SET fence = fence + 1, leased_until = $3, updated_at = $3,
    (transaction, position) = (
        SELECT transaction, position FROM (TABLE since UNION ALL SELECT c.transaction, c.position) AS places
        ORDER BY transaction, position LIMIT 1)
WHERE name = $1
""")


async def read(uow: UnitOfWork, after: Position, limit: int) -> list[StoredFact]:
    """Read the next facts after a place in the log, in the one order, none missed."""
    return await uow.rows(StoredFact, facts.READ, after.transaction, after.position, limit)


async def cursors(database: Database) -> list[Cursor]:
    """List every consumer's cursor."""
    async with database.crossing("listing consumers") as uow:
        return await uow.rows(Cursor, LIST)


async def rewind(database: Database, name: str, since: datetime) -> None:
    """Make a consumer read again everything from `since` on."""
    async with database.crossing("rewinding a consumer") as uow:
        if not await uow.run(REWIND, name, since, uow.now):
            raise NotFound(f"No consumer is named {name}; `temula facts consumers` lists them.")


class _Read(NamedTuple):
    """What one look at the log found."""

    found: list[StoredFact]
    behind: bool  # facts stand beyond the horizon: they wait for a transaction that is still running


class ConsumerLoop:
    """Reads for one consumer while this process holds its lease."""

    def __init__(self, database: Database, consumer: Consumer | WritingConsumer) -> None:
        self._database = database
        self._consumer = consumer
        self._fence = -1  # of the lease that this loop held last

    async def serve(self, stop: asyncio.Event, *, poll: float = 0.5) -> None:
        """Read and handle until `stop` is set."""
        ring = self._database.bell.subscribe(facts.TOPIC)
        try:
            while not stop.is_set():
                try:
                    await self._hold_and_read(stop, ring, poll)
                except TemulaError as error:
                    log.warning("consumer.waits", consumer=self._consumer.name, code=error.code, detail=error.detail)
                except Exception:
                    log.exception("consumer.failed", consumer=self._consumer.name)
                if not stop.is_set():
                    await wait(ring, poll)
        finally:
            self._database.bell.unsubscribe(facts.TOPIC, ring)

    async def _hold_and_read(self, stop: asyncio.Event, ring: asyncio.Event, poll: float) -> None:
        async with self._database.crossing(f"consumer {self._consumer.name} takes its lease") as uow:
            presence = self._database.bell.presence
            cursor = await uow.row(Cursor, CLAIM, self._consumer.name, uow.now, LEASE, presence, self._fence)
        if cursor is None:
            return
        self._fence = cursor.fence
        after, renewed = Position(cursor.transaction, cursor.position), self._database.clock.monotonic()
        held = True
        try:
            while held and not stop.is_set():
                look = await self._look(after, cursor.fence)
                if look.found:
                    after = look.found[-1].at
                    held, renewed = await self._handled(look.found, cursor.fence), self._database.clock.monotonic()
                elif self._database.clock.monotonic() - renewed > LEASE / 3:
                    held, renewed = await self._advance(after, cursor.fence), self._database.clock.monotonic()
                if len(look.found) < self._consumer.batch:
                    await wait(ring, BEHIND_PAUSE if look.behind else poll)
        finally:
            async with self._database.crossing("a consumer gives its lease back") as uow:
                await uow.run(RELEASE, self._consumer.name, cursor.fence, uow.now)

    async def _look(self, after: Position, fence: int) -> _Read:
        """Read what is next; one who only writes what follows does it in the same transaction, with the cursor."""
        async with self._database.crossing(f"consumer {self._consumer.name} reads") as uow:
            found = await read(uow, after, self._consumer.batch)
            behind = not found and int(await uow.value(facts.HEAD)) > after.transaction
            if found and isinstance(self._consumer, WritingConsumer):
                await self._consumer.write(uow, found)
                if not await self._advanced(uow, found[-1].at, fence):
                    raise Conflict(f"Somebody else reads for {self._consumer.name} now, or it was rewound.")
        return _Read(found, behind)

    async def _handled(self, found: list[StoredFact], fence: int) -> bool:
        """Hand facts on and move the cursor behind them, unless both is done; tell whether the lease is still held."""
        if isinstance(self._consumer, WritingConsumer):
            return True
        await self._consumer.handle(found)
        return await self._advance(found[-1].at, fence)

    async def _advance(self, after: Position, fence: int) -> bool:
        async with self._database.crossing(f"consumer {self._consumer.name} moves its cursor") as uow:
            return await self._advanced(uow, after, fence)

    async def _advanced(self, uow: UnitOfWork, after: Position, fence: int) -> bool:
        name = self._consumer.name
        return bool(await uow.run(ADVANCE, name, fence, after.transaction, after.position, uow.now, LEASE))
