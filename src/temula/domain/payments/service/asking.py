"""Asking providers, with no transaction open, and recording their answers."""

from datetime import timedelta

import msgspec
import structlog

from temula.domain.connections import service as connections
from temula.domain.connections.model import Connection
from temula.domain.payments import store
from temula.domain.payments.errors import NoSuchPayment, NoSuchRefund
from temula.domain.payments.model import (
    RANK,
    Attempt,
    LookAtAttempt,
    Payment,
    PaymentObservation,
    PaymentState,
    Refund,
    RefundObservation,
    RefundState,
)
from temula.domain.payments.ports import ChargeAnswer, ChargeWish, Gateways, RefundAnswer, RefundWish
from temula.domain.payments.service.seeing import see
from temula.kernel.crypto import KeyRing
from temula.kernel.database import Database, UnitOfWork
from temula.kernel.money import Money
from temula.kernel.providers import BadCredentials, OutcomeUnknown, Refused
from temula.kernel.tenancy import Actor

log = structlog.get_logger()

# Seconds from one look at an open attempt to the next; the last one repeats until well after the attempt's end.
LOOKS = (180.0, 600.0, 3600.0)
LOOK_UNTIL = timedelta(days=8)
FINISHED_REFUNDS = (RefundState.SUCCEEDED, RefundState.FAILED, RefundState.CANCELED)


async def ask_charge(
    database: Database, gateways: Gateways, ring: KeyRing, actor: Actor, attempt_id: str, *, again: bool = False
) -> None:
    """Ask the provider for the charge of an attempt and record the answer.

    Raises `Unreachable` or `OutcomeUnknown` (ask again later, by the same key); a refusal ends the attempt.
    """
    attempt, payment = await _attempt_of(database, actor, attempt_id)
    if attempt.state != PaymentState.CREATED:
        return
    connection = await connections.find(database, actor, attempt.connection_id, on_platform=attempt.on_platform)
    charges = gateways.charges(connections.opened(ring, connection))
    wish = ChargeWish(
        organization_id=attempt.organization_id, attempt_id=attempt.id, registration_id=payment.registration_id,
        key=attempt.provider_key, money=payment.money, description=payment.description,
        success_url=attempt.success_url, cancel_url=attempt.cancel_url, expires_at=attempt.expires_at,
    )  # fmt: skip
    try:
        answer = await (charges.look_up(wish) if again else charges.charge(wish))
    except (Refused, BadCredentials) as error:
        await _end_attempt(database, actor, connection, attempt, error)
        raise
    await database.run(actor, lambda uow: _record_answer(uow, connection, attempt.id, answer))


async def _record_answer(uow: UnitOfWork, connection: Connection, attempt_id: str, answer: ChargeAnswer) -> None:
    attempt = await store.lock_attempt(uow, attempt_id)
    if attempt is None:
        raise NoSuchPayment(f"There is no attempt {attempt_id}.")
    await store.keep_refs(uow, connection.id, attempt.id, answer.refs)
    # A callback may have been faster than the answer; then only what the answer adds is written.
    ahead = attempt.state in RANK and RANK.get(answer.state, 0) > RANK[PaymentState(attempt.state)]
    changed = msgspec.structs.replace(
        attempt,
        state=answer.state if ahead else attempt.state,
        next_action_kind=answer.next_action_kind,
        next_action_url=answer.next_action_url,
    )
    await store.update_attempt(uow, changed)
    payment = await store.lock(uow, attempt.payment_id)
    if ahead and payment is not None and payment.state in RANK:
        await store.update(uow, msgspec.structs.replace(payment, state=answer.state))


async def _end_attempt(
    database: Database, actor: Actor, connection: Connection, attempt: Attempt, error: Refused | BadCredentials
) -> None:
    log.warning("payment.refused", attempt=attempt.id, code=error.code)
    seen = PaymentObservation(
        key=f"{attempt.id}:{error.code}", refs={}, attempt_id=attempt.id, organization_id=attempt.organization_id,
        state=PaymentState.FAILED, money=None, decline=error.code,
    )  # fmt: skip
    await database.run(actor, lambda uow: see(uow, connection, seen))


async def look_at_attempt(
    database: Database, gateways: Gateways, ring: KeyRing, actor: Actor, attempt_id: str, look: int
) -> None:
    """See how an open attempt stands at the provider, and look again later while it stays open."""
    attempt, _ = await _attempt_of(database, actor, attempt_id)
    now = database.clock.now()
    if attempt.state not in RANK or now > attempt.expires_at + LOOK_UNTIL:
        return
    connection = await connections.find(database, actor, attempt.connection_id, on_platform=attempt.on_platform)
    async with database.reading(actor) as uow:
        refs = await store.refs(uow, attempt.id)
    if refs:
        observed = await gateways.charges(connections.opened(ring, connection)).observe(refs)
        for seen in observed:
            await database.run(actor, lambda uow, seen=seen: see(uow, connection, seen))  # type: ignore[misc]
    async with database.unit(actor) as uow:
        uow.enqueue(LookAtAttempt(attempt_id=attempt_id, look=look + 1), delay=LOOKS[min(look, len(LOOKS) - 1)])


async def ask_refund(database: Database, gateways: Gateways, ring: KeyRing, actor: Actor, refund_id: str) -> Refund:
    """Ask the provider for a refund (or find the one asked for before) and record the answer; give the refund."""
    async with database.reading(actor) as uow:
        refund = await store.refund(uow, refund_id)
        if refund is None:
            raise NoSuchRefund(f"There is no refund {refund_id}.")
        attempts = await store.attempts(uow, refund.payment_id)
        paid = next(attempt for attempt in attempts if attempt.state == PaymentState.SUCCEEDED)
        refs = await store.refs(uow, paid.id)
    if refund.state in FINISHED_REFUNDS:
        return refund
    connection = await connections.find(database, actor, paid.connection_id, on_platform=paid.on_platform)
    money = Money(refund.amount, refund.currency)
    wish = RefundWish(
        organization_id=refund.organization_id, refund_id=refund.id, key=refund.provider_key, refs=refs, money=money,
        reason=refund.reason,
    )  # fmt: skip
    answer = await _answer_of(gateways, ring, connection, wish)
    seen = RefundObservation(
        key=f"{refund.id}:answer", refs={**refs, **answer.refs}, refund_id=refund.id,
        organization_id=refund.organization_id, state=answer.state, money=money, failure=answer.failure,
    )  # fmt: skip
    await database.run(actor, lambda uow: see(uow, connection, seen))
    async with database.reading(actor) as uow:
        return await store.refund(uow, refund_id) or refund


async def _answer_of(gateways: Gateways, ring: KeyRing, connection: Connection, wish: RefundWish) -> RefundAnswer:
    refunds = gateways.refunds(connections.opened(ring, connection))
    try:
        return await refunds.refund(wish)
    except OutcomeUnknown:
        if (found := await refunds.look_up_refund(wish)) is None:
            raise
        return found
    except (Refused, BadCredentials) as error:
        log.warning("refund.refused", refund=wish.refund_id, code=error.code)
        # No provider id exists; our own stands in, so that the refusal is recorded like any other outcome.
        return RefundAnswer(refs={"refund": wish.refund_id}, state=RefundState.FAILED, failure=error.detail)


async def _attempt_of(database: Database, actor: Actor, attempt_id: str) -> tuple[Attempt, Payment]:
    async with database.reading(actor) as uow:
        attempt = await store.attempt(uow, attempt_id)
        payment = await store.get(uow, attempt.payment_id) if attempt else None
    if attempt is None or payment is None:
        raise NoSuchPayment(f"There is no attempt {attempt_id}.")
    return attempt, payment
