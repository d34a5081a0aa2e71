"""What can have happened to a registration."""

from typing import Annotated

from msgspec import Meta

from temula.kernel.facts import Currency, Fact, Minor
from temula.kernel.ids import AttendeeId, EventId, RegistrationId


class RegistrationCreated(Fact, frozen=True, kw_only=True):
    """A new ticket purchase; `attendee_id` is the first of `attendee_ids`."""

    TYPE = "registration.created"
    registration_id: RegistrationId
    event_id: EventId
    attendee_id: AttendeeId
    attendee_ids: list[AttendeeId]
    total_amount: Minor
    currency: Currency


class RegistrationConfirmed(Fact, frozen=True, kw_only=True):
    """Paid, or free: tickets are due."""

    TYPE = "registration.confirmed"
    PUBLIC = False
    registration_id: RegistrationId


class RegistrationCancelled(Fact, frozen=True, kw_only=True):
    """The buyer or the organizer cancels, or the hold ran out."""

    TYPE = "registration.cancelled"
    registration_id: RegistrationId
    event_id: EventId
    reason: Annotated[str, Meta(examples=["requested_by_buyer"])]


class RegistrationRefunded(Fact, frozen=True, kw_only=True):
    """A refund was issued."""

    TYPE = "registration.refunded"
    registration_id: RegistrationId
    event_id: EventId
    amount: Minor
    currency: Currency
    reason: Annotated[str, Meta(examples=["requested_by_buyer"])]


class AttendeesReleased(Fact, frozen=True, kw_only=True):
    """Attendees no longer come: their tickets are void."""

    TYPE = "attendees.released"
    PUBLIC = False
    registration_id: RegistrationId
    attendee_ids: list[AttendeeId]
    reason: str
