"""A PostgreSQL for the test run, and databases in it that are copies of one migrated template."""

import os
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from temula.operations import migrations
from temula.operations.embedded import EmbeddedPostgres

# Names a superuser's URL of a running server; without it an embedded one is started for the run.
VARIABLE = "TEMULA_TEST_DATABASE_URL"
TEMPLATE = "temula_test_template"


class Postgres:
    """A server on which tests make databases."""

    def __init__(self, url: str) -> None:
        self.url = url

    def database_url(self, name: str, user: str | None = None) -> str:
        parts = urlsplit(self.url)
        place = parts.netloc if user is None else f"{user}@{parts.netloc.rpartition('@')[2]}"
        # urlunsplit drops an empty authority, which the driver's form with a socket folder needs.
        return urlunsplit(parts._replace(netloc=place, path=f"/{name}")).replace(
            "postgresql:/temula", "postgresql:///temula"
        )

    @asynccontextmanager
    async def database(self, *, template: str | None = TEMPLATE) -> AsyncIterator[str]:
        """A database of its own, migrated, gone afterwards; its owner's URL."""
        name = f"temula_test_{secrets.token_hex(6)}"
        copy = f"TEMPLATE {template}" if template else ""
        await self.run(f"CREATE DATABASE {name} {copy}")
        try:
            yield self.database_url(name)
        finally:
            await self.run(f"DROP DATABASE {name} WITH (FORCE)")

    async def run(self, statement: str) -> None:
        connection = await asyncpg.connect(self.url)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()


@asynccontextmanager
async def running(folder: Path) -> AsyncIterator[Postgres]:
    """The run's server with its template."""
    if url := os.environ.get(VARIABLE):
        async with _with_template(Postgres(url)) as postgres:
            yield postgres
        return
    server = EmbeddedPostgres(folder)
    await server.start()
    try:
        async with _with_template(Postgres(server.url(database="postgres"))) as postgres:
            yield postgres
    finally:
        await server.stop()


@asynccontextmanager
async def _with_template(postgres: Postgres) -> AsyncIterator[Postgres]:
    await postgres.run(f"DROP DATABASE IF EXISTS {TEMPLATE}")
    await postgres.run(f"CREATE DATABASE {TEMPLATE}")
    await migrations.apply(postgres.database_url(TEMPLATE))
    try:
        yield postgres
    finally:
        await postgres.run(f"DROP DATABASE IF EXISTS {TEMPLATE}")
