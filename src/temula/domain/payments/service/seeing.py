"""The one way in for what providers let us see: under the row's lock, through the state machine, told once."""

from collections.abc import Mapping

import msgspec
import structlog

from temula.domain.connections.model import Connection
from temula.domain.payments import store
from temula.domain.payments.facts import (
    PaymentEnded,
    PaymentFailed,
    PaymentSucceeded,
    RefundFailed,
    RefundSucceeded,
)
from temula.domain.payments.model import (
    ENDS,
    REFUND_ENDS,
    REFUND_LOST,
    Attempt,
    LookAtRefund,
    Observation,
    Payment,
    PaymentObservation,
    PaymentState,
    Refund,
    RefundObservation,
    RefundState,
    Step,
    Transaction,
    advance,
    advance_refund,
)
from temula.kernel.database import UnitOfWork
from temula.kernel.errors import NotFound
from temula.kernel.ids import REFUND, TRANSACTION, TransactionId
from temula.kernel.money import Money

log = structlog.get_logger()

FIRST_LOOK_AT_REFUND = 120.0


class UnknownObject(NotFound):
    """The provider speaks of something we do not know (yet): park it and look again later."""

    code = "unknown_provider_object"


async def see(uow: UnitOfWork, connection: Connection, seen: Observation) -> None:
    """Apply one observation; the same one again changes nothing."""
    if isinstance(seen, PaymentObservation):
        await _see_attempt(uow, connection, seen)
    else:
        await _see_refund(uow, connection, seen)


async def _see_attempt(uow: UnitOfWork, connection: Connection, seen: PaymentObservation) -> None:
    attempt_id = seen.attempt_id or await store.by_refs(uow, connection.id, seen.refs)
    attempt = await store.lock_attempt(uow, attempt_id) if attempt_id else None
    # An id from the payload counts only for attempts made through the connection that signed it.
    payment = await store.lock(uow, attempt.payment_id) if attempt else None
    if attempt is None or payment is None or attempt.connection_id != connection.id:
        raise UnknownObject("The provider speaks of a payment we do not know.")
    await store.keep_refs(uow, connection.id, attempt.id, seen.refs)
    if seen.decline is not None:
        attempt = await _declined(uow, payment, attempt, seen)
    step = advance(attempt.state, payment.money, seen)
    paid_before = payment.state == PaymentState.SUCCEEDED and attempt.state != PaymentState.SUCCEEDED
    if paid_before and step.state is PaymentState.SUCCEEDED:
        # Two attempts were paid. The second is money we owe back: a person decides.
        step = Step(PaymentState.NEEDS_REVIEW, "paid twice")
    if step.state == attempt.state:
        return
    if step.late or step.trouble:
        log.warning("payment.noteworthy", attempt=attempt.id, was=attempt.state, late=step.late, trouble=step.trouble)
    changes = {"attempt": attempt.number, "from": attempt.state, "to": step.state, "late": step.late}
    uow.audit("payment.see", payment.id, {**changes, "trouble": step.trouble})
    failure = None if step.state is PaymentState.SUCCEEDED else step.trouble or seen.decline or attempt.failure
    attempt = msgspec.structs.replace(attempt, state=step.state, failure=failure)
    await store.update_attempt(uow, attempt)
    await _carry_over(uow, payment, attempt, seen)


async def _carry_over(uow: UnitOfWork, payment: Payment, attempt: Attempt, seen: PaymentObservation) -> None:
    """Let the payment follow its attempt, and tell."""
    if attempt.state == PaymentState.SUCCEEDED:
        await _succeeded(uow, payment, attempt, seen)
        return
    latest = (await store.attempts(uow, payment.id))[-1]
    # What an earlier attempt ends as is not how the payment stands: another one is open.
    if payment.state == PaymentState.SUCCEEDED or attempt.id != latest.id:
        return
    await store.update(uow, msgspec.structs.replace(payment, state=attempt.state))
    if attempt.state in ENDS:
        ended = PaymentEnded(
            payment_id=payment.id, registration_id=payment.registration_id, state=str(PaymentState(attempt.state))
        )
        uow.tell(ended, event_id=payment.event_id)


async def _succeeded(uow: UnitOfWork, payment: Payment, attempt: Attempt, seen: PaymentObservation) -> None:
    reference = seen.reference or next(iter(seen.refs.values()), attempt.id)
    transaction_id = await _transact(uow, payment, "charge", payment.money, reference, f"{attempt.id}:succeeded")
    await store.update(uow, msgspec.structs.replace(payment, state=PaymentState.SUCCEEDED, captured=payment.amount))
    if transaction_id is not None:
        fact = PaymentSucceeded(
            transaction_id=transaction_id, registration_id=payment.registration_id, amount=payment.amount,
            currency=payment.currency, gateway=attempt.provider, reference=reference,
        )  # fmt: skip
        uow.tell(fact, event_id=payment.event_id, about=(payment.id,))


async def _declined(uow: UnitOfWork, payment: Payment, attempt: Attempt, seen: PaymentObservation) -> Attempt:
    """Count a refused means of payment once and tell it; the attempt itself may go on."""
    # A delayed payment that fails is told twice by the provider: as a refusal, and as the end of the attempt.
    if attempt.state == PaymentState.FAILED or (seen.state is PaymentState.FAILED and attempt.declines):
        return attempt
    reason = seen.decline or "declined"
    transaction_id = await _transact(uow, payment, "charge", payment.money, seen.reference, seen.key, failure=reason)
    if transaction_id is None:
        return attempt
    before = sum(one.declines for one in await store.attempts(uow, payment.id))
    fact = PaymentFailed(
        transaction_id=transaction_id, registration_id=payment.registration_id, reason=reason, retry_count=before
    )
    uow.tell(fact, event_id=payment.event_id, about=(payment.id,))
    failure = None if attempt.state == PaymentState.SUCCEEDED else reason
    attempt = msgspec.structs.replace(attempt, declines=attempt.declines + 1, failure=failure)
    await store.update_attempt(uow, attempt)
    return attempt


async def _see_refund(uow: UnitOfWork, connection: Connection, seen: RefundObservation) -> None:
    refund = await _known_refund(uow, connection, seen)
    payment = await store.lock(uow, refund.payment_id) if refund else None
    if refund is None:
        payment, refund = await _made_elsewhere(uow, connection, seen)
    attempts = await store.attempts(uow, refund.payment_id)
    if payment is None or all(attempt.connection_id != connection.id for attempt in attempts):
        raise UnknownObject("The provider speaks of a refund of a payment we do not know.")
    await store.keep_refs(uow, connection.id, refund.id, _own(seen.refs))
    state = advance_refund(refund.state, seen.state)
    if state == refund.state:
        return
    uow.audit("refund.see", refund.id, {"from": refund.state, "to": state, "failure": seen.failure})
    changed = msgspec.structs.replace(refund, state=state, failure=seen.failure)
    await store.update_refund(uow, changed)
    if state is RefundState.SUCCEEDED:
        await _refunded(uow, payment, changed, seen.refs.get("refund", refund.id))
    elif state in REFUND_LOST and refund.state not in REFUND_LOST:
        await _not_refunded(uow, payment, changed, seen, undone=refund.state == RefundState.SUCCEEDED)


async def _known_refund(uow: UnitOfWork, connection: Connection, seen: RefundObservation) -> Refund | None:
    refund_id = seen.refund_id or await store.by_refs(uow, connection.id, _own(seen.refs))
    return await store.lock_refund(uow, refund_id) if refund_id else None


def _own(refs: Mapping[str, str]) -> dict[str, str]:
    """Give those of the provider's ids that are the refund's own, not its payment's."""
    return {kind: ref for kind, ref in refs.items() if kind == "refund"}


async def _refunded(uow: UnitOfWork, payment: Payment, refund: Refund, reference: str) -> None:
    money = Money(refund.amount, refund.currency)
    await _transact(uow, payment, "refund", money, reference, f"{refund.id}:succeeded")
    finished = [one.amount for one in await store.refunds_of(uow, payment.id) if one.state == RefundState.SUCCEEDED]
    fact = RefundSucceeded(
        refund_id=refund.id, registration_id=refund.registration_id, amount=refund.amount, currency=refund.currency,
        reason=refund.reason, attendee_ids=refund.attendee_ids, whole=sum(finished) >= payment.captured,
    )  # fmt: skip
    uow.tell(fact, event_id=payment.event_id, about=(payment.id,))


async def _not_refunded(
    uow: UnitOfWork, payment: Payment, refund: Refund, seen: RefundObservation, *, undone: bool
) -> None:
    """Put the sums right again, and tell: the money is still here, and still owed to the buyer."""
    reason = seen.failure or str(RefundState(refund.state))
    money, reference = Money(refund.amount, refund.currency), seen.refs.get("refund", refund.id)
    await _transact(uow, payment, "refund", money, reference, f"{refund.id}:lost", failure=reason)
    await store.update(uow, msgspec.structs.replace(payment, refunded=payment.refunded - refund.amount))
    fact = RefundFailed(
        refund_id=refund.id, registration_id=refund.registration_id, amount=refund.amount, currency=refund.currency,
        reason=reason, undone=undone,
    )  # fmt: skip
    uow.tell(fact, event_id=payment.event_id, about=(payment.id,))
    log.warning("refund.lost", refund=refund.id, undone=undone, reason=reason)


async def _made_elsewhere(
    uow: UnitOfWork, connection: Connection, seen: RefundObservation
) -> tuple[Payment, Refund]:  # fmt: skip
    """Make a row for a refund that somebody made in the provider's own dashboard, once."""
    payment_refs = {kind: ref for kind, ref in seen.refs.items() if kind != "refund"}
    attempt_id = await store.by_refs(uow, connection.id, payment_refs)
    attempt = await store.attempt(uow, attempt_id) if attempt_id else None
    payment = await store.lock(uow, attempt.payment_id) if attempt else None
    if payment is None:
        raise UnknownObject("The provider speaks of a refund of a payment we do not know.")
    # Two callbacks about it may be worked on at the same time: the payment's lock lets one make the row.
    if (made := await _known_refund(uow, connection, seen)) is not None:
        return payment, made
    if seen.money.currency != payment.currency or payment.refunded + seen.money.minor > payment.captured:
        raise UnknownObject("The provider speaks of a refund that is not covered by what was paid, as far as we know.")
    identifier = REFUND.new(uow.now)
    refund = Refund(
        uow.organization_id, identifier, payment.id, payment.registration_id, seen.money.minor, seen.money.currency,
        "made_at_provider", [], RefundState.REQUESTED, f"temula:refund:{identifier}", None, uow.now, uow.now,
    )  # fmt: skip
    await store.insert_refund(uow, refund)
    payment = msgspec.structs.replace(payment, refunded=payment.refunded + refund.amount)
    await store.update(uow, payment)
    if seen.state not in REFUND_ENDS:
        uow.enqueue(LookAtRefund(refund_id=identifier), delay=FIRST_LOOK_AT_REFUND)
    uow.audit("refund.adopt", refund.id, {"amount": refund.amount})
    log.info("refund.made_elsewhere", payment=payment.id, refund=identifier)
    return payment, refund


async def _transact(
    uow: UnitOfWork, payment: Payment, kind: str, money: Money, reference: str, key: str, *, failure: str | None = None
) -> TransactionId | None:
    state = "succeeded" if failure is None else "failed"
    transaction = Transaction(
        uow.organization_id, TRANSACTION.new(uow.now), payment.id, kind, state, money.minor, money.currency, reference,
        failure, uow.now,
    )  # fmt: skip
    return transaction.id if await store.insert_transaction(uow, transaction, key) else None
