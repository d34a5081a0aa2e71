"""Every SQL statement of connections."""

from temula.domain.connections.model import Connection
from temula.domain.organizations.model import PLATFORM
from temula.kernel.database import UnitOfWork
from temula.kernel.sealing import sealed
from temula.kernel.sql import Statement

_OWN = "organization_id, id, kind, provider, mode, credentials, hint, enabled, created_at"
_PLATFORM = f"'{PLATFORM}', id, kind, provider, mode, credentials, hint, enabled, created_at, true"

INSERT = Statement("""
INSERT INTO payment_gateway_configs (organization_id, id, kind, provider, mode, credentials, hint, enabled, created_at,
    callback_token_hash) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
""")
INSERT_PLATFORM = Statement("""
INSERT INTO platform_gateway_configs (id, kind, provider, mode, credentials, hint, enabled, created_at,
    callback_token_hash) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
""")
DISABLE_OTHERS = Statement("""
UPDATE payment_gateway_configs SET enabled = false WHERE organization_id = $1 AND kind = $2 AND mode = $3 AND enabled
""")
DISABLE_OTHERS_PLATFORM = Statement("""
UPDATE platform_gateway_configs SET enabled = false WHERE kind = $1 AND mode = $2 AND enabled
""")
USED = Statement(f"""
SELECT {_OWN} FROM payment_gateway_configs WHERE organization_id = $1 AND kind = $2 AND mode = $3 AND enabled
""")
USED_PLATFORM = Statement(f"SELECT {_PLATFORM} FROM platform_gateway_configs WHERE kind = $1 AND mode = $2 AND enabled")
GET = Statement(f"SELECT {_OWN} FROM payment_gateway_configs WHERE organization_id = $1 AND id = $2")
GET_PLATFORM = Statement(f"SELECT {_PLATFORM} FROM platform_gateway_configs WHERE id = $1")
LIST = Statement(f"SELECT {_OWN} FROM payment_gateway_configs WHERE organization_id = $1 ORDER BY id")
LIST_PLATFORM = Statement(f"SELECT {_PLATFORM} FROM platform_gateway_configs ORDER BY id")
UPDATE = Statement("""
UPDATE payment_gateway_configs SET credentials = $3, hint = $4, enabled = $5 WHERE organization_id = $1 AND id = $2
""")
UPDATE_PLATFORM = Statement("""
UPDATE platform_gateway_configs SET credentials = $2, hint = $3, enabled = $4 WHERE id = $1
""")
BY_TOKEN = Statement(f"SELECT {_OWN} FROM payment_gateway_configs WHERE callback_token_hash = $1")
BY_TOKEN_PLATFORM = Statement(f"SELECT {_PLATFORM} FROM platform_gateway_configs WHERE callback_token_hash = $1")
SEALED = (
    sealed(
        "payment_gateway_configs", "credentials", key=("organization_id", "id"),
        context="organization_id || '|payment_gateway_configs|' || id || '|credentials'",
    ),
    sealed(
        "platform_gateway_configs", "credentials", key=("id",),
        context=f"'{PLATFORM}|platform_gateway_configs|' || id || '|credentials'",
    ),
)  # fmt: skip


async def insert(uow: UnitOfWork, connection: Connection, token_hash: bytes) -> None:
    """Add a connection and make it the one that is used for its kind and mode."""
    values = (
        connection.id, connection.kind, connection.provider, connection.mode, connection.credentials, connection.hint,
        connection.enabled, connection.created_at, token_hash,
    )  # fmt: skip
    if connection.on_platform:
        await uow.run(DISABLE_OTHERS_PLATFORM, connection.kind, connection.mode)
        await uow.run(INSERT_PLATFORM, *values)
    else:
        await uow.run(DISABLE_OTHERS, connection.organization_id, connection.kind, connection.mode)
        await uow.run(INSERT, connection.organization_id, *values)


async def used(uow: UnitOfWork, kind: str, mode: str) -> Connection | None:
    """Find the organization's own connection that is in use."""
    return await uow.row(Connection, USED, uow.organization_id, kind, mode)


async def used_on_platform(uow: UnitOfWork, kind: str, mode: str) -> Connection | None:
    """Find the platform's connection that is in use; only a crossing unit of work sees it."""
    return await uow.row(Connection, USED_PLATFORM, kind, mode)


async def get(uow: UnitOfWork, connection_id: str) -> Connection | None:
    """Find one of the organization's connections."""
    return await uow.row(Connection, GET, uow.organization_id, connection_id)


async def get_on_platform(uow: UnitOfWork, connection_id: str) -> Connection | None:
    """Find one of the platform's connections; only a crossing unit of work sees it."""
    return await uow.row(Connection, GET_PLATFORM, connection_id)


async def listed(uow: UnitOfWork) -> list[Connection]:
    """List the organization's connections."""
    return await uow.rows(Connection, LIST, uow.organization_id)


async def listed_on_platform(uow: UnitOfWork) -> list[Connection]:
    """List the platform's connections; only a crossing unit of work sees them."""
    return await uow.rows(Connection, LIST_PLATFORM)


async def update(uow: UnitOfWork, changed: Connection) -> None:
    """Write a connection's credentials and whether it is in use."""
    values = (changed.id, changed.credentials, changed.hint, changed.enabled)
    if changed.on_platform:
        await uow.run(UPDATE_PLATFORM, *values)
    else:
        await uow.run(UPDATE, changed.organization_id, *values)


async def by_token(uow: UnitOfWork, token_hash: bytes) -> Connection | None:
    """Find the connection whose callback URL carries the token; only a crossing unit of work sees them all."""
    found = await uow.row(Connection, BY_TOKEN, token_hash)
    return found or await uow.row(Connection, BY_TOKEN_PLATFORM, token_hash)
