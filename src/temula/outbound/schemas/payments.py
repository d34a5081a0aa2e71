"""Payments and refunds as the world sees them."""

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

from temula.domain.payments.model import Attempt, Payment, PaymentState, Refund, RefundState, Transaction
from temula.outbound.schemas.common import Id, Name


class NextAction(msgspec.Struct, frozen=True):
    """What the buyer does next: go to `url`."""

    kind: str
    url: str


class AttemptView(msgspec.Struct, frozen=True):
    """One try at a payment; `declines` counts refused cards."""

    id: str
    number: int
    provider: str
    mode: str
    on_platform: bool
    state: PaymentState
    failure: str | None
    declines: int
    next_action: NextAction | None
    expires_at: datetime


class TransactionView(msgspec.Struct, frozen=True):
    """A confirmed movement of money, or a refusal of one."""

    id: str
    kind: str
    state: str
    amount: int
    currency: str
    reference: str
    failure: str | None
    at: datetime


class PaymentView(msgspec.Struct, frozen=True):
    """What is owed for a registration; `refunded` counts refunds under way too.

    A list names no attempts, and only the single payment has its `transactions`.
    """

    id: str
    registration_id: str
    event_id: str
    amount: int
    currency: str
    state: PaymentState
    captured: int
    refunded: int
    created_at: datetime
    updated_at: datetime
    attempts: list[AttemptView] | UnsetType = UNSET
    transactions: list[TransactionView] | UnsetType = UNSET


class PaymentPage(msgspec.Struct, frozen=True):
    """A page of payments, newest first; their attempts and transactions are with the single payment."""

    data: list[PaymentView]
    next_cursor: str | None


class RefundCreate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Money to give back: for `attendee_ids`, an `amount` in minor units, or all that is left."""

    registration_id: Id
    attendee_ids: Annotated[list[Id], Meta(max_length=100)] = []
    amount: Annotated[int, Meta(gt=0, le=2**53 - 1)] | None = None
    reason: Name = "requested_by_customer"


class RefundView(msgspec.Struct, frozen=True):
    """Money on its way back, or back."""

    id: str
    payment_id: str
    registration_id: str
    amount: int
    currency: str
    reason: str
    attendee_ids: list[str]
    state: RefundState
    failure: str | None
    created_at: datetime
    updated_at: datetime


class RefundPage(msgspec.Struct, frozen=True):
    """A page of refunds, newest first."""

    data: list[RefundView]
    next_cursor: str | None


def attempt_view(a: Attempt) -> AttemptView:
    """Show an attempt."""
    shown = a.next_action_url is not None and a.state in (PaymentState.REQUIRES_ACTION, PaymentState.CREATED)
    action = NextAction(a.next_action_kind or "redirect", a.next_action_url or "") if shown else None
    return AttemptView(
        a.id, a.number, a.provider, a.mode, a.on_platform, a.state, a.failure, a.declines, action, a.expires_at
    )


def transaction_view(t: Transaction) -> TransactionView:
    """Show a transaction."""
    return TransactionView(t.id, t.kind, t.state, t.amount, t.currency, t.reference, t.failure, t.at)


def payment_view(
    p: Payment, attempts: list[Attempt] | None = None, transactions: list[Transaction] | None = None
) -> PaymentView:
    """Show a payment; what was not looked up is left out, not shown as none."""
    return PaymentView(
        p.id, p.registration_id, p.event_id, p.amount, p.currency, p.state, p.captured, p.refunded, p.created_at,
        p.updated_at, UNSET if attempts is None else [attempt_view(one) for one in attempts],
        UNSET if transactions is None else [transaction_view(one) for one in transactions],
    )  # fmt: skip


def refund_view(r: Refund) -> RefundView:
    """Show a refund."""
    return RefundView(
        r.id, r.payment_id, r.registration_id, r.amount, r.currency, r.reason, r.attendee_ids, r.state, r.failure,
        r.created_at, r.updated_at,
    )  # fmt: skip
