"""Two tenants with one of everything, in a running Temula of this folder's own: both are looked at row by row."""

from collections.abc import AsyncIterator

import asyncpg
import pytest

from temula.operations import migrations
from tests.harness import furnished, house, receiver
from tests.harness.furnished import Furnished
from tests.harness.house import Running
from tests.harness.postgres import Postgres

Two = tuple[Furnished, Furnished]


@pytest.fixture(scope="session")
async def own_temula(server: Postgres, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    """A running Temula in which nobody else writes."""
    async with server.database() as url, house.running(url, tmp_path_factory.mktemp("two")) as running:
        await furnished.furnish_platform(running)
        yield running


@pytest.fixture(scope="session")
async def two(own_temula: Running) -> Two:
    """The tenant whose ids are tried, and the one that tries them."""
    async with receiver.receiving() as hooks:
        mine = await furnished.furnish(own_temula, await own_temula.tenant(), hooks)
        theirs = await furnished.furnish(own_temula, await own_temula.tenant(), hooks)
    return mine, theirs


@pytest.fixture
async def owner(own_temula: Running, two: Two) -> AsyncIterator[asyncpg.Connection]:
    """The database owner's connection into the database of the two tenants; nothing it does stays."""
    connection = await asyncpg.connect(own_temula.owner_url)
    transaction = connection.transaction()
    await transaction.start()
    try:
        yield connection
    finally:
        await transaction.rollback()
        await connection.close()


@pytest.fixture
async def app(owner: asyncpg.Connection) -> asyncpg.Connection:
    """The same connection, lowered to the application's role."""
    await owner.execute(f"SET LOCAL ROLE {migrations.APP}")
    return owner
