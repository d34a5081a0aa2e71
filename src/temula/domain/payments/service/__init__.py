"""Use cases of payments: want it (a transaction), ask for it (none), record what was seen (a transaction)."""

from temula.domain.payments.service.asking import (
    ask_charge,
    ask_refund,
    give_up_charge,
    look_at_attempt,
    look_at_refund,
)
from temula.domain.payments.service.reading import (
    attempts,
    being_refunded,
    get,
    get_refund,
    latest,
    listed,
    owner_of,
    refunds,
    transactions,
)
from temula.domain.payments.service.seeing import UnknownObject, see
from temula.domain.payments.service.wanting import refundable, want_again, want_payment, want_refund

__all__ = [
    "UnknownObject",
    "ask_charge",
    "ask_refund",
    "attempts",
    "being_refunded",
    "get",
    "get_refund",
    "give_up_charge",
    "latest",
    "listed",
    "look_at_attempt",
    "look_at_refund",
    "owner_of",
    "refundable",
    "refunds",
    "see",
    "transactions",
    "want_again",
    "want_payment",
    "want_refund",
]
