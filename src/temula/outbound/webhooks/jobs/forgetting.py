"""What is past its time is removed."""

from contextlib import suppress
from datetime import timedelta

from temula.kernel.database import Database
from temula.kernel.errors import TemulaError
from temula.outbound.webhooks import store


async def delete_old(database: Database, days: int) -> int:
    """Remove the log after its time."""
    with suppress(TemulaError):
        async with database.crossing("removing old attempts") as uow:
            return await store.delete_old(uow, uow.now - timedelta(days=days))
    return 0
