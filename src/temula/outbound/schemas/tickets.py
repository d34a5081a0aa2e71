"""Tickets and check-ins as the world sees them."""

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from temula.domain.checkins.model import CheckIn, Checkpoint, Method
from temula.domain.tickets.model.ticket import Ticket, TicketState
from temula.outbound.schemas.common import Id, Name

Code = Annotated[str, Meta(min_length=1, max_length=1024)]


class TicketView(msgspec.Struct, frozen=True):
    """What admits one attendee; `code` is the text of its QR code and as good as the ticket."""

    id: str
    registration_id: str
    attendee_id: str
    event_id: str
    ticket_type_id: str
    state: TicketState
    generation: int
    code: str
    void_reason: str | None
    issued_at: datetime


class TicketPage(msgspec.Struct, frozen=True):
    """A page of tickets, newest first."""

    data: list[TicketView]
    next_cursor: str | None


class ValidateInput(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A scanned code to look at."""

    code: Code


class VoidInput(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why a ticket is voided."""

    reason: Name = "voided_by_organizer"


class CheckpointCreate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A gate to add to an event."""

    event_id: Id
    name: Name


class CheckpointView(msgspec.Struct, frozen=True):
    """A gate."""

    id: str
    event_id: str
    name: str
    created_at: datetime


class CheckpointPage(msgspec.Struct, frozen=True):
    """A page of checkpoints, newest first."""

    data: list[CheckpointView]
    next_cursor: str | None


class CheckInCreate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A scan: the code from the QR, or (by hand) the ticket's id."""

    checkpoint_id: Id
    code: Code | None = None
    ticket_id: Id | None = None


class CheckInView(msgspec.Struct, frozen=True):
    """One admission; `actor` is who scanned."""

    id: str
    event_id: str
    checkpoint_id: str
    ticket_id: str
    attendee_id: str
    method: Method
    actor: str
    at: datetime
    undone_at: datetime | None


class CheckInPage(msgspec.Struct, frozen=True):
    """A page of check-ins, newest first."""

    data: list[CheckInView]
    next_cursor: str | None


class ValidationView(msgspec.Struct, frozen=True):
    """Whether a scanned code would be admitted; `reason` says why not."""

    valid: bool
    reason: str | None
    detail: str
    ticket: TicketView | None
    check_in: CheckInView | None


def ticket_view(t: Ticket) -> TicketView:
    """Show a ticket."""
    return TicketView(
        t.id, t.registration_id, t.attendee_id, t.event_id, t.ticket_type_id, t.state, t.generation, t.code,
        t.void_reason, t.issued_at,
    )  # fmt: skip


def checkpoint_view(c: Checkpoint) -> CheckpointView:
    """Show a checkpoint."""
    return CheckpointView(c.id, c.event_id, c.name, c.created_at)


def check_in_view(c: CheckIn) -> CheckInView:
    """Show a check-in."""
    return CheckInView(
        c.id, c.event_id, c.checkpoint_id, c.ticket_id, c.attendee_id, c.method, c.actor_id, c.at, c.undone_at
    )
