"""What can have happened at a gate."""

from temula.kernel.facts import Fact
from temula.kernel.ids import AttendeeId, EventId, TicketId


class CheckInCompleted(Fact, frozen=True, kw_only=True):
    """An attendee's ticket was scanned and admitted; `location` is the checkpoint's name."""

    TYPE = "check_in.completed"
    event_id: EventId
    attendee_id: AttendeeId
    check_in_time: str
    location: str
    ticket_id: TicketId
    method: str


class AttendeeCheckedIn(Fact, frozen=True, kw_only=True):
    """The attendee's first entry to the event."""

    TYPE = "attendee.checked_in"
    event_id: EventId
    attendee_id: AttendeeId
    checked_in_at: str
