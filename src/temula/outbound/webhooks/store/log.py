"""Every SQL statement that reads deliveries and their attempts."""

from datetime import datetime

from temula.kernel.database import UnitOfWork
from temula.kernel.pages import Window
from temula.kernel.sql import Statement, columns
from temula.outbound.webhooks.model import Attempt, Delivery, Latest

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
DELIVERY = Statement(f"""
SELECT {columns(Delivery)} FROM ({_WAITING} AND d.id = $2 UNION ALL {_ENDED} AND a.delivery_id = $2) AS d
""")
DELIVERIES = Statement(f"""
SELECT {columns(Delivery)} FROM (
    ({_WAITING} AND d.id < $2 ORDER BY d.id DESC LIMIT $3)
    UNION ALL ({_ENDED} AND a.delivery_id < $2 ORDER BY a.delivery_id DESC LIMIT $3)) AS d
ORDER BY id DESC LIMIT $3
""")
DELIVERIES_OF_ENDPOINT = Statement(f"""
SELECT {columns(Delivery)} FROM (
    ({_WAITING} AND d.id < $2 AND d.endpoint_id = $4 ORDER BY d.id DESC LIMIT $3)
    UNION ALL ({_ENDED} AND a.delivery_id < $2 AND a.endpoint_id = $4 ORDER BY a.delivery_id DESC LIMIT $3)) AS d
ORDER BY id DESC LIMIT $3
""")
LATEST = Statement(f"""
SELECT d.id, d.type, e.url, d.state, d.attempts, d.created_at FROM (
    ({_WAITING} ORDER BY d.id DESC LIMIT $2) UNION ALL ({_ENDED} ORDER BY a.delivery_id DESC LIMIT $2)) AS d
JOIN webhook_endpoints e ON e.organization_id = d.organization_id AND e.id = d.endpoint_id
ORDER BY d.id DESC LIMIT $2
""")
DELIVERED_SINCE = Statement("""
SELECT count(*) FROM webhook_attempts WHERE organization_id = $1 AND at > $2 AND outcome = 'delivered'
""")
ATTEMPTS = Statement(f"""
SELECT {columns(Attempt)} FROM webhook_attempts WHERE organization_id = $1 AND delivery_id = $2 ORDER BY number, id
""")


async def delivery(uow: UnitOfWork, delivery_id: str) -> Delivery | None:
    """Find a delivery, waiting or over."""
    return await uow.row(Delivery, DELIVERY, uow.organization_id, delivery_id)


async def deliveries(uow: UnitOfWork, window: Window, endpoint_id: str | None) -> list[Delivery]:
    """List deliveries, newest first."""
    asked = (uow.organization_id, window.before, window.fetch)
    if endpoint_id is None:
        return await uow.rows(Delivery, DELIVERIES, *asked)
    return await uow.rows(Delivery, DELIVERIES_OF_ENDPOINT, *asked, endpoint_id)


async def latest(uow: UnitOfWork, limit: int) -> list[Latest]:
    """List the newest deliveries with where they go."""
    return await uow.rows(Latest, LATEST, uow.organization_id, limit)


async def delivered_since(uow: UnitOfWork, since: datetime) -> int:
    """Count deliveries that succeeded since a time."""
    return int(await uow.value(DELIVERED_SINCE, uow.organization_id, since))


async def attempts(uow: UnitOfWork, delivery_id: str) -> list[Attempt]:
    """List a delivery's attempts in order."""
    return await uow.rows(Attempt, ATTEMPTS, uow.organization_id, delivery_id)
