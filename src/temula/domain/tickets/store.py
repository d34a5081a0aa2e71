"""Every SQL statement of tickets."""

from temula.domain.tickets.model.ticket import StoredKey, Ticket
from temula.kernel.database import UnitOfWork
from temula.kernel.ids import AttendeeId
from temula.kernel.pages import Window
from temula.kernel.sealing import sealed
from temula.kernel.sql import Statement, columns

INSERT = Statement(f"""
INSERT INTO tickets ({columns(Ticket)}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
ON CONFLICT (organization_id, attendee_id) DO UPDATE SET state = excluded.state, generation = excluded.generation,
    code = excluded.code, void_reason = NULL, issued_at = excluded.issued_at
""")
GET = Statement(f"SELECT {columns(Ticket)} FROM tickets WHERE organization_id = $1 AND id = $2")
HOLD = Statement(f"SELECT {columns(Ticket)} FROM tickets WHERE organization_id = $1 AND id = $2 FOR SHARE")
OF_REGISTRATION = Statement(f"""
SELECT {columns(Ticket)} FROM tickets WHERE organization_id = $1 AND registration_id = $2 ORDER BY id
""")
LIST = Statement(f"""
SELECT {columns(Ticket)} FROM tickets WHERE organization_id = $1 AND id < $2 ORDER BY id DESC LIMIT $3
""")
LIST_OF_EVENT = Statement(f"""
SELECT {columns(Ticket)} FROM tickets WHERE organization_id = $1 AND id < $2 AND event_id = $4 ORDER BY id DESC LIMIT $3
""")
LIST_OF_REGISTRATION = Statement(f"""
SELECT {columns(Ticket)} FROM tickets WHERE organization_id = $1 AND id < $2 AND registration_id = $4
ORDER BY id DESC LIMIT $3
""")
VOID = Statement("""
UPDATE tickets SET state = 'void', void_reason = $3 WHERE organization_id = $1 AND id = $2 AND state = 'issued'
""")
PUT_PAPER = Statement("""
INSERT INTO ticket_papers (organization_id, ticket_id, generation, pdf) VALUES ($1, $2, $3, $4)
ON CONFLICT (organization_id, ticket_id) DO UPDATE SET generation = excluded.generation, pdf = excluded.pdf
""")
PAPER = Statement("SELECT pdf FROM ticket_papers WHERE organization_id = $1 AND ticket_id = $2")
DELETE_PAPERS = Statement("""
DELETE FROM ticket_papers p USING tickets t WHERE p.organization_id = $1 AND t.organization_id = p.organization_id
    AND t.id = p.ticket_id AND t.attendee_id = ANY($2::text[])
""")
INSERT_KEY = Statement(f"""
INSERT INTO ticket_keys ({columns(StoredKey)}) VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING
""")
ACTIVE_KEY = Statement(f"SELECT {columns(StoredKey)} FROM ticket_keys WHERE organization_id = $1 AND active")
KEYS = Statement(f"SELECT {columns(StoredKey)} FROM ticket_keys WHERE organization_id = $1")
SEALED = (
    sealed(
        "ticket_keys", "private_key", key=("organization_id", "encode(key_id, 'hex')"),
        context="organization_id || '|ticket_keys|' || encode(key_id, 'hex') || '|private_key'",
    ),
)  # fmt: skip


async def put(uow: UnitOfWork, ticket: Ticket, pdf: bytes) -> None:
    """Add a ticket with its paper; an attendee whose ticket was void gets it anew, one generation up."""
    await uow.run(INSERT, *(getattr(ticket, name) for name in ticket.__struct_fields__))
    await uow.run(PUT_PAPER, ticket.organization_id, ticket.id, ticket.generation, pdf)


async def get(uow: UnitOfWork, ticket_id: str) -> Ticket | None:
    """Find a ticket."""
    return await uow.row(Ticket, GET, uow.organization_id, ticket_id)


async def hold(uow: UnitOfWork, ticket_id: str) -> Ticket | None:
    """Find a ticket and keep others from changing it until the commit; any number may hold it at once."""
    return await uow.row(Ticket, HOLD, uow.organization_id, ticket_id)


async def of_registration(uow: UnitOfWork, registration_id: str) -> list[Ticket]:
    """List a registration's tickets."""
    return await uow.rows(Ticket, OF_REGISTRATION, uow.organization_id, registration_id)


async def listed(uow: UnitOfWork, window: Window, event_id: str | None, registration_id: str | None) -> list[Ticket]:
    """List tickets, newest first."""
    asked = (uow.organization_id, window.before, window.fetch)
    if registration_id is not None:
        return await uow.rows(Ticket, LIST_OF_REGISTRATION, *asked, registration_id)
    if event_id is not None:
        return await uow.rows(Ticket, LIST_OF_EVENT, *asked, event_id)
    return await uow.rows(Ticket, LIST, *asked)


async def void(uow: UnitOfWork, ticket_id: str, reason: str) -> bool:
    """Void a ticket; False if it was void already."""
    return bool(await uow.run(VOID, uow.organization_id, ticket_id, reason))


async def paper(uow: UnitOfWork, ticket_id: str) -> bytes | None:
    """Give a ticket's PDF."""
    pdf: bytes | None = await uow.value(PAPER, uow.organization_id, ticket_id)
    return pdf


async def delete_papers(uow: UnitOfWork, attendee_ids: list[AttendeeId]) -> int:
    """Remove the PDFs of attendees' tickets."""
    return await uow.run(DELETE_PAPERS, uow.organization_id, attendee_ids)


async def insert_key(uow: UnitOfWork, key: StoredKey) -> bool:
    """Add a signing key; False if another one became active first."""
    return bool(await uow.run(INSERT_KEY, *(getattr(key, name) for name in key.__struct_fields__)))


async def active_key(uow: UnitOfWork) -> StoredKey | None:
    """Find the key that signs new tickets."""
    return await uow.row(StoredKey, ACTIVE_KEY, uow.organization_id)


async def keys(uow: UnitOfWork) -> list[StoredKey]:
    """List every key that has signed tickets."""
    return await uow.rows(StoredKey, KEYS, uow.organization_id)
