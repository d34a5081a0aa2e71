"""Verifies audit chains."""

from typing import NamedTuple

import msgspec

from temula.kernel import audit
from temula.kernel.database import Database
from temula.kernel.ids import OrganizationId
from temula.kernel.tenancy import system

BATCH = 1000


class Chain(NamedTuple):
    """One organization's chain; `broken_at` is the first entry that does not hold."""

    organization_id: str
    entries: int
    broken_at: int | None


class _Head(msgspec.Struct, frozen=True):
    organization_id: OrganizationId


async def verify(database: Database) -> list[Chain]:
    """Recompute every organization's chain."""
    async with database.crossing("listing audit chains for the operator") as uow:
        heads = await uow.rows(_Head, audit.HEADS)
    return [await _verify_one(database, head.organization_id) for head in heads]


async def _verify_one(database: Database, organization_id: OrganizationId) -> Chain:
    previous, sequence = b"", 0
    while True:
        async with database.reading(system("audit", organization_id)) as uow:
            entries = await uow.rows(audit.StoredEntry, audit.CHAIN, organization_id, sequence, BATCH)
        broken = audit.first_break(entries, previous, sequence)
        if broken is not None:
            return Chain(organization_id, sequence, broken)
        if not entries:
            return Chain(organization_id, sequence, None)
        previous, sequence = entries[-1].hash, entries[-1].sequence
