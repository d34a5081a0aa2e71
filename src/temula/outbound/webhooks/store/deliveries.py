"""Every SQL statement of queues and of the deliveries that wait in them."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

import msgspec

from temula.kernel.database import UnitOfWork
from temula.kernel.sql import Statement, array, columns
from temula.outbound.webhooks.model import CLOSED_TOPIC, USUAL, Attempt, Held, Message, Target, Waiting

ADD_DELIVERIES = Statement("""
INSERT INTO webhook_deliveries
    (organization_id, id, endpoint_id, message_id, type, lane, order_key, replay_id, next_at, created_at)
SELECT organization_id, id, endpoint_id, message_id, type, lane, order_key, replay_id, $9, $9
FROM unnest($1::text::text[], $2::text::text[], $3::text::text[], $4::text::text[], $5::text::text[],
        $6::text::smallint[], $7::text::text[], $8::text::text[])
     AS wanted (organization_id, id, endpoint_id, message_id, type, lane, order_key, replay_id)
""")
# Who holds queues and is not connected: dead, unless its connection is made anew in the next moment.
MISSING = Statement("""
SELECT DISTINCT holder FROM webhook_queues
WHERE leased_until > $1 AND holder <> ALL (ARRAY(
    SELECT l.classid::bigint << 32 | l.objid::bigint FROM pg_locks l JOIN pg_database d ON d.oid = l.database
    WHERE d.datname = current_database() AND l.locktype = 'advisory' AND l.objsubid = 1))
""")
FREE_QUEUES_OF = Statement("UPDATE webhook_queues SET leased_until = $1 WHERE leased_until > $1 AND holder = ANY ($2)")
# Whoever takes back what it held last has lost it to nobody: its outcomes still count.
TAKE_QUEUES = Statement(f"""
WITH free AS MATERIALIZED (
    SELECT organization_id, endpoint_id FROM webhook_queues
    WHERE open AND due_at <= $1 AND leased_until <= $1
    ORDER BY due_at LIMIT $4 FOR UPDATE SKIP LOCKED)
UPDATE webhook_queues q SET holder = $2, fence = q.fence + (q.holder <> $2)::int,
    leased_until = $1::timestamptz + make_interval(secs => $3)
FROM free WHERE q.organization_id = free.organization_id AND q.endpoint_id = free.endpoint_id
RETURNING {columns(Held, "q")}
""")
KEEP_QUEUES = Statement("""
UPDATE webhook_queues q SET leased_until = $4::timestamptz + make_interval(secs => $5)
FROM unnest($1::text[], $2::text[], $3::bigint[]) AS mine (organization_id, endpoint_id, fence)
WHERE q.organization_id = mine.organization_id AND q.endpoint_id = mine.endpoint_id AND q.fence = mine.fence
RETURNING q.organization_id, q.endpoint_id, q.fence
""")
LOCK_QUEUES = Statement("""
SELECT q.organization_id, q.endpoint_id, q.fence FROM webhook_queues q
JOIN unnest($1::text[], $2::text[], $3::bigint[]) AS mine (organization_id, endpoint_id, fence)
    ON q.organization_id = mine.organization_id AND q.endpoint_id = mine.endpoint_id AND q.fence = mine.fence
ORDER BY 1, 2 FOR UPDATE OF q
""")
# After `LOCK_QUEUES`, in a statement of its own: its snapshot then has all deliveries that somebody added before.
GIVE_QUEUES_BACK = Statement("""
UPDATE webhook_queues q SET leased_until = '-infinity', due_at = coalesce((
    SELECT min(first.next_at) FROM (VALUES (0), (1), (2)) AS lanes (lane), LATERAL (
        SELECT next_at FROM webhook_deliveries d
        WHERE d.organization_id = q.organization_id AND d.endpoint_id = q.endpoint_id AND d.lane = lanes.lane
        ORDER BY next_at LIMIT 1) AS first), 'infinity')
FROM unnest($1::text[], $2::text[], $3::bigint[]) AS mine (organization_id, endpoint_id, fence)
WHERE q.organization_id = mine.organization_id AND q.endpoint_id = mine.endpoint_id AND q.fence = mine.fence
""")
_LANE = """
SELECT d.* FROM webhook_deliveries d
WHERE d.organization_id = q.organization_id AND d.endpoint_id = q.endpoint_id AND d.lane = {lane} AND d.next_at <= $6
    AND d.id NOT IN (SELECT unnest($5::text::text[])) AND (d.order_key IS NULL OR NOT EXISTS (
        SELECT FROM webhook_deliveries b WHERE b.organization_id = d.organization_id
            AND b.endpoint_id = d.endpoint_id AND b.order_key = d.order_key AND b.id < d.id))
ORDER BY d.next_at LIMIT asked.most"""
# Only while the queue is held and open. Of each queue the lowest lane first; a delivery that belongs to an order waits
# for those before it, whether they are due or not.
LOAD = Statement(f"""
SELECT {columns(Waiting, "d").replace("d.version", "e.xmin::text AS version")}
FROM unnest($1::text[], $2::text[], $3::bigint[], $4::int[]) AS asked (organization_id, endpoint_id, fence, most)
JOIN webhook_queues q ON q.organization_id = asked.organization_id AND q.endpoint_id = asked.endpoint_id
    AND q.fence = asked.fence AND q.open
JOIN webhook_endpoints e ON e.organization_id = q.organization_id AND e.id = q.endpoint_id
CROSS JOIN LATERAL (
    SELECT * FROM (({_LANE.format(lane=0)}) UNION ALL ({_LANE.format(lane=1)}) UNION ALL ({_LANE.format(lane=2)})) AS l
    LIMIT asked.most) AS d
""")
TARGETS = Statement(f"""
SELECT {columns(Target, "e").replace("e.version", "e.xmin::text AS version")} FROM webhook_endpoints e
JOIN unnest($1::text[], $2::text[]) AS asked (organization_id, id)
    ON e.organization_id = asked.organization_id AND e.id = asked.id
""")
SAID = Statement(f"""
SELECT {columns(Message, "f")} FROM facts f
JOIN unnest($1::text::text[], $2::text::text[]) AS asked (organization_id, id)
    ON f.organization_id = asked.organization_id AND f.id = asked.id
""")
# Under two fences: the queue is still this worker's, and the delivery has not been tried by anybody since.
SETTLE = Statement("""
WITH settled AS MATERIALIZED (
    SELECT s.* FROM unnest($1::text::text[], $2::text::text[], $3::text::text[], $4::text::bigint[],
            $5::text::int[], $6::text::timestamptz[])
        AS s (organization_id, id, endpoint_id, fence, attempts, next_at)
    JOIN webhook_queues q ON q.organization_id = s.organization_id AND q.endpoint_id = s.endpoint_id
        AND q.fence = s.fence
), ended AS (
    DELETE FROM webhook_deliveries d USING settled s
    WHERE s.next_at IS NULL AND d.organization_id = s.organization_id AND d.id = s.id AND d.attempts = s.attempts
    RETURNING d.id
), later AS (
    UPDATE webhook_deliveries d SET attempts = d.attempts + 1, next_at = s.next_at FROM settled s
    WHERE s.next_at IS NOT NULL AND d.organization_id = s.organization_id AND d.id = s.id AND d.attempts = s.attempts
    RETURNING d.id
)
SELECT id FROM ended UNION ALL SELECT id FROM later
""")
# Of what this worker sent, what nobody waits for any more: it was taken back, or its endpoint deleted, meanwhile.
STRAY = Statement("""
SELECT s.id FROM unnest($1::text::text[], $2::text::text[], $3::text::text[], $4::text::bigint[],
        $5::text::timestamptz[], $6::text::text[]) AS s (organization_id, id, endpoint_id, fence, at, attempt_id)
JOIN webhook_queues q ON q.organization_id = s.organization_id AND q.endpoint_id = s.endpoint_id AND q.fence = s.fence
WHERE NOT EXISTS (SELECT FROM webhook_deliveries d WHERE d.organization_id = s.organization_id AND d.id = s.id)
    AND NOT EXISTS (SELECT FROM webhook_attempts a
        WHERE a.organization_id = s.organization_id AND a.at = s.at AND a.id = s.attempt_id)
""")
CLOSED = Statement("""
SELECT organization_id, endpoint_id, fence FROM webhook_queues WHERE holder = $1 AND NOT open
""")
SLEEP = Statement("""
INSERT INTO webhook_queues (organization_id, endpoint_id, open) VALUES ($1, $2, false)
ON CONFLICT (organization_id, endpoint_id) DO UPDATE SET open = false
""")
# What had been tried is due again now, in the lane of what was kept; the rest keeps the time at which it came.
HURRY = Statement("""
UPDATE webhook_deliveries SET next_at = $3, lane = 2
WHERE organization_id = $1 AND endpoint_id = $2 AND lane IN (0, 1, 2) AND next_at > $3
""")
WAKE = Statement("""
UPDATE webhook_queues SET open = true, due_at = '-infinity' WHERE organization_id = $1 AND endpoint_id = $2
""")


class Wanted(NamedTuple):
    """A delivery to add, due at once."""

    organization_id: str
    id: str
    endpoint_id: str
    message_id: str
    type: str
    lane: int = USUAL
    order_key: str | None = None
    replay_id: str | None = None


class Settled(NamedTuple):
    """What becomes of a delivery: due again at `next_at`, or over (None)."""

    organization_id: str
    id: str
    endpoint_id: str
    fence: int
    attempts: int
    next_at: datetime | None


class _Holder(msgspec.Struct, frozen=True):
    holder: int


class Kept(msgspec.Struct, frozen=True):
    """A delivery whose outcome was taken."""

    id: str


async def add_deliveries(uow: UnitOfWork, wanted: Sequence[Wanted]) -> int:
    """Add deliveries; their queues learn of them."""
    return await uow.run(ADD_DELIVERIES, *map(array, zip(*wanted, strict=True)), uow.now) if wanted else 0


async def wake(uow: UnitOfWork, endpoint_id: str) -> None:
    """Let an endpoint's queue be sent: all that is in it is due."""
    await uow.run(HURRY, uow.organization_id, endpoint_id, uow.now)
    await uow.run(WAKE, uow.organization_id, endpoint_id)


async def sleep(uow: UnitOfWork, endpoint_id: str) -> None:
    """Keep an endpoint's deliveries until it is enabled again; whoever holds the queue is told to put them back."""
    await uow.run(SLEEP, uow.organization_id, endpoint_id)
    uow.ring(CLOSED_TOPIC)


async def closed_queues(uow: UnitOfWork, holder: int) -> list[Held]:
    """List queues that are held though their endpoint takes nothing."""
    return await uow.rows(Held, CLOSED, holder)


async def missing(uow: UnitOfWork) -> set[int]:
    """Tell which workers hold queues and are not connected now; only a crossing unit of work sees them all."""
    return {one.holder for one in await uow.rows(_Holder, MISSING, uow.now)}


async def free_queues_of(uow: UnitOfWork, holders: Iterable[int]) -> int:
    """End the leases of workers that are gone."""
    return await uow.run(FREE_QUEUES_OF, uow.now, list(holders))


async def take_queues(uow: UnitOfWork, holder: int, lease: float, most: int) -> list[Held]:
    """Take queues that have something due and that nobody holds, those that wait longest first."""
    return await uow.rows(Held, TAKE_QUEUES, uow.now, holder, lease, most)


async def keep_queues(uow: UnitOfWork, held: Sequence[Held], lease: float) -> list[Held]:
    """Renew the leases of queues; give those that are still held."""
    return await uow.rows(Held, KEEP_QUEUES, *_arrays(held), uow.now, lease)


async def give_queues_back(uow: UnitOfWork, held: Sequence[Held]) -> None:
    """Let others take queues once something in them is due."""
    locked = await uow.rows(Held, LOCK_QUEUES, *_arrays(held))
    await uow.run(GIVE_QUEUES_BACK, *_arrays(locked))


async def load(uow: UnitOfWork, held: Sequence[Held], most: Mapping[str, int], loaded: Sequence[str]) -> list[Waiting]:
    """Find what is due in queues that are held, at most so many of each, none of those that are `loaded` already."""
    numbers = [most[one.endpoint_id] for one in held]
    return await uow.rows(Waiting, LOAD, *_arrays(held), numbers, array(loaded), uow.now)


async def targets(uow: UnitOfWork, asked: Sequence[tuple[str, str]]) -> list[Target]:
    """Find endpoints by organization and id."""
    return await uow.rows(Target, TARGETS, *map(list, zip(*asked, strict=True)))


async def said(uow: UnitOfWork, asked: Sequence[tuple[str, str]]) -> list[Message]:
    """Find messages by organization and id."""
    return await uow.rows(Message, SAID, *map(array, zip(*asked, strict=True)))


async def settle(uow: UnitOfWork, settled: Sequence[Settled]) -> set[str]:
    """Write what becomes of deliveries; give those whose outcome counts: the queue was still held."""
    return {one.id for one in await uow.rows(Kept, SETTLE, *map(array, zip(*settled, strict=True)))}


async def stray(uow: UnitOfWork, settled: Sequence[Settled], attempts: Sequence[Attempt]) -> set[str]:
    """Give the deliveries among these whose rows are gone though the queue is held, and whose attempts are not logged.

    Both are of the same deliveries, in one order.
    """
    found = await uow.rows(
        Kept, STRAY, *map(array, zip(*(one[:4] for one in settled), strict=True)),
        array(one.at.isoformat() for one in attempts), array(one.id for one in attempts),
    )  # fmt: skip
    return {one.id for one in found}


def _arrays(held: Sequence[Held]) -> tuple[list[str], list[str], list[int]]:
    return (
        [one.organization_id for one in held], [one.endpoint_id for one in held], [one.fence for one in held],
    )  # fmt: skip
