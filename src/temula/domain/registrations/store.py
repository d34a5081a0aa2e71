"""Every SQL statement of registrations and attendees."""

from datetime import datetime

import msgspec

from temula.domain.registrations.model import Arrival, Attendee, Registration, State
from temula.kernel.database import UnitOfWork
from temula.kernel.ids import AttendeeId, OrganizationId, RegistrationId
from temula.kernel.pages import Window
from temula.kernel.sql import Statement, columns

INSERT = Statement(f"""
INSERT INTO registrations ({columns(Registration)}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
""")
GET = Statement(f"SELECT {columns(Registration)} FROM registrations WHERE organization_id = $1 AND id = $2")
LOCK = Statement(f"SELECT {columns(Registration)} FROM registrations WHERE organization_id = $1 AND id = $2 FOR UPDATE")
LIST = Statement(f"""
SELECT {columns(Registration)} FROM registrations WHERE organization_id = $1 AND id < $2 ORDER BY id DESC LIMIT $3
""")
LIST_OF_EVENT = Statement(f"""
SELECT {columns(Registration)} FROM registrations WHERE organization_id = $1 AND id < $2 AND event_id = $4
ORDER BY id DESC LIMIT $3
""")
UPDATE = Statement("""
UPDATE registrations SET state = $3, hold_expires_at = $4, cancelled_reason = $5, updated_at = $6
WHERE organization_id = $1 AND id = $2
""")
LAPSED = Statement("""
SELECT organization_id, id FROM registrations WHERE state = 'pending' AND hold_expires_at <= $1
ORDER BY hold_expires_at LIMIT $2
""")
INSERT_ATTENDEES = Statement("""
INSERT INTO attendees (organization_id, id, registration_id, event_id, ticket_type_id, name, email, price, currency,
    state, created_at)
SELECT $1, id, $2, $3, ticket_type_id, name, email, price, $4, $5, $6
FROM unnest($7::text[], $8::text[], $9::text[], $10::text[], $11::bigint[])
     AS wish (id, ticket_type_id, name, email, price)
""")
ATTENDEE = Statement(f"SELECT {columns(Attendee)} FROM attendees WHERE organization_id = $1 AND id = $2")
ATTENDEES_OF = Statement(f"""
SELECT {columns(Attendee)} FROM attendees WHERE organization_id = $1 AND registration_id = $2 ORDER BY id
""")
LIST_ATTENDEES = Statement(f"""
SELECT {columns(Attendee)} FROM attendees WHERE organization_id = $1 AND id < $2 ORDER BY id DESC LIMIT $3
""")
LIST_ATTENDEES_OF_EVENT = Statement(f"""
SELECT {columns(Attendee)} FROM attendees WHERE organization_id = $1 AND id < $2 AND event_id = $4
ORDER BY id DESC LIMIT $3
""")
SET_ATTENDEES = Statement("""
UPDATE attendees SET state = $3 WHERE organization_id = $1 AND id = ANY($2::text[])
""")
RENAME = Statement("UPDATE attendees SET name = $3, email = $4 WHERE organization_id = $1 AND id = $2")
# The attendee's row is locked, so that nobody is let in while they are being cancelled or refunded.
ARRIVE = Statement("""
WITH held AS (
    SELECT organization_id, id,
        CASE WHEN state <> 'confirmed' THEN 'not_expected' WHEN first_checked_in_at IS NULL THEN 'first'
            ELSE 'again' END AS arrival
    FROM attendees WHERE organization_id = $1 AND id = $2 FOR NO KEY UPDATE
), noted AS (
    UPDATE attendees a SET first_checked_in_at = $3 FROM held
    WHERE a.organization_id = held.organization_id AND a.id = held.id AND held.arrival = 'first'
)
SELECT arrival FROM held
""")
COUNT = Statement("""
SELECT count(*) FROM registrations WHERE organization_id = $1 AND state IN ('pending', 'confirmed')
""")

# By no index: somebody is erased now and then, and every order would pay for one.
BOUGHT_BY = Statement(f"""
SELECT {columns(Registration)} FROM registrations
WHERE organization_id = $1 AND lower(buyer_email) = lower($2) ORDER BY id
""")
ATTENDED_BY = Statement(f"""
SELECT {columns(Attendee)} FROM attendees WHERE organization_id = $1 AND lower(email) = lower($2) ORDER BY id
""")
ERASE_BUYERS = Statement("""
UPDATE registrations SET buyer_name = $3, buyer_email = $3, updated_at = $4
WHERE organization_id = $1 AND id = ANY($2::text[])
""")
ERASE_ATTENDEES = Statement("""
UPDATE attendees SET name = $3, email = $3 WHERE organization_id = $1 AND id = ANY($2::text[])
""")


class Lapsed(msgspec.Struct, frozen=True):
    """A registration whose hold ran out."""

    organization_id: OrganizationId
    id: RegistrationId


async def insert(uow: UnitOfWork, registration: Registration, attendees: list[Attendee]) -> None:
    """Add a registration with its attendees."""
    await uow.run(INSERT, *(getattr(registration, name) for name in registration.__struct_fields__))
    await uow.run(
        INSERT_ATTENDEES, registration.organization_id, registration.id, registration.event_id, registration.currency,
        registration.state, registration.created_at, [one.id for one in attendees],
        [one.ticket_type_id for one in attendees], [one.name for one in attendees], [one.email for one in attendees],
        [one.price for one in attendees],
    )  # fmt: skip


async def get(uow: UnitOfWork, registration_id: str) -> Registration | None:
    """Find a registration."""
    return await uow.row(Registration, GET, uow.organization_id, registration_id)


async def lock(uow: UnitOfWork, registration_id: str) -> Registration | None:
    """Find a registration and keep others from changing it until the commit."""
    return await uow.row(Registration, LOCK, uow.organization_id, registration_id)


async def listed(uow: UnitOfWork, window: Window, event_id: str | None) -> list[Registration]:
    """List registrations, newest first."""
    asked = (uow.organization_id, window.before, window.fetch)
    if event_id is None:
        return await uow.rows(Registration, LIST, *asked)
    return await uow.rows(Registration, LIST_OF_EVENT, *asked, event_id)


async def update(uow: UnitOfWork, registration: Registration) -> None:
    """Write a registration's state."""
    await uow.run(
        UPDATE, registration.organization_id, registration.id, registration.state, registration.hold_expires_at,
        registration.cancelled_reason, uow.now,
    )  # fmt: skip


async def lapsed(uow: UnitOfWork, now: datetime, limit: int) -> list[Lapsed]:
    """List pending registrations whose hold ran out, of all organizations that this unit of work sees."""
    return await uow.rows(Lapsed, LAPSED, now, limit)


async def attendee(uow: UnitOfWork, attendee_id: str) -> Attendee | None:
    """Find an attendee."""
    return await uow.row(Attendee, ATTENDEE, uow.organization_id, attendee_id)


async def attendees_of(uow: UnitOfWork, registration_id: str) -> list[Attendee]:
    """List a registration's attendees."""
    return await uow.rows(Attendee, ATTENDEES_OF, uow.organization_id, registration_id)


async def list_attendees(uow: UnitOfWork, window: Window, event_id: str | None) -> list[Attendee]:
    """List attendees, newest first."""
    asked = (uow.organization_id, window.before, window.fetch)
    if event_id is None:
        return await uow.rows(Attendee, LIST_ATTENDEES, *asked)
    return await uow.rows(Attendee, LIST_ATTENDEES_OF_EVENT, *asked, event_id)


async def set_attendees(uow: UnitOfWork, attendee_ids: list[str], state: State) -> None:
    """Write the state of several attendees."""
    await uow.run(SET_ATTENDEES, uow.organization_id, attendee_ids, state)


async def rename(uow: UnitOfWork, attendee_id: str, name: str, email: str) -> None:
    """Write an attendee's name and email address."""
    await uow.run(RENAME, uow.organization_id, attendee_id, name, email)


async def arrive(uow: UnitOfWork, attendee_id: str, at: datetime) -> Arrival:
    """Note an attendee's first entry, if it is one and they are expected."""
    return Arrival(await uow.value(ARRIVE, uow.organization_id, attendee_id, at))


async def count(uow: UnitOfWork) -> int:
    """Count registrations that stand."""
    return int(await uow.value(COUNT, uow.organization_id))


async def bought_by(uow: UnitOfWork, email: str) -> list[Registration]:
    """List what was bought under an email address."""
    return await uow.rows(Registration, BOUGHT_BY, uow.organization_id, email)


async def attended_by(uow: UnitOfWork, email: str) -> list[Attendee]:
    """List who attends under an email address."""
    return await uow.rows(Attendee, ATTENDED_BY, uow.organization_id, email)


async def erase(uow: UnitOfWork, bought: list[RegistrationId], attendee_ids: list[AttendeeId], mark: str) -> None:
    """Put a mark in place of names and email addresses."""
    await uow.run(ERASE_BUYERS, uow.organization_id, bought, mark, uow.now)
    await uow.run(ERASE_ATTENDEES, uow.organization_id, attendee_ids, mark)
