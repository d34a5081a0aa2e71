"""Every SQL statement by which days of the log are archived and go."""

from collections.abc import Sequence
from datetime import date, datetime

import msgspec

from temula.kernel.database import UnitOfWork
from temula.kernel.ids import OrganizationId
from temula.kernel.sql import Statement, columns
from temula.outbound.webhooks.model import Attempt


class _Day(msgspec.Struct, frozen=True):
    day: date


class _There(msgspec.Struct, frozen=True):
    organization_id: OrganizationId


class Place(msgspec.Struct, frozen=True):
    """Where an attempt stands in its organization's log."""

    at: datetime
    id: str


PARTITIONS = Statement("""
SELECT to_date(right(c.relname, 8), 'YYYYMMDD') AS day FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
WHERE i.inhparent = 'webhook_attempts'::regclass AND to_date(right(c.relname, 8), 'YYYYMMDD') < $1 ORDER BY 1
""")
# From one organization's rows to the next one's along the primary key, however many rows lie between.
ORGANIZATIONS_OF_DAY = Statement("""
WITH RECURSIVE there AS (
    (SELECT organization_id FROM webhook_attempts WHERE at >= $1 AND at < $2 ORDER BY organization_id LIMIT 1)
    UNION ALL
    SELECT (SELECT a.organization_id FROM webhook_attempts a
        WHERE a.organization_id > t.organization_id AND a.at >= $1 AND a.at < $2 ORDER BY a.organization_id LIMIT 1)
    FROM there t WHERE t.organization_id IS NOT NULL)
SELECT organization_id FROM there WHERE organization_id IS NOT NULL
""")
ATTEMPTS_OF_DAY = Statement("""
SELECT count(*) FROM webhook_attempts WHERE organization_id = $1 AND at >= $2 AND at < $3
""")
PAGE_OF_DAY = Statement(f"""
SELECT {columns(Attempt)} FROM webhook_attempts
WHERE organization_id = $1 AND (at, id) > ($2, $3) AND at < $4 ORDER BY at, id LIMIT $5
""")
# In steps: a day can hold more rows than one statement may take the time for. Up to a place along the primary key: rows
# that are named one by one are compared with each other if the planner does not know how many there are.
STEP_OF_DAY = Statement("""
SELECT at, id FROM webhook_attempts WHERE organization_id = $1 AND at >= $2 AND at < $3
ORDER BY at, id OFFSET $4 LIMIT 1
""")
DELETE_OF_DAY = Statement("""
DELETE FROM webhook_attempts WHERE organization_id = $1 AND at >= $2 AND at < $3 AND (at, id) < ($4, $5)
""")
DROP_DAY = Statement("SELECT temula_webhook_attempts_drop_day($1)")
NOTE_FORGOTTEN = Statement("""
INSERT INTO webhook_log_begins AS b (organization_id, at)
SELECT organization_id, $2 FROM organizations WHERE organization_id = ANY($1::text[]) ORDER BY 1
ON CONFLICT (organization_id) DO UPDATE SET at = greatest(b.at, excluded.at)
""")
LOG_BEGINS = Statement("SELECT at FROM webhook_log_begins WHERE organization_id = $1")


async def days(uow: UnitOfWork, before: date) -> list[date]:
    """List the days (UTC) before one that the log has partitions of, oldest first."""
    return [one.day for one in await uow.rows(_Day, PARTITIONS, before)]


async def organizations_of_day(uow: UnitOfWork, begin: datetime, end: datetime) -> list[OrganizationId]:
    """List whose attempts a day holds."""
    return [one.organization_id for one in await uow.rows(_There, ORGANIZATIONS_OF_DAY, begin, end)]


async def attempts_of_day(uow: UnitOfWork, organization_id: str, begin: datetime, end: datetime) -> int:
    """Count an organization's attempts of a day."""
    return int(await uow.value(ATTEMPTS_OF_DAY, organization_id, begin, end))


async def page_of_day(uow: UnitOfWork, after: tuple[datetime, str], end: datetime, most: int) -> list[Attempt]:
    """Give the next of the organization's attempts of a day, in the order of their times."""
    return await uow.rows(Attempt, PAGE_OF_DAY, uow.organization_id, *after, end, most)


async def delete_of_day(uow: UnitOfWork, organization_id: str, begin: datetime, end: datetime, most: int) -> int:
    """Remove the first `most` of an organization's attempts of a day; give how many there were."""
    step = await uow.row(Place, STEP_OF_DAY, organization_id, begin, end, most) or Place(end, "")
    return await uow.run(DELETE_OF_DAY, organization_id, begin, end, step.at, step.id)


async def drop_day(uow: UnitOfWork, day: date) -> bool:
    """Drop the partition of a day, if it is there; only a crossing unit of work may.

    Raises `Unavailable` if somebody uses the log at this moment for longer than a blink: ask again.
    """
    return bool(await uow.value(DROP_DAY, day))


async def note_forgotten(uow: UnitOfWork, organization_ids: Sequence[OrganizationId], until: datetime) -> None:
    """Say that what organizations' logs have from before a time is about to go; only a crossing unit of work may."""
    await uow.run(NOTE_FORGOTTEN, list(organization_ids), until)


async def log_begins(uow: UnitOfWork) -> datetime | None:
    """Tell since when the organization's log has everything; None if nothing has ever gone from it."""
    begins: datetime | None = await uow.value(LOG_BEGINS, uow.organization_id)
    return begins
