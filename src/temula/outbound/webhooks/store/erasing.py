"""Every SQL statement by which a person's data goes from messages and from the log."""

from datetime import datetime

import msgspec

from temula.kernel.database import UnitOfWork
from temula.kernel.facts import START, Position
from temula.kernel.ids import DeliveryAttemptId, MessageId
from temula.kernel.sql import Statement, columns


class Said(msgspec.Struct, frozen=True):
    """A fact, as far as it can name somebody."""

    transaction: int
    position: int
    id: MessageId
    data: bytes


class Answered(msgspec.Struct, frozen=True):
    """An attempt, as far as it can name somebody."""

    at: datetime
    id: DeliveryAttemptId
    message_id: MessageId
    request_body: bytes | None
    response_headers: bytes | None
    response_body: bytes | None


FACTS = Statement("SELECT count(*) FROM facts WHERE organization_id = $1")
PAGE_OF_FACTS = Statement(f"""
SELECT {columns(Said)} FROM facts
WHERE organization_id = $1 AND (transaction, position) > ($2, $3) ORDER BY transaction, position LIMIT $4
""")
ERASE_FACT = Statement("SELECT temula_erase_fact($1, $2, $3, $4)")
PAGE_OF_ATTEMPTS = Statement(f"""
SELECT {columns(Answered)} FROM webhook_attempts
WHERE organization_id = $1 AND (at, id) > ($2, $3) AND at < $4 ORDER BY at, id LIMIT $5
""")
ERASE_ATTEMPT = Statement("""
UPDATE webhook_attempts SET request_body = $4, response_headers = $5, response_body = $6
WHERE organization_id = $1 AND at = $2 AND id = $3
""")


async def count_facts(uow: UnitOfWork) -> int:
    """Count the organization's facts."""
    return int(await uow.value(FACTS, uow.organization_id))


async def page_of_facts(uow: UnitOfWork, after: Said | None, most: int) -> list[Said]:
    """Give the next of the organization's facts, in the log's order."""
    place = START if after is None else Position(after.transaction, after.position)
    return await uow.rows(Said, PAGE_OF_FACTS, uow.organization_id, place.transaction, place.position, most)


async def erase_fact(uow: UnitOfWork, organization_id: str, fact: Said, data: bytes) -> bool:
    """Write a fact's data without what it named; only a crossing unit of work may."""
    return bool(await uow.value(ERASE_FACT, organization_id, fact.id, fact.data, data))


async def page_of_attempts(uow: UnitOfWork, after: tuple[datetime, str], end: datetime, most: int) -> list[Answered]:
    """Give the next of the organization's attempts before a time, in the order of their times."""
    return await uow.rows(Answered, PAGE_OF_ATTEMPTS, uow.organization_id, *after, end, most)


async def erase_attempts(uow: UnitOfWork, attempts: list[Answered]) -> None:
    """Write attempts without what they named."""
    rows: list[tuple[object, ...]] = [
        (
            uow.organization_id, one.at, one.id, one.request_body, one.response_headers, one.response_body
        )
        for one in attempts
    ]  # fmt: skip
    await uow.many(ERASE_ATTEMPT, rows)
