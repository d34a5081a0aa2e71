"""The payment intents and charges of https://docs.stripe.com/api/payment_intents."""

from emulators.payments.stripe import charging, events
from emulators.payments.stripe import objects as shapes
from emulators.payments.stripe.calls import PAGING, Answer, Call, page
from emulators.payments.stripe.cards import BY_TOKEN, Card
from emulators.payments.stripe.currencies import check_amount, currency
from emulators.payments.stripe.errors import Json, Refusal, missing, not_found, unexpected_state, unsupported
from emulators.payments.stripe.expanding import expand

CREATE = (
    "amount", "automatic_payment_methods", "capture_method", "confirm", "currency", "customer", "description", "expand",
    "metadata", "off_session", "payment_method", "receipt_email", "return_url", "statement_descriptor",
    "statement_descriptor_suffix", "transfer_group",
)  # fmt: skip
NOT_HERE = (
    "application_fee_amount", "confirmation_token", "hooks", "mandate", "mandate_data", "on_behalf_of",
    "payment_method_data", "setup_future_usage", "shipping", "transfer_data",
)  # fmt: skip
CONFIRM = ("expand", "off_session", "payment_method", "receipt_email", "return_url")
OPEN = {"requires_payment_method", "requires_confirmation", "requires_action"}
TEXTS = ("description", "receipt_email", "statement_descriptor", "statement_descriptor_suffix", "transfer_group")


def create(call: Call) -> Answer:
    fields = call.fields
    fields.only(*CREATE, *NOT_HERE)
    for name in NOT_HERE:
        if fields.has(name):
            raise unsupported(name, f"payment intents with `{name}`")
    if fields.choice("capture_method", "automatic", "automatic_async", "manual") == "manual":
        raise unsupported("capture_method", "manual capture")
    amount, code = fields.need_integer("amount", least=1), currency(fields)
    check_amount(amount, code, "amount")
    card, confirm = _card(call), fields.flag("confirm")
    if confirm and card is None:
        raise missing("payment_method")
    intent = shapes.payment_intent(call, amount, code)
    intent |= {name: fields.text(name) for name in TEXTS}
    intent |= {"metadata": fields.metadata(), "customer": customer(call)}
    if card is not None:
        intent |= {"payment_method": fields.text("payment_method"), "status": "requires_confirmation"}
    call.store.add(call.account, intent)
    events.emit(call, "payment_intent.created", intent)
    if confirm and card is not None:
        return _confirmed(call, intent, card)
    return Answer(expand(call, intent))


def customer(call: Call) -> str | None:
    id_ = call.fields.text("customer")
    return None if id_ is None else str(call.find("customer", id_, param="customer")["id"])


def _card(call: Call) -> Card | None:
    token = call.fields.text("payment_method")
    if token is None:
        return None
    if token not in BY_TOKEN:
        raise not_found("PaymentMethod", token, "payment_method", status=400)
    return BY_TOKEN[token]


def _confirmed(call: Call, intent: Json, card: Card) -> Answer:
    """A decline is an error answer, yet what it changed stays; see https://docs.stripe.com/api/errors."""
    charging.attempt(call, intent, card)
    error = intent["last_payment_error"]
    if error is not None:
        return Answer({"error": {**error, "payment_intent": intent}}, status=402)
    return Answer(expand(call, intent))


def retrieve(call: Call) -> Answer:
    call.fields.only("expand", "client_secret")
    return Answer(expand(call, call.find("payment_intent", call.id)))


def update(call: Call) -> Answer:
    call.fields.only("description", "expand", "metadata", "receipt_email")
    intent = call.find("payment_intent", call.id)
    intent["metadata"] = call.fields.metadata(intent["metadata"])
    intent |= {name: call.fields.text(name) for name in ("description", "receipt_email") if call.fields.has(name)}
    call.store.save(intent)
    return Answer(expand(call, intent))


def confirm(call: Call) -> Answer:
    call.fields.only(*CONFIRM)
    intent = call.find("payment_intent", call.id)
    if intent["status"] not in OPEN:
        raise _wrong_status(intent, "confirm")
    card = _card(call) or BY_TOKEN.get(intent["payment_method"] or "")
    if card is None:
        message = "You cannot confirm this PaymentIntent because it's missing a payment method."
        raise unexpected_state(message, "payment_intent_unexpected_state")
    return _confirmed(call, intent, card)


def cancel(call: Call) -> Answer:
    call.fields.only("cancellation_reason", "expand")
    reason = call.fields.choice(
        "cancellation_reason", "abandoned", "duplicate", "fraudulent", "requested_by_customer"
    )  # fmt: skip
    intent = call.find("payment_intent", call.id)
    if intent["status"] not in OPEN:
        raise _wrong_status(intent, "cancel")
    charging.cancel(call, intent, reason)
    return Answer(expand(call, intent))


def _wrong_status(intent: Json, act: str) -> Refusal:
    message = f"You cannot {act} this PaymentIntent because it has a status of {intent['status']}."
    return unexpected_state(message, "payment_intent_unexpected_state")


def listing(call: Call) -> Answer:
    call.fields.only(*PAGING, "customer")
    return Answer(expand(call, page(call, "payment_intent", "/v1/payment_intents", "customer")))


def retrieve_charge(call: Call) -> Answer:
    call.fields.only("expand")
    return Answer(expand(call, call.find("charge", call.id)))


def list_charges(call: Call) -> Answer:
    call.fields.only(*PAGING, "customer", "payment_intent")
    return Answer(expand(call, page(call, "charge", "/v1/charges", "customer", "payment_intent")))
