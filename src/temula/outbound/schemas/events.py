"""Events and ticket types as the world sees them."""

from datetime import datetime

import msgspec
from msgspec import UNSET, UnsetType

from temula.domain.events.model import Event, EventState, TicketType, Visibility
from temula.outbound.schemas.common import Currency, Id, Minor, Name, Text


class EventCreate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A draft to create; its ticket types are priced in `currency`."""

    name: Name
    starts_at: datetime
    ends_at: datetime
    timezone: str = "UTC"
    currency: Currency
    venue: str = ""
    description: Text = ""
    visibility: Visibility = Visibility.PUBLIC
    team_id: Id | None = None


class EventPatch(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Fields to change; those left out stay."""

    name: Name | UnsetType = UNSET
    starts_at: datetime | UnsetType = UNSET
    ends_at: datetime | UnsetType = UNSET
    timezone: str | UnsetType = UNSET
    venue: str | UnsetType = UNSET
    description: Text | UnsetType = UNSET
    visibility: Visibility | UnsetType = UNSET
    team_id: Id | UnsetType | None = UNSET


class EventView(msgspec.Struct, frozen=True):
    """An event."""

    id: str
    team_id: str | None
    name: str
    description: str
    state: EventState
    visibility: Visibility
    starts_at: datetime
    ends_at: datetime
    timezone: str
    venue: str
    currency: str
    created_at: datetime
    updated_at: datetime


class EventPage(msgspec.Struct, frozen=True):
    """A page of events, newest first; `next_cursor` is null on the last."""

    data: list[EventView]
    next_cursor: str | None


class TicketTypeCreate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A ticket type to add; `quota` null means no limit."""

    name: Name
    price: Minor
    quota: int | None = None
    sale_starts_at: datetime | None = None
    sale_ends_at: datetime | None = None


class TicketTypePatch(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Fields to change; those left out stay."""

    name: Name | UnsetType = UNSET
    price: Minor | UnsetType = UNSET
    quota: int | UnsetType | None = UNSET
    sale_starts_at: datetime | UnsetType | None = UNSET
    sale_ends_at: datetime | UnsetType | None = UNSET


class TicketTypeView(msgspec.Struct, frozen=True):
    """A ticket type; `taken` counts held and sold tickets."""

    id: str
    event_id: str
    name: str
    price: int
    currency: str
    quota: int | None
    taken: int
    sale_starts_at: datetime | None
    sale_ends_at: datetime | None
    created_at: datetime


class TicketTypePage(msgspec.Struct, frozen=True):
    """A page of ticket types, newest first."""

    data: list[TicketTypeView]
    next_cursor: str | None


def event_view(e: Event) -> EventView:
    """Show an event."""
    return EventView(
        e.id, e.team_id, e.name, e.description, e.state, e.visibility, e.starts_at, e.ends_at, e.timezone, e.venue,
        e.currency, e.created_at, e.updated_at,
    )  # fmt: skip


def ticket_type_view(t: TicketType) -> TicketTypeView:
    """Show a ticket type."""
    return TicketTypeView(
        t.id, t.event_id, t.name, t.price, t.currency, t.quota, t.taken, t.sale_starts_at, t.sale_ends_at, t.created_at
    )


def given(patch: msgspec.Struct) -> dict[str, object]:
    """Give the fields that a patch names."""
    named = {name: getattr(patch, name) for name in patch.__struct_fields__}
    return {name: value for name, value in named.items() if value is not UNSET}
