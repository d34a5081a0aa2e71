"""Registrations and attendees: states and rules."""

from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum

import msgspec

from temula.domain.events.model import require_text
from temula.domain.registrations.errors import RegistrationState
from temula.kernel.errors import InvalidInput
from temula.kernel.ids import AttendeeId, EventId, OrganizationId, RegistrationId, TicketTypeId
from temula.kernel.jobs import Job

MOST_ATTENDEES = 100


class State(StrEnum):
    """Where a registration, or one of its attendees, stands."""

    PENDING = "pending"
    CONFIRMED = "confirmed"
    CANCELLED = "cancelled"
    REFUNDED = "refunded"


class Arrival(StrEnum):
    """What an attendee's coming in is: their first time, once more, or that of somebody who no longer comes."""

    FIRST = "first"
    AGAIN = "again"
    NOT_EXPECTED = "not_expected"


class Registration(msgspec.Struct, frozen=True):
    """A buyer's order. While pending it holds its tickets until `hold_expires_at`."""

    organization_id: OrganizationId
    id: RegistrationId
    event_id: EventId
    buyer_name: str
    buyer_email: str
    state: State
    total: int
    currency: str
    hold_expires_at: datetime | None
    cancelled_reason: str | None
    created_at: datetime
    updated_at: datetime

    def require(self, *states: State) -> None:
        """Raise `RegistrationState` unless the registration is in one of these states."""
        if self.state not in states:
            raise RegistrationState(f"The registration is {State(self.state).value}.", state=State(self.state).value)


class Attendee(msgspec.Struct, frozen=True):
    """Who comes, with what kind of ticket, at what price."""

    organization_id: OrganizationId
    id: AttendeeId
    registration_id: RegistrationId
    event_id: EventId
    ticket_type_id: TicketTypeId
    name: str
    email: str
    price: int
    currency: str
    state: State
    first_checked_in_at: datetime | None
    created_at: datetime


class Seat(msgspec.Struct, frozen=True, kw_only=True):
    """A wish for one attendee."""

    ticket_type_id: str
    name: str
    email: str


class Buyer(msgspec.Struct, frozen=True, kw_only=True):
    """Who orders and pays."""

    name: str
    email: str


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody whose data is to be erased: where they stand, and the values that name them.

    `registration_ids` are those that they are in; of these they are the buyer in `bought`.
    """

    registration_ids: list[RegistrationId]
    bought: list[RegistrationId]
    attendee_ids: list[AttendeeId]
    names: list[str]
    emails: list[str]


class ExpireHolds(Job, frozen=True, kw_only=True):
    """Let go of what lapsed registrations hold, in every organization."""

    KIND = "registrations.expire_holds"

    @property
    def dedupe(self) -> str:
        """One waiting is enough."""
        return "all"


def check_wish(buyer: Buyer, seats: list[Seat]) -> None:
    """Refuse a wish that no registration can be made of."""
    require_text(buyer.name, "/buyer/name", 200)
    require_email(buyer.email, "/buyer/email")
    if not 1 <= len(seats) <= MOST_ATTENDEES:
        raise InvalidInput(f"A registration has from 1 to {MOST_ATTENDEES} attendees.", pointer="/attendees")
    for number, seat in enumerate(seats):
        require_text(seat.name, f"/attendees/{number}/name", 200)
        require_email(seat.email, f"/attendees/{number}/email")


def require_email(text: str, pointer: str) -> None:
    """Refuse what is plainly no email address; whether it exists only a message to it can tell."""
    local, at, domain = text.rpartition("@")
    if not at or not local or "." not in domain or len(text) > 254 or any(c.isspace() for c in text):
        raise InvalidInput("This is not an email address.", pointer=pointer)


def person(registrations: Iterable[Registration], bought: Iterable[Registration], attendees: list[Attendee]) -> Person:
    """Say who stands there: the buyer of some registrations, attendees of some."""
    buyers = list(bought)
    return Person(
        registration_ids=sorted({*(one.id for one in registrations), *(one.registration_id for one in attendees)}),
        bought=sorted(one.id for one in buyers),
        attendee_ids=sorted(one.id for one in attendees),
        names=sorted({*(one.buyer_name for one in buyers), *(one.name for one in attendees)}),
        emails=sorted({*(one.buyer_email for one in buyers), *(one.email for one in attendees)}),
    )


def counted(attendees: Iterable[Attendee]) -> dict[str, int]:
    """Count attendees by ticket type."""
    return dict(Counter(attendee.ticket_type_id for attendee in attendees))
