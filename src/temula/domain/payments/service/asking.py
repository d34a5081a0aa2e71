"""Asking providers, with no transaction open, and recording their answers."""

from collections.abc import Mapping
from datetime import timedelta

import msgspec
import structlog

from temula.domain.connections import service as connections
from temula.domain.connections.model import Connection
from temula.domain.payments import store
from temula.domain.payments.errors import NoSuchPayment, NoSuchRefund
from temula.domain.payments.model import (
    OPEN,
    RANK,
    REFUND_ENDS,
    Attempt,
    LookAtAttempt,
    LookAtRefund,
    Payment,
    PaymentObservation,
    PaymentState,
    Refund,
    RefundObservation,
    RefundState,
)
from temula.domain.payments.ports import ChargeAnswer, ChargeWish, Gateways, RefundAnswer, Refunds, RefundWish
from temula.domain.payments.service.seeing import see
from temula.kernel.crypto import KeyRing
from temula.kernel.database import Database, UnitOfWork
from temula.kernel.money import Money
from temula.kernel.providers import BadCredentials, Declined, OutcomeUnknown, ProviderError, Refused
from temula.kernel.tenancy import Actor

log = structlog.get_logger()

# Seconds from one look at an open attempt or refund to the next; the last one repeats until well after its time.
LOOKS = (180.0, 600.0, 3600.0)
LOOK_UNTIL = timedelta(days=8)
LOOK_AT_REFUND_UNTIL = timedelta(days=30)
# What is not known for sure is looked at too: the provider may know more by now.
LOOKED_AT = OPEN | {PaymentState.NEEDS_REVIEW}


async def ask_charge(
    database: Database, gateways: Gateways, ring: KeyRing, actor: Actor, attempt_id: str, *, again: bool = False
) -> None:
    """Ask the provider for the charge of an attempt and record the answer; `again` if it may have been asked before.

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
        success_url=attempt.success_url, cancel_url=attempt.cancel_url, wanted_at=attempt.created_at,
        expires_at=attempt.expires_at,
    )  # fmt: skip
    try:
        answer = await (charges.look_up(wish) if again else charges.charge(wish))
    except (Refused, Declined, BadCredentials) as error:
        await _end_attempt(database, actor, connection, attempt, error.code)
        raise
    if answer is None:
        # Nothing came of it and its key is spent: another attempt has a key of its own.
        await _end_attempt(database, actor, connection, attempt, "provider_did_nothing")
        return
    await database.run(actor, lambda uow: _record_answer(uow, connection, attempt.id, answer))


async def give_up_charge(database: Database, actor: Actor, attempt_id: str) -> None:
    """Leave an attempt to a person: for hours nobody could say what became of it."""
    attempt, _ = await _attempt_of(database, actor, attempt_id)
    if attempt.state != PaymentState.CREATED:
        return
    connection = await connections.find(database, actor, attempt.connection_id, on_platform=attempt.on_platform)
    log.error("payment.given_up", attempt=attempt.id)
    seen = PaymentObservation(
        key=f"{attempt.id}:given_up", refs={}, attempt_id=attempt.id, organization_id=attempt.organization_id,
        state=None, money=None,
    )  # fmt: skip
    await database.run(actor, lambda uow: see(uow, connection, seen))


async def _record_answer(uow: UnitOfWork, connection: Connection, attempt_id: str, answer: ChargeAnswer) -> None:
    attempt = await store.lock_attempt(uow, attempt_id)
    if attempt is None:
        raise NoSuchPayment(f"There is no attempt {attempt_id}.")
    await store.keep_refs(uow, connection.id, attempt.id, answer.refs)
    # A callback may have been faster than the answer; then only what the answer adds is written.
    ahead = answer.state in OPEN and RANK[answer.state] > RANK[PaymentState(attempt.state)]
    changed = msgspec.structs.replace(
        attempt,
        state=answer.state if ahead else attempt.state,
        next_action_kind=answer.next_action_kind,
        next_action_url=answer.next_action_url,
    )
    await store.update_attempt(uow, changed)
    payment = await store.lock(uow, attempt.payment_id)
    if ahead and payment is not None and payment.state in OPEN:
        await store.update(uow, msgspec.structs.replace(payment, state=answer.state))


async def _end_attempt(database: Database, actor: Actor, connection: Connection, attempt: Attempt, code: str) -> None:
    log.warning("payment.refused", attempt=attempt.id, code=code)
    seen = PaymentObservation(
        key=f"{attempt.id}:{code}", refs={}, attempt_id=attempt.id, organization_id=attempt.organization_id,
        state=PaymentState.FAILED, money=None, decline=code, reference=attempt.id,
    )  # fmt: skip
    await database.run(actor, lambda uow: see(uow, connection, seen))


async def look_at_attempt(
    database: Database, gateways: Gateways, ring: KeyRing, actor: Actor, attempt_id: str, look: int
) -> None:
    """See how an open attempt stands at the provider, and look again later while it stays open."""
    attempt, _ = await _attempt_of(database, actor, attempt_id)
    if attempt.state not in LOOKED_AT or database.clock.now() > attempt.expires_at + LOOK_UNTIL:
        return
    connection = await connections.find(database, actor, attempt.connection_id, on_platform=attempt.on_platform)
    async with database.reading(actor) as uow:
        refs = await store.refs(uow, attempt.id)
    try:
        observed = await gateways.charges(connections.opened(ring, connection)).observe(refs) if refs else []
    except ProviderError as error:
        # It is looked at again all the same: a provider that cannot be asked for a day is asked after it.
        log.warning("payment.not_seen", attempt=attempt.id, code=error.code)
        observed = []
    for seen in observed:
        await database.run(actor, lambda uow, seen=seen: see(uow, connection, seen))  # type: ignore[misc]
    async with database.unit(actor) as uow:
        uow.enqueue(LookAtAttempt(attempt_id=attempt_id, look=look + 1), delay=LOOKS[min(look, len(LOOKS) - 1)])


async def ask_refund(
    database: Database, gateways: Gateways, ring: KeyRing, actor: Actor, refund_id: str, *, again: bool = False
) -> Refund:
    """Ask the provider for a refund and record the answer; give the refund. `again` if it may have been asked before.

    Then it is looked for first: a provider forgets keys after a day, and would do the same once more.
    """
    async with database.reading(actor) as uow:
        refund, paid = await _refund_of(uow, refund_id)
        refs = await store.refs(uow, paid.id)
    if refund.state != RefundState.REQUESTED:
        return refund
    connection = await connections.find(database, actor, paid.connection_id, on_platform=paid.on_platform)
    refunds = gateways.refunds(connections.opened(ring, connection))
    answer = await _answer_of(refunds, _refund_wish(refund, refs), again=again)
    return await _record_refund(database, actor, connection, refund, {**refs, **answer.refs}, answer)


async def look_at_refund(
    database: Database, gateways: Gateways, ring: KeyRing, actor: Actor, refund_id: str, look: int
) -> None:
    """See how a refund on its way stands at the provider, and look again later while it is on its way."""
    async with database.reading(actor) as uow:
        refund, paid = await _refund_of(uow, refund_id)
        refs = {**await store.refs(uow, paid.id), **await store.refs(uow, refund.id)}
    if refund.state in REFUND_ENDS or database.clock.now() > refund.created_at + LOOK_AT_REFUND_UNTIL:
        return
    connection = await connections.find(database, actor, paid.connection_id, on_platform=paid.on_platform)
    refunds = gateways.refunds(connections.opened(ring, connection))
    try:
        answer = await refunds.look_up_refund(_refund_wish(refund, refs))
    except ProviderError as error:
        log.warning("refund.not_seen", refund=refund.id, code=error.code)
        answer = None
    if answer is not None:
        await _record_refund(database, actor, connection, refund, {**refs, **answer.refs}, answer)
    async with database.unit(actor) as uow:
        uow.enqueue(LookAtRefund(refund_id=refund_id, look=look + 1), delay=LOOKS[min(look, len(LOOKS) - 1)])


async def _answer_of(refunds: Refunds, wish: RefundWish, *, again: bool) -> RefundAnswer:
    if again and (found := await refunds.look_up_refund(wish)) is not None:
        return found
    try:
        return await refunds.refund(wish)
    except OutcomeUnknown:
        if (found := await refunds.look_up_refund(wish)) is None:
            raise
        return found
    except (Refused, BadCredentials) as error:
        log.warning("refund.refused", refund=wish.refund_id, code=error.code)
        return RefundAnswer(refs={}, state=RefundState.FAILED, failure=error.detail)


async def _record_refund(
    database: Database, actor: Actor, connection: Connection, refund: Refund, refs: Mapping[str, str],
    answer: RefundAnswer,
) -> Refund:  # fmt: skip
    seen = RefundObservation(
        key=f"{refund.id}:{answer.state}", refs=refs, refund_id=refund.id, organization_id=refund.organization_id,
        state=answer.state, money=Money(refund.amount, refund.currency), failure=answer.failure,
    )  # fmt: skip
    await database.run(actor, lambda uow: see(uow, connection, seen))
    async with database.reading(actor) as uow:
        return await store.refund(uow, refund.id) or refund


def _refund_wish(refund: Refund, refs: Mapping[str, str]) -> RefundWish:
    return RefundWish(
        organization_id=refund.organization_id, refund_id=refund.id, key=refund.provider_key, refs=refs,
        money=Money(refund.amount, refund.currency), reason=refund.reason,
    )  # fmt: skip


async def _refund_of(uow: UnitOfWork, refund_id: str) -> tuple[Refund, Attempt]:
    """Find a refund and the attempt that took the money."""
    refund = await store.refund(uow, refund_id)
    attempts = await store.attempts(uow, refund.payment_id) if refund else []
    paid = next((attempt for attempt in attempts if attempt.state == PaymentState.SUCCEEDED), None)
    if refund is None or paid is None:
        raise NoSuchRefund(f"There is no refund {refund_id}.")
    return refund, paid


async def _attempt_of(database: Database, actor: Actor, attempt_id: str) -> tuple[Attempt, Payment]:
    async with database.reading(actor) as uow:
        attempt = await store.attempt(uow, attempt_id)
        payment = await store.get(uow, attempt.payment_id) if attempt else None
    if attempt is None or payment is None:
        raise NoSuchPayment(f"There is no attempt {attempt_id}.")
    return attempt, payment
