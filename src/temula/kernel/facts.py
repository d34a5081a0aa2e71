"""The fact log: what happened, appended in the transaction that made it happen, read in one order by everybody.

A fact carries its transaction id and position; `(transaction, position)` is the one order. A reader takes only what is
below the oldest transaction still running, so nothing can appear behind its cursor.
"""

from collections.abc import Sequence
from datetime import datetime
from functools import cache
from typing import Annotated, ClassVar, NamedTuple

import msgspec

from temula.kernel.ids import MESSAGE, MessageId, OrganizationId, is_id
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
    """A fact with whom it concerns, not yet written; `about` names objects that its data does not."""

    fact: Fact
    organization_id: OrganizationId
    event_id: str | None
    about: tuple[str, ...] = ()

    def objects(self) -> list[str]:
        """Give the ids of what it is about, each once: the event, `about`, and all in its fields of ids."""
        found = dict.fromkeys(self.about)
        if self.event_id is not None:
            found[self.event_id] = None
        for name in _id_fields(type(self.fact)):
            said = getattr(self.fact, name)
            for one in said if isinstance(said, list | tuple) else (said,):
                if isinstance(one, str) and is_id(one):
                    found[one] = None
        return list(found)


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


# One statement writes facts, what they are about and audit entries: a round trip less in every write.
RECORD = Statement("""
WITH written AS (
    INSERT INTO facts (organization_id, id, type, public, event_id, occurred_at, data)
    SELECT organization_id, id, type, public, event_id, $1, data
    FROM unnest($2::text[], $3::text[], $4::text[], $5::bool[], $6::text[], $7::json[])
         WITH ORDINALITY AS told (organization_id, id, type, public, event_id, data, n)
    ORDER BY n
), about AS (
    INSERT INTO fact_objects (organization_id, object_id, fact_id)
    SELECT organization_id, object_id, fact_id
    FROM unnest($8::text[], $9::text[], $10::text[]) AS about (organization_id, object_id, fact_id)
)
INSERT INTO audit_entries (organization_id, id, at, actor_kind, actor_id, action, target, changes)
SELECT organization_id, id, $11, $12, $13, action, target, changes
FROM unnest($14::text[], $15::text[], $16::text[], $17::text[], $18::json[])
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
    """Give the first ten arguments of `RECORD`."""
    ids = [MESSAGE.new(now) for _ in told]
    about = [
        (item.organization_id, object_id, fact_id)
        for item, fact_id in zip(told, ids, strict=True)
        for object_id in item.objects()
    ]
    return (
        now,
        [item.organization_id for item in told],
        ids,
        [item.fact.TYPE for item in told],
        [item.fact.PUBLIC for item in told],
        [item.event_id for item in told],
        [stringify(item.fact) for item in told],
        *([row[n] for row in about] for n in range(3)),
    )


@cache
def _id_fields(kind: type[Fact]) -> tuple[str, ...]:
    """The fields that hold ids of objects; whose they are goes without saying."""
    fields = kind.__struct_fields__
    return tuple(one for one in fields if one.endswith(("_id", "_ids")) and one not in ("organization_id", "team_id"))
