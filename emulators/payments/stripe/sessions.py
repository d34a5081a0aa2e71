"""The Checkout Sessions of https://docs.stripe.com/api/checkout/sessions, in payment mode on the hosted page."""

from emulators.payments.stripe import line_items, paying
from emulators.payments.stripe.calls import PAGING, Answer, Call, page
from emulators.payments.stripe.currencies import check_amount
from emulators.payments.stripe.errors import Json, Refusal, missing, unexpected_state, unsupported
from emulators.payments.stripe.expanding import expand
from emulators.payments.stripe.expanding import line_items as items_of
from emulators.payments.stripe.forms import Fields
from emulators.payments.stripe.ids import new_id
from emulators.payments.stripe.objects import nothing

SOONEST, LATEST = 30 * 60, 24 * 3600
USED = (
    "cancel_url", "client_reference_id", "customer", "customer_email", "expand", "expires_at", "line_items", "metadata",
    "mode", "payment_intent_data", "success_url", "ui_mode",
)  # fmt: skip
ECHOED = (
    "allow_promotion_codes", "billing_address_collection", "currency", "customer_creation", "locale", "origin_context",
    "submit_type",
)  # fmt: skip
NOT_SHOWN = (
    "adaptive_pricing", "allowed_payment_method_types", "branding_settings", "consent_collection", "custom_text",
    "excluded_payment_method_types", "integration_identifier", "name_collection", "payment_method_configuration",
    "payment_method_options", "phone_number_collection", "tax_id_collection", "wallet_options",
)  # fmt: skip
NOT_HERE = (
    "after_expiration", "automatic_tax", "custom_fields", "customer_account", "customer_update", "discounts",
    "invoice_creation", "managed_payments", "optional_items", "payment_method_collection", "payment_method_data",
    "permissions", "redirect_on_completion", "return_url", "saved_payment_method_options", "setup_intent_data",
    "shipping_address_collection", "shipping_options", "subscription_data",
)  # fmt: skip
INTENT = ("description", "metadata", "receipt_email", "statement_descriptor", "statement_descriptor_suffix")
INTENT_NOT_HERE = (
    "application_fee_amount", "capture_method", "on_behalf_of", "setup_future_usage", "shipping", "transfer_data",
    "transfer_group",
)  # fmt: skip


def create(call: Call) -> Answer:
    fields = call.fields
    fields.only(*USED, *ECHOED, *NOT_SHOWN, *NOT_HERE)
    for name in NOT_HERE:
        if fields.has(name):
            raise unsupported(name, f"Checkout Sessions with `{name}`")
    mode = fields.choice("mode", "payment", "setup", "subscription")
    if mode is None:
        raise missing("mode")
    ui_mode = fields.choice("ui_mode", "elements", "embedded_page", "form", "hosted_page") or "hosted_page"
    if (mode, ui_mode) != ("payment", "hosted_page"):
        raise unsupported("mode", f"mode `{mode}` with ui_mode `{ui_mode}`")
    if not fields.has("success_url"):
        raise missing("success_url")
    items = line_items.read(fields, call.now)
    intent_data = _intent_data(fields.nested("payment_intent_data"))
    total = sum(item["amount_total"] for item in items)
    if total:
        check_amount(total, items[0]["currency"], "line_items")
    session = _session(call, items[0]["currency"], total)
    call.store.add(call.account, session, {"line_items": items, "payment_intent_data": intent_data})
    return Answer(expand(call, session))


def _intent_data(fields: Fields | None) -> Json:
    if fields is None:
        return {"metadata": {}}
    fields.only(*INTENT, *INTENT_NOT_HERE)
    for name in INTENT_NOT_HERE:
        if fields.has(name):
            raise unsupported(fields.name(name), f"`payment_intent_data` with `{name}`")
    texts = {name: fields.text(name) for name in INTENT if name != "metadata" and fields.has(name)}
    return {**texts, "metadata": fields.metadata()}


def _expires_at(call: Call) -> int:
    expires_at = call.fields.integer("expires_at")
    if expires_at is None:
        return call.now + LATEST
    if expires_at < call.now + SOONEST:
        message = "The `expires_at` timestamp must be at least 30 minutes from Checkout Session creation."
        raise Refusal(message, param="expires_at")
    if expires_at > call.now + LATEST:
        message = "The `expires_at` timestamp must be less than 24 hours from Checkout Session creation."
        raise Refusal(message, param="expires_at")
    return expires_at


def _customer(call: Call) -> str | None:
    id_ = call.fields.text("customer")
    if id_ is None:
        return None
    if call.fields.has("customer_email"):
        message = "You may only specify one of these parameters: customer, customer_email."
        raise Refusal(message, param="customer")
    return str(call.find("customer", id_, param="customer")["id"])


def _session(call: Call, currency: str, total: int) -> Json:
    fields = call.fields
    id_ = new_id("cs_test_")
    email = fields.text("customer_email")
    return {
        "id": id_,
        "object": "checkout.session",
        **nothing("after_expiration collected_information consent consent_collection currency_conversion"),
        **nothing("client_secret customer_account invoice payment_link payment_method_configuration_details"),
        **nothing("permissions recovered_from redirect_on_completion return_url setup_intent shipping_cost"),
        **nothing("shipping_address_collection subscription wallet_options branding_settings managed_payments"),
        **nothing("allowed_payment_method_types excluded_payment_method_types integration_identifier payment_intent"),
        **nothing("saved_payment_method_options"),
        **{name: fields.text(name) for name in ECHOED},
        "adaptive_pricing": {"enabled": False},
        "allow_promotion_codes": fields.flag("allow_promotion_codes"),
        "amount_subtotal": total,
        "amount_total": total,
        "automatic_tax": {"enabled": False, "liability": None, "provider": None, "status": None},
        "cancel_url": fields.url("cancel_url"),
        "client_reference_id": fields.text("client_reference_id", longest=200),
        "created": call.now,
        "currency": currency,
        "custom_fields": [],
        "custom_text": nothing("after_submit shipping_address submit terms_of_service_acceptance"),
        "customer": _customer(call),
        "customer_creation": fields.text("customer_creation") or "if_required",
        "customer_details": {**nothing("address name phone tax_ids"), "email": email, "tax_exempt": "none"},
        "customer_email": email,
        "discounts": [],
        "expires_at": _expires_at(call),
        "invoice_creation": {"enabled": False, "invoice_data": _no_invoice()},
        "livemode": False,
        "metadata": fields.metadata(),
        "mode": "payment",
        "payment_method_collection": "if_required",
        "payment_method_options": {"card": {"request_three_d_secure": "automatic"}},
        "payment_method_types": ["card"],
        "payment_status": "unpaid" if total else "no_payment_required",
        "phone_number_collection": {"enabled": False},
        "shipping_options": [],
        "status": "open",
        "success_url": fields.url("success_url"),
        "total_details": {"amount_discount": 0, "amount_shipping": 0, "amount_tax": 0},
        "ui_mode": "hosted_page",
        "url": f"{call.base_url}/checkout/{id_}",
    }


def _no_invoice() -> Json:
    names = "account_tax_ids custom_fields description footer issuer rendering_options"
    return {**nothing(names), "metadata": {}}


def retrieve(call: Call) -> Answer:
    call.fields.only("expand")
    return Answer(expand(call, call.find("checkout.session", call.id)))


def update(call: Call) -> Answer:
    call.fields.only("expand", "metadata")
    session = call.find("checkout.session", call.id)
    session["metadata"] = call.fields.metadata(session["metadata"])
    call.store.save(session)
    return Answer(expand(call, session))


def list_items(call: Call) -> Answer:
    call.fields.only(*PAGING)
    call.find("checkout.session", call.id)
    return Answer(items_of(call, call.id))


def expire(call: Call) -> Answer:
    call.fields.only("expand")
    session = call.find("checkout.session", call.id)
    if session["status"] != "open":
        message = (
            f"This Session is {session['status']}. Only Checkout Sessions with a status in ['open'] can be expired."
        )
        raise unexpected_state(message, "checkout_session_not_open")
    paying.expire(call, session)
    return Answer(expand(call, session))


def listing(call: Call) -> Answer:
    call.fields.only(
        *PAGING, "customer", "customer_details", "payment_intent", "payment_link", "status", "subscription"
    )
    for name in ("customer_details", "payment_link", "subscription"):
        if call.fields.has(name):
            raise unsupported(name, f"listing Checkout Sessions by `{name}`")
    found = page(call, "checkout.session", "/v1/checkout/sessions", "payment_intent", "customer", "status")
    return Answer(expand(call, found))
