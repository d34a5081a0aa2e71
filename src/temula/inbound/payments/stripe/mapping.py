"""Stripe's words and ours; pure. What Stripe says and we do not know is never final."""

from collections.abc import Mapping

from temula.domain.payments.model import PaymentObservation, PaymentState, RefundObservation, RefundState
from temula.domain.payments.ports import ChargeAnswer, ChargeWish, RefundAnswer, RefundWish
from temula.inbound.payments.stripe.payloads import Intent, Refund, Session
from temula.kernel.money import Money
from temula.kernel.providers import AmountNotAccepted

ORGANIZATION, ATTEMPT, REGISTRATION, REFUND = (
    "temula_organization", "temula_attempt", "temula_registration", "temula_refund",
)  # fmt: skip

# ISO 4217 has no decimals for these, Stripe's API has two (https://docs.stripe.com/currencies#special-cases).
TWO_DECIMALS_AT_STRIPE = {"ISK": 100, "UGX": 100}
# ISO 4217 has two decimals for this one, Stripe's API has none (https://docs.stripe.com/currencies#zero-decimal).
NO_DECIMALS_AT_STRIPE = {"MGA": 100}
ROUNDED_TO_TEN = frozenset({"BHD", "JOD", "KWD", "OMR", "TND"})

REFUND_STATES = {
    "pending": RefundState.PENDING,
    "requires_action": RefundState.REQUIRES_ACTION,
    "succeeded": RefundState.SUCCEEDED,
    "failed": RefundState.FAILED,
    "canceled": RefundState.CANCELED,
}


def to_stripe(money: Money) -> int:
    """Give the amount as Stripe counts it; raises `AmountNotAccepted` for one that it cannot count."""
    if money.currency in ROUNDED_TO_TEN and money.minor % 10:
        raise AmountNotAccepted(f"Stripe takes {money.currency} only in steps of 10 of the smallest unit.")
    whole, rest = divmod(money.minor, NO_DECIMALS_AT_STRIPE.get(money.currency, 1))
    if rest:
        raise AmountNotAccepted(f"Stripe takes {money.currency} only in whole units.")
    return whole * TWO_DECIMALS_AT_STRIPE.get(money.currency, 1)


def from_stripe(amount: int, currency: str) -> Money:
    """Give Stripe's amount as money; raises `AmountNotAccepted` for one that money cannot be."""
    code = currency.upper()
    whole, rest = divmod(amount, TWO_DECIMALS_AT_STRIPE.get(code, 1))
    if rest:
        raise AmountNotAccepted(f"Stripe gave {amount} {code}, which is no whole number of {code}.")
    return Money(whole * NO_DECIMALS_AT_STRIPE.get(code, 1), code)


def session_state(session: Session) -> PaymentState | None:
    """Give where a Checkout Session stands; None if Stripe says what we do not know."""
    match session.status, session.payment_status:
        case "complete", "paid" | "no_payment_required":
            return PaymentState.SUCCEEDED
        case "complete", "unpaid":
            return PaymentState.PROCESSING  # a delayed method: not paid yet
        case "open", _:
            return PaymentState.REQUIRES_ACTION
        case "expired", _:
            return PaymentState.EXPIRED
        case _:
            return None


def to_session(wish: ChargeWish) -> dict[str, object]:
    """Make the parameters of a hosted Checkout Session; metadata goes on both objects, for Stripe copies none."""
    metadata = {ORGANIZATION: wish.organization_id, ATTEMPT: wish.attempt_id, REGISTRATION: wish.registration_id}
    price = {
        "currency": wish.money.currency.lower(),
        "unit_amount": to_stripe(wish.money),
        "product_data": {"name": wish.description},
    }
    return {
        "mode": "payment",
        "client_reference_id": wish.attempt_id,
        "line_items": [{"quantity": 1, "price_data": price}],
        "metadata": metadata,
        "payment_intent_data": {"metadata": metadata},
        "success_url": wish.success_url,
        "cancel_url": wish.cancel_url,
        "expires_at": int(wish.expires_at.timestamp()),
    }


def to_answer(session: Session) -> ChargeAnswer:
    """Read the answer to a charge."""
    state = session_state(session) or PaymentState.REQUIRES_ACTION
    open_at = session.url if state is PaymentState.REQUIRES_ACTION else None
    return ChargeAnswer(
        refs=session_refs(session), state=state, next_action_kind="redirect" if open_at else None,
        next_action_url=open_at,
    )  # fmt: skip


def session_refs(session: Session) -> Mapping[str, str]:
    """Give Stripe's ids of a charge, by kind."""
    refs = {"session": session.id}
    if session.payment_intent:
        refs["payment_intent"] = session.payment_intent
    return refs


def seen_session(session: Session, key: str, *, failed: bool = False) -> PaymentObservation:
    """Read a Checkout Session; `failed` says that its delayed payment did not come."""
    metadata = session.metadata or {}
    known = session.amount_total is not None and session.currency
    return PaymentObservation(
        key=key,
        refs=session_refs(session),
        attempt_id=session.client_reference_id,
        organization_id=metadata.get(ORGANIZATION),
        state=PaymentState.FAILED if failed else session_state(session),
        money=from_stripe(session.amount_total or 0, session.currency or "") if known else None,
        decline="async_payment_failed" if failed else None,
        reference=session.payment_intent or session.id,
    )


def seen_decline(intent: Intent, key: str) -> PaymentObservation:
    """Read a PaymentIntent whose card was refused; the buyer may try another one on the same page."""
    problem = intent.last_payment_error
    reason = (problem.decline_code or problem.code) if problem else None
    return PaymentObservation(
        key=problem.charge if problem and problem.charge else key,
        refs={"payment_intent": intent.id},
        attempt_id=intent.metadata.get(ATTEMPT),
        organization_id=intent.metadata.get(ORGANIZATION),
        state=None,
        money=from_stripe(intent.amount, intent.currency),
        decline=reason or "declined",
        reference=intent.id,
    )


def seen_intent(intent: Intent, session: Session) -> list[PaymentObservation]:
    """Read what the intent of an unpaid session adds: a card that was refused, a delayed payment that did not come."""
    seen = [seen_decline(intent, f"fetched:{intent.id}")] if intent.last_payment_error else []
    # A session is complete once a delayed payment was promised; its intent asks for another one when it failed.
    if session.status == "complete" and intent.status in ("requires_payment_method", "canceled"):
        seen.append(seen_session(session, f"fetched:{session.id}", failed=True))
    return seen


def to_refund(wish: RefundWish) -> dict[str, object]:
    """Make the parameters of a refund; Stripe knows three reasons, ours goes into the metadata."""
    return {
        "payment_intent": wish.refs["payment_intent"],
        "amount": to_stripe(wish.money),
        "reason": "requested_by_customer",
        "metadata": {ORGANIZATION: wish.organization_id, REFUND: wish.refund_id, "temula_reason": wish.reason[:200]},
    }


def to_refund_answer(refund: Refund) -> RefundAnswer:
    """Read the answer to a refund."""
    state = REFUND_STATES.get(refund.status or "", RefundState.PENDING)
    return RefundAnswer(refs=refund_refs(refund), state=state, failure=refund.failure_reason)


def refund_refs(refund: Refund) -> Mapping[str, str]:
    """Give Stripe's ids of a refund, by kind."""
    refs = {"refund": refund.id}
    if refund.payment_intent:
        refs["payment_intent"] = refund.payment_intent
    return refs


def seen_refund(refund: Refund, key: str) -> RefundObservation:
    """Read a refund; one made in Stripe's dashboard has no id of ours."""
    metadata = refund.metadata or {}
    return RefundObservation(
        key=key,
        refs=refund_refs(refund),
        refund_id=metadata.get(REFUND),
        organization_id=metadata.get(ORGANIZATION),
        state=REFUND_STATES.get(refund.status or ""),
        money=from_stripe(refund.amount, refund.currency),
        failure=refund.failure_reason,
    )
