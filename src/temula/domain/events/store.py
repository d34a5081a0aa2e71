"""Every SQL statement of events and ticket types."""

from collections.abc import Collection

from temula.domain.events.model import Event, TicketType
from temula.kernel.database import UnitOfWork
from temula.kernel.pages import Window
from temula.kernel.sql import Statement, columns

INSERT = Statement(f"""
INSERT INTO events ({columns(Event)}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
""")
GET = Statement(f"SELECT {columns(Event)} FROM events WHERE organization_id = $1 AND id = $2")
LOCK = Statement(f"SELECT {columns(Event)} FROM events WHERE organization_id = $1 AND id = $2 FOR UPDATE")
EXISTING = Statement("SELECT array_agg(id) FROM events WHERE organization_id = $1 AND id = ANY($2::text[])")
LIST = Statement(f"""
SELECT {columns(Event)} FROM events WHERE organization_id = $1 AND id < $2 ORDER BY id DESC LIMIT $3
""")
LIST_BY_STATE = Statement(f"""
SELECT {columns(Event)} FROM events WHERE organization_id = $1 AND id < $2 AND state = $4 ORDER BY id DESC LIMIT $3
""")
UPDATE = Statement("""
UPDATE events SET team_id = $3, name = $4, description = $5, state = $6, visibility = $7, starts_at = $8, ends_at = $9,
    timezone = $10, venue = $11, updated_at = $12
WHERE organization_id = $1 AND id = $2
""")
DELETE = Statement("DELETE FROM events WHERE organization_id = $1 AND id = $2")
INSERT_TYPE = Statement(f"""
INSERT INTO ticket_types ({columns(TicketType)}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
""")
GET_TYPE = Statement(f"SELECT {columns(TicketType)} FROM ticket_types WHERE organization_id = $1 AND id = $2")
LIST_TYPES = Statement(f"""
SELECT {columns(TicketType)} FROM ticket_types WHERE organization_id = $1 AND event_id = $2 AND id < $3
ORDER BY id DESC LIMIT $4
""")
UPDATE_TYPE = Statement("""
UPDATE ticket_types SET name = $3, price = $4, quota = $5, sale_starts_at = $6, sale_ends_at = $7
WHERE organization_id = $1 AND id = $2 AND ($5::int IS NULL OR taken <= $5)
""")
DELETE_TYPE = Statement("DELETE FROM ticket_types WHERE organization_id = $1 AND id = $2 AND taken = 0")
# The row's lock and this condition are what holds the quota, however many ask at once.
TAKE = Statement(f"""
UPDATE ticket_types SET taken = taken + $4
WHERE organization_id = $1 AND id = $2 AND event_id = $3 AND (quota IS NULL OR taken + $4 <= quota)
    AND (sale_starts_at IS NULL OR sale_starts_at <= $5) AND (sale_ends_at IS NULL OR sale_ends_at > $5)
RETURNING {columns(TicketType)}
""")
RETAKE = Statement("""
UPDATE ticket_types SET taken = taken + $3
WHERE organization_id = $1 AND id = $2 AND (quota IS NULL OR taken + $3 <= quota)
""")
GIVE_BACK = Statement("UPDATE ticket_types SET taken = taken - $3 WHERE organization_id = $1 AND id = $2")


async def insert(uow: UnitOfWork, event: Event) -> None:
    """Add an event."""
    await uow.run(INSERT, *(getattr(event, name) for name in event.__struct_fields__))


async def get(uow: UnitOfWork, event_id: str) -> Event | None:
    """Find an event."""
    return await uow.row(Event, GET, uow.organization_id, event_id)


async def existing(uow: UnitOfWork, event_ids: Collection[str]) -> frozenset[str]:
    """Tell which of these there are."""
    return frozenset(await uow.value(EXISTING, uow.organization_id, list(event_ids)) or ())


async def lock(uow: UnitOfWork, event_id: str) -> Event | None:
    """Find an event and keep others from changing it until the commit."""
    return await uow.row(Event, LOCK, uow.organization_id, event_id)


async def listed(uow: UnitOfWork, window: Window, state: str | None) -> list[Event]:
    """List events, newest first."""
    if state is None:
        return await uow.rows(Event, LIST, uow.organization_id, window.before, window.fetch)
    return await uow.rows(Event, LIST_BY_STATE, uow.organization_id, window.before, window.fetch, state)


async def update(uow: UnitOfWork, event: Event) -> None:
    """Write what may change of an event."""
    await uow.run(
        UPDATE, event.organization_id, event.id, event.team_id, event.name, event.description, event.state,
        event.visibility, event.starts_at, event.ends_at, event.timezone, event.venue, event.updated_at,
    )  # fmt: skip


async def delete(uow: UnitOfWork, event_id: str) -> None:
    """Remove an event and its ticket types."""
    await uow.run(DELETE, uow.organization_id, event_id)


async def insert_type(uow: UnitOfWork, ticket_type: TicketType) -> None:
    """Add a ticket type."""
    await uow.run(INSERT_TYPE, *(getattr(ticket_type, name) for name in ticket_type.__struct_fields__))


async def get_type(uow: UnitOfWork, ticket_type_id: str) -> TicketType | None:
    """Find a ticket type."""
    return await uow.row(TicketType, GET_TYPE, uow.organization_id, ticket_type_id)


async def list_types(uow: UnitOfWork, event_id: str, window: Window) -> list[TicketType]:
    """List an event's ticket types, newest first."""
    return await uow.rows(TicketType, LIST_TYPES, uow.organization_id, event_id, window.before, window.fetch)


async def update_type(uow: UnitOfWork, ticket_type: TicketType) -> bool:
    """Write what may change of a ticket type; False if more are taken than the new quota."""
    return bool(
        await uow.run(
            UPDATE_TYPE, ticket_type.organization_id, ticket_type.id, ticket_type.name, ticket_type.price,
            ticket_type.quota, ticket_type.sale_starts_at, ticket_type.sale_ends_at,
        )
    )  # fmt: skip


async def delete_type(uow: UnitOfWork, ticket_type_id: str) -> bool:
    """Remove a ticket type of which none was ever taken."""
    return bool(await uow.run(DELETE_TYPE, uow.organization_id, ticket_type_id))


async def take(uow: UnitOfWork, event_id: str, ticket_type_id: str, count: int) -> TicketType | None:
    """Take `count` tickets within quota and sale window, or none."""
    return await uow.row(TicketType, TAKE, uow.organization_id, ticket_type_id, event_id, count, uow.now)


async def retake(uow: UnitOfWork, ticket_type_id: str, count: int) -> bool:
    """Take tickets again that were given back, whatever the sale window says by now."""
    return bool(await uow.run(RETAKE, uow.organization_id, ticket_type_id, count))


async def give_back(uow: UnitOfWork, ticket_type_id: str, count: int) -> None:
    """Put taken tickets back on sale."""
    await uow.run(GIVE_BACK, uow.organization_id, ticket_type_id, count)
