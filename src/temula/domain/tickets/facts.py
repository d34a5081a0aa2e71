"""What can have happened to a ticket."""

from temula.kernel.facts import Fact
from temula.kernel.ids import AttendeeId, EventId, TicketId


class TicketIssued(Fact, frozen=True, kw_only=True):
    """The ticket's PDF is generated."""

    TYPE = "ticket.issued"
    ticket_instance_id: TicketId
    event_id: EventId
    attendee_id: AttendeeId
    qr_code_url: str


class TicketVoided(Fact, frozen=True, kw_only=True):
    """The ticket no longer counts."""

    TYPE = "ticket.void"
    ticket_instance_id: TicketId
    event_id: EventId
    attendee_id: AttendeeId
    reason: str
