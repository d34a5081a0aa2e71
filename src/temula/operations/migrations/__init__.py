"""The schema as numbered SQL files, applied in order under one lock, each in its own transaction, each once."""

import hashlib
from pathlib import Path
from typing import NamedTuple

import asyncpg
import structlog

from temula.kernel.durability import require_durable
from temula.kernel.errors import Misconfigured, Unavailable
from temula.operations.restoring import refuse_restored

log = structlog.get_logger()

HERE = Path(__file__).parent
LOCK = 7_323_985_211  # any constant: all runners of one database must share it
APP, CROSSING = "temula_app", "temula_crossing"
OLDEST = 150000


class Migration(NamedTuple):
    """One file: its name orders it, its digest tells whether it was changed after it was applied."""

    name: str
    sql: str

    @property
    def digest(self) -> str:
        """SHA-256 of the text, in hex."""
        return hashlib.sha256(self.sql.encode()).hexdigest()


def available() -> list[Migration]:
    """Give all migrations in the order in which they are applied."""
    return [Migration(path.stem, path.read_text()) for path in sorted(HERE.glob("[0-9]*.sql"))]


async def apply(dsn: str, *, dry_run: bool = False) -> list[str]:
    """Apply what is missing, as the database's owner; give the names that were (or, dry, would be) applied."""
    connection = await _connect(dsn)
    try:
        await check_server(connection)
        await connection.execute("SELECT pg_advisory_lock($1)", LOCK)
        missing = await _missing(connection)
        await refuse_restored(connection)
        if missing and not dry_run:
            await _make_roles(connection)
            for migration in missing:
                await _apply_one(connection, migration)
        return [migration.name for migration in missing]
    finally:
        await connection.close()


async def _connect(dsn: str) -> "asyncpg.Connection":
    settings = {"application_name": "temula-migrate", "lock_timeout": "0"}
    try:
        return await asyncpg.connect(dsn, timeout=10, server_settings=settings)
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, ValueError) as error:
        raise Unavailable(f"The database does not answer ({error}): look at TEMULA_DATABASE_URL.") from None


async def check_server(connection: "asyncpg.Connection") -> None:
    """Refuse a server that is too old or that may forget what it has acknowledged."""
    version = int(await connection.fetchval("SHOW server_version_num"))
    if version < OLDEST:
        raise Misconfigured(f"PostgreSQL 15 or newer is needed; this server is {version // 10000}.")
    await require_durable(connection)


async def _missing(connection: "asyncpg.Connection") -> list[Migration]:
    await connection.execute(
        "CREATE TABLE IF NOT EXISTS schema_migrations "
        "(name text PRIMARY KEY, digest text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())"
    )
    applied = {
        row["name"]: row["digest"] for row in await connection.fetch("SELECT name, digest FROM schema_migrations")
    }
    migrations = available()
    unknown = sorted(set(applied) - {migration.name for migration in migrations})
    if unknown:
        raise Misconfigured(f"The database was migrated by a newer Temula ({unknown[-1]}); run that version.")
    for migration in migrations:
        if migration.name in applied and applied[migration.name] != migration.digest:
            raise Misconfigured(f"Migration {migration.name} was changed after it was applied; restore its text.")
    return [migration for migration in migrations if migration.name not in applied]


async def _make_roles(connection: "asyncpg.Connection") -> None:
    try:
        await _make_and_grant(connection)
    except asyncpg.InsufficientPrivilegeError as error:
        owner = await connection.fetchval("SELECT current_user")
        raise Misconfigured(
            f"The roles {APP} and {CROSSING} cannot be made or given by {owner} ({error}): give it CREATEROLE, or, if "
            f"another database of this server has them, run as a superuser: GRANT {APP}, {CROSSING} TO {owner} WITH "
            "ADMIN OPTION"
        ) from None


async def _make_and_grant(connection: "asyncpg.Connection") -> None:
    # NOINHERIT: being a member of temula_crossing gives nothing until a unit of work says SET LOCAL ROLE.
    for role in (CROSSING, APP):
        await connection.execute(
            f"DO $$ BEGIN CREATE ROLE {role} NOLOGIN NOINHERIT NOSUPERUSER NOBYPASSRLS; "
            "EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$"
        )
        await connection.execute(f"GRANT {role} TO CURRENT_USER")
        await connection.execute(f"GRANT USAGE ON SCHEMA public TO {role}")
    await connection.execute(f"GRANT {CROSSING} TO {APP}")


async def _apply_one(connection: "asyncpg.Connection", migration: Migration) -> None:
    async with connection.transaction():
        await connection.execute("SET LOCAL lock_timeout = '4s'")
        await connection.execute(migration.sql)
        await connection.execute(
            "INSERT INTO schema_migrations (name, digest) VALUES ($1, $2)", migration.name, migration.digest
        )
    log.info("migration.applied", name=migration.name)
