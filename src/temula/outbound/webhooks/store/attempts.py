"""Every SQL statement that writes the log: attempts, and their counts by endpoint and hour."""

from collections.abc import Iterable, Sequence
from datetime import date

from temula.kernel.database import UnitOfWork
from temula.kernel.sql import Statement, columns
from temula.outbound.webhooks.model import Attempt
from temula.outbound.webhooks.model.counting import Hour

# Arrays inside of an array would have to be of one length, so the ids of objects travel as one text.
ADD_ATTEMPTS = Statement(f"""
INSERT INTO webhook_attempts ({columns(Attempt)})
SELECT {columns(Attempt).replace("object_ids", "string_to_array(object_ids, ' ')")}
FROM unnest($1::text[], $2::timestamptz[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
    $9::text[], $10::int[], $11::text[], $12::int[], $13::text[], $14::json[], $15::bytea[], $16::smallint[],
    $17::json[], $18::bytea[], $19::text[], $20::text[], $21::timestamptz[]) AS tried ({columns(Attempt)})
""")
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


async def make_day(uow: UnitOfWork, day: date) -> bool:
    """Make the log's partition of a day, if it is not there; only a crossing unit of work may."""
    return bool(await uow.value(MAKE_DAY, day))


async def add_attempts(uow: UnitOfWork, attempts: Sequence[Attempt]) -> None:
    """Log attempts."""
    rows = [tuple(getattr(attempt, name) for name in Attempt.__struct_fields__) for attempt in attempts]
    arrays = [list(column) for column in zip(*rows, strict=True)]
    place = Attempt.__struct_fields__.index("object_ids")
    arrays[place] = [" ".join(ids) for ids in arrays[place]]
    await uow.run(ADD_ATTEMPTS, *arrays)


async def count_hours(uow: UnitOfWork, hours: Iterable[Hour]) -> None:
    """Add to the counts of endpoints' hours."""
    rows = [one.row() for one in hours]
    await uow.run(COUNT_HOURS, *map(list, zip(*rows, strict=True)))
