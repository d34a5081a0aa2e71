"""What can have happened at a gate."""

from typing import Annotated

from msgspec import Meta

from temula.kernel.facts import Fact, Instant
from temula.kernel.ids import AttendeeId, EventId, TicketId


class CheckInCompleted(Fact, frozen=True, kw_only=True):
    """An attendee's ticket was scanned and admitted; `location` is the checkpoint's name."""

    TYPE = "check_in.completed"
    event_id: EventId
    attendee_id: AttendeeId
    check_in_time: Instant
    location: Annotated[str, Meta(description="The checkpoint's name", examples=["Gate A"])]
    ticket_id: TicketId
    method: Annotated[str, Meta(description="How the ticket was read", examples=["qr"])]


class AttendeeCheckedIn(Fact, frozen=True, kw_only=True):
    """The attendee's first entry to the event."""

    TYPE = "attendee.checked_in"
    event_id: EventId
    attendee_id: AttendeeId
    checked_in_at: Instant
