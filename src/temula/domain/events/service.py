"""Use cases of events: each checks, does, and tells."""

from collections.abc import Collection, Mapping
from datetime import datetime

import msgspec

from temula.domain.events import store
from temula.domain.events.errors import EventNotEditable, NoSuchEvent, NoSuchTicketType, NotOnSale, SoldOut
from temula.domain.events.facts import EventArchived, EventPublished, EventUpdated
from temula.domain.events.model import Event, EventState, TicketType, Visibility
from temula.domain.organizations import service as organizations
from temula.kernel.clock import rfc3339
from temula.kernel.database import UnitOfWork
from temula.kernel.ids import EVENT, TICKET_TYPE
from temula.kernel.pages import Page, Window, page


async def create_event(
    uow: UnitOfWork, *, name: str, starts_at: datetime, ends_at: datetime, timezone: str, currency: str,
    venue: str = "", description: str = "", visibility: Visibility = Visibility.PUBLIC, team_id: str | None = None,
) -> Event:  # fmt: skip
    """Create a draft."""
    team = (await organizations.get_team(uow, team_id)).id if team_id is not None else None
    event = Event(
        uow.organization_id, EVENT.new(uow.now), team, name, description, EventState.DRAFT, visibility, starts_at,
        ends_at, timezone, venue, currency, uow.now, uow.now,
    ).checked()  # fmt: skip
    await store.insert(uow, event)
    uow.audit("event.create", event.id, {"name": name})
    return event


async def get(uow: UnitOfWork, event_id: str) -> Event:
    """Find an event of the organization."""
    if (event := await store.get(uow, event_id)) is None:
        raise NoSuchEvent(f"There is no event {event_id}.")
    return event


async def locked(uow: UnitOfWork, event_id: str) -> Event:
    """Find an event and keep others from changing it until the commit."""
    if (event := await store.lock(uow, event_id)) is None:
        raise NoSuchEvent(f"There is no event {event_id}.")
    return event


async def require(uow: UnitOfWork, event_ids: Collection[str]) -> None:
    """Raise `NoSuchEvent` for the first of these that is no event of the organization."""
    there = await store.existing(uow, event_ids)
    for event_id in event_ids:
        if event_id not in there:
            raise NoSuchEvent(f"There is no event {event_id}.")


async def listed(uow: UnitOfWork, window: Window, *, state: EventState | None = None) -> Page[Event]:
    """List events, newest first."""
    return page(await store.listed(uow, window, state), window, lambda event: event.id)


async def update_event(uow: UnitOfWork, event_id: str, changes: Mapping[str, object]) -> Event:
    """Change fields of an event that is not archived; tells what changed from what to what."""
    before = (await locked(uow, event_id)).editable()
    if (team_id := changes.get("team_id")) is not None:
        await organizations.get_team(uow, str(team_id))
    after = msgspec.structs.replace(before, **changes).checked()
    changed = {
        name: {"from": _shown(getattr(before, name)), "to": _shown(getattr(after, name))}
        for name in changes
        if getattr(before, name) != getattr(after, name)
    }
    if not changed:
        return before
    after = msgspec.structs.replace(after, updated_at=uow.now)
    await store.update(uow, after)
    uow.tell(EventUpdated(event_id=after.id, changes=changed), event_id=after.id)
    uow.audit("event.update", after.id, changed)
    return after


async def publish(uow: UnitOfWork, event_id: str) -> Event:
    """Put a draft on sale; publishing a published event changes nothing."""
    event = (await locked(uow, event_id)).editable()
    if event.state == EventState.PUBLISHED:
        return event
    published = msgspec.structs.replace(event, state=EventState.PUBLISHED, updated_at=uow.now)
    await store.update(uow, published)
    fact = EventPublished(
        event_id=event.id, starts_at=rfc3339(event.starts_at), visibility=str(Visibility(event.visibility))
    )
    uow.tell(fact, event_id=event.id)
    uow.audit("event.publish", event.id)
    return published


async def archive(uow: UnitOfWork, event_id: str) -> Event:
    """Close an event for good; archiving an archived event changes nothing."""
    event = await locked(uow, event_id)
    if event.state == EventState.ARCHIVED:
        return event
    archived = msgspec.structs.replace(event, state=EventState.ARCHIVED, updated_at=uow.now)
    await store.update(uow, archived)
    uow.tell(EventArchived(event_id=event.id, archived_at=rfc3339(uow.now)), event_id=event.id)
    uow.audit("event.archive", event.id)
    return archived


async def delete_draft(uow: UnitOfWork, event_id: str) -> None:
    """Remove an event that was never published; a published one is archived instead."""
    event = await locked(uow, event_id)
    if event.state != EventState.DRAFT:
        raise EventNotEditable("Only a draft can be deleted; archive this event instead.")
    await store.delete(uow, event_id)
    uow.audit("event.delete", event_id, {"name": event.name})


async def add_ticket_type(
    uow: UnitOfWork, event_id: str, *, name: str, price: int, quota: int | None,
    sale_starts_at: datetime | None = None, sale_ends_at: datetime | None = None,
) -> TicketType:  # fmt: skip
    """Add a ticket type, priced in the event's currency."""
    event = (await locked(uow, event_id)).editable()
    ticket_type = TicketType(
        uow.organization_id, TICKET_TYPE.new(uow.now), event.id, name, price, event.currency, quota, 0,
        sale_starts_at, sale_ends_at, uow.now,
    ).checked()  # fmt: skip
    await store.insert_type(uow, ticket_type)
    uow.audit("ticket_type.create", ticket_type.id, {"name": name, "price": price, "quota": quota})
    return ticket_type


async def get_ticket_type(uow: UnitOfWork, ticket_type_id: str) -> TicketType:
    """Find a ticket type of the organization."""
    if (ticket_type := await store.get_type(uow, ticket_type_id)) is None:
        raise NoSuchTicketType(f"There is no ticket type {ticket_type_id}.")
    return ticket_type


async def ticket_types(uow: UnitOfWork, event_id: str, window: Window) -> Page[TicketType]:
    """List an event's ticket types, newest first."""
    event = await get(uow, event_id)
    return page(await store.list_types(uow, event.id, window), window, lambda ticket_type: ticket_type.id)


async def update_ticket_type(uow: UnitOfWork, ticket_type_id: str, changes: Mapping[str, object]) -> TicketType:
    """Change a ticket type; its quota cannot fall below what is taken. Sold tickets keep their price."""
    before = await get_ticket_type(uow, ticket_type_id)
    (await locked(uow, before.event_id)).editable()
    after = msgspec.structs.replace(before, **changes).checked()
    if not await store.update_type(uow, after):
        raise EventNotEditable(f"{before.taken} tickets are taken; the quota cannot be lower.", taken=before.taken)
    uow.audit("ticket_type.update", after.id, {name: _shown(value) for name, value in changes.items()})
    return after


async def delete_ticket_type(uow: UnitOfWork, ticket_type_id: str) -> None:
    """Remove a ticket type of which none was sold or is held."""
    await get_ticket_type(uow, ticket_type_id)
    if not await store.delete_type(uow, ticket_type_id):
        raise EventNotEditable("Tickets of this type are taken; set its quota or end its sale instead.")
    uow.audit("ticket_type.delete", ticket_type_id)


async def take(uow: UnitOfWork, event_id: str, wanted: Mapping[str, int]) -> tuple[Event, dict[str, TicketType]]:
    """Take tickets for a registration, all or none; raises `SoldOut` or `NotOnSale`."""
    event = await get(uow, event_id)
    if event.state != EventState.PUBLISHED:
        raise NotOnSale("The event is not published.", event_id=event.id)
    taken = {}
    for ticket_type_id in sorted(wanted):  # one order for everybody, so that no two wait for each other
        found = await store.take(uow, event_id, ticket_type_id, wanted[ticket_type_id])
        taken[ticket_type_id] = found or await _refuse(uow, event, ticket_type_id, wanted[ticket_type_id])
    return event, taken


async def retake(uow: UnitOfWork, wanted: Mapping[str, int]) -> bool:
    """Take tickets again for a registration that lapsed but was paid after all; False if they are gone."""
    short: dict[str, int] = {}
    for ticket_type_id in sorted(wanted):
        if not await store.retake(uow, ticket_type_id, wanted[ticket_type_id]):
            await give_back(uow, short)
            return False
        short[ticket_type_id] = wanted[ticket_type_id]
    return True


async def give_back(uow: UnitOfWork, taken: Mapping[str, int]) -> None:
    """Put tickets back on sale."""
    for ticket_type_id in sorted(taken):
        await store.give_back(uow, ticket_type_id, taken[ticket_type_id])


async def _refuse(uow: UnitOfWork, event: Event, ticket_type_id: str, wanted: int) -> TicketType:
    ticket_type = await store.get_type(uow, ticket_type_id)
    if ticket_type is None or ticket_type.event_id != event.id:
        raise NoSuchTicketType(f"The event has no ticket type {ticket_type_id}.")
    refusal: NotOnSale | SoldOut = ticket_type.refusal(wanted, uow.now)
    raise refusal


def _shown(value: object) -> object:
    return rfc3339(value) if isinstance(value, datetime) else value
