"""A restore from a dump into a younger cluster: noticed, and mended without changing what happened in which order."""

from pathlib import Path

import asyncpg
import pytest

from temula.kernel.consumers import read
from temula.kernel.database import Database
from temula.kernel.errors import Misconfigured
from temula.kernel.facts import START, Fact, Position, StoredFact
from temula.kernel.tenancy import system
from temula.operations import migrations, restoring
from temula.operations.wiring import PLATFORM
from tests.harness.house import configuration

ACTOR = system("test", PLATFORM)
# What a dump brings along from a cluster that has seen two thousand million transactions more.
OLDER = 2_000_000_000


class Happened(Fact, frozen=True, kw_only=True):
    """Something happened."""

    TYPE = "test.happened"
    number: int


async def tell(database: Database, *numbers: int) -> None:
    async with database.unit(ACTOR) as uow:
        for number in numbers:
            uow.tell(Happened(number=number))


async def everything(database: Database, after: Position = START) -> list[StoredFact]:
    async with database.crossing("a test reads") as uow:
        return await read(uow, after, 100)


async def as_owner(url: str, *statements: str) -> None:
    connection = await asyncpg.connect(url)
    for statement in statements:
        await connection.execute(statement)
    await connection.close()


async def test_facts_keep_their_order_and_readers_their_place(
    database: Database, owner_url: str, tmp_path: Path
) -> None:
    """After a renumbering the order is the same, a reader goes on where it was, and new facts come last."""
    for number in range(5):
        await tell(database, number * 2, number * 2 + 1)
    before = await everything(database)
    place = before[6].at
    consumer = "INSERT INTO fact_consumers (name, transaction, position, leased_until) VALUES ('r', {}, {}, now())"
    await as_owner(
        owner_url, consumer.format(*place), f"UPDATE facts SET transaction = transaction + {OLDER}",
        f"UPDATE fact_consumers SET transaction = transaction + {OLDER}",
    )  # fmt: skip
    assert await everything(database) == []
    with pytest.raises(Misconfigured, match="facts renumber"):
        await migrations.apply(owner_url)

    assert await restoring.renumber(configuration(owner_url, tmp_path)) == 10

    assert await migrations.apply(owner_url) == []
    await tell(database, 10)
    after = await everything(database)
    assert [one.id for one in after][:10] == [one.id for one in before]
    assert [one.data for one in after] == [b'{"number":%d}' % number for number in range(11)]
    connection = await asyncpg.connect(owner_url)
    place = Position(*await connection.fetchrow("SELECT transaction, position FROM fact_consumers WHERE name = 'r'"))
    await connection.close()
    assert await everything(database, place) == after[7:]
