"""What a buyer does on the hosted page: pays, is declined, pays in a way that takes days, or lets it expire.

See https://docs.stripe.com/payments/checkout/fulfill-orders.
"""

from emulators.payments.stripe import charging, events
from emulators.payments.stripe import objects as shapes
from emulators.payments.stripe.calls import Call
from emulators.payments.stripe.cards import DECLINED, GOOD, Card
from emulators.payments.stripe.errors import Json

BUYER = {"email": "buyer@example.com", "name": "Test Buyer"}


def pay(call: Call, session: Json, card: Card) -> Json | None:
    """Pays an open session and answers nothing, or the decline, which leaves the session open."""
    if session["amount_total"] == 0:
        _complete(call, session, "no_payment_required")
        return None
    intent = _intent(call, session)
    charging.attempt(call, intent, card, session["customer_details"])
    error: Json | None = intent["last_payment_error"]
    if error is None:
        _complete(call, session, "paid")
    else:
        call.store.save(session)
    return error


def pay_later(call: Call, session: Json) -> None:
    """Completes the session with a delayed method: complete, yet unpaid until it is settled."""
    intent = _intent(call, session)
    intent["status"] = "processing"
    call.store.save(intent)
    events.emit(call, "payment_intent.processing", intent)
    _complete(call, session, "unpaid")


def settle(call: Call, session: Json, *, succeed: bool) -> None:
    """Ends a delayed payment; see https://docs.stripe.com/payments/checkout/fulfill-orders#delayed-notification."""
    intent = call.find("payment_intent", session["payment_intent"])
    charging.attempt(call, intent, GOOD if succeed else DECLINED, session["customer_details"])
    paid = intent["status"] == "succeeded"
    session["payment_status"] = "paid" if paid else "unpaid"
    call.store.save(session)
    events.emit(call, f"checkout.session.async_payment_{'succeeded' if paid else 'failed'}", session)


def expire(call: Call, session: Json) -> None:
    session |= {"status": "expired", "url": None}
    call.store.save(session)
    if session["payment_intent"] is not None:
        charging.cancel(call, call.find("payment_intent", session["payment_intent"]), "expired")
    events.emit(call, "checkout.session.expired", session)


def _intent(call: Call, session: Json) -> Json:
    """The session's intent, which is made when the buyer first tries to pay and not before."""
    session["customer_details"] = {**session["customer_details"], "name": BUYER["name"]}
    session["customer_details"]["email"] = session["customer_details"]["email"] or BUYER["email"]
    if session["payment_intent"] is not None:
        return call.find("payment_intent", session["payment_intent"])
    intent = shapes.payment_intent(call, session["amount_total"], session["currency"])
    intent |= call.hidden("checkout.session", session["id"])["payment_intent_data"]
    intent |= {"automatic_payment_methods": None, "customer": session["customer"]}
    session["payment_intent"] = intent["id"]
    call.store.add(call.account, intent)
    events.emit(call, "payment_intent.created", intent)
    return intent


def _complete(call: Call, session: Json, payment_status: str) -> None:
    session |= {"status": "complete", "payment_status": payment_status, "url": None}
    call.store.save(session)
    events.emit(call, "checkout.session.completed", session)
