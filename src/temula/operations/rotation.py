"""Key rotation: a new primary key, every sealed value re-wrapped under it in small steps, old keys removed at last.

Interrupted anywhere it can be run again: the ring holds both keys until nothing hangs on the old one.
"""

from typing import NamedTuple

import msgspec
from rich.progress import Progress

from temula.kernel.crypto import KeyRing, save_file
from temula.kernel.database import Database
from temula.kernel.errors import Misconfigured
from temula.kernel.sql import Statement
from temula.operations.configuration import configure, ring_file
from temula.operations.wiring import opened

BATCH = 500


class Sealed(NamedTuple):
    """A column of sealed values: how its rows are read and written, each with the context it is bound to."""

    table: str
    read: Statement
    write: Statement


def _column(table: str, column: str, key: str, context: str) -> Sealed:
    read = f"SELECT organization_id, {key}, {column}, {context} FROM {table} WHERE {column} IS NOT NULL"  # noqa: S608
    write = f"UPDATE {table} SET {column} = $3 WHERE organization_id = $1 AND {key} = $2 AND {column} = $4"  # noqa: S608
    return Sealed(table, Statement(read), Statement(write))


COLUMNS = (
    _column(
        "payment_gateway_configs", "credentials", "id",
        "organization_id || '|payment_gateway_configs|' || id || '|credentials'",
    ),
    Sealed(
        "platform_gateway_configs",
        Statement("""SELECT 'org_00000000000000000000000000', id, credentials,
            'org_00000000000000000000000000|platform_gateway_configs|' || id || '|credentials'
            FROM platform_gateway_configs"""),
        Statement("""UPDATE platform_gateway_configs SET credentials = $3
            WHERE $1 = 'org_00000000000000000000000000' AND id = $2 AND credentials = $4"""),
    ),
    _column(
        "ticket_keys", "private_key", "encode(key_id, 'hex')",
        "organization_id || '|ticket_keys|' || encode(key_id, 'hex') || '|private_key'",
    ),
    _column("webhook_endpoints", "secret", "id", "organization_id || '|webhook_endpoints|' || id || '|secret'"),
    _column(
        "webhook_endpoints", "previous_secret", "id",
        "organization_id || '|webhook_endpoints|' || id || '|previous_secret'",
    ),
    _column(
        "idempotency_keys", "answer", "caller_id || '|' || key",
        "organization_id || '|idempotency_keys|' || caller_id || '|' || key",
    ),
)  # fmt: skip


class _Row(msgspec.Struct, frozen=True):
    organization_id: str
    key: str
    value: bytes
    context: str


async def rotate() -> int:
    """Rotate the ring in its file; give how many values hang on the new key."""
    configuration = configure()
    if configuration.keys.ring:
        raise Misconfigured("The key ring is set in TEMULA_KEYS_RING; put it into a file to rotate it here.")
    path = ring_file(configuration)
    async with opened(configuration) as house:
        ring = house.ring.with_new_primary()
        save_file(ring, path)
        counted = await rewrap(house.database, ring)
    save_file(ring.only_primary(), path)
    return counted


async def rewrap(database: Database, ring: KeyRing) -> int:
    """Re-wrap every value that hangs on another key than the primary one."""
    counted = 0
    with Progress(transient=True) as progress:
        for column in COLUMNS:
            async with database.crossing("re-wrapping sealed values under a new key") as uow:
                rows = await uow.rows(_Row, column.read)
            task = progress.add_task(column.table, total=len(rows))
            for start in range(0, len(rows), BATCH):
                batch = rows[start : start + BATCH]
                async with database.crossing("re-wrapping sealed values under a new key") as uow:
                    for row in batch:
                        if (new := ring.rewrap(row.value, row.context)) is not None:
                            await uow.run(column.write, row.organization_id, row.key, new, row.value)
                progress.advance(task, len(batch))
                counted += len(batch)
    return counted
