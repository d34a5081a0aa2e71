"""Every SQL statement that writes the log: attempts, and their counts by endpoint and hour."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any

import msgspec

from temula.kernel.database import UnitOfWork
from temula.kernel.ids import EndpointId
from temula.kernel.sql import Statement, array, columns
from temula.outbound.webhooks.model import Attempt
from temula.outbound.webhooks.model.counting import Hour

ADD_ATTEMPTS = Statement(f"""
INSERT INTO webhook_attempts ({columns(Attempt)})
SELECT {columns(Attempt)}
FROM unnest($1::text::text[], $2::timestamptz[], $3::text::text[], $4::text::text[], $5::text::text[],
    $6::text::text[], $7::text::text[], $8::text::text[], $9::text::int[], $10::text::text[], $11::text::int[],
    $12::text::text[], $13::text::text[], $14::bytea[], $15::text::smallint[], $16::bytea[], $17::bytea[],
    $18::text::text[], $19::text::text[], $20::timestamptz[]) AS tried ({columns(Attempt)})
""")
# What ends well, which is nearly all, in one statement, under the fences of `SETTLE`: the row that waited becomes that
# in the log, so what both say does not travel again.
ADD_DELIVERED = Statement("""
WITH held AS MATERIALIZED (
    SELECT q.organization_id, mine.queue FROM unnest($1::text::text[], $2::text::text[], $3::text::bigint[])
        WITH ORDINALITY AS mine (organization_id, endpoint_id, fence, queue)
    JOIN webhook_queues q ON q.organization_id = mine.organization_id AND q.endpoint_id = mine.endpoint_id
        AND q.fence = mine.fence
), tried AS MATERIALIZED (
    SELECT held.organization_id, t.* FROM unnest($4::text::int[], $5::text::text[], $6::text::int[], $7::timestamptz[],
        $8::text::text[], $9::text::text[], $10::text::int[], $11::text::text[], $12::text::text[], $13::bytea[],
        $14::text::smallint[], $15::bytea[], $16::bytea[], $17::text::text[])
        AS t (queue, delivery_id, number, at, id, event_id, duration_ms, address, signatures, request_body, status,
            response_headers, response_body, error)
    JOIN held ON held.queue = t.queue
), ended AS (
    DELETE FROM webhook_deliveries d USING tried t
    WHERE d.organization_id = t.organization_id AND d.id = t.delivery_id AND d.attempts = t.number - 1
    RETURNING d.organization_id, t.at, t.id, d.id AS delivery_id, d.endpoint_id, d.message_id, d.type, t.event_id,
        t.number, t.duration_ms, t.address, t.signatures, t.request_body, t.status, t.response_headers,
        t.response_body, t.error, d.replay_id, d.created_at
)
INSERT INTO webhook_attempts (organization_id, at, id, delivery_id, endpoint_id, message_id, type, event_id, number,
    outcome, duration_ms, address, signatures, request_body, status, response_headers, response_body, error, replay_id,
    delivery_created_at)
SELECT organization_id, at, id, delivery_id, endpoint_id, message_id, type, event_id, number, 'delivered', duration_ms,
    address, signatures, request_body, status, response_headers, response_body, error, replay_id, created_at
FROM ended
""")
_TRIED = (
    "delivery_id", "number", "at", "id", "event_id", "duration_ms", "address", "signatures", "request_body", "status",
    "response_headers", "response_body", "error",
)  # fmt: skip
# What the driver encodes itself; the rest travels as text.
_NATIVE = frozenset({"at", "delivery_created_at", "request_body", "response_headers", "response_body"})
MAKE_DAY = Statement("SELECT temula_webhook_attempts_day($1)")
COUNT_HOURS = Statement("""
INSERT INTO webhook_hours AS h (organization_id, endpoint_id, hour, attempts, delivered, retried, exhausted, gone,
    failures, duration_ms, latency)
SELECT organization_id, endpoint_id, hour, attempts, delivered, retried, exhausted, gone, failures, duration_ms,
    latency::int[]
FROM unnest($1::text[], $2::text[], $3::timestamptz[], $4::int[], $5::int[], $6::int[], $7::int[], $8::int[], $9::int[],
    $10::bigint[], $11::text[]) AS counted (organization_id, endpoint_id, hour, attempts, delivered, retried, exhausted,
    gone, failures, duration_ms, latency)
ORDER BY 1, 2, 3
ON CONFLICT (organization_id, endpoint_id, hour) DO UPDATE SET
    attempts = h.attempts + excluded.attempts, delivered = h.delivered + excluded.delivered,
    retried = h.retried + excluded.retried, exhausted = h.exhausted + excluded.exhausted, gone = h.gone + excluded.gone,
    failures = h.failures + excluded.failures, duration_ms = h.duration_ms + excluded.duration_ms,
    latency = ARRAY(SELECT a + b FROM unnest(h.latency, excluded.latency) WITH ORDINALITY AS u (a, b, n) ORDER BY n)
""")

# In steps: a day can hold more rows than one statement may take the time for.
DELETE_OLD = Statement("""
DELETE FROM webhook_attempts WHERE (organization_id, at, id) IN (
    SELECT organization_id, at, id FROM webhook_attempts WHERE at < $1 ORDER BY at LIMIT $2) AND at < $1
""")


async def make_day(uow: UnitOfWork, day: date) -> bool:
    """Make the log's partition of a day, if it is not there; only a crossing unit of work may."""
    return bool(await uow.value(MAKE_DAY, day))


async def delete_old(uow: UnitOfWork, before: datetime, most: int) -> int:
    """Remove attempts that were made before a time."""
    return await uow.run(DELETE_OLD, before, most)


async def add_attempts(uow: UnitOfWork, attempts: Sequence[Attempt]) -> None:
    """Log attempts."""
    by_name = _by_name(attempts)
    await uow.run(ADD_ATTEMPTS, *(_sent(name, column) for name, column in by_name.items()))


async def add_delivered(uow: UnitOfWork, attempts: Sequence[Attempt], fences: Mapping[EndpointId, int]) -> int:
    """End deliveries that have succeeded, and log it; give how many: what this worker holds no more is left alone.

    `fences` are of the endpoints' queues.
    """
    by_name = _by_name(attempts)
    places = {endpoint_id: n for n, endpoint_id in enumerate(fences, start=1)}
    organizations = dict(zip(by_name["endpoint_id"], by_name["organization_id"], strict=True))
    return await uow.run(
        ADD_DELIVERED, array(organizations[one] for one in fences), array(fences), array(fences.values()),
        array([places[one] for one in by_name["endpoint_id"]]),
        *(_sent(name, by_name[name]) for name in _TRIED),
    )  # fmt: skip


def _by_name(attempts: Sequence[Attempt]) -> dict[str, tuple[Any, ...]]:
    columns_ = zip(*map(msgspec.structs.astuple, attempts), strict=True)
    return dict(zip(Attempt.__struct_fields__, columns_, strict=True))


def _sent(name: str, column: tuple[object, ...]) -> object:
    # `unnest` fills a shorter array up with NULL, and most columns of NULL are of nothing else.
    if column[0] is None and column.count(None) == len(column):
        return [] if name in _NATIVE else "{}"
    return column if name in _NATIVE else array(column)


async def count_hours(uow: UnitOfWork, hours: Iterable[Hour]) -> None:
    """Add to the counts of endpoints' hours."""
    rows = [one.row() for one in hours]
    await uow.run(COUNT_HOURS, *map(list, zip(*rows, strict=True)))
