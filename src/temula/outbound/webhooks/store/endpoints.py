"""Every SQL statement of webhook endpoints."""

from collections.abc import Sequence
from typing import NamedTuple

from temula.kernel.database import UnitOfWork
from temula.kernel.pages import Window
from temula.kernel.sealing import sealed
from temula.kernel.sql import Statement, columns
from temula.outbound.webhooks.model import (
    Endpoint,
    Health,
    Subscription,
)

INSERT = Statement(f"""
INSERT INTO webhook_endpoints ({columns(Endpoint)})
VALUES ({", ".join(f"${n + 1}" for n in range(len(Endpoint.__struct_fields__)))})
""")
GET = Statement(f"""
SELECT {columns(Endpoint)} FROM webhook_endpoints WHERE organization_id = $1 AND id = $2 AND deleted_at IS NULL
""")
LOCK = Statement(f"""
SELECT {columns(Endpoint)} FROM webhook_endpoints WHERE organization_id = $1 AND id = $2 AND deleted_at IS NULL
FOR UPDATE
""")
LIST = Statement(f"""
SELECT {columns(Endpoint)} FROM webhook_endpoints WHERE organization_id = $1 AND id < $2 AND deleted_at IS NULL
    AND ($4::text IS NULL OR state = $4) AND ($5::text IS NULL OR team_id = $5)
    AND ($6::text IS NULL OR partner_id = $6)
ORDER BY id DESC LIMIT $3
""")
# Shared, so that an endpoint cannot be paused or enabled between this look and the deliveries made of it: a message
# would go out though paused, or wait at infinity though enabled.
SUBSCRIPTIONS = Statement(f"""
SELECT {columns(Subscription)} FROM webhook_endpoints
WHERE organization_id = ANY($1::text[]) AND deleted_at IS NULL ORDER BY organization_id, id FOR SHARE
""")
# All that may change, in the order of `CHANGES`.
CHANGES = tuple(
    name for name in Endpoint.__struct_fields__ if name not in ("organization_id", "id", "created_at", "updated_at")
)
UPDATE = Statement(f"""
UPDATE webhook_endpoints SET updated_at = $3, {", ".join(f"{name} = ${n}" for n, name in enumerate(CHANGES, start=4))}
WHERE organization_id = $1 AND id = $2
""")
DELETE = Statement("""
UPDATE webhook_endpoints SET deleted_at = $3, updated_at = $3, headers = NULL, previous_secret = NULL
WHERE organization_id = $1 AND id = $2 AND deleted_at IS NULL
""")
DROP_WAITING = Statement("DELETE FROM webhook_deliveries WHERE organization_id = $1 AND endpoint_id = $2")
NOTE_HEALTH = Statement("""
UPDATE webhook_endpoints SET failures = $3, failing_since = $4 WHERE organization_id = $1 AND id = $2
""")
DISABLED = Statement("""
SELECT count(*) FROM webhook_endpoints WHERE organization_id = $1 AND state = 'disabled' AND deleted_at IS NULL
""")
SEALED = tuple(
    sealed(
        "webhook_endpoints", field, key=("organization_id", "id"),
        context=f"organization_id || '|webhook_endpoints|' || id || '|{field}'",
    )
    for field in ("secret", "previous_secret", "headers")
)  # fmt: skip


class Narrowed(NamedTuple):
    """Which endpoints of a list; what is None does not narrow."""

    state: str | None = None
    team_id: str | None = None
    partner_id: str | None = None


async def insert(uow: UnitOfWork, endpoint: Endpoint) -> None:
    """Add an endpoint."""
    await uow.run(INSERT, *(getattr(endpoint, name) for name in endpoint.__struct_fields__))


async def get(uow: UnitOfWork, endpoint_id: str) -> Endpoint | None:
    """Find an endpoint."""
    return await uow.row(Endpoint, GET, uow.organization_id, endpoint_id)


async def lock(uow: UnitOfWork, endpoint_id: str) -> Endpoint | None:
    """Find an endpoint and keep others from changing it until the commit."""
    return await uow.row(Endpoint, LOCK, uow.organization_id, endpoint_id)


async def listed(uow: UnitOfWork, window: Window, narrowed: Narrowed) -> list[Endpoint]:
    """List endpoints, newest first."""
    return await uow.rows(Endpoint, LIST, uow.organization_id, window.before, window.fetch, *narrowed)


async def subscriptions(uow: UnitOfWork, organization_ids: Sequence[str]) -> list[Subscription]:
    """List what the endpoints of several organizations want; only a crossing unit of work sees them all."""
    return await uow.rows(Subscription, SUBSCRIPTIONS, list(organization_ids))


async def update(uow: UnitOfWork, e: Endpoint) -> None:
    """Write what may change of an endpoint."""
    await uow.run(UPDATE, e.organization_id, e.id, uow.now, *(getattr(e, name) for name in CHANGES))


async def delete(uow: UnitOfWork, endpoint_id: str) -> bool:
    """Hide an endpoint from everybody; its log still names it."""
    return bool(await uow.run(DELETE, uow.organization_id, endpoint_id, uow.now))


async def drop_waiting(uow: UnitOfWork, endpoint_id: str) -> int:
    """Remove what waits for an endpoint."""
    return await uow.run(DROP_WAITING, uow.organization_id, endpoint_id)


async def note_health(uow: UnitOfWork, endpoint_id: str, health: Health) -> None:
    """Note how many attempts in a row have failed. That is no change of the endpoint: `updated_at` stays."""
    await uow.run(NOTE_HEALTH, uow.organization_id, endpoint_id, health.failures, health.since)


async def disabled(uow: UnitOfWork) -> int:
    """Count disabled endpoints."""
    return int(await uow.value(DISABLED, uow.organization_id))
