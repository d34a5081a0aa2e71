"""Every SQL statement of the inbox."""

from datetime import datetime

import msgspec

from temula.kernel.database import UnitOfWork
from temula.kernel.ids import CallbackId, OrganizationId
from temula.kernel.sql import Statement, columns


class Callback(msgspec.Struct, frozen=True):
    """What a provider told us, as it arrived."""

    organization_id: OrganizationId
    id: CallbackId
    connection_id: str
    kind: str
    provider: str
    dedupe_key: str
    headers: bytes
    body: bytes
    state: str
    last_error: str | None
    received_at: datetime


INSERT = Statement(f"""
INSERT INTO callbacks ({columns(Callback)}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
ON CONFLICT (organization_id, connection_id, dedupe_key) DO NOTHING
""")
GET = Statement(f"SELECT {columns(Callback)} FROM callbacks WHERE organization_id = $1 AND id = $2")
SET = Statement("UPDATE callbacks SET state = $3, last_error = $4 WHERE organization_id = $1 AND id = $2")
UNFINISHED = Statement(f"""
SELECT {columns(Callback)} FROM callbacks WHERE state IN ('received', 'parked') ORDER BY received_at LIMIT $1
""")
UNPARK = Statement("""
UPDATE callbacks SET state = 'received', last_error = NULL
WHERE organization_id = $1 AND id = $2 AND state = 'parked'
""")
DELETE_OLD = Statement("DELETE FROM callbacks WHERE received_at < $1")


async def insert(uow: UnitOfWork, callback: Callback) -> bool:
    """Keep a callback; False if it came before."""
    return bool(await uow.run(INSERT, *(getattr(callback, name) for name in callback.__struct_fields__)))


async def get(uow: UnitOfWork, callback_id: str) -> Callback | None:
    """Find a callback."""
    return await uow.row(Callback, GET, uow.organization_id, callback_id)


async def set_state(uow: UnitOfWork, callback_id: str, state: str, error: str | None) -> None:
    """Write how far a callback is processed."""
    await uow.run(SET, uow.organization_id, callback_id, state, error)


async def unfinished(uow: UnitOfWork, limit: int) -> list[Callback]:
    """List callbacks that are parked or not processed yet, oldest first, of all that this unit of work sees."""
    return await uow.rows(Callback, UNFINISHED, limit)


async def unpark(uow: UnitOfWork, callback_id: str) -> bool:
    """Make a parked callback one to process; False if it is not parked."""
    return bool(await uow.run(UNPARK, uow.organization_id, callback_id))


async def delete_old(uow: UnitOfWork, before: datetime) -> int:
    """Remove callbacks that came before a time."""
    return await uow.run(DELETE_OLD, before)
