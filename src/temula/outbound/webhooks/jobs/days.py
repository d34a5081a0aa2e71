"""The log's partitions are made before their day begins."""

from datetime import timedelta

from temula.kernel.database import Database
from temula.kernel.jobs import Job
from temula.kernel.runner import AnyHandler, Handler, Timed
from temula.kernel.tenancy import Actor
from temula.outbound.webhooks import store

AHEAD = 3


class MakeDays(Job, frozen=True, kw_only=True):
    """Make the partitions of today and of the next three days."""

    KIND = "webhooks.make_days"

    @property
    def dedupe(self) -> str:
        """One waiting is enough."""
        return "all"


TIMED = (Timed("webhooks.make_days", "7 * * * *", MakeDays()),)


def handlers(database: Database) -> dict[str, AnyHandler]:
    """Give what makes partitions. If it never ran, whoever records would make the day's, a little later."""

    async def make_days(_actor: Actor, _job: Job) -> None:
        today = database.clock.now().date()
        for n in range(AHEAD + 1):
            async with database.crossing("making the log's next partitions") as uow:
                await store.make_day(uow, today + timedelta(days=n))

    return {MakeDays.KIND: Handler(MakeDays, make_days)}
