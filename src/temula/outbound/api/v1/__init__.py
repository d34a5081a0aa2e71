"""Version 1 of the REST API: one file a resource."""

from temula.outbound.api.v1.events import Events, TicketTypes
from temula.outbound.api.v1.organization import Organization
from temula.outbound.api.v1.payments import Payments, Refunds
from temula.outbound.api.v1.registrations import Attendees, Registrations
from temula.outbound.api.v1.tickets import CheckIns, Checkpoints, Tickets

CONTROLLERS = (
    Organization, Events, TicketTypes, Registrations, Attendees, Tickets, Checkpoints, CheckIns, Payments, Refunds,
)  # fmt: skip
