"""Every SQL statement prepares against the migrated schema, is allowed to who runs it, and fits its struct."""

from collections.abc import AsyncIterator

import asyncpg
import msgspec
import pytest

from temula.kernel.sealing import SealedRow
from temula.operations import migrations, rotation
from temula.outbound.webhooks import store as webhooks
from temula.outbound.webhooks.model import Delivery, Latest
from tests.harness.postgres import Postgres
from tests.harness.statements import Decoding, Found, decodings, statements

# Only the named crossing may touch what these speak of; everything else runs in an organization's unit of work too.
CROSSING_ONLY = (
    "fact_consumers", "platform_gateway_configs", "temula_webhook_attempts_day", "temula_webhook_attempts_drop_day",
    "temula_erase_fact",
)  # fmt: skip
# These the owner runs, step by step, before the application does; test_restoring.py runs them all.
OWNERS = "temula.operations.restoring"
OF_THE_APPLICATION = [one for one in statements() if one.module != OWNERS]


@pytest.fixture(scope="module")
async def connection(server: Postgres) -> AsyncIterator[asyncpg.Connection]:
    async with server.database() as url:
        opened = await asyncpg.connect(url)
        yield opened
        await opened.close()


async def explained(connection: asyncpg.Connection, found: Found) -> None:
    """Plan a statement for whatever its arguments are; this is where PostgreSQL looks at rights."""
    prepared = await connection.prepare(found.text)
    nothing = ", ".join("NULL" for _ in prepared.get_parameters())
    await connection.execute(f"PREPARE looked_at AS {found.text}")
    try:
        await connection.execute(f"EXPLAIN EXECUTE looked_at {f'({nothing})' if nothing else ''}")
    finally:
        await connection.execute("DEALLOCATE looked_at")


@pytest.mark.parametrize("found", OF_THE_APPLICATION, ids=lambda found: found.id)
async def test_it_prepares_and_is_allowed(connection: asyncpg.Connection, found: Found) -> None:
    """Names, types and number of arguments fit the schema, and the application has the rights that it needs."""
    await connection.execute("SET plan_cache_mode = force_generic_plan")
    await connection.execute(f"SET ROLE {migrations.CROSSING}")
    await explained(connection, found)
    await connection.execute(f"SET ROLE {migrations.APP}")
    if any(table in found.text for table in CROSSING_ONLY):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await explained(connection, found)
    else:
        await explained(connection, found)


async def test_rows_fit_their_structs(connection: asyncpg.Connection) -> None:
    """What a statement returns is named like the fields of the struct it is decoded into, in their order."""
    found, unread = decodings()
    assert len(found) > 60
    assert set(unread) == {"SealedRow, column.read", "Looked, SEARCHES[by]", "into, statement"}
    found += [Decoding(by, webhooks.Looked, statement) for by, statement in webhooks.SEARCHES.items()]
    found += [Decoding("newest", Delivery, one) for one in (webhooks.DELIVERIES, webhooks.DELIVERIES_OF_ENDPOINT)]
    found.append(Decoding("newest", Latest, webhooks.LATEST))
    found += [Decoding(f"{column.table}.{column.column}", SealedRow, column.read) for column in rotation.columns()]
    for one in found:
        returned = [column.name for column in (await connection.prepare(one.statement)).get_attributes()]
        fields = msgspec.structs.fields(one.struct)
        names = [field.name for field in fields]
        needed = [field.name for field in fields if field.required]
        assert len(needed) <= len(returned) <= len(names), one.place
        said = [(column, name) for column, name in zip(returned, names, strict=False) if column != "?column?"]
        assert [pair for pair in said if pair[0] != pair[1]] == [], one.place


def test_the_walk_finds_them() -> None:
    """Statements are found in every part that has a store, and in the kernel."""
    found = {one.module for one in statements()}
    assert {"temula.kernel.facts", "temula.kernel.jobs", "temula.domain.checkins.store"} <= found
    assert {"temula.inbound.kit.store", "temula.outbound.webhooks.store", "temula.outbound.callers.store"} <= found
    assert len(statements()) > 120
