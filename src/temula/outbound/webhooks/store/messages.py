"""Every SQL statement of messages as such: the log of facts, read in its order for who asks, and test messages."""

import msgspec

from temula.kernel.database import UnitOfWork
from temula.kernel.facts import Position, StoredFact
from temula.kernel.sql import Statement, columns


class Look(msgspec.Struct, frozen=True):
    """How far one look into the log reaches, and whether the log goes on behind it."""

    transaction: int
    position: int
    id: str
    more: bool


POSITION_OF = Statement("SELECT transaction, position FROM facts WHERE organization_id = $1 AND id = $2")
# Never past the oldest transaction that is still running: nothing can appear behind what was given.
LOOK = Statement("""
SELECT transaction, position, id, n > $4 AS more FROM (
    SELECT transaction, position, id, row_number() OVER (ORDER BY transaction, position) AS m, count(*) OVER () AS n
    FROM (SELECT transaction, position, id FROM facts
          WHERE organization_id = $1 AND (transaction, position) > ($2, $3)
              AND transaction < (pg_snapshot_xmin(pg_current_snapshot())::text)::bigint
          ORDER BY transaction, position LIMIT $4 + 1) AS next
) AS counted WHERE m = least(n, $4)
""")
END = Statement("""
SELECT id FROM facts
WHERE organization_id = $1 AND transaction < (pg_snapshot_xmin(pg_current_snapshot())::text)::bigint
ORDER BY transaction DESC, position DESC LIMIT 1
""")
MESSAGES = Statement(f"""
SELECT {columns(StoredFact)} FROM facts
WHERE organization_id = $1 AND (transaction, position) > ($2, $3) AND (transaction, position) <= ($4, $5)
    AND public AND ($6::text[] IS NULL OR type = ANY($6))
ORDER BY transaction, position LIMIT $7
""")
MESSAGE = Statement(f"SELECT {columns(StoredFact)} FROM facts WHERE organization_id = $1 AND id = $2 AND public")
# It is not public, so that nobody but the endpoint that it is delivered to hears of it.
ADD_TEST_MESSAGE = Statement("""
INSERT INTO facts (organization_id, id, type, public, occurred_at, data) VALUES ($1, $2, $3, false, $4, $5)
""")


class _Place(msgspec.Struct, frozen=True):
    """Where a fact stands."""

    transaction: int
    position: int


async def position_of(uow: UnitOfWork, fact_id: str) -> Position | None:
    """Find where one of the organization's facts stands in the log."""
    found = await uow.row(_Place, POSITION_OF, uow.organization_id, fact_id)
    return None if found is None else Position(found.transaction, found.position)


async def look(uow: UnitOfWork, after: Position, most: int) -> Look | None:
    """Tell how far the next `most` facts of the organization reach; None if there is none yet."""
    return await uow.row(Look, LOOK, uow.organization_id, after.transaction, after.position, most)


async def end(uow: UnitOfWork) -> str | None:
    """Find the last fact behind which nothing can appear; None if there is none yet."""
    found: str | None = await uow.value(END, uow.organization_id)
    return found


async def messages(
    uow: UnitOfWork, after: Position, until: Look, types: list[str] | None, limit: int
) -> list[StoredFact]:
    """Give the public facts between two places, in order; `types` None is all."""
    return await uow.rows(
        StoredFact, MESSAGES, uow.organization_id, after.transaction, after.position, until.transaction,
        until.position, types, limit,
    )  # fmt: skip


async def message(uow: UnitOfWork, message_id: str) -> StoredFact | None:
    """Find one public fact of the organization."""
    return await uow.row(StoredFact, MESSAGE, uow.organization_id, message_id)


async def add_test_message(uow: UnitOfWork, message_id: str, type_: str, data: bytes) -> None:
    """Keep a test message for its one delivery."""
    await uow.run(ADD_TEST_MESSAGE, uow.organization_id, message_id, type_, uow.now, data)
