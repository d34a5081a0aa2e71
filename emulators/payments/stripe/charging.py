"""Takes and returns money: what a paid, a declined and a refunded charge change, and the events that tell of it."""

from emulators.payments.stripe import events, faults
from emulators.payments.stripe import objects as shapes
from emulators.payments.stripe.calls import Call
from emulators.payments.stripe.cards import DECLINED, Card
from emulators.payments.stripe.errors import Json
from emulators.payments.stripe.faults import Fault
from emulators.payments.stripe.ids import new_id

FEE_PERCENT = 3  # a stand-in's fee: enough to show that what arrives is less than what was paid
NOBODY: Json = {"address": None, "email": None, "name": None, "phone": None, "tax_id": None}


def attempt(call: Call, intent: Json, card: Card, billing: Json | None = None) -> Json:
    """Charges `card`, changes `intent` in place and tells of it; answers the charge, paid or failed."""
    if faults.take(call.store, Fault.DECLINE, call.account):
        card = DECLINED
    intent["payment_method"] = new_id("pm_")
    charged = shapes.charge(call, intent, card, {**NOBODY, **(billing or {})})
    intent["latest_charge"] = charged["id"]
    if card.code is None:
        _paid(call, intent, charged)
    else:
        _declined(call, intent, charged, card)
    return charged


def _paid(call: Call, intent: Json, charged: Json) -> None:
    fee = charged["amount"] * FEE_PERCENT // 100
    booked = shapes.balance_transaction(call, charged, charged["amount"], "charge", fee)
    charged["balance_transaction"] = booked["id"]
    intent |= {"status": "succeeded", "amount_received": intent["amount"], "last_payment_error": None}
    for made in (booked, charged):
        call.store.add(call.account, made)
    call.store.save(intent)
    events.emit(call, "payment_intent.succeeded", intent)
    events.emit(call, "charge.succeeded", charged)


def _declined(call: Call, intent: Json, charged: Json, card: Card) -> None:
    intent |= {
        "status": "requires_payment_method",
        "last_payment_error": shapes.payment_error(card, charged),
        "payment_method": None,
    }
    call.store.add(call.account, charged)
    call.store.save(intent)
    events.emit(call, "payment_intent.payment_failed", intent)
    events.emit(call, "charge.failed", charged)


def cancel(call: Call, intent: Json, reason: str | None) -> None:
    intent |= {"status": "canceled", "canceled_at": call.now, "cancellation_reason": reason}
    call.store.save(intent)
    events.emit(call, "payment_intent.canceled", intent)


def give_back(call: Call, charged: Json, refund: Json) -> None:
    """Books `refund` against its charge and tells of both."""
    booked = shapes.balance_transaction(call, refund, -refund["amount"], "refund")
    refund["balance_transaction"] = booked["id"]
    before = {"amount_refunded": charged["amount_refunded"], "refunded": charged["refunded"]}
    charged["amount_refunded"] += refund["amount"]
    charged["refunded"] = charged["amount_refunded"] >= charged["amount"]
    call.store.add(call.account, booked)
    call.store.add(call.account, refund)
    call.store.save(charged)
    events.emit(call, "refund.created", refund)
    events.emit(call, "charge.refunded", charged, before)


def fail_refund(call: Call, refund: Json) -> None:
    """The bank sent a refund back; the money returns to the balance. See https://docs.stripe.com/refunds#failed-refunds."""
    charged = call.find("charge", refund["charge"])
    booked = shapes.balance_transaction(call, refund, refund["amount"], "refund_failure")
    before = {"status": refund["status"]}
    refund |= {
        "status": "failed",
        "failure_reason": "expired_or_canceled_card",
        "failure_balance_transaction": booked["id"],
    }
    refund.pop("pending_reason", None)
    charged["amount_refunded"] -= refund["amount"]
    charged["refunded"] = False
    call.store.add(call.account, booked)
    call.store.save(charged)
    call.store.save(refund)
    events.emit(call, "refund.updated", refund, before)
    events.emit(call, "refund.failed", refund, before)
