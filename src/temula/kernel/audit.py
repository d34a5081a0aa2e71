"""The audit log: who did what, one hash chain an organization, insert-only for the application.

The database computes sequence, previous hash and hash in a trigger, so the application cannot forge them; `verify`
recomputes the chain from the rows.
"""

import hashlib
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

import msgspec

from temula.kernel.ids import AUDIT, OrganizationId
from temula.kernel.sql import Statement, columns
from temula.kernel.tenancy import Actor


class Entry(NamedTuple):
    """One act not yet written: `action` is `noun.verb`, `target` an id."""

    action: str
    target: str
    changes: object


class StoredEntry(msgspec.Struct, frozen=True):
    """One act as it stands in the chain."""

    organization_id: str
    sequence: int
    id: str
    at: datetime
    actor_kind: str
    actor_id: str
    action: str
    target: str
    changes: bytes | None
    previous: bytes
    hash: bytes


class Head(msgspec.Struct, frozen=True):
    """How long an organization's chain is and what it ends with; the application cannot change it."""

    organization_id: OrganizationId
    sequence: int
    hash: bytes


CHAIN = Statement(f"""
SELECT {columns(StoredEntry)} FROM audit_entries
WHERE organization_id = $1 AND sequence > $2 ORDER BY sequence LIMIT $3
""")

HEAD = Statement(f"SELECT {columns(Head)} FROM audit_heads WHERE organization_id = $1")

# All of them, and not only those with a head: the entries of one whose head is gone must not be out of sight.
AUDITED = Statement("SELECT organization_id FROM organizations ORDER BY organization_id")


def arguments(entries: Sequence[Entry], actor: Actor, now: datetime) -> tuple[object, ...]:
    """Give the last eight arguments of `facts.RECORD`."""
    return (
        now,
        actor.kind.value,
        actor.id,
        [actor.organization_id for _ in entries],
        [AUDIT.new(now) for _ in entries],
        [entry.action for entry in entries],
        [entry.target for entry in entries],
        [None if entry.changes is None else msgspec.json.encode(entry.changes) for entry in entries],
    )


def digest(previous: bytes, entry: StoredEntry) -> bytes:
    """Compute the hash of one entry as the database does: SHA-256 of the previous hash and the row's text."""
    at = entry.at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")
    changes = b"" if entry.changes is None else entry.changes
    head = "\x1f".join((
        entry.organization_id, str(entry.sequence), entry.id, at, entry.actor_kind, entry.actor_id, entry.action,
        entry.target,
    ))  # fmt: skip
    return hashlib.sha256(previous + head.encode() + b"\x1f" + changes).digest()


def first_break(entries: Iterable[StoredEntry], previous: bytes, sequence: int) -> int | None:
    """Give the first sequence number at which the chain does not hold, or None."""
    for entry in entries:
        sequence += 1
        if entry.sequence != sequence or entry.previous != previous or entry.hash != digest(previous, entry):
            return sequence
        previous = entry.hash
    return None
