"""Days that are over are added up from their hours, so that months are read in a moment."""

from datetime import timedelta

from temula.kernel.database import Database
from temula.kernel.jobs import Job
from temula.kernel.runner import AnyHandler, Handler, Timed
from temula.kernel.tenancy import Actor
from temula.outbound.webhooks import store
from temula.outbound.webhooks.model import Step

# What is counted late, because a worker could not record it, is added up for so long.
AGAIN = timedelta(days=2)


class AddUpDays(Job, frozen=True, kw_only=True):
    """Add up all days that are over and were not, and the last two once more."""

    KIND = "webhooks.add_up_days"

    @property
    def dedupe(self) -> str:
        """One waiting is enough."""
        return "all"


TIMED = (Timed("webhooks.add_up_days", "23 * * * *", AddUpDays()),)


def handlers(database: Database) -> dict[str, AnyHandler]:
    """Give what adds up. Until it has run, days are read from their hours."""

    async def add_up_days(_actor: Actor, _job: Job) -> None:
        today = Step.DAY.start(database.clock.now())
        async with database.crossing("looking how far days are added up") as uow:
            last = await store.last_day(uow)
        # One after the other: a day that is there says that all before it are.
        day = today if last is None else min(last, today - AGAIN)
        while day < today:
            async with database.crossing("adding up what was counted in a day") as uow:
                await store.add_up_day(uow, day)
            day += Step.DAY.length

    return {AddUpDays.KIND: Handler(AddUpDays, add_up_days)}
