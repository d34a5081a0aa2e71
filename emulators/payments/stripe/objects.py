"""The shapes of money that Stripe shows: intents, charges, refunds and the balance; see https://docs.stripe.com/api."""

from emulators.payments.stripe.calls import Call
from emulators.payments.stripe.cards import Card
from emulators.payments.stripe.errors import Json
from emulators.payments.stripe.ids import new_id

SETTLE_SECONDS = 2 * 24 * 3600


def nothing(names: str) -> Json:
    return dict.fromkeys(names.split())


def payment_intent(call: Call, amount: int, currency: str) -> Json:
    id_ = new_id("pi_")
    return {
        "id": id_,
        "object": "payment_intent",
        "amount": amount,
        "amount_capturable": 0,
        "amount_details": {"tip": {}},
        "amount_received": 0,
        **nothing("application application_fee_amount canceled_at cancellation_reason customer customer_account"),
        **nothing("description last_payment_error latest_charge next_action on_behalf_of payment_method"),
        **nothing("payment_method_configuration_details processing receipt_email review setup_future_usage shipping"),
        **nothing("source statement_descriptor statement_descriptor_suffix transfer_data transfer_group"),
        **nothing("allowed_payment_method_types excluded_payment_method_types"),
        "automatic_payment_methods": {"allow_redirects": "always", "enabled": True},
        "capture_method": "automatic_async",
        "client_secret": new_id(f"{id_}_secret_"),
        "confirmation_method": "automatic",
        "created": call.now,
        "currency": currency,
        "livemode": False,
        "metadata": {},
        "payment_method_options": {"card": {"request_three_d_secure": "automatic"}},
        "payment_method_types": ["card"],
        "status": "requires_payment_method",
    }


def charge(call: Call, intent: Json, card: Card, billing: Json) -> Json:
    failed = card.code is not None
    id_ = new_id("ch_")
    return {
        "id": id_,
        "object": "charge",
        "amount": intent["amount"],
        "amount_captured": 0 if failed else intent["amount"],
        "amount_refunded": 0,
        **nothing("application application_fee application_fee_amount balance_transaction"),
        **nothing("failure_balance_transaction on_behalf_of receipt_email receipt_number review shipping source"),
        **nothing("source_transfer statement_descriptor statement_descriptor_suffix transfer_data transfer_group"),
        "billing_details": billing,
        "calculated_statement_descriptor": "TEMULA SANDBOX",
        "captured": not failed,
        "created": call.now,
        "currency": intent["currency"],
        "customer": intent["customer"],
        "description": intent["description"],
        "disputed": False,
        "failure_code": card.code,
        "failure_message": card.message or None,
        "fraud_details": {},
        "livemode": False,
        "metadata": dict(intent["metadata"]),
        "outcome": _outcome(card),
        "paid": not failed,
        "payment_intent": intent["id"],
        "payment_method": intent["payment_method"],
        "payment_method_details": card.details(),
        "radar_options": {},
        "receipt_url": None if failed else f"{call.base_url}/receipts/{id_}",
        "refunded": False,
        "status": "failed" if failed else "succeeded",
    }


def _outcome(card: Card) -> Json:
    declined = card.code is not None
    return {
        "advice_code": "try_again_later" if declined else None,
        "network_advice_code": None,
        "network_decline_code": "05" if declined else None,
        "network_status": "declined_by_network" if declined else "approved_by_network",
        "reason": card.decline_code,
        "risk_level": "normal",
        "seller_message": (
            "The bank did not return any further details with this decline." if declined else "Payment complete."
        ),
        "type": "issuer_declined" if declined else "authorized",
    }


def payment_error(card: Card, charged: Json) -> Json:
    """What an intent remembers of its last decline; see https://docs.stripe.com/declines/codes."""
    return {
        "charge": charged["id"],
        "code": card.code,
        "decline_code": card.decline_code,
        "doc_url": f"https://docs.stripe.com/error-codes/{(card.code or '').replace('_', '-')}",
        "message": card.message,
        "payment_method": {
            "id": charged["payment_method"],
            "object": "payment_method",
            "billing_details": charged["billing_details"],
            "created": charged["created"],
            "customer": None,
            "livemode": False,
            "metadata": {},
            **card.details(),
        },
        "type": "card_error",
    }


def refund(call: Call, charged: Json, amount: int) -> Json:
    return {
        "id": new_id("re_"),
        "object": "refund",
        "amount": amount,
        **nothing("balance_transaction reason receipt_number source_transfer_reversal transfer_reversal"),
        **nothing("customer customer_account payment_method"),
        "charge": charged["id"],
        "created": call.now,
        "currency": charged["currency"],
        "destination_details": {"card": {"reference_status": "pending", "type": "refund"}, "type": "card"},
        "metadata": {},
        "payment_intent": charged["payment_intent"],
        "payment_method": charged["payment_method"],
        "status": "succeeded",
    }


def balance_transaction(call: Call, source: Json, amount: int, type_: str, fee: int = 0) -> Json:
    fees = [{"amount": fee, "application": None, "currency": source["currency"], "type": "stripe_fee"}]
    return {
        "id": new_id("txn_"),
        "object": "balance_transaction",
        "amount": amount,
        "available_on": call.now + SETTLE_SECONDS,
        "balance_type": "payments",
        "created": call.now,
        "currency": source["currency"],
        "description": source.get("description"),
        "exchange_rate": None,
        "fee": fee,
        "fee_details": [{**fees[0], "description": "Stripe processing fees"}] if fee else [],
        "net": amount - fee,
        "reporting_category": type_,
        "source": source["id"],
        "status": "pending",
        "type": type_,
    }
