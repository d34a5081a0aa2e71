"""Reading payments and refunds."""

from collections.abc import Mapping

from temula.domain.payments import store
from temula.domain.payments.errors import NoSuchPayment, NoSuchRefund
from temula.domain.payments.model import REFUND_LOST, Attempt, Payment, Refund, Transaction
from temula.kernel.database import Database, UnitOfWork
from temula.kernel.ids import OrganizationId
from temula.kernel.pages import Page, Window, page


async def get(uow: UnitOfWork, payment_id: str) -> Payment:
    """Find a payment of the organization."""
    if (payment := await store.get(uow, payment_id)) is None:
        raise NoSuchPayment(f"There is no payment {payment_id}.")
    return payment


async def get_refund(uow: UnitOfWork, refund_id: str) -> Refund:
    """Find a refund of the organization."""
    if (refund := await store.refund(uow, refund_id)) is None:
        raise NoSuchRefund(f"There is no refund {refund_id}.")
    return refund


async def listed(uow: UnitOfWork, window: Window, *, registration_id: str | None = None) -> Page[Payment]:
    """List payments, newest first."""
    return page(await store.listed(uow, window, registration_id), window, lambda payment: payment.id)


async def refunds(uow: UnitOfWork, window: Window, *, registration_id: str | None = None) -> Page[Refund]:
    """List refunds, newest first."""
    return page(await store.list_refunds(uow, window, registration_id), window, lambda refund: refund.id)


async def attempts(uow: UnitOfWork, payment_id: str) -> list[Attempt]:
    """List a payment's attempts in order."""
    return await store.attempts(uow, payment_id)


async def transactions(uow: UnitOfWork, payment_id: str) -> list[Transaction]:
    """List a payment's transactions, oldest first."""
    return await store.transactions(uow, payment_id)


async def latest(uow: UnitOfWork, registration_id: str) -> tuple[Payment | None, Attempt | None]:
    """Give the registration's latest payment and its latest attempt, if there is one."""
    found = await store.of_registration(uow, registration_id)
    if not found:
        return None, None
    tried = await store.attempts(uow, found[-1].id)
    return found[-1], tried[-1] if tried else None


async def being_refunded(uow: UnitOfWork, payment_id: str) -> set[str]:
    """Give the attendees for whom a refund of this payment is under way or done."""
    found = await store.refunds_of(uow, payment_id)
    return {attendee_id for refund in found if refund.state not in REFUND_LOST for attendee_id in refund.attendee_ids}


async def owner_of(database: Database, connection_id: str, refs: Mapping[str, str]) -> OrganizationId | None:
    """Tell whose payment has one of these provider's ids, by what we kept of a connection that several share."""
    async with database.crossing("finding whose payment the platform's provider speaks of") as uow:
        return await store.owner(uow, connection_id, refs)
