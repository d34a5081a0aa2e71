"""Registrations and attendees as the world sees them."""

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

from temula.domain.registrations.model import Attendee, Registration, State
from temula.domain.registrations.service import Registered
from temula.outbound.schemas.common import Email, Id, Name
from temula.outbound.schemas.payments import PaymentView, payment_view


class BuyerInput(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who orders and pays."""

    name: Name
    email: Email


class AttendeeInput(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One who comes; name and email address are the buyer's if left out."""

    ticket_type_id: Id
    name: Name | None = None
    email: Email | None = None


class RegistrationCreate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A registration to make. `success_url` and `cancel_url` are where the payment page sends the buyer back to."""

    event_id: Id
    buyer: BuyerInput
    attendees: Annotated[list[AttendeeInput], Meta(min_length=1, max_length=100)]
    success_url: str | None = None
    cancel_url: str | None = None


class CancelInput(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why a registration is cancelled."""

    reason: Name = "requested"


class PayAgainInput(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the payment page of another attempt sends the buyer back to."""

    success_url: str | None = None
    cancel_url: str | None = None


class AttendeePatch(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Fields to change; those left out stay."""

    name: Name | UnsetType = UNSET
    email: Email | UnsetType = UNSET


class AttendeeView(msgspec.Struct, frozen=True):
    """One who comes."""

    id: str
    registration_id: str
    event_id: str
    ticket_type_id: str
    name: str
    email: str
    price: int
    currency: str
    state: State
    first_checked_in_at: datetime | None
    created_at: datetime


class AttendeePage(msgspec.Struct, frozen=True):
    """A page of attendees, newest first."""

    data: list[AttendeeView]
    next_cursor: str | None


class BuyerView(msgspec.Struct, frozen=True):
    """Who ordered."""

    name: str
    email: str


class RegistrationSummary(msgspec.Struct, frozen=True):
    """A registration in a list."""

    id: str
    event_id: str
    buyer: BuyerView
    state: State
    total_amount: int
    currency: str
    hold_expires_at: datetime | None
    cancelled_reason: str | None
    created_at: datetime
    updated_at: datetime


class RegistrationView(RegistrationSummary, frozen=True):
    """A registration with its attendees and its latest payment."""

    attendees: list[AttendeeView]
    payment: PaymentView | None


class RegistrationPage(msgspec.Struct, frozen=True):
    """A page of registrations, newest first."""

    data: list[RegistrationSummary]
    next_cursor: str | None


def attendee_view(a: Attendee) -> AttendeeView:
    """Show an attendee."""
    return AttendeeView(
        a.id, a.registration_id, a.event_id, a.ticket_type_id, a.name, a.email, a.price, a.currency, a.state,
        a.first_checked_in_at, a.created_at,
    )  # fmt: skip


def summary_view(r: Registration) -> RegistrationSummary:
    """Show a registration in a list."""
    return RegistrationSummary(
        r.id, r.event_id, BuyerView(r.buyer_name, r.buyer_email), r.state, r.total, r.currency, r.hold_expires_at,
        r.cancelled_reason, r.created_at, r.updated_at,
    )  # fmt: skip


def registration_view(registered: Registered) -> RegistrationView:
    """Show a registration whole."""
    r = registered.registration
    payment = None
    if registered.payment is not None and registered.attempt is not None:
        payment = payment_view(registered.payment, [registered.attempt])
    return RegistrationView(
        r.id, r.event_id, BuyerView(r.buyer_name, r.buyer_email), r.state, r.total, r.currency, r.hold_expires_at,
        r.cancelled_reason, r.created_at, r.updated_at, [attendee_view(one) for one in registered.attendees], payment,
    )  # fmt: skip
