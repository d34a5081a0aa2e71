"""Erasing a person: first wherever they were spoken of, then where they stand, so that until then it can run again."""

from typing import NamedTuple

import msgspec

from temula.domain.registrations import service as registrations
from temula.domain.registrations.model import Person
from temula.domain.tickets import service as tickets
from temula.kernel.database import UnitOfWork
from temula.kernel.erasing import MARK, Eraser, sought
from temula.kernel.errors import InvalidInput
from temula.kernel.tenancy import Actor
from temula.operations.wiring import House
from temula.outbound.webhooks.service.archives import ALONE
from temula.outbound.webhooks.service.erasing import UNDER_WAY, Erased, Erasing, Told


class Subject(NamedTuple):
    """Whom to erase, by exactly one of these."""

    registration_id: str | None = None
    attendee_id: str | None = None
    email: str | None = None

    @property
    def target(self) -> str:
        """What the audit log says: an id, and of an address only that it was one."""
        return self.registration_id or self.attendee_id or "email"


class Result(msgspec.Struct):
    """What there was of a person: where they stand, and what of webhooks named them."""

    registrations: int
    attendees: int
    webhooks: Erased


class Act(NamedTuple):
    """How it is done: only counted, told to whom, and how long what is on its way is waited for."""

    dry: bool
    told: Told
    wait: float = UNDER_WAY


async def erase(house: House, actor: Actor, subject: Subject, act: Act) -> Result:
    """Erase a person from an organization; raises `Conflict` while archives are being written."""
    if sum(one is not None for one in subject) != 1:
        raise InvalidInput("Name one: a registration, an attendee, or an email address.")
    async with house.database.alone(ALONE):
        async with house.database.reading(actor) as uow:
            person = await _found(uow, subject)
        values = sought(person.names, person.emails)
        eraser = Eraser(values, [*person.registration_ids, *person.attendee_ids])
        erasing = Erasing(house.database, house.archives, actor, eraser, dry=act.dry, told=act.told)
        result = Result(len(person.bought), len(person.attendee_ids), await erasing.all() if values else Erased())
        if act.dry:
            return result
        if result.webhooks.any and act.wait:
            act.told("waiting for what is on its way", 1, 0)
            await house.database.clock.sleep(act.wait)
            await erasing.again()
        async with house.database.unit(actor) as uow:
            await _gone(uow, person, eraser, subject, result)
    return result


async def _found(uow: UnitOfWork, subject: Subject) -> Person:
    if subject.registration_id is not None:
        return await registrations.person_of_registration(uow, subject.registration_id)
    if subject.attendee_id is not None:
        return await registrations.person_of_attendee(uow, subject.attendee_id)
    return await registrations.person_by_email(uow, (subject.email or "").strip())


async def _gone(uow: UnitOfWork, person: Person, eraser: Eraser, subject: Subject, result: Result) -> None:
    await registrations.erase(uow, person, eraser)
    await tickets.erase(uow, person.attendee_ids)
    found = result.webhooks
    changes = {
        "registrations": person.bought, "attendees": person.attendee_ids, "messages": found.facts,
        "attempts": found.attempts, "archived": {str(day): rows for day, rows in found.archived.items()}, "mark": MARK,
    }  # fmt: skip
    uow.audit("person.erase", subject.target, changes)
