"""Background entry points of payments."""

from temula.domain.payments import service
from temula.domain.payments.model import AskCharge, AskRefund, LookAtAttempt, LookAtRefund
from temula.domain.payments.ports import Gateways
from temula.kernel.crypto import KeyRing
from temula.kernel.database import Database
from temula.kernel.providers import BadCredentials, Declined, Refused
from temula.kernel.runner import AnyHandler, Handler
from temula.kernel.tenancy import Actor


def handlers(database: Database, gateways: Gateways, ring: KeyRing) -> dict[str, AnyHandler]:
    """Give what runs each kind of job of payments."""

    async def ask_charge(actor: Actor, job: AskCharge) -> None:
        try:
            await service.ask_charge(database, gateways, ring, actor, job.attempt_id, again=True)
        except (Refused, Declined, BadCredentials):
            return  # recorded with the attempt; asking again would change nothing

    async def give_up_charge(actor: Actor, job: AskCharge, _error: Exception) -> None:
        await service.give_up_charge(database, actor, job.attempt_id)

    async def ask_refund(actor: Actor, job: AskRefund) -> None:
        await service.ask_refund(database, gateways, ring, actor, job.refund_id, again=True)

    async def look(actor: Actor, job: LookAtAttempt) -> None:
        await service.look_at_attempt(database, gateways, ring, actor, job.attempt_id, job.look)

    async def look_at_refund(actor: Actor, job: LookAtRefund) -> None:
        await service.look_at_refund(database, gateways, ring, actor, job.refund_id, job.look)

    return {
        AskCharge.KIND: Handler(AskCharge, ask_charge, give_up_charge),
        AskRefund.KIND: Handler(AskRefund, ask_refund),
        LookAtAttempt.KIND: Handler(LookAtAttempt, look),
        LookAtRefund.KIND: Handler(LookAtRefund, look_at_refund),
    }
