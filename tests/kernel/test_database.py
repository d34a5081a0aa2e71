"""The one way to PostgreSQL: retries, no nesting, nothing kept by halves, and an honest answer when it is slow."""

import asyncio

import asyncpg
import msgspec
import pytest

from temula.kernel.database import Database, UnitOfWork
from temula.kernel.errors import Conflict, Unavailable
from temula.kernel.sql import Statement
from temula.kernel.tenancy import Actor
from tests.harness import ground
from tests.harness.ground import Happened, another, found, held_open

COUNTERS = """
CREATE TABLE counters (organization_id text NOT NULL, name text NOT NULL, n int NOT NULL, PRIMARY KEY (organization_id,
    name));
SELECT temula_wall('counters');
"""
ADD = Statement("INSERT INTO counters (organization_id, name, n) VALUES ($1, $2, 0)")
READ = Statement("SELECT n FROM counters WHERE organization_id = $1 AND name = $2")
WRITE = Statement("UPDATE counters SET n = $3 WHERE organization_id = $1 AND name = $2")
COUNT_UP = Statement("UPDATE counters SET n = n + 1 WHERE organization_id = $1 AND name = $2")
LIMIT_STATEMENTS = Statement("SELECT set_config('statement_timeout', '50ms', true)")
LIMIT_LOCKS = Statement("SELECT set_config('lock_timeout', '50ms', true)")
SLEEP = Statement("SELECT pg_sleep(5)")
DIVIDE = Statement("SELECT 1 / 0")


@pytest.fixture
async def counting(owner_url: str, database: Database) -> Actor:
    """An organization with two counters, `a` and `b`."""
    connection = await asyncpg.connect(owner_url)
    await connection.execute(COUNTERS)
    await connection.close()
    actor = await ground.organization(database)
    async with database.unit(actor) as uow:
        for name in ("a", "b"):
            await uow.run(ADD, uow.organization_id, name)
    return actor


async def counts(owner_url: str) -> list[tuple]:
    return await found(owner_url, "SELECT name, n FROM counters ORDER BY name")


async def test_a_deadlock_is_tried_again_and_both_succeed(owner_url: str, database: Database, counting: Actor) -> None:
    """Two that lock the same two rows the other way round: PostgreSQL ends one of them, and it runs again."""
    runs = 0
    both_hold_one = asyncio.Barrier(2)

    async def count(uow: UnitOfWork, first: str, second: str) -> None:
        nonlocal runs
        runs += 1
        await uow.run(COUNT_UP, uow.organization_id, first)
        if runs <= 2:
            await both_hold_one.wait()
        await uow.run(COUNT_UP, uow.organization_id, second)
        uow.tell(Happened(n=1))

    await asyncio.gather(
        database.run(counting, lambda uow: count(uow, "a", "b")),
        database.run(counting, lambda uow: count(uow, "b", "a")),
    )
    assert runs == 3
    assert await counts(owner_url) == [("a", 2), ("b", 2)]
    assert await found(owner_url, "SELECT count(*) FROM facts") == [(2,)], "the run that was ended told nothing"


async def test_a_serialization_failure_is_tried_again_until_it_succeeds(owner_url: str, counting: Actor) -> None:
    """Four that read and write one number at once, serializably: none of their additions is lost."""
    connection = await asyncpg.connect(owner_url)
    name = await connection.fetchval("SELECT current_database()")
    await connection.execute(f"ALTER DATABASE {name} SET default_transaction_isolation = 'serializable'")
    await connection.close()
    serial = Database(owner_url)
    await serial.open()
    runs = 0
    all_have_read = asyncio.Barrier(4)

    async def add_one(uow: UnitOfWork) -> None:
        nonlocal runs
        runs += 1
        n = await uow.value(READ, uow.organization_id, "a")
        if runs <= 4:
            await all_have_read.wait()
        await uow.run(WRITE, uow.organization_id, "a", n + 1)

    await asyncio.gather(*(serial.run(counting, add_one) for _ in range(4)))
    await serial.close()
    assert runs > 4
    assert await counts(owner_url) == [("a", 4), ("b", 0)]


async def test_what_cannot_be_serialized_is_a_conflict_in_the_end(database: Database, counting: Actor) -> None:
    """After the last try the caller is told to repeat it, and not with a 500."""
    runs = 0

    async def never(uow: UnitOfWork) -> None:
        nonlocal runs
        runs += 1
        await uow.value(Statement("SELECT 1"))
        raise asyncpg.SerializationError("as PostgreSQL says it")

    with pytest.raises(Conflict, match="repeat"):
        await database.run(counting, never)
    assert runs == 6


async def test_a_unit_of_work_inside_another_is_refused(database: Database, counting: Actor) -> None:
    """One request is one transaction: a second one would commit apart from the first."""
    async with database.unit(counting):
        for inner in (database.unit(counting), database.reading(counting), database.crossing("a test")):
            with pytest.raises(RuntimeError, match="already open"):
                async with inner:
                    pass
        with pytest.raises(RuntimeError, match="already open"):
            await database.run(counting, _nothing)
    async with database.unit(counting) as uow:
        assert await uow.value(READ, uow.organization_id, "a") == 0


async def _nothing(_uow: UnitOfWork) -> None:
    return None


async def test_going_on_after_a_failed_statement_is_not_taken_for_a_commit(
    owner_url: str, database: Database, counting: Actor
) -> None:
    """PostgreSQL answers such a COMMIT with ROLLBACK and no error; whoever asked must not hear that all went well."""
    with pytest.raises(RuntimeError, match="nothing of it was kept"):
        await _swallowing(database, counting)
    assert await counts(owner_url) == [("a", 0), ("b", 0)]


async def _swallowing(database: Database, actor: Actor) -> None:
    async with database.unit(actor) as uow:
        await uow.run(COUNT_UP, uow.organization_id, "a")
        with pytest.raises(asyncpg.DivisionByZeroError):
            await uow.value(DIVIDE)


async def test_a_reading_unit_cannot_write(database: Database, counting: Actor) -> None:
    """What says that it only reads is held to it."""
    with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
        async with database.reading(counting) as uow:
            await uow.run(COUNT_UP, uow.organization_id, "a")


@pytest.mark.parametrize("limit", [LIMIT_STATEMENTS, LIMIT_LOCKS])
async def test_what_takes_too_long_is_unavailable_and_changes_nothing(
    owner_url: str, database: Database, counting: Actor, limit: Statement
) -> None:
    """A statement or lock timeout is told as "repeat it later"; the connection serves the next one."""

    async def count_up(uow: UnitOfWork) -> None:
        await uow.run(COUNT_UP, uow.organization_id, "a")

    async with another(owner_url, database) as elsewhere, held_open(elsewhere, counting, count_up, commit=False):
        with pytest.raises(Unavailable, match="in time") as raised:
            await _limited(database, counting, limit)
    assert raised.value.retry_after > 0
    await database.run(counting, count_up)
    assert await counts(owner_url) == [("a", 1), ("b", 0)]


async def _limited(database: Database, actor: Actor, limit: Statement) -> None:
    async with database.unit(actor) as uow:
        await uow.value(limit)
        await uow.run(COUNT_UP, uow.organization_id, "b")
        await uow.run(COUNT_UP, uow.organization_id, "a")


async def test_a_connection_that_is_cut_is_unavailable_and_replaced(
    owner_url: str, database: Database, counting: Actor
) -> None:
    """Every connection ended by the server, one in the middle of its work: told as unavailable, then all is well."""
    with pytest.raises(Unavailable, match="went away"):
        await _cut_off(owner_url, database, counting)
    async with database.unit(counting) as uow:
        await uow.run(COUNT_UP, uow.organization_id, "b")
    assert await counts(owner_url) == [("a", 0), ("b", 1)]


async def _cut_off(owner_url: str, database: Database, actor: Actor) -> None:
    async with database.unit(actor) as uow:
        await uow.run(COUNT_UP, uow.organization_id, "a")
        query = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'temula'"
        await found(owner_url, query + " AND datname = current_database()")
        await uow.run(COUNT_UP, uow.organization_id, "a")


async def test_what_is_cancelled_is_rolled_back(owner_url: str, database: Database, counting: Actor) -> None:
    """A caller that goes away in the middle leaves no half of its work and no connection with a transaction open."""

    async def slow() -> None:
        async with database.unit(counting) as uow:
            await uow.run(COUNT_UP, uow.organization_id, "a")
            await uow.value(SLEEP)

    tasks = [asyncio.create_task(slow()) for _ in range(3)]
    await asyncio.sleep(0.1)
    for task in tasks:
        task.cancel()
    assert all(isinstance(one, asyncio.CancelledError) for one in await asyncio.gather(*tasks, return_exceptions=True))
    open_ones = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND xact_start IS NOT NULL"
    assert await found(owner_url, open_ones + " AND pid <> pg_backend_pid()") == [(0,)]
    assert await counts(owner_url) == [("a", 0), ("b", 0)]


class One(msgspec.Struct, frozen=True):
    """A row of one number."""

    n: int


async def test_rows_are_decoded_in_field_order(database: Database, counting: Actor) -> None:
    """Statements name their columns in the order of the struct's fields."""
    async with database.reading(counting) as uow:
        assert await uow.rows(One, READ, uow.organization_id, "a") == [One(0)]
        assert await uow.row(One, READ, uow.organization_id, "none") is None
