"""An account's own face: who it is, what it holds, its ledger and its customers; see https://docs.stripe.com/api/balance."""

from collections import Counter

from emulators.payments.stripe import events
from emulators.payments.stripe.calls import PAGING, Answer, Call, page
from emulators.payments.stripe.errors import Json
from emulators.payments.stripe.expanding import expand
from emulators.payments.stripe.ids import new_id
from emulators.payments.stripe.objects import nothing

CUSTOMER = ("description", "email", "expand", "metadata", "name", "phone")


def retrieve(call: Call) -> Answer:
    call.fields.only("expand")
    return Answer({
        "id": call.account,
        "object": "account",
        "business_profile": {"name": "Temula sandbox", "url": None},
        "business_type": "company",
        "capabilities": {"card_payments": "active", "transfers": "active"},
        "charges_enabled": True,
        "controller": {"type": "account"},
        "country": "MY",
        "default_currency": "myr",
        "details_submitted": True,
        "email": "sandbox@example.com",
        "metadata": {},
        "payouts_enabled": True,
        "settings": {"dashboard": {"display_name": "Temula sandbox", "timezone": "Asia/Kuala_Lumpur"}},
        "type": "standard",
    })  # fmt: skip


def balance(call: Call) -> Answer:
    call.fields.only("expand")
    available: Counter[str] = Counter()
    pending: Counter[str] = Counter()
    for booked in call.store.everything(call.account, "balance_transaction"):
        side = available if booked["available_on"] <= call.now else pending
        side[booked["currency"]] += booked["net"]
    return Answer({
        "object": "balance",
        "available": _amounts(available),
        "livemode": False,
        "pending": _amounts(pending),
        "refund_and_dispute_prefunding": {"available": [], "pending": []},
    })  # fmt: skip


def _amounts(sums: Counter[str]) -> list[Json]:
    named = sums or Counter({"myr": 0})
    return [{"amount": named[code], "currency": code, "source_types": {"card": named[code]}} for code in sorted(named)]


def retrieve_transaction(call: Call) -> Answer:
    call.fields.only("expand")
    return Answer(expand(call, _matured(call, call.find("balance_transaction", call.id))))


def list_transactions(call: Call) -> Answer:
    call.fields.only(*PAGING, "source")
    found = page(call, "balance_transaction", "/v1/balance_transactions", "source")
    found["data"] = [_matured(call, booked) for booked in found["data"]]
    return Answer(expand(call, found))


def _matured(call: Call, booked: Json) -> Json:
    return {**booked, "status": "available" if booked["available_on"] <= call.now else "pending"}


def create_customer(call: Call) -> Answer:
    fields = call.fields
    fields.only(*CUSTOMER)
    customer: Json = {
        "id": new_id("cus_"),
        "object": "customer",
        **nothing("address business_name currency customer_account default_source discount individual_name shipping"),
        **nothing("test_clock"),
        **{name: fields.text(name) for name in ("description", "email", "name", "phone")},
        "balance": 0,
        "created": call.now,
        "delinquent": False,
        "invoice_prefix": new_id("")[:8].upper(),
        "invoice_settings": nothing("custom_fields default_payment_method footer rendering_options"),
        "livemode": False,
        "metadata": fields.metadata(),
        "next_invoice_sequence": 1,
        "preferred_locales": [],
        "tax_exempt": "none",
    }
    call.store.add(call.account, customer)
    events.emit(call, "customer.created", customer)
    return Answer(customer)


def retrieve_customer(call: Call) -> Answer:
    call.fields.only("expand")
    return Answer(expand(call, call.find("customer", call.id)))


def list_customers(call: Call) -> Answer:
    call.fields.only(*PAGING, "email")
    return Answer(expand(call, page(call, "customer", "/v1/customers", "email")))
