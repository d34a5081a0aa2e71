"""Every SQL statement of the attempts' log."""

from temula.kernel.database import UnitOfWork
from temula.kernel.sql import Statement, columns
from temula.outbound.webhooks.model import (
    Attempt,
)

ADD_ATTEMPT = Statement(f"""
INSERT INTO webhook_attempts ({columns(Attempt)}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
""")
ATTEMPTS = Statement(f"""
SELECT {columns(Attempt)} FROM webhook_attempts WHERE organization_id = $1 AND delivery_id = $2 ORDER BY number, id
""")


async def add_attempt(uow: UnitOfWork, attempt: Attempt) -> None:
    """Log an attempt."""
    await uow.run(ADD_ATTEMPT, *(getattr(attempt, name) for name in attempt.__struct_fields__))


async def attempts(uow: UnitOfWork, delivery_id: str) -> list[Attempt]:
    """List a delivery's attempts in order."""
    return await uow.rows(Attempt, ATTEMPTS, uow.organization_id, delivery_id)
