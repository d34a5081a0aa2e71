"""Stripe's shapes, as far as we read them (https://docs.stripe.com/api); unknown fields are let pass."""

import msgspec


class Problem(msgspec.Struct, frozen=True):
    """`last_payment_error` of a PaymentIntent."""

    code: str | None = None
    decline_code: str | None = None
    charge: str | None = None


class Session(msgspec.Struct, frozen=True):
    """https://docs.stripe.com/api/checkout/sessions/object"""

    id: str
    status: str | None
    payment_status: str
    amount_total: int | None
    currency: str | None
    client_reference_id: str | None = None
    payment_intent: str | None = None
    url: str | None = None
    metadata: dict[str, str] | None = None


class Intent(msgspec.Struct, frozen=True):
    """https://docs.stripe.com/api/payment_intents/object"""

    id: str
    status: str
    amount: int
    currency: str
    metadata: dict[str, str]
    last_payment_error: Problem | None = None


class Refund(msgspec.Struct, frozen=True):
    """https://docs.stripe.com/api/refunds/object"""

    id: str
    amount: int
    currency: str
    status: str | None
    payment_intent: str | None
    metadata: dict[str, str] | None = None
    failure_reason: str | None = None


class EventData(msgspec.Struct, frozen=True):
    """The object an event is about, as it was then."""

    object: msgspec.Raw


class Event(msgspec.Struct, frozen=True):
    """https://docs.stripe.com/api/events/object"""

    id: str
    type: str
    livemode: bool
    data: EventData
