"""Use cases of check-ins."""

import msgspec

from temula.domain.checkins import store
from temula.domain.checkins.errors import (
    AlreadyUndone,
    AlreadyUsed,
    CheckpointExists,
    NoSuchCheckIn,
    NoSuchCheckpoint,
    WrongEvent,
)
from temula.domain.checkins.facts import AttendeeCheckedIn, CheckInCompleted
from temula.domain.checkins.model import CheckIn, Checkpoint, Method, Scan
from temula.domain.events import service as events
from temula.domain.events.model import require_text
from temula.domain.registrations import service as registrations
from temula.domain.registrations.model import Arrival
from temula.domain.tickets import service as tickets
from temula.domain.tickets.model.ticket import Ticket
from temula.domain.tickets.service import PublicKeys
from temula.kernel.clock import rfc3339
from temula.kernel.database import UnitOfWork
from temula.kernel.ids import CHECK_IN, CHECKPOINT
from temula.kernel.pages import Page, Window, page


async def add_checkpoint(uow: UnitOfWork, event_id: str, name: str) -> Checkpoint:
    """Add a gate to an event."""
    require_text(name, "/name", 100)
    event = await events.get(uow, event_id)
    checkpoint = Checkpoint(uow.organization_id, CHECKPOINT.new(uow.now), event.id, name, uow.now)
    if not await store.insert_checkpoint(uow, checkpoint):
        raise CheckpointExists(f"The event has a checkpoint named {name}.")
    uow.audit("checkpoint.create", checkpoint.id, {"name": name})
    return checkpoint


async def checkpoints(uow: UnitOfWork, window: Window, *, event_id: str | None = None) -> Page[Checkpoint]:
    """List checkpoints, newest first."""
    return page(await store.checkpoints(uow, window, event_id), window, lambda checkpoint: checkpoint.id)


async def get_checkpoint(uow: UnitOfWork, checkpoint_id: str) -> Checkpoint:
    """Find a checkpoint of the organization."""
    if (checkpoint := await store.checkpoint(uow, checkpoint_id)) is None:
        raise NoSuchCheckpoint(f"There is no checkpoint {checkpoint_id}.")
    return checkpoint


async def redeem(
    uow: UnitOfWork, keys: PublicKeys, *, checkpoint_id: str, code: str | None, ticket_id: str | None
) -> Scan:
    """Admit the attendee of a scanned code (or, by hand, of a ticket) once; a refusal is kept and says why."""
    checkpoint = await get_checkpoint(uow, checkpoint_id)
    if code is not None:
        method, found = Method.QR, await tickets.inspect(uow, keys, code, hold=True)
    else:
        method, found = Method.MANUAL, await tickets.inspect_by_hand(uow, ticket_id or "")
    ticket = found.ticket
    if ticket is None or found.refusal is not None:
        return await _refuse(uow, checkpoint, ticket, found.refusal or "ticket_not_found", found.detail)
    if ticket.event_id != checkpoint.event_id:
        return await _refuse(uow, checkpoint, ticket, WrongEvent.code, "The ticket is for another event.")
    # Tickets of a cancelled registration are voided a moment later, by whoever follows its facts.
    arrival = await registrations.arrive(uow, ticket.attendee_id)
    if arrival is Arrival.NOT_EXPECTED:
        return await _refuse(uow, checkpoint, ticket, "ticket_void", "The attendee no longer comes.")
    check_in = CheckIn(
        uow.organization_id, CHECK_IN.new(uow.now), ticket.event_id, checkpoint.id, ticket.id, ticket.attendee_id,
        method, uow.actor.kind.value, uow.actor.id, uow.now, None,
    )  # fmt: skip
    if not await store.admit(uow, check_in):
        return await _used_before(uow, checkpoint, ticket)
    _tell(uow, check_in, checkpoint, first_entry=arrival is Arrival.FIRST)
    return Scan(check_in)


def _tell(uow: UnitOfWork, check_in: CheckIn, checkpoint: Checkpoint, *, first_entry: bool) -> None:
    at = rfc3339(check_in.at)
    completed = CheckInCompleted(
        event_id=check_in.event_id, attendee_id=check_in.attendee_id, check_in_time=at, location=checkpoint.name,
        ticket_id=check_in.ticket_id, method=str(check_in.method),
    )  # fmt: skip
    uow.tell(completed, event_id=check_in.event_id, about=(check_in.id,))
    if first_entry:
        first = AttendeeCheckedIn(event_id=check_in.event_id, attendee_id=check_in.attendee_id, checked_in_at=at)
        uow.tell(first, event_id=check_in.event_id, about=(check_in.id, check_in.ticket_id))
    uow.audit("check_in.create", check_in.id, {"ticket": check_in.ticket_id, "checkpoint": checkpoint.id})


async def _used_before(uow: UnitOfWork, checkpoint: Checkpoint, ticket: Ticket) -> Scan:
    first = await store.standing(uow, ticket.id)
    where = await store.checkpoint(uow, first.checkpoint_id) if first else None
    refused = await _refuse(uow, checkpoint, ticket, AlreadyUsed.code, "The ticket was used before.")
    return msgspec.structs.replace(refused, first=first, first_location=where.name if where else None)


async def _refuse(uow: UnitOfWork, at: Checkpoint, ticket: Ticket | None, reason: str, detail: str) -> Scan:
    scan_id = CHECK_IN.new(uow.now)
    await store.refuse(uow, scan_id, at, ticket.id if ticket else None, reason)
    uow.audit("check_in.refuse", scan_id, {"reason": reason})
    return Scan(None, reason, detail)


async def standing(uow: UnitOfWork, ticket_id: str) -> CheckIn | None:
    """Find the check-in that stands for a ticket, if any."""
    return await store.standing(uow, ticket_id)


async def get(uow: UnitOfWork, check_in_id: str) -> CheckIn:
    """Find a check-in of the organization."""
    if (check_in := await store.get(uow, check_in_id)) is None:
        raise NoSuchCheckIn(f"There is no check-in {check_in_id}.")
    return check_in


async def listed(uow: UnitOfWork, window: Window, *, event_id: str | None = None) -> Page[CheckIn]:
    """List check-ins, newest first."""
    return page(await store.listed(uow, window, event_id), window, lambda check_in: check_in.id)


async def undo(uow: UnitOfWork, check_in_id: str) -> CheckIn:
    """Undo a check-in, so that its ticket admits once more."""
    await get(uow, check_in_id)
    if not await store.undo(uow, check_in_id):
        raise AlreadyUndone("The check-in was undone before.")
    uow.audit("check_in.undo", check_in_id)
    return await get(uow, check_in_id)


async def count(uow: UnitOfWork) -> int:
    """Count check-ins that stand."""
    return await store.count(uow)
