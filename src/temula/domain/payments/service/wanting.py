"""Writing down what is wanted of a provider, with its key, before anybody is asked."""

from datetime import datetime

import msgspec

from temula.domain.connections.model import Connection
from temula.domain.payments import store
from temula.domain.payments.errors import NotRefundable
from temula.domain.payments.model import (
    ENDS,
    AskCharge,
    AskRefund,
    Attempt,
    LookAtAttempt,
    LookAtRefund,
    Payment,
    PaymentState,
    Refund,
    RefundState,
)
from temula.domain.payments.service.reading import get
from temula.kernel.database import UnitOfWork
from temula.kernel.errors import Conflict, InvalidInput
from temula.kernel.ids import ATTEMPT, PAYMENT, REFUND, EventId, RegistrationId
from temula.kernel.money import Money

# The caller asks the provider itself right after the commit; this job is for when it does not come to that.
ASK_AGAIN_AFTER = 8.0
FIRST_LOOK_AFTER = 120.0


async def want_payment(
    uow: UnitOfWork, *, registration_id: RegistrationId, event_id: EventId, money: Money, description: str,
    connection: Connection, expires_at: datetime, success_url: str, cancel_url: str,
) -> tuple[Payment, Attempt]:  # fmt: skip
    """Write down that a registration is to be paid through a connection."""
    payment = Payment(
        uow.organization_id, PAYMENT.new(uow.now), registration_id, event_id, description, money.minor, money.currency,
        PaymentState.CREATED, 0, 0, uow.now, uow.now,
    )  # fmt: skip
    attempt = _attempt(uow, payment, 1, connection, expires_at, success_url, cancel_url)
    await store.insert(uow, payment, attempt)
    _will_ask(uow, attempt)
    uow.audit("payment.want", payment.id, {"amount": money.minor, "currency": money.currency})
    return payment, attempt


async def want_again(
    uow: UnitOfWork, payment_id: str, *, connection: Connection, expires_at: datetime, success_url: str,
    cancel_url: str,
) -> tuple[Payment, Attempt]:  # fmt: skip
    """Write down another attempt at a payment whose last one ended without money."""
    payment = await store.lock(uow, (await get(uow, payment_id)).id)
    earlier = await store.attempts(uow, payment_id)
    if payment is None or payment.state not in ENDS:
        raise Conflict("The payment is paid or still open; use its present attempt.")
    attempt = _attempt(uow, payment, len(earlier) + 1, connection, expires_at, success_url, cancel_url)
    await store.insert_attempt(uow, attempt)
    payment = msgspec.structs.replace(payment, state=PaymentState.CREATED)
    await store.update(uow, payment)
    _will_ask(uow, attempt)
    uow.audit("payment.want_again", payment.id, {"attempt": attempt.number})
    return payment, attempt


async def refundable(uow: UnitOfWork, registration_id: str) -> Payment | None:
    """Give the registration's payment that holds money, if any."""
    held = [payment for payment in await store.of_registration(uow, registration_id) if payment.captured]
    return held[-1] if held else None


async def want_refund(uow: UnitOfWork, payment_id: str, *, amount: int, reason: str, attendee_ids: list[str]) -> Refund:
    """Reserve an amount of a payment and write down that it is to go back; a job or the caller asks for it."""
    if amount <= 0:
        raise InvalidInput("The amount of a refund must be above zero.", pointer="/amount")
    payment = await store.lock(uow, (await get(uow, payment_id)).id)
    if payment is None or payment.refunded + amount > payment.captured:
        left = 0 if payment is None else payment.captured - payment.refunded
        raise NotRefundable(f"{amount} cannot be refunded: {left} is left of this payment.", refundable=left)
    identifier = REFUND.new(uow.now)
    refund = Refund(
        uow.organization_id, identifier, payment.id, payment.registration_id, amount, payment.currency, reason,
        attendee_ids, RefundState.REQUESTED, f"temula:refund:{identifier}", None, uow.now, uow.now,
    )  # fmt: skip
    await store.insert_refund(uow, refund)
    await store.update(uow, msgspec.structs.replace(payment, refunded=payment.refunded + amount))
    uow.enqueue(AskRefund(refund_id=identifier), delay=ASK_AGAIN_AFTER)
    uow.enqueue(LookAtRefund(refund_id=identifier), delay=FIRST_LOOK_AFTER)
    uow.audit("refund.want", refund.id, {"amount": amount, "reason": reason})
    return refund


def _attempt(
    uow: UnitOfWork, payment: Payment, number: int, connection: Connection, expires_at: datetime, success_url: str,
    cancel_url: str,
) -> Attempt:  # fmt: skip
    identifier = ATTEMPT.new(uow.now)
    # The key is ours, is stored before the call, and is never used for anything else.
    key = f"temula:{connection.mode}:charge:{identifier}"
    return Attempt(
        payment.organization_id, identifier, payment.id, number, connection.id, connection.on_platform,
        connection.provider, connection.mode, key, PaymentState.CREATED, None, 0, None, None, expires_at, success_url,
        cancel_url, uow.now, uow.now,
    )  # fmt: skip


def _will_ask(uow: UnitOfWork, attempt: Attempt) -> None:
    uow.enqueue(AskCharge(attempt_id=attempt.id), delay=ASK_AGAIN_AFTER)
    uow.enqueue(LookAtAttempt(attempt_id=attempt.id), delay=FIRST_LOOK_AFTER)
