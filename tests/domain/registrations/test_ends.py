"""Ends of registrations that come in an order nobody planned."""

from collections.abc import Iterator

import pytest

from temula.domain.payments import service as payments
from temula.domain.payments.model import PaymentObservation, PaymentState
from temula.domain.registrations import service as registrations
from temula.domain.registrations.model import Buyer, Seat
from temula.domain.registrations.service import Registered
from temula.kernel.database import UnitOfWork
from temula.kernel.money import Money
from tests.harness import ground
from tests.machines.world import World

BUYER = Buyer(name="A", email="a@example.org")


@pytest.fixture
def world(owner_url: str) -> Iterator[World]:
    opened = World(owner_url)
    opened.open()
    yield opened
    opened.close()


def held(world: World) -> Registered:
    async def work(uow: UnitOfWork) -> Registered:
        seat = Seat(ticket_type_id=world.types[0], name="A", email="a@example.org")
        made = await registrations.register(uow, world.event_id, BUYER, [seat])
        return await registrations.want_payment(uow, made, world.connection, success_url="s", cancel_url="c")

    return world.unit(work)


def pay(world: World, made: Registered) -> None:
    assert made.attempt
    seen = PaymentObservation(
        key="paid", refs={"session": made.attempt.id}, attempt_id=made.attempt.id, organization_id=None,
        state=PaymentState.SUCCEEDED, money=Money(made.registration.total, "MYR"),
    )  # fmt: skip
    world.unit(lambda uow: payments.see(uow, world.connection, seen))


def states(world: World) -> list[str]:
    return [row[0] for row in world.found("SELECT state FROM registrations WHERE organization_id = $1 ORDER BY id")]


def test_paid_after_cancellation_and_refunded_by_hand_before_anybody_read_of_it(world: World) -> None:
    """The money goes back once: what follows the payment finds nothing left to give back, and does not fail at it."""
    made = held(world)
    world.unit(lambda uow: registrations.cancel(uow, made.registration.id, "changed"))
    pay(world, made)
    world.unit(
        lambda uow: registrations.refund(uow, made.registration.id, reason="asked", attendee_ids=[], amount=None)
    )
    world.settle()
    assert world.found("SELECT amount FROM refunds WHERE organization_id = $1") == [(made.registration.total,)]
    assert world.found("SELECT id FROM jobs WHERE organization_id = $1 AND kind = 'facts.follow_up'") == []


def test_a_hold_that_cannot_be_let_go_does_not_keep_the_others(world: World) -> None:
    """One registration whose seats do not add up is left and logged; those after it give their tickets back."""
    held(world)
    for kind in world.types:
        world.do(ground.found(world.owner_url, "UPDATE ticket_types SET taken = 0 WHERE id = $1", kind))
    world.clock.advance(60)
    held(world)
    world.clock.advance(3600)
    assert world.do(registrations.expire_holds(world.database)) == 1
    assert sorted(states(world)) == ["cancelled", "pending"]
    assert world.do(registrations.expire_holds(world.database)) == 0, "or the job would never end"
