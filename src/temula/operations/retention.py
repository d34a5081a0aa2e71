"""What is removed when its time is over; each table says its retention class in its comment."""

from datetime import timedelta

from temula.inbound.kit import store as inbox
from temula.kernel.database import Database
from temula.kernel.jobs import Job
from temula.kernel.runner import AnyHandler, Handler, Timed
from temula.kernel.tenancy import Actor
from temula.operations.settings import DataSettings
from temula.outbound.callers import service as callers
from temula.outbound.webhooks import jobs as webhooks
from temula.outbound.webhooks.service import Archives

IDEMPOTENCY_KEYS = timedelta(hours=72)


class ForgetOld(Job, frozen=True, kw_only=True):
    """Remove what is past its time."""

    KIND = "retention.forget_old"

    @property
    def dedupe(self) -> str:
        """One waiting is enough."""
        return "all"


TIMED = (Timed("retention.forget_old", "17 3 * * *", ForgetOld()),)


def handlers(database: Database, data: DataSettings, archives: Archives | None) -> dict[str, AnyHandler]:
    """Give what runs retention; without `archives` the webhook log goes without being archived."""

    async def forget_old(_actor: Actor, _job: Job) -> None:
        now = database.clock.now()
        await callers.forget_old(database, now - IDEMPOTENCY_KEYS)
        await webhooks.settle_replays(database)
        await webhooks.forget_replays(database, now - timedelta(days=data.delivery_days))
        async with database.crossing("removing old callbacks") as uow:
            await inbox.delete_old(uow, now - timedelta(days=data.callback_days))
        # Last, because it is the one that needs a storage: while that fails, the job fails and is tried again.
        await webhooks.forget(database, archives, data.delivery_days)

    return {ForgetOld.KIND: Handler(ForgetOld, forget_old)}
