"""Every SQL statement of webhook endpoints."""

from collections.abc import Sequence

from temula.kernel.database import UnitOfWork
from temula.kernel.pages import Window
from temula.kernel.sealing import sealed
from temula.kernel.sql import Statement, columns
from temula.outbound.webhooks.model import (
    Endpoint,
    Subscription,
)

INSERT = Statement(f"""
INSERT INTO webhook_endpoints ({columns(Endpoint)})
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
""")
GET = Statement(f"SELECT {columns(Endpoint)} FROM webhook_endpoints WHERE organization_id = $1 AND id = $2")
LOCK = Statement(f"""
SELECT {columns(Endpoint)} FROM webhook_endpoints WHERE organization_id = $1 AND id = $2 FOR UPDATE
""")
LIST = Statement(f"""
SELECT {columns(Endpoint)} FROM webhook_endpoints WHERE organization_id = $1 AND id < $2 ORDER BY id DESC LIMIT $3
""")
# Shared, so that an endpoint cannot be paused or enabled between this look and the deliveries made of it: a message
# would go out though paused, or wait at infinity though enabled.
SUBSCRIPTIONS = Statement(f"""
SELECT {columns(Subscription)} FROM webhook_endpoints
WHERE organization_id = ANY($1::text[]) ORDER BY organization_id, id FOR SHARE
""")
UPDATE = Statement("""
UPDATE webhook_endpoints SET url = $3, description = $4, state = $5, disabled_reason = $6, types = $7, event_ids = $8,
    secret = $9, previous_secret = $10, previous_until = $11, failures = $12, failing_since = $13, updated_at = $14
WHERE organization_id = $1 AND id = $2
""")
DELETE = Statement("DELETE FROM webhook_endpoints WHERE organization_id = $1 AND id = $2")
CLEAR_FAILURES = Statement("""
UPDATE webhook_endpoints SET failures = 0, failing_since = NULL
WHERE organization_id = $1 AND id = $2 AND failures > 0
""")
DISABLED = Statement("""
SELECT count(*) FROM webhook_endpoints WHERE organization_id = $1 AND state = 'disabled'
""")
SEALED = tuple(
    sealed(
        "webhook_endpoints", field, key=("organization_id", "id"),
        context=f"organization_id || '|webhook_endpoints|' || id || '|{field}'",
    )
    for field in ("secret", "previous_secret")
)  # fmt: skip


async def insert(uow: UnitOfWork, endpoint: Endpoint) -> None:
    """Add an endpoint."""
    await uow.run(INSERT, *(getattr(endpoint, name) for name in endpoint.__struct_fields__))


async def get(uow: UnitOfWork, endpoint_id: str) -> Endpoint | None:
    """Find an endpoint."""
    return await uow.row(Endpoint, GET, uow.organization_id, endpoint_id)


async def lock(uow: UnitOfWork, endpoint_id: str) -> Endpoint | None:
    """Find an endpoint and keep others from changing it until the commit."""
    return await uow.row(Endpoint, LOCK, uow.organization_id, endpoint_id)


async def listed(uow: UnitOfWork, window: Window) -> list[Endpoint]:
    """List endpoints, newest first."""
    return await uow.rows(Endpoint, LIST, uow.organization_id, window.before, window.fetch)


async def subscriptions(uow: UnitOfWork, organization_ids: Sequence[str]) -> list[Subscription]:
    """List what the endpoints of several organizations want; only a crossing unit of work sees them all."""
    return await uow.rows(Subscription, SUBSCRIPTIONS, list(organization_ids))


async def update(uow: UnitOfWork, e: Endpoint) -> None:
    """Write what may change of an endpoint."""
    await uow.run(
        UPDATE, e.organization_id, e.id, e.url, e.description, e.state, e.disabled_reason, e.types, e.event_ids,
        e.secret, e.previous_secret, e.previous_until, e.failures, e.failing_since, uow.now,
    )  # fmt: skip


async def delete(uow: UnitOfWork, endpoint_id: str) -> bool:
    """Remove an endpoint with its deliveries."""
    return bool(await uow.run(DELETE, uow.organization_id, endpoint_id))


async def clear_failures(uow: UnitOfWork, endpoint_id: str) -> None:
    """Note that the endpoint has succeeded."""
    await uow.run(CLEAR_FAILURES, uow.organization_id, endpoint_id)


async def disabled(uow: UnitOfWork) -> int:
    """Count disabled endpoints."""
    return int(await uow.value(DISABLED, uow.organization_id))
