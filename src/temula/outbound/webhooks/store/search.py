"""Every SQL statement that searches the log.

Each way goes through one index in the order of time, looks at a bounded number of attempts, and gives those that fit:
the inner LIMIT is what keeps the planner from any other index. All take the same arguments.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import msgspec

from temula.kernel.database import UnitOfWork
from temula.kernel.sql import Statement, columns
from temula.outbound.webhooks.model.delivery import Attempt, Logged
from temula.outbound.webhooks.model.search import By, Sought


class Looked(Logged, frozen=True):
    """An attempt that was looked at as the n-th (from 1), and whether it fits."""

    n: int
    fits: bool


# No lower bound: PostgreSQL takes a range whose ends it does not know for half a hundredth of the table, and
# would then read it from the primary key instead of the index meant. What is too old does not fit, and is the end.
_BEFORE = "at <= $2 AND (at, id) < ($2, $3)"
# An object of which much was said is asked for at each attempt: to read all that was said of it would take longer.
_FITS = """at >= $4 AND ($7::text IS NULL OR endpoint_id = $7) AND ($8::text[] IS NULL OR type = ANY($8))
        AND ($9::smallint IS NULL OR coalesce(status >= $9, false))
        AND ($10::smallint IS NULL OR coalesce(status <= $10, false))
        AND (NOT $11::bool OR status IS NULL) AND ($12::text[] IS NULL OR outcome = ANY($12))
        AND ($13::text IS NULL OR coalesce(error = $13, false))
        AND ($14::text IS NULL OR coalesce((
            SELECT true FROM fact_objects o WHERE o.organization_id = $1 AND o.object_id = $14
                AND o.fact_id = looked.message_id LIMIT 1), false))"""
# Those that fit, and the last that may be looked at even if it does not: it is where the next page begins. Only their
# rows are read whole: the indexes of what failed hold all that is asked.
_SEARCH = f"""
SELECT {columns(Logged, "a")}, n, fits FROM (
    SELECT at, id, n, fits FROM (
        SELECT at, id, row_number() OVER (ORDER BY at DESC, id DESC) AS n, {_FITS} AS fits
        FROM (
            SELECT at, id, endpoint_id, type, status, outcome, error, message_id FROM {{among}}
            ORDER BY at DESC, id DESC LIMIT $5) AS looked) AS all_looked
    WHERE fits OR n = $5 LIMIT $6) AS l
CROSS JOIN LATERAL (
    SELECT * FROM webhook_attempts w WHERE w.organization_id = $1 AND w.at = l.at AND w.id = l.id LIMIT 1) AS a
ORDER BY n
"""
_AMONG = f"webhook_attempts WHERE organization_id = $1 AND {_BEFORE} AND {{}}"

BY_TIME = Statement(_SEARCH.format(among=_AMONG.format("true")))
BY_ENDPOINT = Statement(_SEARCH.format(among=_AMONG.format("endpoint_id = $7")))
BY_TYPE = Statement(_SEARCH.format(among=_AMONG.format("type = ($8::text[])[1]")))
BY_FAILED = Statement(_SEARCH.format(among=_AMONG.format("outcome <> 'delivered'")))
BY_FAILED_OF_ENDPOINT = Statement(_SEARCH.format(among=_AMONG.format("endpoint_id = $7 AND outcome <> 'delivered'")))
BY_STATUS = Statement(_SEARCH.format(among=_AMONG.format("status = $9 AND status <> 200")))
BY_ERROR = Statement(_SEARCH.format(among=_AMONG.format("error = $13")))
# All of them are read before the newest are taken: in the order of time it would be all of the log.
_OF_MESSAGES = "webhook_attempts WHERE organization_id = $1 AND at >= $4 AND message_id = ANY($15::text[]) OFFSET 0"
BY_MESSAGES = Statement(_SEARCH.format(among=f"(SELECT * FROM {_OF_MESSAGES}) AS of_messages WHERE {_BEFORE}"))

# To plan for ninety days' tables takes far longer than to search them: it is done once a connection, for any arguments.
PLAN_ONCE = Statement("SELECT set_config('plan_cache_mode', 'force_generic_plan', true)")
SAID_OF = Statement("""
SELECT fact_id AS id FROM fact_objects WHERE organization_id = $1 AND object_id = $2 ORDER BY fact_id LIMIT $3
""")
# An id carries the time at which it was made, so that few partitions, and little of them, are looked at.
ATTEMPT = Statement(f"""
SELECT {columns(Attempt)} FROM webhook_attempts
WHERE organization_id = $1 AND at >= $2 AND at <= $3 AND id = $4
""")

SEARCHES = {
    By.TIME: BY_TIME,
    By.ENDPOINT: BY_ENDPOINT,
    By.TYPE: BY_TYPE,
    By.FAILED: BY_FAILED,
    By.FAILED_OF_ENDPOINT: BY_FAILED_OF_ENDPOINT,
    By.STATUS: BY_STATUS,
    By.ERROR: BY_ERROR,
    By.MESSAGES: BY_MESSAGES,
}


class Place(msgspec.Struct, frozen=True, order=True):
    """A place in the log, whose order is that of time."""

    at: datetime
    id: str


class Stretch(NamedTuple):
    """The part of the log that is searched: what is older than `before` and not older than `since`."""

    before: Place
    since: datetime


class _Said(msgspec.Struct, frozen=True):
    id: str


async def search(
    uow: UnitOfWork, by: By, stretch: Stretch, sought: Sought, messages: Sequence[str], look: int, limit: int
) -> list[Looked]:
    """Find what is sought among the newest `look` attempts that an index leads to, newest first.

    Up to `limit` are given, the last that was looked at among them if it was the `look`-th, whether it fits or not.
    """
    one, answered = sought, sought.answered
    arguments = (
        uow.organization_id, stretch.before.at, stretch.before.id, stretch.since, look, limit, one.endpoint_id,
        one.types, answered and answered.lowest, answered and answered.highest,
        answered is not None and answered.not_at_all, one.outcomes, one.error, one.object_id,
    )  # fmt: skip
    more = (messages,) if by is By.MESSAGES else ()
    await uow.run(PLAN_ONCE)
    return await uow.rows(Looked, SEARCHES[by], *arguments, *more)


async def said_of(uow: UnitOfWork, object_id: str, most: int) -> list[str]:
    """List the ids of facts about an object, the first ones first."""
    return [one.id for one in await uow.rows(_Said, SAID_OF, uow.organization_id, object_id, most)]


async def attempt(uow: UnitOfWork, attempt_id: str, earliest: datetime, latest: datetime) -> Attempt | None:
    """Find an attempt that was made between two times, whole."""
    return await uow.row(Attempt, ATTEMPT, uow.organization_id, earliest, latest, attempt_id)
