"""The refunds of https://docs.stripe.com/api/refunds: whole or in part, never more than was paid."""

from emulators.payments.stripe import charging, events, faults
from emulators.payments.stripe import objects as shapes
from emulators.payments.stripe.calls import PAGING, Answer, Call, page
from emulators.payments.stripe.currencies import shown
from emulators.payments.stripe.errors import Json, Refusal, unexpected_state, unsupported
from emulators.payments.stripe.expanding import expand
from emulators.payments.stripe.faults import Fault

CREATE = ("amount", "charge", "expand", "instructions_email", "metadata", "payment_intent", "reason")
NOT_HERE = ("currency", "customer", "origin", "refund_application_fee", "reverse_transfer")


def create(call: Call) -> Answer:
    fields = call.fields
    fields.only(*CREATE, *NOT_HERE)
    for name in NOT_HERE:
        if fields.has(name):
            raise unsupported(name, f"refunds with `{name}`")
    amount = fields.integer("amount", least=1)
    reason = fields.choice("reason", "duplicate", "fraudulent", "requested_by_customer")
    metadata = fields.metadata()
    charged = _charge(call)
    left = charged["amount"] - charged["amount_refunded"]
    if left <= 0:
        raise unexpected_state(f"Charge {charged['id']} has already been refunded.", "charge_already_refunded")
    if amount is not None and amount > left:
        asked, there = shown(amount, charged["currency"]), shown(left, charged["currency"])
        message = f"Refund amount ({asked}) is greater than unrefunded amount on charge ({there})"
        raise Refusal(message, param="amount", kept=True)
    made = shapes.refund(call, charged, left if amount is None else amount)
    made |= {"reason": reason, "metadata": metadata}
    fault = faults.take(call.store, Fault.REFUND_FAILS, call.account)
    if fault is not None and fault.options.get("status") != "succeeded":
        made |= {"status": "pending", "pending_reason": "processing"}
    charging.give_back(call, charged, made)
    answer = Answer(expand(call, dict(made)))
    if fault is not None:
        charging.fail_refund(call, made)
    return answer


def _charge(call: Call) -> Json:
    intent_id, charge_id = call.fields.text("payment_intent"), call.fields.text("charge")
    if (intent_id is None) == (charge_id is None):
        raise Refusal("You must provide exactly one of `charge` or `payment_intent`.", param="payment_intent")
    if intent_id is not None:
        intent = call.find("payment_intent", intent_id, param="payment_intent")
        if intent["status"] != "succeeded":
            message = f"This PaymentIntent ({intent_id}) does not have a successful charge to refund."
            raise unexpected_state(message, "payment_intent_unexpected_state", "payment_intent")
        charge_id = intent["latest_charge"]
    charged = call.find("charge", str(charge_id), param="charge")
    if not charged["paid"]:
        raise unexpected_state(f"Charge {charge_id} was not paid, so it cannot be refunded.", "charge_not_refundable")
    return charged


def retrieve(call: Call) -> Answer:
    call.fields.only("expand")
    return Answer(expand(call, call.find("refund", call.id)))


def update(call: Call) -> Answer:
    call.fields.only("expand", "metadata")
    refund = call.find("refund", call.id)
    before = {"metadata": refund["metadata"]}
    refund["metadata"] = call.fields.metadata(refund["metadata"])
    call.store.save(refund)
    if refund["metadata"] != before["metadata"]:
        events.emit(call, "refund.updated", refund, before)
    return Answer(expand(call, refund))


def listing(call: Call) -> Answer:
    call.fields.only(*PAGING, "payment_intent", "charge")
    return Answer(expand(call, page(call, "refund", "/v1/refunds", "payment_intent", "charge")))
