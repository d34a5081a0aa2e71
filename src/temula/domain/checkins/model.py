"""Checkpoints, check-ins and scans."""

from datetime import datetime
from enum import StrEnum

import msgspec

from temula.kernel.ids import AttendeeId, CheckInId, CheckpointId, EventId, OrganizationId, TicketId


class Method(StrEnum):
    """How a ticket was read."""

    QR = "qr"
    MANUAL = "manual"
    RFID = "rfid"


class Checkpoint(msgspec.Struct, frozen=True):
    """A gate or door of an event where tickets are scanned."""

    organization_id: OrganizationId
    id: CheckpointId
    event_id: EventId
    name: str
    created_at: datetime


class CheckIn(msgspec.Struct, frozen=True):
    """One admission; at most one that is not undone exists for a ticket, and the database sees to that."""

    organization_id: OrganizationId
    id: CheckInId
    event_id: EventId
    checkpoint_id: CheckpointId
    ticket_id: TicketId
    attendee_id: AttendeeId
    method: Method
    actor_kind: str
    actor_id: str
    at: datetime
    undone_at: datetime | None


class Scan(msgspec.Struct, frozen=True):
    """What came of a scan: an admission, or a refusal with its reason and, if it was used before, by what."""

    check_in: CheckIn | None
    refusal: str | None = None
    detail: str = ""
    first: CheckIn | None = None
    first_location: str | None = None
