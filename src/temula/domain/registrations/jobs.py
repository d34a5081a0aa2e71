"""Background entry points of registrations."""

from temula.domain.payments.facts import PaymentEnded, PaymentSucceeded, RefundFailed, RefundSucceeded
from temula.domain.registrations import service
from temula.domain.registrations.model import ExpireHolds
from temula.kernel.database import Database
from temula.kernel.following import Follower
from temula.kernel.jobs import Job
from temula.kernel.runner import AnyHandler, Handler, Timed
from temula.kernel.tenancy import Actor

FOLLOWER = Follower(
    "registrations",
    {
        PaymentSucceeded: service.on_payment_succeeded,
        PaymentEnded: service.on_payment_ended,
        RefundSucceeded: service.on_refund_succeeded,
        RefundFailed: service.on_refund_failed,
    },
)

TIMED = (Timed("registrations.expire_holds", "* * * * *", ExpireHolds()),)


def handlers(database: Database) -> dict[str, AnyHandler]:
    """Give what runs each kind of job of registrations."""

    async def expire_holds(_actor: Actor, _job: Job) -> None:
        while await service.expire_holds(database):
            pass

    return {ExpireHolds.KIND: Handler(ExpireHolds, expire_holds)}
