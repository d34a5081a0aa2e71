"""Every SQL statement of what the organization's people are told about its endpoints."""

from datetime import datetime

import msgspec

from temula.kernel.database import UnitOfWork
from temula.kernel.sql import Statement, columns
from temula.outbound.webhooks.model import Endpoint


class Warned(msgspec.Struct, frozen=True):
    """A fact that told of an endpoint in trouble; `data` is its JSON."""

    type: str
    occurred_at: datetime
    data: bytes


# The types stand here and are no argument, so that the index of just these is used. Test messages are not public.
WARNINGS = Statement(f"""
SELECT {columns(Warned)} FROM facts
WHERE organization_id = $1 AND public AND type IN ('endpoint.disabled', 'endpoint.failing')
ORDER BY transaction DESC, position DESC LIMIT $2
""")
NAMED = Statement(f"""
SELECT {columns(Endpoint)} FROM webhook_endpoints
WHERE organization_id = $1 AND id = ANY($2::text[]) AND deleted_at IS NULL
""")
TROUBLED = Statement(f"""
SELECT {columns(Endpoint)} FROM webhook_endpoints
WHERE organization_id = $1 AND deleted_at IS NULL AND (state = 'disabled' OR (state = 'enabled' AND failures >= $2))
ORDER BY state, failing_since DESC NULLS LAST, id DESC LIMIT $3
""")
WAITING = Statement("""
SELECT count(*) FROM (
    SELECT FROM webhook_deliveries WHERE organization_id = $1 AND endpoint_id = $2 AND lane IN (0, 1, 2) LIMIT $3) AS w
""")


async def warnings(uow: UnitOfWork, most: int) -> list[Warned]:
    """List what was told of endpoints in trouble, newest first."""
    return await uow.rows(Warned, WARNINGS, uow.organization_id, most)


async def named(uow: UnitOfWork, endpoint_ids: list[str]) -> list[Endpoint]:
    """Find endpoints by their ids; deleted ones are left out."""
    return await uow.rows(Endpoint, NAMED, uow.organization_id, endpoint_ids)


async def troubled(uow: UnitOfWork, failures: int, most: int) -> list[Endpoint]:
    """List endpoints that are disabled, and then those that are enabled and have failed so often in a row."""
    return await uow.rows(Endpoint, TROUBLED, uow.organization_id, failures, most)


async def waiting(uow: UnitOfWork, endpoint_id: str, most: int) -> int:
    """Count what waits for an endpoint, up to `most`."""
    return int(await uow.value(WAITING, uow.organization_id, endpoint_id, most))
