"""The fact log: what happened, appended in the transaction that made it happen, read in one order by everybody.

A fact carries its transaction id and position; `(transaction, position)` is the one order. A reader takes only what is
below the oldest transaction still running, so nothing can appear behind its cursor.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, ClassVar, NamedTuple

import msgspec

from temula.kernel.ids import MESSAGE, MessageId, OrganizationId
from temula.kernel.sql import Statement, columns
from temula.kernel.stringify import stringify

TOPIC = "facts"


# How fields of facts are described: the catalogue of messages makes schemas and examples of them.
Instant = Annotated[str, msgspec.Meta(examples=["2026-11-23T10:15:00.123Z"], extra_json_schema={"format": "date-time"})]
Minor = Annotated[int, msgspec.Meta(description="Integer minor units of `currency`", examples=[5000])]
Currency = Annotated[
    str, msgspec.Meta(description="ISO 4217 code", examples=["MYR"], extra_json_schema={"pattern": "^[A-Z]{3}$"})
]


class Fact(msgspec.Struct, frozen=True, kw_only=True):
    """Base of every fact's data. `TYPE` is past tense; a `PUBLIC` one goes out to webhooks under that name.

    `VERSION` is of a public one's published shape: a change that could break a receiver makes the next.
    """

    TYPE: ClassVar[str]
    PUBLIC: ClassVar[bool] = True
    VERSION: ClassVar[int] = 1


class Told(NamedTuple):
    """A fact with whom it concerns, not yet written."""

    fact: Fact
    organization_id: OrganizationId
    event_id: str | None


class Position(NamedTuple):
    """A place in the log: everything at or before it has been read."""

    transaction: int
    position: int


START = Position(0, 0)


class StoredFact(msgspec.Struct, frozen=True):
    """A fact as it stands in the log; `data` is its JSON, byte for byte as it was written."""

    transaction: int
    position: int
    id: MessageId
    organization_id: OrganizationId
    team_id: str | None
    event_id: str | None
    type: str
    public: bool
    occurred_at: datetime
    data: bytes

    @property
    def at(self) -> Position:
        """Its place in the log."""
        return Position(self.transaction, self.position)


# One statement writes facts and audit entries: a round trip less in every write.
RECORD = Statement("""
WITH written AS (
    INSERT INTO facts (organization_id, id, type, public, event_id, occurred_at, data)
    SELECT organization_id, id, type, public, event_id, $1, data
    FROM unnest($2::text[], $3::text[], $4::text[], $5::bool[], $6::text[], $7::json[])
         WITH ORDINALITY AS told (organization_id, id, type, public, event_id, data, n)
    ORDER BY n
)
INSERT INTO audit_entries (organization_id, id, at, actor_kind, actor_id, action, target, changes)
SELECT organization_id, id, $8, $9, $10, action, target, changes
FROM unnest($11::text[], $12::text[], $13::text[], $14::text[], $15::json[])
     WITH ORDINALITY AS told (organization_id, id, action, target, changes, n)
ORDER BY n
""")

READ = Statement(f"""
SELECT {columns(StoredFact)} FROM facts
WHERE (transaction, position) > ($1, $2)
  AND transaction < (pg_snapshot_xmin(pg_current_snapshot())::text)::bigint
ORDER BY transaction, position LIMIT $3
""")

HEAD = Statement("""
SELECT coalesce((SELECT transaction FROM facts ORDER BY transaction DESC, position DESC LIMIT 1), 0)
""")


def arguments(told: Sequence[Told], now: datetime) -> tuple[object, ...]:
    """Give the first seven arguments of `RECORD`."""
    return (
        now,
        [item.organization_id for item in told],
        [MESSAGE.new(now) for _ in told],
        [item.fact.TYPE for item in told],
        [item.fact.PUBLIC for item in told],
        [item.event_id for item in told],
        [stringify(item.fact) for item in told],
    )
