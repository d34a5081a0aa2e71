"""What is past its time is removed."""

from datetime import timedelta

from temula.kernel.database import Database
from temula.outbound.webhooks import store

STEP = 5000


async def delete_old(database: Database, days: int) -> None:
    """Remove the log after its time, some rows in each transaction."""
    before = database.clock.now() - timedelta(days=days)
    while True:
        async with database.crossing("removing old attempts") as uow:
            if await store.delete_old(uow, before, STEP) < STEP:
                return
