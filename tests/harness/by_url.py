"""A PostgreSQL reached by a URL over TCP, as one that somebody else runs."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import parse_qs, urlsplit

import asyncpg

from temula.operations.migrations import APP, CROSSING, OLDEST
from tests.harness.postgres import VARIABLE, Postgres

LOCAL = "postgresql://postgres@127.0.0.1:5432/postgres"


@asynccontextmanager
async def by_url(server: Postgres) -> AsyncIterator[Postgres]:
    """The one that TEMULA_TEST_DATABASE_URL names; else this machine's own; else the run's, behind a port."""
    if os.environ.get(VARIABLE):
        yield server
    elif await _fits(LOCAL):
        async with _left_as_found(Postgres(LOCAL)) as local:
            yield local
    else:
        async with _behind_a_port(server) as reached:
            yield reached


async def _fits(url: str) -> bool:
    """Whether a server answers that is new enough and lets us make databases and roles."""
    try:
        connection = await asyncpg.connect(url, timeout=2)
    except (OSError, asyncpg.PostgresError, TimeoutError):
        return False
    try:
        may = await connection.fetchval("SELECT rolsuper FROM pg_roles WHERE rolname = current_user")
        return bool(may) and connection.get_server_version().major * 10000 >= OLDEST
    finally:
        await connection.close()


@asynccontextmanager
async def _left_as_found(local: Postgres) -> AsyncIterator[Postgres]:
    """Roles are a server's, not a database's: those that a migration made go when nobody else uses them."""
    yield local
    for role in (APP, CROSSING):
        with suppress(asyncpg.DependentObjectsStillExistError):
            await local.run(f"DROP ROLE IF EXISTS {role}")


@asynccontextmanager
async def _behind_a_port(server: Postgres) -> AsyncIterator[Postgres]:
    """The embedded server listens on a socket in a folder only: a port of loopback that leads there."""
    folder = parse_qs(urlsplit(server.url).query)["host"][0]

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_unix_connection(f"{folder}/.s.PGSQL.5432")
        await asyncio.gather(_pump(reader, far_writer), _pump(far_reader, writer))

    listening = await asyncio.start_server(forward, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    try:
        yield Postgres(f"postgresql://postgres@127.0.0.1:{port}/postgres")
    finally:
        listening.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while piece := await reader.read(65536):
            writer.write(piece)
            await writer.drain()
    writer.close()
