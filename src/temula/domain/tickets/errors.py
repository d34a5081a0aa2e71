"""What can go wrong with tickets; `model.code` draws the errors of codes.

NotFound  x NoSuchTicket
Conflict  x TicketVoid   the ticket no longer counts
"""

from temula.kernel.errors import Conflict, NotFound


class NoSuchTicket(NotFound):
    """The organization has no such ticket."""

    code = "ticket_not_found"


class TicketVoid(Conflict):
    """The ticket was voided."""

    code = "ticket_void"
