"""The event types of the areas that sellers of tickets hear of; see https://docs.stripe.com/api/events/types."""

AREAS = {
    "balance": "available",
    "charge": "captured dispute.closed dispute.created dispute.funds_reinstated dispute.funds_withdrawn dispute.updated"
    " expired failed pending refund.updated refunded succeeded updated",
    "checkout": "session.async_payment_failed session.async_payment_succeeded session.completed session.expired",
    "coupon": "created deleted updated",
    "payment_intent": "amount_capturable_updated canceled created partially_funded payment_failed processing"
    " requires_action succeeded",
    "payout": "canceled created failed paid reconciliation_completed updated",
    "promotion_code": "created updated",
    "refund": "created failed updated",
}
KNOWN = frozenset(f"{area}.{name}" for area, names in AREAS.items() for name in names.split())


def is_type(name: str) -> bool:
    """Exact in the areas above; elsewhere anything that looks like a type."""
    area, dot, rest = name.partition(".")
    if area in AREAS:
        return name in KNOWN
    return bool(dot and rest)
