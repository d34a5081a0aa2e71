"""What can have happened to a ticket."""

from typing import Annotated

from msgspec import Meta

from temula.kernel.facts import Fact
from temula.kernel.ids import AttendeeId, EventId, TicketId


class TicketIssued(Fact, frozen=True, kw_only=True):
    """The ticket's PDF is generated."""

    TYPE = "ticket.issued"
    ticket_instance_id: TicketId
    event_id: EventId
    attendee_id: AttendeeId
    qr_code_url: Annotated[
        str,
        Meta(
            description="The picture of the code, for who has a token with tickets:read",
            examples=["https://api.example.com/api/v1/tickets/tkt_01kaqygtkve008000001yxg7pq/qr"],
            extra_json_schema={"format": "uri"},
        ),
    ]


class TicketVoided(Fact, frozen=True, kw_only=True):
    """The ticket no longer counts."""

    TYPE = "ticket.void"
    ticket_instance_id: TicketId
    event_id: EventId
    attendee_id: AttendeeId
    reason: Annotated[str, Meta(examples=["refunded"])]
