"""Payments as values and the one state machine that every observation goes through.

    created -> requires_action -> processing -> succeeded        failed, canceled, expired: side ends
Succeeded never goes back; an end may still turn into succeeded (late); what is unknown or does not add up needs review.

Each state has a rank, and an observation only ever moves up: so whatever order callbacks, polls and answers come in,
however often, and if some are lost while a later one is not, the end is the same.
"""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

import msgspec

from temula.kernel.ids import (
    AttemptId,
    ConnectionId,
    EventId,
    OrganizationId,
    PaymentId,
    RefundId,
    RegistrationId,
    TransactionId,
)
from temula.kernel.jobs import Job
from temula.kernel.money import Money


class PaymentState(StrEnum):
    """Where a payment, or one attempt at it, stands."""

    CREATED = "created"
    REQUIRES_ACTION = "requires_action"
    PROCESSING = "processing"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"
    EXPIRED = "expired"
    NEEDS_REVIEW = "needs_review"


class RefundState(StrEnum):
    """Where a refund stands; a succeeded one may still fail later."""

    REQUESTED = "requested"
    PENDING = "pending"
    REQUIRES_ACTION = "requires_action"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"


RANK = {
    PaymentState.CREATED: 0,
    PaymentState.REQUIRES_ACTION: 1,
    PaymentState.PROCESSING: 2,
    PaymentState.CANCELED: 3,
    PaymentState.EXPIRED: 4,
    PaymentState.FAILED: 5,
    PaymentState.NEEDS_REVIEW: 6,
    PaymentState.SUCCEEDED: 7,
}
OPEN = frozenset({PaymentState.CREATED, PaymentState.REQUIRES_ACTION, PaymentState.PROCESSING})
ENDS = frozenset({PaymentState.FAILED, PaymentState.CANCELED, PaymentState.EXPIRED})
REFUND_RANK = {
    RefundState.REQUESTED: 0,
    RefundState.PENDING: 1,
    RefundState.REQUIRES_ACTION: 2,
    RefundState.SUCCEEDED: 3,
    RefundState.CANCELED: 4,
    RefundState.FAILED: 5,
}
REFUND_LOST = frozenset({RefundState.FAILED, RefundState.CANCELED})
REFUND_ENDS = REFUND_LOST | {RefundState.SUCCEEDED}


class Payment(msgspec.Struct, frozen=True):
    """What a buyer owes for a registration; `refunded` counts refunds asked for and not failed."""

    organization_id: OrganizationId
    id: PaymentId
    registration_id: RegistrationId
    event_id: EventId
    description: str
    amount: int
    currency: str
    state: PaymentState
    captured: int
    refunded: int
    created_at: datetime
    updated_at: datetime

    @property
    def money(self) -> Money:
        """What is owed."""
        return Money(self.amount, self.currency)


class Attempt(msgspec.Struct, frozen=True):
    """One try at a payment through one connection; `provider_key` makes asking twice the same as asking once."""

    organization_id: OrganizationId
    id: AttemptId
    payment_id: PaymentId
    number: int
    connection_id: ConnectionId
    on_platform: bool
    provider: str
    mode: str
    provider_key: str
    state: PaymentState
    failure: str | None
    declines: int
    next_action_kind: str | None
    next_action_url: str | None
    expires_at: datetime
    success_url: str
    cancel_url: str
    created_at: datetime
    updated_at: datetime


class Refund(msgspec.Struct, frozen=True):
    """Money on its way back; `attendee_ids` are those it is for, empty for an amount of its own."""

    organization_id: OrganizationId
    id: RefundId
    payment_id: PaymentId
    registration_id: RegistrationId
    amount: int
    currency: str
    reason: str
    attendee_ids: list[str]
    state: RefundState
    provider_key: str
    failure: str | None
    created_at: datetime
    updated_at: datetime


class Transaction(msgspec.Struct, frozen=True):
    """A confirmed movement of money, or a refusal of one; `reference` is the provider's."""

    organization_id: OrganizationId
    id: TransactionId
    payment_id: PaymentId
    kind: str
    state: str
    amount: int
    currency: str
    reference: str
    failure: str | None
    at: datetime


class PaymentObservation(msgspec.Struct, frozen=True, kw_only=True):
    """What a provider let us see of an attempt, by callback, poll or answer: the only thing that changes its state.

    `refs` are the provider's ids by kind (`session`, `payment_intent`). `decline` says a card was refused while the
    attempt goes on. `key` tells the same sighting from another one.
    """

    key: str
    refs: Mapping[str, str]
    attempt_id: str | None
    organization_id: str | None
    state: PaymentState | None
    money: Money | None
    decline: str | None = None
    reference: str = ""


class RefundObservation(msgspec.Struct, frozen=True, kw_only=True):
    """What a provider let us see of a refund; `refund_id` is ours, None if it was made in the provider's dashboard."""

    key: str
    refs: Mapping[str, str]
    refund_id: str | None
    organization_id: str | None
    state: RefundState | None
    money: Money
    failure: str | None = None


Observation = PaymentObservation | RefundObservation


class Step(NamedTuple):
    """What an observation does to an attempt: the next state, why a person is needed if one is, whether it is late."""

    state: PaymentState
    trouble: str | None = None
    late: bool = False


def advance(state: PaymentState, owed: Money, seen: PaymentObservation) -> Step:
    """Give the attempt's next state; the same state means nothing to do."""
    state = PaymentState(state)
    step = _told(owed, seen)
    if step is None or RANK[step.state] <= RANK[state]:
        return Step(state)
    return step._replace(late=step.state is PaymentState.SUCCEEDED and state in ENDS)


def _told(owed: Money, seen: PaymentObservation) -> Step | None:
    """Give what an observation says by itself; None if it is no more than a refused card on an attempt that goes on."""
    if seen.state is PaymentState.SUCCEEDED and seen.money != owed:
        return Step(PaymentState.NEEDS_REVIEW, f"paid {seen.money} where {owed} was owed")
    if seen.state is None:
        return None if seen.decline is not None else Step(PaymentState.NEEDS_REVIEW, "unknown provider status")
    return Step(seen.state)


def advance_refund(state: RefundState, seen: RefundState | None) -> RefundState:
    """Give the refund's next state; an unknown one changes nothing, for money is never called back on a guess."""
    state = RefundState(state)
    return state if seen is None or REFUND_RANK[seen] <= REFUND_RANK[state] else seen


class AskCharge(Job, frozen=True, kw_only=True):
    """Ask the provider for an attempt whose answer never came, by its key."""

    KIND = "payments.ask_charge"
    attempt_id: str


class AskRefund(Job, frozen=True, kw_only=True):
    """Ask the provider for a refund, or for one whose answer never came."""

    KIND = "payments.ask_refund"
    # Over a day, until the provider has forgotten a first answer that it would otherwise repeat for ever.
    TRIES = 40
    refund_id: str


class LookAtAttempt(Job, frozen=True, kw_only=True):
    """See how an open attempt stands, in case its callback is lost; `look` counts the looks so far."""

    KIND = "payments.look"
    attempt_id: str
    look: int = 0


class LookAtRefund(Job, frozen=True, kw_only=True):
    """See how a refund on its way stands, in case its callback is lost; `look` counts the looks so far."""

    KIND = "payments.look_at_refund"
    refund_id: str
    look: int = 0
