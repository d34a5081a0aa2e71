"""What every process asks of a server before it works on it: that it forgets nothing it has acknowledged."""

import asyncpg

from temula.kernel.errors import Misconfigured

DURABILITY = ("fsync", "full_page_writes", "synchronous_commit")


async def require_durable(connection: "asyncpg.Connection | asyncpg.pool.PoolConnectionProxy") -> None:
    """Raise `Misconfigured` if the server, as this connection sees it, may forget what it has acknowledged."""
    for name in DURABILITY:
        value = await connection.fetchval("SELECT current_setting($1)", name)
        # Anything but off waits for the local disk at least (`local`, `remote_write`, `remote_apply`, `on`).
        if value == "off":
            raise Misconfigured(
                f"PostgreSQL has {name} = off: after a crash it would lose sales and check-ins that Temula had "
                f"acknowledged. Set {name} = on and start again."
            )


async def require_tables(connection: "asyncpg.Connection | asyncpg.pool.PoolConnectionProxy") -> None:
    """Raise `Misconfigured` if the database was never migrated."""
    if await connection.fetchval("SELECT to_regclass('public.facts') IS NULL"):
        raise Misconfigured("The database holds no tables of Temula: look at TEMULA_DATABASE_URL, or `temula migrate`.")
