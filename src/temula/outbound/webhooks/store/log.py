"""Every SQL statement that reads deliveries and their attempts."""

from datetime import UTC, datetime, timedelta
from typing import TypeVar

import msgspec

from temula.kernel.database import UnitOfWork
from temula.kernel.ids import DELIVERY as DELIVERY_ID
from temula.kernel.ids import InvalidId
from temula.kernel.pages import FROM_THE_START, Window
from temula.kernel.sql import Statement, columns
from temula.outbound.webhooks.model import Attempt, Delivery, Latest
from temula.outbound.webhooks.model.search import steps_back
from temula.outbound.webhooks.store.search import planned

S = TypeVar("S", bound=msgspec.Struct)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# How long before the time in its id a delivery can have been tried, whatever the clocks of the machines did.
APART = timedelta(hours=1)

# A delivery is a row while it waits, and then the attempt that ended it.
_WAITING = """
SELECT d.organization_id, d.id, d.endpoint_id, d.message_id, d.type, 'pending' AS state, d.attempts, d.replay_id,
    CASE WHEN e.state = 'enabled' THEN d.next_at ELSE 'infinity' END AS next_at, d.created_at,
    NULL::timestamptz AS finished_at
FROM webhook_deliveries d JOIN webhook_endpoints e ON e.organization_id = d.organization_id AND e.id = d.endpoint_id
WHERE d.organization_id = $1"""
_ENDED = """
SELECT a.organization_id, a.delivery_id AS id, a.endpoint_id, a.message_id, a.type, a.outcome AS state,
    a.number AS attempts, a.replay_id, a.at AS next_at, a.delivery_created_at AS created_at, a.at AS finished_at
FROM webhook_attempts a WHERE a.organization_id = $1 AND a.outcome <> 'retried'"""
# What is tried for a delivery is tried after it was made, and when that was its id says: so these look only at the days
# since then. Lists read one piece of the ids after the other, each from $4 on, for which nothing was tried before $5.
DELIVERY = Statement(f"""
SELECT {columns(Delivery)} FROM (
    {_WAITING} AND d.id = $2 UNION ALL {_ENDED} AND a.at >= $3 AND a.delivery_id = $2) AS d
""")
_PIECE = f"""({_WAITING} AND d.id < $2 AND d.id >= $4{{0}} ORDER BY d.id DESC LIMIT $3)
    UNION ALL ({_ENDED} AND a.at >= $5 AND a.delivery_id < $2 AND a.delivery_id >= $4{{0}}
    ORDER BY a.delivery_id DESC LIMIT $3)"""
DELIVERIES = Statement(f"""
SELECT {columns(Delivery)} FROM ({_PIECE.format("")}) AS d ORDER BY id DESC LIMIT $3
""")
DELIVERIES_OF_ENDPOINT = Statement(f"""
SELECT {columns(Delivery)} FROM ({_PIECE.format(" AND endpoint_id = $6")}) AS d
ORDER BY id DESC LIMIT $3
""")
LATEST = Statement(f"""
SELECT d.id, d.type, e.url, d.state, d.attempts, d.created_at FROM ({_PIECE.format("")}) AS d
JOIN webhook_endpoints e ON e.organization_id = d.organization_id AND e.id = d.endpoint_id
ORDER BY d.id DESC LIMIT $3
""")
DELIVERED_SINCE = Statement("""
SELECT count(*) FROM webhook_attempts WHERE organization_id = $1 AND at > $2 AND outcome = 'delivered'
""")
ATTEMPTS = Statement(f"""
SELECT {columns(Attempt)} FROM webhook_attempts
WHERE organization_id = $1 AND at >= $3 AND delivery_id = $2 ORDER BY number, id
""")


async def delivery(uow: UnitOfWork, delivery_id: str) -> Delivery | None:
    """Find a delivery, waiting or over."""
    if (since := _earliest(delivery_id)) is None:
        return None
    await planned(uow, uow.now - since)
    return await uow.row(Delivery, DELIVERY, uow.organization_id, delivery_id, since)


async def deliveries(uow: UnitOfWork, window: Window, endpoint_id: str | None) -> list[Delivery]:
    """List deliveries, newest first."""
    if endpoint_id is None:
        return await _newest(uow, Delivery, DELIVERIES, window.before, window.fetch)
    return await _newest(uow, Delivery, DELIVERIES_OF_ENDPOINT, window.before, window.fetch, endpoint_id)


async def latest(uow: UnitOfWork, limit: int) -> list[Latest]:
    """List the newest deliveries with where they go."""
    return await _newest(uow, Latest, LATEST, FROM_THE_START, limit)


async def _newest(
    uow: UnitOfWork, into: type[S], statement: Statement, before: str, limit: int, *narrowed: str
) -> list[S]:
    """Read what stands below an id piece by piece, until there are `limit`."""
    start = uow.now if before == FROM_THE_START else DELIVERY_ID.time(DELIVERY_ID.parse(before))
    found: list[S] = []
    for end in steps_back(start, EPOCH):
        first, since = DELIVERY_ID.first(end), end - APART
        await planned(uow, uow.now - since)
        asked = (uow.organization_id, before, limit - len(found), first, since, *narrowed)
        found += await uow.rows(into, statement, *asked)
        if len(found) == limit:
            break
        before = first
    return found


def _earliest(delivery_id: str) -> datetime | None:
    """Tell before when nothing was tried for a delivery; None if that is no delivery's id."""
    try:
        return DELIVERY_ID.time(DELIVERY_ID.parse(delivery_id)) - APART
    except InvalidId:
        return None


async def delivered_since(uow: UnitOfWork, since: datetime) -> int:
    """Count deliveries that succeeded since a time."""
    await planned(uow, uow.now - since)
    return int(await uow.value(DELIVERED_SINCE, uow.organization_id, since))


async def attempts(uow: UnitOfWork, delivery_id: str) -> list[Attempt]:
    """List a delivery's attempts in order."""
    if (since := _earliest(delivery_id)) is None:
        return []
    await planned(uow, uow.now - since)
    return await uow.rows(Attempt, ATTEMPTS, uow.organization_id, delivery_id, since)
