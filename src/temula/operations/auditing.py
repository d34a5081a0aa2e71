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


class _Audited(msgspec.Struct, frozen=True):
    organization_id: OrganizationId


async def verify(database: Database) -> list[Chain]:
    """Recompute every organization's chain, and compare its end with its head."""
    async with database.crossing("listing organizations whose audit chains the operator verifies") as uow:
        audited = await uow.rows(_Audited, audit.AUDITED)
    chains = [await _verify_one(database, one.organization_id) for one in audited]
    return [chain for chain in chains if chain.entries or chain.broken_at is not None]


async def _verify_one(database: Database, organization_id: OrganizationId) -> Chain:
    previous, sequence, promised = b"", 0, 0
    while True:
        async with database.reading(system("audit", organization_id)) as uow:
            entries = await uow.rows(audit.StoredEntry, audit.CHAIN, organization_id, sequence, BATCH)
            head = await uow.row(audit.Head, audit.HEAD, organization_id)
        broken = audit.first_break(entries, previous, sequence)
        if broken is not None:
            return Chain(organization_id, sequence, broken)
        if entries:
            previous, sequence = entries[-1].hash, entries[-1].sequence
        elif head is not None and sequence < head.sequence != promised:
            promised = head.sequence  # somebody may have written between our two looks: look once more
        else:
            return Chain(organization_id, sequence, _end_break(head, previous, sequence))


def _end_break(head: audit.Head | None, previous: bytes, sequence: int) -> int | None:
    """Give the place at which a chain that holds does not end as its head says, or None."""
    length, last = (head.sequence, head.hash) if head is not None else (0, b"")
    if length != sequence:
        return min(length, sequence) + 1
    return sequence if last != previous else None
