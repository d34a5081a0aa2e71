"""What can go wrong with events and ticket types.

NotFound  x NoSuchEvent        x NoSuchTicketType
Conflict  x EventNotEditable   publish, archive or edit in another order
          x NotOnSale          wait for the sale, or choose another ticket type
          x SoldOut            choose fewer or others
"""

from temula.kernel.errors import Conflict, NotFound


class NoSuchEvent(NotFound):
    """The organization has no such event."""

    code = "event_not_found"


class NoSuchTicketType(NotFound):
    """The event has no such ticket type."""

    code = "ticket_type_not_found"


class EventNotEditable(Conflict):
    """The event's state does not allow the change."""

    code = "event_state"


class NotOnSale(Conflict):
    """The ticket type, or its event, is not on sale now."""

    code = "not_on_sale"


class SoldOut(Conflict):
    """Fewer tickets are left than were asked for."""

    code = "sold_out"
