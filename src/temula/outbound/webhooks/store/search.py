"""Every SQL statement that searches the log.

Each way goes through one index in the order of time, looks at a bounded number of attempts, and tells which of them
fit: the inner LIMIT is what keeps the planner from any other index. All take the same arguments.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

import msgspec

from temula.kernel.database import UnitOfWork
from temula.kernel.sql import Statement, columns
from temula.outbound.webhooks.model.delivery import Attempt, Logged
from temula.outbound.webhooks.model.search import By, Sought, steps_back


class Place(msgspec.Struct, frozen=True):
    """A place in the log, whose order is that of time."""

    at: datetime
    id: str


class Looked(Place, frozen=True):
    """An attempt that was looked at as the n-th (from 1), and whether it fits."""

    n: int
    fits: bool


class Stretch(NamedTuple):
    """The part of the log that is searched: what is older than `before` and not older than `since`."""

    before: Place
    since: datetime


class Seen(NamedTuple):
    """The places of what fits, newest first, and the last place that was looked at if there may be more behind it."""

    fit: Sequence[Place]
    last: Place | None


# An object of which much was said is asked for at each attempt: to read all that was said of it would take longer.
_FITS = """at >= $4 AND ($7::text IS NULL OR endpoint_id = $7) AND ($8::text[] IS NULL OR type = ANY($8))
        AND ($9::smallint IS NULL OR coalesce(status >= $9, false))
        AND ($10::smallint IS NULL OR coalesce(status <= $10, false))
        AND (NOT $11::bool OR status IS NULL) AND ($12::text[] IS NULL OR outcome = ANY($12))
        AND ($13::text IS NULL OR coalesce(error = $13, false))
        AND ($14::text IS NULL OR coalesce((
            SELECT true FROM fact_objects o WHERE o.organization_id = $1 AND o.object_id = $14
                AND o.fact_id = looked.message_id LIMIT 1), false))"""
# Those that fit, and the last that was looked at even if it does not: it says how many there were, and where to go on.
# The indexes of what failed hold all that is asked, so rows are read whole only when it is known which are shown.
_SEARCH = f"""
SELECT at, id, n, fits FROM (
    SELECT at, id, n, fits FROM (
        SELECT at, id, row_number() OVER newest AS n, lead(at) OVER newest IS NULL AS is_last, {_FITS} AS fits
        FROM (
            SELECT at, id, endpoint_id, type, status, outcome, error, message_id FROM {{among}}
            ORDER BY at DESC, id DESC LIMIT $5) AS looked
        WINDOW newest AS (ORDER BY at DESC, id DESC)) AS all_looked
    WHERE fits OR is_last LIMIT $6) AS found
ORDER BY n
"""
# The upper bound is said twice, since only a plain one tells the planner in which days to look. The lower one tells it
# if few days are searched ($15 is false), for they are planned with their times. If many are, it bounds nothing, and
# what is too old does not fit and is the end: PostgreSQL takes a range whose ends it does not know for half a hundredth
# of the table, and would then read it from the primary key instead of the index meant.
_BETWEEN = "at <= $2 AND (at, id) < ($2, $3) AND ($15::bool OR at >= $4)"
# What an index is asked for stands in a query of its own, so that the planner does not know it: else it would take what
# is frequent in a day for what is everywhere in it, and look for it without its index.
_AMONG = f"webhook_attempts WHERE organization_id = $1 AND {_BETWEEN} AND {{}}"

BY_TIME = Statement(_SEARCH.format(among=_AMONG.format("true")))
BY_ENDPOINT = Statement(_SEARCH.format(among=_AMONG.format("endpoint_id = (SELECT $7::text)")))
BY_TYPE = Statement(_SEARCH.format(among=_AMONG.format("type = (SELECT ($8::text[])[1])")))
BY_FAILED = Statement(_SEARCH.format(among=_AMONG.format("outcome <> 'delivered'")))
BY_FAILED_OF_ENDPOINT = Statement(
    _SEARCH.format(among=_AMONG.format("endpoint_id = (SELECT $7::text) AND outcome <> 'delivered'"))
)
BY_STATUS = Statement(_SEARCH.format(among=_AMONG.format("status = (SELECT $9::smallint) AND status <> 200")))
BY_ERROR = Statement(_SEARCH.format(among=_AMONG.format("error = (SELECT $13::text)")))
# All of them are read before the newest are taken: in the order of time it would be all of the log.
_OF_MESSAGES = """webhook_attempts WHERE organization_id = $1 AND at >= $4 AND ($15::bool OR at <= $2)
    AND message_id = ANY($16::text[]) OFFSET 0"""
BY_MESSAGES = Statement(_SEARCH.format(among=f"(SELECT * FROM {_OF_MESSAGES}) AS of_messages WHERE {_BETWEEN}"))
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

# To load ninety days' tables with their indexes into a connection, and to plan for them, takes far longer than to
# search them. So a few days are asked first, and planned for each time: the planner leaves out all days but these. Many
# days are planned for once a connection, for any arguments. Left alone, PostgreSQL plans for all at the sixth time.
PLAN_EACH = Statement("SELECT set_config('plan_cache_mode', 'force_custom_plan', true)")
PLAN_ONCE = Statement("SELECT set_config('plan_cache_mode', 'force_generic_plan', true)")
FEW_DAYS = timedelta(days=22)  # more than all of `STEPS`
# The times are said twice: to the planner all of them, so that it leaves out other days.
ROWS = Statement(f"""
SELECT {columns(Logged, "a")} FROM unnest($2::timestamptz[], $3::text[]) WITH ORDINALITY AS l (at, id, n)
CROSS JOIN LATERAL (
    SELECT * FROM webhook_attempts w
    WHERE w.organization_id = $1 AND w.at = ANY($2) AND w.at = l.at AND w.id = l.id LIMIT 1) AS a
ORDER BY n
""")
SAID_OF = Statement("""
SELECT fact_id AS id FROM fact_objects WHERE organization_id = $1 AND object_id = $2 ORDER BY fact_id LIMIT $3
""")
# An id carries the time at which it was made, so that few partitions, and little of them, are looked at.
ATTEMPT = Statement(f"""
SELECT {columns(Attempt)} FROM webhook_attempts
WHERE organization_id = $1 AND at >= $2 AND at <= $3 AND id = $4
""")


class _Said(msgspec.Struct, frozen=True):
    id: str


async def planned(uow: UnitOfWork, length: timedelta) -> bool:
    """Have what follows in this transaction planned as is best for so much of the log; tell whether it is few days."""
    few = length <= FEW_DAYS
    await uow.run(PLAN_EACH if few else PLAN_ONCE)
    return few


async def search(
    uow: UnitOfWork, by: By, stretch: Stretch, sought: Sought, messages: Sequence[str], look: int, limit: int
) -> Seen:
    """Find what is sought among the newest `look` attempts that an index leads to, up to `limit`."""
    more = (messages,) if by is By.MESSAGES else ()
    fit: list[Place] = []
    seen, before = 0, stretch.before
    for since in steps_back(before.at, stretch.since):
        few = await planned(uow, before.at - since)
        asked = (before.at, before.id, since, look - seen, limit - len(fit), *_conditions(sought), not few, *more)
        found = await uow.rows(Looked, SEARCHES[by], uow.organization_id, *asked)
        fit += [one for one in found if one.fits]
        seen += found[-1].n if found else 0
        if len(fit) == limit or seen == look:
            return Seen(fit, found[-1] if found[-1].at >= stretch.since else None)
        before = Place(since, "")
    return Seen(fit, None)


def _conditions(sought: Sought) -> tuple[object, ...]:
    one, answered = sought, sought.answered
    return (
        one.endpoint_id, one.types, answered and answered.lowest, answered and answered.highest,
        answered is not None and answered.not_at_all, one.outcomes, one.error, one.object_id,
    )  # fmt: skip


async def at_places(uow: UnitOfWork, places: Sequence[Place]) -> list[Logged]:
    """Read the attempts at these places, in their order."""
    if not places:
        return []
    await uow.run(PLAN_EACH)
    return await uow.rows(Logged, ROWS, uow.organization_id, [one.at for one in places], [one.id for one in places])


async def said_of(uow: UnitOfWork, object_id: str, most: int) -> list[str]:
    """List the ids of facts about an object, the first ones first."""
    return [one.id for one in await uow.rows(_Said, SAID_OF, uow.organization_id, object_id, most)]


async def attempt(uow: UnitOfWork, attempt_id: str, earliest: datetime, latest: datetime) -> Attempt | None:
    """Find an attempt that was made between two times, whole."""
    await planned(uow, latest - earliest)
    return await uow.row(Attempt, ATTEMPT, uow.organization_id, earliest, latest, attempt_id)
