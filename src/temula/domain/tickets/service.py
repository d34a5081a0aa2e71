"""Use cases of tickets: issue, read at a gate, void."""

import asyncio
from collections.abc import Callable
from zoneinfo import ZoneInfo

from temula.domain.events import service as events
from temula.domain.events.model import Event, TicketType
from temula.domain.organizations import service as organizations
from temula.domain.registrations import service as registrations
from temula.domain.registrations.facts import AttendeesReleased, RegistrationConfirmed
from temula.domain.registrations.model import Attendee, State
from temula.domain.tickets import store
from temula.domain.tickets.errors import NoSuchTicket, TicketVoid
from temula.domain.tickets.facts import TicketIssued, TicketVoided
from temula.domain.tickets.model.code import (
    CodeError,
    CodeUnknownKey,
    TicketCode,
    TicketKey,
    TicketPublicKey,
    decode,
    encode,
    generate_key,
    product_hint,
)
from temula.domain.tickets.model.paper import Paper, ticket_pdf
from temula.domain.tickets.model.ticket import Inspection, StoredKey, Ticket, TicketState, key_context, signing_key
from temula.kernel.crypto import KeyRing
from temula.kernel.database import UnitOfWork
from temula.kernel.ids import TICKET, AttendeeId, OrganizationId, TicketId
from temula.kernel.money import Money
from temula.kernel.pages import Page, Window, page

QrUrl = Callable[[TicketId], str]


class PublicKeys:
    """Remembers organizations' public keys: they never change, only new ones come."""

    def __init__(self) -> None:
        self._known: dict[OrganizationId, dict[bytes, TicketPublicKey]] = {}

    async def read(self, uow: UnitOfWork, text: str) -> TicketCode:
        """Decode a scanned code with the organization's keys; raises `CodeError`."""
        known = self._known.get(uow.organization_id, {})
        try:
            return decode(text, known.get)
        except CodeUnknownKey:
            known = {key.key_id: TicketPublicKey(key.public_key) for key in await store.keys(uow)}
            self._known[uow.organization_id] = known
            return decode(text, known.get)


async def issue(uow: UnitOfWork, ring: KeyRing, qr_url: QrUrl, registration_id: str) -> list[Ticket]:
    """Issue the tickets that a confirmed registration has not got yet."""
    registered = await registrations.get(uow, registration_id)
    event = await events.get(uow, registered.registration.event_id)
    organization = await organizations.current(uow)
    existing = {ticket.attendee_id: ticket for ticket in await store.of_registration(uow, registration_id)}
    due = [
        attendee
        for attendee in registered.attendees
        if attendee.state == State.CONFIRMED
        and (attendee.id not in existing or existing[attendee.id].state == TicketState.VOID)
    ]
    if not due:
        return []
    key = await _signing_key(uow, ring)
    issued = [_made(uow, attendee, existing.get(attendee.id), key) for attendee in due]
    types = {one: await events.get_ticket_type(uow, one) for one in {attendee.ticket_type_id for attendee in due}}
    papers = [
        _paper(organization.name, event, types[attendee.ticket_type_id], attendee, ticket)
        for attendee, ticket in zip(due, issued, strict=True)
    ]
    # All are drawn before the first is written: a transaction that has written holds up every reader of the fact log.
    drawn = await asyncio.to_thread(lambda: [ticket_pdf(paper) for paper in papers])
    for ticket, pdf in zip(issued, drawn, strict=True):
        await store.put(uow, ticket, pdf)
        fact = TicketIssued(
            ticket_instance_id=ticket.id, event_id=event.id, attendee_id=ticket.attendee_id,
            qr_code_url=qr_url(ticket.id),
        )  # fmt: skip
        uow.tell(fact, event_id=event.id, about=(ticket.registration_id,))
        uow.audit("ticket.issue", ticket.id, {"attendee": ticket.attendee_id, "generation": ticket.generation})
    return issued


async def get(uow: UnitOfWork, ticket_id: str) -> Ticket:
    """Find a ticket of the organization."""
    if (ticket := await store.get(uow, ticket_id)) is None:
        raise NoSuchTicket(f"There is no ticket {ticket_id}.")
    return ticket


async def listed(
    uow: UnitOfWork, window: Window, *, event_id: str | None = None, registration_id: str | None = None
) -> Page[Ticket]:
    """List tickets, newest first."""
    return page(await store.listed(uow, window, event_id, registration_id), window, lambda ticket: ticket.id)


async def pdf(uow: UnitOfWork, ticket_id: str) -> bytes:
    """Give the ticket's PDF as it was issued."""
    ticket = await get(uow, ticket_id)
    if ticket.state == TicketState.VOID:
        raise TicketVoid("The ticket is void.", reason=ticket.void_reason)
    paper = await store.paper(uow, ticket.id)
    if paper is None:
        raise NoSuchTicket(f"The ticket {ticket_id} has no PDF.")
    return paper


async def erase(uow: UnitOfWork, attendee_ids: list[AttendeeId]) -> int:
    """Remove the PDFs of attendees' tickets, which carry their names; the codes carry none and count on."""
    return await store.delete_papers(uow, attendee_ids)


async def void(uow: UnitOfWork, ticket_id: str, reason: str) -> Ticket:
    """Make a ticket count no longer; voiding a void ticket changes nothing."""
    ticket = await get(uow, ticket_id)
    if await store.void(uow, ticket_id, reason):
        fact = TicketVoided(
            ticket_instance_id=ticket.id, event_id=ticket.event_id, attendee_id=ticket.attendee_id, reason=reason
        )
        uow.tell(fact, event_id=ticket.event_id, about=(ticket.registration_id,))
        uow.audit("ticket.void", ticket.id, {"reason": reason})
    return await get(uow, ticket_id)


async def inspect(uow: UnitOfWork, keys: PublicKeys, text: str, *, hold: bool = False) -> Inspection:
    """Tell what a scanned code is and whether its ticket counts, without admitting anybody.

    With `hold` the answer stays true until the commit: whoever voids the ticket waits.
    """
    try:
        code = await keys.read(uow, text)
    except CodeError as error:
        return Inspection(error.code, error.detail)
    ticket = await (store.hold if hold else store.get)(uow, code.ticket_id)
    if ticket is None or code.organization_id != uow.organization_id or code.event_id != ticket.event_id:
        return Inspection("ticket_not_found", "The code is signed with a key of ours, but there is no such ticket.")
    if ticket.state == TicketState.VOID:
        return Inspection("ticket_void", f"The ticket is void: {ticket.void_reason}.", ticket)
    if code.generation != ticket.generation:
        return Inspection("ticket_superseded", "The ticket was issued again; only the latest one counts.", ticket)
    if not code.valid_at(uow.now):
        return Inspection("ticket_outside_window", "The ticket is not valid at this time.", ticket)
    return Inspection(None, "The ticket is valid.", ticket)


async def inspect_by_hand(uow: UnitOfWork, ticket_id: str) -> Inspection:
    """Tell whether a ticket that was looked up counts; the answer stays true until the commit."""
    ticket = await store.hold(uow, ticket_id)
    if ticket is None:
        return Inspection("ticket_not_found", f"There is no ticket {ticket_id}.")
    if ticket.state == TicketState.VOID:
        return Inspection("ticket_void", f"The ticket is void: {ticket.void_reason}.", ticket)
    return Inspection(None, "The ticket is valid.", ticket)


async def release(uow: UnitOfWork, released: AttendeesReleased) -> None:
    """Void the tickets of attendees who no longer come."""
    leaving = set(released.attendee_ids)
    for ticket in await store.of_registration(uow, released.registration_id):
        if ticket.attendee_id in leaving and ticket.state == TicketState.ISSUED:
            await void(uow, ticket.id, released.reason)


async def on_confirmed(uow: UnitOfWork, ring: KeyRing, qr_url: QrUrl, confirmed: RegistrationConfirmed) -> None:
    """Issue what a confirmed registration is due."""
    await issue(uow, ring, qr_url, confirmed.registration_id)


def _made(uow: UnitOfWork, attendee: Attendee, earlier: Ticket | None, key: TicketKey) -> Ticket:
    identifier = earlier.id if earlier else TICKET.new(uow.now)
    generation = earlier.generation + 1 if earlier else 0
    code = TicketCode(
        uow.organization_id, attendee.event_id, identifier, generation, product_hint(attendee.ticket_type_id)
    )
    return Ticket(
        uow.organization_id, identifier, attendee.registration_id, attendee.id, attendee.event_id,
        attendee.ticket_type_id, TicketState.ISSUED, generation, encode(code, key), None, uow.now,
    )  # fmt: skip


def _paper(organization: str, event: Event, ticket_type: TicketType, attendee: Attendee, ticket: Ticket) -> Paper:
    return Paper(
        organization=organization, event=event.name, starts_at=event.starts_at, ends_at=event.ends_at,
        timezone=ZoneInfo(event.timezone), venue=event.venue, ticket_type=ticket_type.name, attendee=attendee.name,
        price=Money(attendee.price, attendee.currency), number=ticket.id, code=ticket.code,
        printed_at=ticket.issued_at,
    )  # fmt: skip


async def _signing_key(uow: UnitOfWork, ring: KeyRing) -> TicketKey:
    stored = await store.active_key(uow)
    if stored is None:
        fresh = generate_key()
        sealed = ring.seal(fresh.seed, key_context(uow.organization_id, fresh.id))
        await store.insert_key(
            uow, StoredKey(uow.organization_id, fresh.id, fresh.public.raw, sealed, active=True, created_at=uow.now)
        )
        uow.audit("ticket_key.create", fresh.id.hex())
        stored = await store.active_key(uow)
    if stored is None:
        raise RuntimeError("a signing key was stored and is not there")
    return signing_key(ring.open(stored.private_key, stored.context))
