"""Tickets and the keys that sign their codes, as stored."""

from datetime import datetime
from enum import StrEnum

import msgspec

from temula.domain.tickets.model.code import TicketKey
from temula.kernel.ids import AttendeeId, EventId, OrganizationId, RegistrationId, TicketId, TicketTypeId


class TicketState(StrEnum):
    """A ticket counts, or no longer does."""

    ISSUED = "issued"
    VOID = "void"


class Ticket(msgspec.Struct, frozen=True):
    """What admits one attendee to one event; `generation` goes up with each re-issue and only the latest counts."""

    organization_id: OrganizationId
    id: TicketId
    registration_id: RegistrationId
    attendee_id: AttendeeId
    event_id: EventId
    ticket_type_id: TicketTypeId
    state: TicketState
    generation: int
    code: str
    void_reason: str | None
    issued_at: datetime


class StoredKey(msgspec.Struct, frozen=True):
    """An organization's signing key; the private half is sealed."""

    organization_id: OrganizationId
    key_id: bytes
    public_key: bytes
    private_key: bytes
    active: bool
    created_at: datetime

    @property
    def context(self) -> str:
        """Where the sealed private key belongs."""
        return key_context(self.organization_id, self.key_id)


class Inspection(msgspec.Struct, frozen=True):
    """What a scanned code turned out to be; `refusal` is None if the ticket counts."""

    refusal: str | None
    detail: str
    ticket: Ticket | None = None


def key_context(organization_id: str, key_id: bytes) -> str:
    """Name the place of a sealed private key."""
    return f"{organization_id}|ticket_keys|{key_id.hex()}|private_key"


def signing_key(seed: bytes) -> TicketKey:
    """Make the signing key of its opened seed."""
    return TicketKey(seed)
