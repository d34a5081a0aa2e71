"""Columns of sealed values: each store names its own, and key rotation finds them all without a list by hand."""

from typing import NamedTuple

import msgspec

from temula.kernel.crypto import KeyRing
from temula.kernel.database import UnitOfWork
from temula.kernel.sql import Statement


class Sealed(NamedTuple):
    """A column of sealed values: how many hang on another key than one, which they are, and how one is replaced."""

    table: str
    column: str
    left: Statement
    read: Statement
    write: Statement


class SealedRow(msgspec.Struct, frozen=True):
    """One sealed value, the place that it is bound to, and the key of its row."""

    key: list[str]
    context: str
    value: bytes


# A transaction that runs now may hold a value that it sealed before; each keeps a lock on its own number while it runs.
RUNNING = Statement("""
SELECT array_agg(l.virtualtransaction) FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
WHERE l.locktype = 'virtualxid' AND a.datname = current_database() AND l.pid <> pg_backend_pid()
""")


def sealed(table: str, column: str, *, key: tuple[str, ...], context: str) -> Sealed:
    """Name a sealed column; `key` are the expressions that find its row, `context` the one that gives its place."""
    other = f"{column} IS NOT NULL AND substr({column}, 1, octet_length($1::bytea)) <> $1"
    found = " AND ".join(f"{part} = ($1::text[])[{n}]" for n, part in enumerate(key, start=1))
    return Sealed(
        table,
        column,
        Statement(f"SELECT count(*) FROM {table} WHERE {other}"),
        Statement(f"""
SELECT ARRAY[{", ".join(key)}]::text[] AS key, {context} AS context, {column} AS value FROM {table}
WHERE {other} LIMIT $2
"""),
        Statement(f"UPDATE {table} SET {column} = $2 WHERE {found} AND {column} = $3"),
    )


async def count(uow: UnitOfWork, ring: KeyRing, column: Sealed) -> int:
    """Count the values of a column that hang on another key than the primary one."""
    return int(await uow.value(column.left, ring.head))


async def rewrap(uow: UnitOfWork, ring: KeyRing, column: Sealed, limit: int) -> int:
    """Wrap up to `limit` values of a column under the primary key; give how many there were to do."""
    rows = await uow.rows(SealedRow, column.read, ring.head, limit)
    for row in rows:
        if (new := ring.rewrap(row.value, row.context)) is not None:
            await uow.run(column.write, row.key, new, row.value)
    return len(rows)


async def running(uow: UnitOfWork) -> frozenset[str]:
    """Name the transactions that run now beside this one."""
    return frozenset(await uow.value(RUNNING) or ())
