"""A scan against whoever ends the ticket at the same moment: the second waits for the first, and sees what it did."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from temula.domain.checkins import service as checkins
from temula.domain.checkins.model import Scan
from temula.domain.registrations import service as registrations
from temula.domain.registrations.model import Buyer, Seat
from temula.domain.tickets import service as tickets
from temula.domain.tickets import store
from temula.domain.tickets.model.ticket import Ticket
from temula.kernel.database import UnitOfWork
from tests.harness.ground import held_open
from tests.harness.house import Running, Tenant, until

Work = Callable[[UnitOfWork], Awaitable[Any]]


class Door:
    """One issued ticket and the gate of its event."""

    def __init__(self, temula: Running, tenant: Tenant, checkpoint_id: str, ticket: Ticket) -> None:
        self.database, self.keys = temula.house.database, temula.house.ticket_keys
        self.actor, self.checkpoint_id, self.ticket = tenant.actor, checkpoint_id, ticket

    async def scan(self, uow: UnitOfWork) -> Scan:
        return await checkins.redeem(
            uow, self.keys, checkpoint_id=self.checkpoint_id, code=self.ticket.code, ticket_id=None
        )

    async def by_hand(self, uow: UnitOfWork) -> Scan:
        return await checkins.redeem(
            uow, self.keys, checkpoint_id=self.checkpoint_id, code=None, ticket_id=self.ticket.id
        )

    async def void(self, uow: UnitOfWork) -> None:
        await tickets.void(uow, self.ticket.id, "changed")

    async def cancel(self, uow: UnitOfWork) -> None:
        await registrations.cancel(uow, self.ticket.registration_id, "changed")

    async def second(self, first: Work, then: Work) -> Any:
        """Do `then` while `first` has done its work and not committed; it must wait, and gives what came of it."""
        async with held_open(self.database, self.actor, first):
            waiting = asyncio.create_task(self.database.run(self.actor, then))
            done, _ = await asyncio.wait({waiting}, timeout=0.15)
            assert not done, "it did not wait for the one that was first"
        return await waiting


@pytest.fixture
async def door(temula: Running, tenant: Tenant) -> Door:
    sale = await temula.sale(tenant, prices=(0,))
    buyer, seat = Buyer(name="A", email="a@example.org"), sale.types[0]["id"]
    wish = [Seat(ticket_type_id=seat, name="A", email="a@example.org")]

    async def register(uow: UnitOfWork) -> str:
        return (await registrations.register(uow, sale.event["id"], buyer, wish)).registration.id

    database = temula.house.database
    registration_id = await database.run(tenant.actor, register)

    async def issued() -> list[Ticket]:
        async with database.reading(tenant.actor) as uow:
            return await store.of_registration(uow, registration_id)

    (ticket,) = await until(issued)
    return Door(temula, tenant, sale.gate["id"], ticket)


ENDS = ["void", "cancel"]
LOOKS = ["scan", "by_hand"]


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("look", LOOKS)
async def test_a_scan_waits_for_what_ends_the_ticket_and_refuses(door: Door, end: str, look: str) -> None:
    """The ticket is being voided, or its registration cancelled: the scan waits, and then nobody is admitted."""
    scan = await door.second(getattr(door, end), getattr(door, look))
    assert (scan.check_in, scan.refusal) == (None, "ticket_void")


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("look", LOOKS)
async def test_what_ends_a_ticket_waits_for_a_scan_that_was_first(door: Door, end: str, look: str) -> None:
    """Somebody is being admitted: whoever ends the ticket is told that it is done only after that is committed."""
    await door.second(getattr(door, look), getattr(door, end))
    async with door.database.reading(door.actor) as uow:
        assert await checkins.standing(uow, door.ticket.id) is not None
    scan = await door.database.run(door.actor, door.scan)
    assert scan.refusal == "ticket_void"


async def test_a_second_scan_waits_for_the_first_and_names_it(door: Door) -> None:
    """Of two scans at the same moment the second is refused, with the first one's admission."""
    scan = await door.second(door.scan, door.scan)
    async with door.database.reading(door.actor) as uow:
        first = await checkins.standing(uow, door.ticket.id)
    assert (scan.refusal, scan.first) == ("ticket_already_used", first)


async def test_a_scan_that_is_rolled_back_leaves_the_ticket_for_the_next(door: Door) -> None:
    """The one that was first came to nothing, so the next is admitted."""
    async with held_open(door.database, door.actor, door.scan, commit=False):
        waiting = asyncio.create_task(door.database.run(door.actor, door.scan))
        await asyncio.wait({waiting}, timeout=0.1)
    assert (await waiting).check_in is not None
