"""Use cases of registrations: each checks, does, and tells."""

from collections import Counter
from datetime import timedelta
from functools import partial

import msgspec
import structlog

from temula.domain.connections.model import Connection
from temula.domain.events import service as events
from temula.domain.events.model import require_money, require_text
from temula.domain.payments import service as payments
from temula.domain.payments.facts import PaymentEnded, PaymentSucceeded, RefundFailed, RefundSucceeded
from temula.domain.payments.model import Attempt, Payment, Refund
from temula.domain.registrations import store
from temula.domain.registrations.errors import NoSuchAttendee, NoSuchRegistration, RegistrationState
from temula.domain.registrations.facts import (
    AttendeesReleased,
    RegistrationCancelled,
    RegistrationConfirmed,
    RegistrationCreated,
    RegistrationRefunded,
)
from temula.domain.registrations.model import (
    Arrival,
    Attendee,
    Buyer,
    Person,
    Registration,
    Seat,
    State,
    check_wish,
    counted,
    person,
    require_email,
)
from temula.kernel.database import Database, UnitOfWork
from temula.kernel.erasing import MARK, Eraser
from temula.kernel.errors import DatabaseAway, InvalidInput
from temula.kernel.ids import ATTENDEE, REGISTRATION
from temula.kernel.money import Money
from temula.kernel.pages import Page, Window, page
from temula.kernel.tenancy import system

log = structlog.get_logger()

# Providers' checkout pages live at least half an hour (Stripe: 30 minutes), so the hold is a little longer.
HOLD = timedelta(minutes=35)
# Nobody decided to cancel these: late money brings them back if the tickets are still there.
LAPSED_REASONS = ("hold_expired", "payment_expired", "payment_canceled")


class Registered(msgspec.Struct, frozen=True):
    """A registration with its attendees, and what is to be paid for it, if anything."""

    registration: Registration
    attendees: list[Attendee]
    payment: Payment | None = None
    attempt: Attempt | None = None


async def register(uow: UnitOfWork, event_id: str, buyer: Buyer, seats: list[Seat]) -> Registered:
    """Take tickets for attendees and hold them; a registration that costs nothing is confirmed at once."""
    check_wish(buyer, seats)
    event, types = await events.take(uow, event_id, Counter(seat.ticket_type_id for seat in seats))
    total = require_money(sum(types[seat.ticket_type_id].price for seat in seats), event.currency, "/attendees").minor
    free = total == 0
    registration = Registration(
        uow.organization_id, REGISTRATION.new(uow.now), event.id, buyer.name, buyer.email,
        State.CONFIRMED if free else State.PENDING, total, event.currency, None if free else uow.now + HOLD, None,
        uow.now, uow.now,
    )  # fmt: skip
    attendees = [
        Attendee(
            uow.organization_id, ATTENDEE.new(uow.now), registration.id, event.id, types[seat.ticket_type_id].id,
            seat.name, seat.email, types[seat.ticket_type_id].price, event.currency, registration.state, None, uow.now,
        )
        for seat in seats
    ]  # fmt: skip
    await store.insert(uow, registration, attendees)
    created = RegistrationCreated(
        registration_id=registration.id, event_id=event.id, attendee_id=attendees[0].id,
        attendee_ids=[attendee.id for attendee in attendees], total_amount=total, currency=event.currency,
    )  # fmt: skip
    uow.tell(created, event_id=event.id)
    if free:
        uow.tell(RegistrationConfirmed(registration_id=registration.id), event_id=event.id)
    uow.audit("registration.create", registration.id, {"attendees": len(attendees), "total": total})
    return Registered(registration, attendees)


async def want_payment(
    uow: UnitOfWork, registered: Registered, connection: Connection, *, success_url: str, cancel_url: str
) -> Registered:
    """Write down how a pending registration is to be paid; the provider is asked after the commit."""
    registration = registered.registration
    payment, attempt = await payments.want_payment(
        uow, registration_id=registration.id, event_id=registration.event_id,
        money=Money(registration.total, registration.currency), description=await _described(uow, registered),
        connection=connection, expires_at=registration.hold_expires_at or uow.now + HOLD, success_url=success_url,
        cancel_url=cancel_url,
    )  # fmt: skip
    return msgspec.structs.replace(registered, payment=payment, attempt=attempt)


async def want_again(
    uow: UnitOfWork, registration_id: str, connection: Connection, *, success_url: str, cancel_url: str
) -> None:
    """Write down another attempt at a pending registration's payment; the tickets are held for as long as it lasts."""
    registration = await _locked(uow, registration_id)
    registration.require(State.PENDING)
    payment, _ = await payments.latest(uow, registration.id)
    if payment is None:
        raise RegistrationState("The registration costs nothing.")
    # Providers' pages have a least time to live, so what is left of the first hold would be too short.
    held = msgspec.structs.replace(registration, hold_expires_at=uow.now + HOLD)
    await payments.want_again(
        uow, payment.id, connection=connection, expires_at=uow.now + HOLD, success_url=success_url,
        cancel_url=cancel_url,
    )  # fmt: skip
    await store.update(uow, held)


async def _described(uow: UnitOfWork, registered: Registered) -> str:
    event = await events.get(uow, registered.registration.event_id)
    parts = [
        f"{number} x {(await events.get_ticket_type(uow, ticket_type_id)).name}"
        for ticket_type_id, number in counted(registered.attendees).items()
    ]
    return f"{event.name}: {', '.join(parts)}"[:250]


async def get(uow: UnitOfWork, registration_id: str) -> Registered:
    """Find a registration with its attendees and latest payment."""
    if (registration := await store.get(uow, registration_id)) is None:
        raise NoSuchRegistration(f"There is no registration {registration_id}.")
    held = await payments.latest(uow, registration.id)
    attendees = await store.attendees_of(uow, registration.id)
    return Registered(registration, attendees, *held)


async def listed(uow: UnitOfWork, window: Window, *, event_id: str | None = None) -> Page[Registration]:
    """List registrations, newest first."""
    return page(await store.listed(uow, window, event_id), window, lambda registration: registration.id)


async def attendees(uow: UnitOfWork, window: Window, *, event_id: str | None = None) -> Page[Attendee]:
    """List attendees, newest first."""
    return page(await store.list_attendees(uow, window, event_id), window, lambda attendee: attendee.id)


async def get_attendee(uow: UnitOfWork, attendee_id: str) -> Attendee:
    """Find an attendee of the organization."""
    if (attendee := await store.attendee(uow, attendee_id)) is None:
        raise NoSuchAttendee(f"There is no attendee {attendee_id}.")
    return attendee


async def rename_attendee(uow: UnitOfWork, attendee_id: str, *, name: str | None, email: str | None) -> Attendee:
    """Correct an attendee's name or email address; the ticket's code carries neither and stays."""
    before = await get_attendee(uow, attendee_id)
    after = msgspec.structs.replace(before, name=name or before.name, email=email or before.email)
    require_text(after.name, "/name", 200)
    require_email(after.email, "/email")
    await store.rename(uow, after.id, after.name, after.email)
    uow.audit("attendee.rename", after.id)
    return after


async def person_of_registration(uow: UnitOfWork, registration_id: str) -> Person:
    """Find everybody in a registration: its buyer and its attendees."""
    registered = await get(uow, registration_id)
    return person([registered.registration], [registered.registration], registered.attendees)


async def person_of_attendee(uow: UnitOfWork, attendee_id: str) -> Person:
    """Find an attendee, who may be the buyer too; an address that is the buyer's and not theirs names the buyer."""
    attendee = await get_attendee(uow, attendee_id)
    registration = (await get(uow, attendee.registration_id)).registration
    if registration.buyer_email.lower() != attendee.email.lower():
        return person([registration], [], [attendee])
    if registration.buyer_name == attendee.name:
        return person([registration], [registration], [attendee])
    return msgspec.structs.replace(person([registration], [], [attendee]), emails=[])


async def person_by_email(uow: UnitOfWork, email: str) -> Person:
    """Find everybody who stands under an email address, whatever its case."""
    require_email(email, "/email")
    bought, attendees = await store.bought_by(uow, email), await store.attended_by(uow, email)
    return msgspec.structs.replace(person(bought, bought, attendees), emails=[email])


async def erase(uow: UnitOfWork, gone: Person, eraser: Eraser) -> None:
    """Put a mark in place of a person's name and email address, and of what names them in a reason."""
    await store.erase(uow, gone.bought, gone.attendee_ids, MARK)
    for registration_id in gone.registration_ids:
        registration = await _locked(uow, registration_id)
        if registration.cancelled_reason:
            reason = eraser.text(registration.cancelled_reason.encode(), about=True).decode()
            await store.update(uow, msgspec.structs.replace(registration, cancelled_reason=reason))


async def arrive(uow: UnitOfWork, attendee_id: str) -> Arrival:
    """Note an attendee's entry, unless they no longer come; until the commit nobody can cancel or refund them."""
    return await store.arrive(uow, attendee_id, uow.now)


async def count(uow: UnitOfWork) -> int:
    """Count registrations that stand."""
    return await store.count(uow)


async def cancel(uow: UnitOfWork, registration_id: str, reason: str) -> Registered:
    """Cancel a registration and put its tickets back on sale; money is refunded separately, by `refund`."""
    require_text(reason, "/reason", 200)
    registration = await _locked(uow, registration_id)
    registration.require(State.PENDING, State.CONFIRMED)
    await _let_go(uow, registration, reason)
    uow.audit("registration.cancel", registration.id, {"reason": reason})
    return await get(uow, registration.id)


async def refund(
    uow: UnitOfWork, registration_id: str, *, reason: str, attendee_ids: list[str], amount: int | None
) -> Refund:
    """Want money back for a registration: for attendees (who then no longer come), an amount, or all that is left."""
    require_text(reason, "/reason", 200)
    registration = await _locked(uow, registration_id)
    payment = await payments.refundable(uow, registration.id)
    if payment is None:
        raise RegistrationState("The registration holds no money that could be refunded.")
    # Those too who were cancelled, or whose refund failed after it had let them go: their money is still here.
    attendees: dict[str, Attendee] = {one.id: one for one in await store.attendees_of(uow, registration.id)}
    if attendee_ids and amount is not None:
        raise InvalidInput("Give attendee_ids or an amount, not both.", pointer="/amount")
    if unknown := [one for one in attendee_ids if one not in attendees]:
        raise RegistrationState(f"{unknown[0]} is not an attendee of this registration.")
    earlier = await payments.being_refunded(uow, payment.id)
    if again := sorted(earlier & set(attendee_ids)):
        raise RegistrationState("A refund for one of these attendees is under way or done.", attendee_ids=again)
    if attendee_ids:
        amount = sum(attendees[attendee_id].price for attendee_id in set(attendee_ids))
    elif amount is None:
        amount = payment.captured - payment.refunded
        attendee_ids = [one.id for one in attendees.values() if one.state == State.CONFIRMED and one.id not in earlier]
    if amount == 0:
        raise RegistrationState("There is nothing to refund: it cost nothing, or all of it is refunded already.")
    return await payments.want_refund(
        uow, payment.id, amount=amount, reason=reason, attendee_ids=sorted(set(attendee_ids))
    )


async def on_payment_succeeded(uow: UnitOfWork, paid: PaymentSucceeded) -> None:
    """Confirm what was paid. Paid after the hold ran out: take the tickets again, or give the money back."""
    registration = await _locked(uow, paid.registration_id)
    attendees = await store.attendees_of(uow, registration.id)
    if registration.state in (State.CONFIRMED, State.REFUNDED):
        return
    if registration.state == State.CANCELLED:
        lapsed = registration.cancelled_reason in LAPSED_REASONS
        if not lapsed or not await events.retake(uow, counted(attendees)):
            await _give_money_back(uow, registration, "sold_out" if lapsed else "paid_after_cancellation")
            return
    confirmed = msgspec.structs.replace(
        registration, state=State.CONFIRMED, hold_expires_at=None, cancelled_reason=None
    )
    await store.update(uow, confirmed)
    await store.set_attendees(uow, [attendee.id for attendee in attendees], State.CONFIRMED)
    uow.tell(RegistrationConfirmed(registration_id=registration.id), event_id=registration.event_id)
    uow.audit("registration.confirm", registration.id)


async def _give_money_back(uow: UnitOfWork, registration: Registration, reason: str) -> None:
    payment = await payments.refundable(uow, registration.id)
    left = payment.captured - payment.refunded if payment else 0
    if payment is not None and left:  # nothing is left if somebody refunded it meanwhile
        await payments.want_refund(uow, payment.id, amount=left, reason=reason, attendee_ids=[])


async def on_payment_ended(uow: UnitOfWork, ended: PaymentEnded) -> None:
    """Let go of what a registration holds once its payment can no longer come; a failed one may be tried again."""
    registration = await _locked(uow, ended.registration_id)
    if registration.state == State.PENDING and ended.state != "failed":
        await _let_go(uow, registration, f"payment_{ended.state}")
        uow.audit("registration.cancel", registration.id, {"reason": f"payment_{ended.state}"})


async def on_refund_succeeded(uow: UnitOfWork, refunded: RefundSucceeded) -> None:
    """Let the refunded attendees go, and tell."""
    registration = await _locked(uow, refunded.registration_id)
    attendees = await store.attendees_of(uow, registration.id)
    wanted = set(refunded.attendee_ids) or ({one.id for one in attendees} if refunded.whole else set())
    coming = [one for one in attendees if one.state == State.CONFIRMED]
    leaving = [one for one in coming if one.id in wanted]
    if leaving:
        await _release(uow, registration, leaving, State.REFUNDED, "refunded")
    # While somebody still comes, it stands, even if all money went back: they were let off paying.
    if len(leaving) == len(coming) and (refunded.whole or leaving):
        await store.update(uow, msgspec.structs.replace(registration, state=State.REFUNDED, hold_expires_at=None))
    told = RegistrationRefunded(
        registration_id=registration.id, event_id=registration.event_id, amount=refunded.amount,
        currency=refunded.currency, reason=refunded.reason,
    )  # fmt: skip
    uow.tell(told, event_id=registration.event_id, about=(refunded.refund_id,))
    uow.audit("registration.refund", registration.id, {"amount": refunded.amount})


async def on_refund_failed(uow: UnitOfWork, failed: RefundFailed) -> None:
    """Take back that a registration is refunded if its money came back; who was let go does not come again."""
    registration = await _locked(uow, failed.registration_id)
    if failed.undone and registration.state == State.REFUNDED:
        owed = msgspec.structs.replace(registration, state=State.CANCELLED, cancelled_reason="refund_failed")
        await store.update(uow, owed)
        uow.audit("registration.refund_failed", registration.id, {"amount": failed.amount, "reason": failed.reason})


async def expire_holds(database: Database) -> int:
    """Let go of what lapsed registrations hold, in every organization; give how many, 0 when no more can be let go."""
    async with database.crossing("finding registrations whose hold ran out") as uow:
        lapsed = await store.lapsed(uow, uow.now, 500)
    let_go = 0
    for one in lapsed:
        try:
            let_go += await database.run(system("hold_expiry", one.organization_id), partial(_expire, one.id))
        except DatabaseAway:
            raise
        except Exception:
            # One that cannot be let go must not keep the tickets of all others.
            log.exception("registration.hold_stuck", registration=one.id)
    return let_go


async def _expire(registration_id: str, uow: UnitOfWork) -> bool:
    registration = await _locked(uow, registration_id)
    if registration.state != State.PENDING or (registration.hold_expires_at or uow.now) > uow.now:
        return False
    await _let_go(uow, registration, "hold_expired")
    uow.audit("registration.cancel", registration.id, {"reason": "hold_expired"})
    return True


async def _let_go(uow: UnitOfWork, registration: Registration, reason: str) -> None:
    attendees = [
        one for one in await store.attendees_of(uow, registration.id) if one.state in (State.PENDING, State.CONFIRMED)
    ]
    await _release(uow, registration, attendees, State.CANCELLED, reason)
    cancelled = msgspec.structs.replace(
        registration, state=State.CANCELLED, hold_expires_at=None, cancelled_reason=reason
    )
    await store.update(uow, cancelled)
    fact = RegistrationCancelled(registration_id=registration.id, event_id=registration.event_id, reason=reason)
    uow.tell(fact, event_id=registration.event_id)


async def _release(
    uow: UnitOfWork, registration: Registration, leaving: list[Attendee], state: State, reason: str
) -> None:
    await events.give_back(uow, counted(leaving))
    await store.set_attendees(uow, [one.id for one in leaving], state)
    fact = AttendeesReleased(registration_id=registration.id, attendee_ids=[one.id for one in leaving], reason=reason)
    uow.tell(fact, event_id=registration.event_id)


async def _locked(uow: UnitOfWork, registration_id: str) -> Registration:
    if (registration := await store.lock(uow, registration_id)) is None:
        raise NoSuchRegistration(f"There is no registration {registration_id}.")
    return registration
