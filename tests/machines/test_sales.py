"""Any order of buying, paying, refunding, cancelling, scanning and time passing keeps the promises of a sale."""

import asyncio
from collections import Counter
from datetime import timedelta

import msgspec
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)

from temula.domain.checkins import service as checkins
from temula.domain.events import service as events
from temula.domain.payments import service as payments
from temula.domain.payments.model import PaymentObservation, PaymentState, RefundObservation, RefundState
from temula.domain.registrations import service as registrations
from temula.domain.registrations.model import Buyer, Seat
from temula.domain.tickets import service as tickets
from temula.kernel.database import UnitOfWork
from temula.kernel.errors import TemulaError
from temula.kernel.money import Money
from tests.harness.postgres import Postgres
from tests.machines.world import PRICES, World

BUYER = Buyer(name="A", email="a@example.org")
SEEN = st.sampled_from([None, *PaymentState])
REFUND_SEEN = st.sampled_from([None, *RefundState])


class Sale(RuleBasedStateMachine):
    """Acts are the services' own; what they refuse on purpose is fine, what they break is not."""

    owner_url = ""
    bought = Bundle("bought")
    attempts = Bundle("attempts")
    refunds = Bundle("refunds")
    admissions = Bundle("admissions")

    def __init__(self) -> None:
        super().__init__()
        self.world = World(self.owner_url)
        self.world.open()
        self.observed = 0
        self.settled = False
        self.gone: set[str] = set()  # check-ins that were undone

    def teardown(self) -> None:
        try:
            self.settle()
            self.states_agree()
        finally:
            self.world.close()

    # -- buying and paying

    @rule(target=bought, seats=st.lists(st.sampled_from([0, 1]), min_size=1, max_size=3))
    def register(self, seats: list[int]):  # type: ignore[no-untyped-def]
        world = self.world

        async def work(uow: UnitOfWork) -> registrations.Registered:
            wish = [Seat(ticket_type_id=world.types[n], name="A", email="a@example.org") for n in seats]
            made = await registrations.register(uow, world.event_id, BUYER, wish)
            if made.registration.total:
                made = await registrations.want_payment(uow, made, world.connection, success_url="s", cancel_url="c")
            return made

        left = self._left()
        made = self._try(work)
        fits = all(count <= left[self.world.types[n]] for n, count in Counter(seats).items())
        assert (made is not None) == fits, "sold out exactly if it is sold out"
        return multiple() if made is None else made

    @rule(target=attempts, made=bought)
    def its_attempt(self, made: registrations.Registered):  # type: ignore[no-untyped-def]
        return multiple() if made.attempt is None else made

    @rule(made=attempts, state=SEEN, wrong=st.sampled_from([0, 0, 0, 1]), again=st.booleans())
    def provider_says(
        self, made: registrations.Registered, state: PaymentState | None, wrong: int, again: bool
    ) -> None:
        assert made.attempt
        self.observed += not again
        money = Money(made.registration.total + wrong, "MYR")
        seen = PaymentObservation(
            key=f"seen-{self.observed}", refs={"session": f"cs_{made.attempt.id}"}, attempt_id=made.attempt.id,
            organization_id=None, state=state, money=money, decline="declined" if state == "failed" else None,
        )  # fmt: skip
        self._try(lambda uow: payments.see(uow, self.world.connection, seen))

    @rule(made=attempts)
    def paid(self, made: registrations.Registered) -> None:
        self.provider_says(made, PaymentState.SUCCEEDED, 0, again=False)

    @rule(target=attempts, made=attempts)
    def pay_again(self, made: registrations.Registered):  # type: ignore[no-untyped-def]
        async def work(uow: UnitOfWork) -> registrations.Registered:
            connection = self.world.connection
            await registrations.want_again(uow, made.registration.id, connection, success_url="s", cancel_url="c")
            payment, attempt = await payments.latest(uow, made.registration.id)
            return msgspec.structs.replace(made, payment=payment, attempt=attempt)

        again = self._try(work)
        return multiple() if again is None else again

    # -- giving back

    @rule(made=bought)
    def cancel(self, made: registrations.Registered) -> None:
        self._try(lambda uow: registrations.cancel(uow, made.registration.id, "changed"))

    @rule(target=refunds, made=bought, some=st.sampled_from(["all", "one", "amount"]), amount=st.integers(1, 3500))
    def refund(self, made: registrations.Registered, some: str, amount: int):  # type: ignore[no-untyped-def]
        one = [made.attendees[amount % len(made.attendees)].id] if some == "one" else []
        wanted = self._try(
            lambda uow: registrations.refund(
                uow, made.registration.id, reason="asked", attendee_ids=one, amount=amount if some == "amount" else None
            )
        )
        return multiple() if wanted is None else wanted.id

    @rule(refund_id=refunds, state=REFUND_SEEN)
    def provider_says_of_refund(self, refund_id: str, state: RefundState | None) -> None:
        refund = self.unit_read(lambda uow: payments.get_refund(uow, refund_id))
        self.observed += 1
        seen = RefundObservation(
            key=f"seen-{self.observed}", refs={"refund": f"re_{refund_id}"}, refund_id=refund_id, organization_id=None,
            state=state, money=Money(refund.amount, "MYR"), failure="lost" if state == "failed" else None,
        )  # fmt: skip
        self._try(lambda uow: payments.see(uow, self.world.connection, seen))

    @rule(made=attempts, amount=st.integers(1, 3500))
    def refunded_at_the_provider(self, made: registrations.Registered, amount: int) -> None:
        assert made.attempt
        self.observed += 1
        seen = RefundObservation(
            key=f"seen-{self.observed}", refs={"refund": f"re_{self.observed}", "session": f"cs_{made.attempt.id}"},
            refund_id=None, organization_id=None, state=RefundState.SUCCEEDED, money=Money(amount, "MYR"),
        )  # fmt: skip
        self._try(lambda uow: payments.see(uow, self.world.connection, seen))

    # -- time, and those who follow

    @rule(minutes=st.sampled_from([1, 20, 40]))
    def time_passes(self, minutes: int) -> None:
        self.settled = False
        self.world.clock.advance(minutes * 60)
        self.world.do(registrations.expire_holds(self.world.database))

    @rule(follower=st.sampled_from([0, 1]), facts=st.integers(1, 4))
    def follow_some(self, follower: int, facts: int) -> None:
        self.world.follow(follower, facts)

    @rule(follower=st.sampled_from([0, 1]))
    def read_again(self, follower: int) -> None:
        self.world.follow(follower, 500, again=True)

    @rule()
    def settle(self) -> None:
        self.world.settle()
        self.settled = True

    # -- at the gate

    @rule(target=admissions, made=bought, seat=st.integers(0, 2))
    def scan(self, made: registrations.Registered, seat: int):  # type: ignore[no-untyped-def]
        attendee = made.attendees[seat % len(made.attendees)]
        state = dict(self.world.found("SELECT id, state FROM attendees WHERE organization_id = $1"))[attendee.id]
        held = {row[0]: row for row in self.world.found(
            "SELECT attendee_id, id, code, state FROM tickets WHERE organization_id = $1")}  # fmt: skip
        if attendee.id not in held:
            return multiple()
        _, ticket_id, code, ticket_state = held[attendee.id]
        used = ticket_id in self._standing()
        scan = self._scan(code)
        if ticket_state == "void" or state != "confirmed":
            assert scan.refusal == "ticket_void"
        elif used:
            assert scan.refusal == "ticket_already_used"
            assert scan.first is not None
        else:
            assert scan.check_in is not None
            return scan.check_in.id
        assert scan.check_in is None
        return multiple()

    def _scan(self, code: str) -> checkins.Scan:
        world = self.world
        if not world.checkpoint_id:
            gate = world.unit(lambda uow: checkins.add_checkpoint(uow, world.event_id, "Gate"))
            world.checkpoint_id = gate.id
        return world.unit(
            lambda uow: checkins.redeem(uow, world.keys, checkpoint_id=world.checkpoint_id, code=code, ticket_id=None)
        )

    @rule(check_in_id=consumes(admissions))
    def undo(self, check_in_id: str) -> None:
        self.world.unit(lambda uow: checkins.undo(uow, check_in_id))
        self.gone.add(check_in_id)

    @rule(made=bought)
    def void(self, made: registrations.Registered) -> None:
        for attendee_id, ticket_id in self.world.found(
            "SELECT attendee_id, id FROM tickets WHERE organization_id = $1"
        ):
            if attendee_id == made.attendees[0].id:
                self._try(lambda uow, ticket_id=ticket_id: tickets.void(uow, ticket_id, "lost"))

    @rule(kind=st.sampled_from([0, 1]), quota=st.integers(0, 6))
    def change_quota(self, kind: int, quota: int) -> None:
        self._try(lambda uow: events.update_ticket_type(uow, self.world.types[kind], {"quota": quota}))

    # -- what must hold

    @invariant()
    def never_more_than_the_quota_and_taken_is_what_is_held_and_sold(self) -> None:
        counted = Counter(
            kind for kind, state in self.world.found(
                "SELECT ticket_type_id, state FROM attendees WHERE organization_id = $1") if state in COMING
        )  # fmt: skip
        for kind, quota, taken in self._types():
            assert taken == counted[kind] <= quota

    @invariant()
    def never_refunded_beyond_captured(self) -> None:
        refunds = self.world.found("SELECT payment_id, amount, state FROM refunds WHERE organization_id = $1")
        rows = self.world.found("SELECT id, amount, captured, refunded, state FROM payments WHERE organization_id = $1")
        for payment_id, amount, captured, refunded, state in rows:
            wanted = sum(sum_ for of, sum_, how in refunds if of == payment_id and how not in ("failed", "canceled"))
            assert wanted == refunded <= captured <= amount
            assert (captured == amount) == (state == "succeeded")

    @invariant()
    def one_check_in_stands_for_a_ticket(self) -> None:
        standing = self._standing()
        assert len(standing) == len(set(standing))

    @invariant()
    def no_follower_failed(self) -> None:
        jobs = self.world.found("SELECT last_error FROM jobs WHERE organization_id = $1 AND kind = 'facts.follow_up'")
        assert jobs == []

    @precondition(lambda self: self.settled)
    @invariant()
    def states_agree(self) -> None:
        self.settled = False
        coming = self._attendees()
        tickets_of = dict(self.world.found("SELECT attendee_id, state FROM tickets WHERE organization_id = $1"))
        voided = {row[0] for row in self.world.found(
            "SELECT attendee_id FROM tickets WHERE organization_id = $1 AND void_reason = 'lost'")}  # fmt: skip
        paid = dict(self.world.found("SELECT registration_id, state FROM payments WHERE organization_id = $1"))
        query = "SELECT id, state, total, hold_expires_at FROM registrations WHERE organization_id = $1"
        for registration_id, state, total, hold in self.world.found(query):
            theirs = coming[registration_id]
            assert set(theirs.values()) <= ALLOWED[state], (state, theirs)
            assert (hold is not None) == (state == "pending")
            if state == "confirmed":
                assert "confirmed" in theirs.values()
                assert total == 0 or paid[registration_id] == "succeeded"
            for attendee_id, how in theirs.items():
                issued = tickets_of.get(attendee_id) == "issued"
                assert issued == (how == "confirmed" and attendee_id not in voided), (state, how)

    def _attendees(self) -> dict[str, dict[str, str]]:
        by_registration: dict[str, dict[str, str]] = {}
        query = "SELECT registration_id, id, state FROM attendees WHERE organization_id = $1"
        for registration_id, attendee_id, state in self.world.found(query):
            by_registration.setdefault(registration_id, {})[attendee_id] = state
        return by_registration

    def _types(self) -> list[tuple]:
        return self.world.found("SELECT id, quota, taken FROM ticket_types WHERE organization_id = $1")

    def _left(self) -> dict[str, int]:
        return {kind: quota - taken for kind, quota, taken in self._types()}

    def _standing(self) -> list[str]:
        query = "SELECT ticket_id FROM check_ins WHERE organization_id = $1 AND undone_at IS NULL"
        return [row[0] for row in self.world.found(query)]

    def unit_read(self, work):  # type: ignore[no-untyped-def]
        return self.world.unit(work)

    def _try(self, work):  # type: ignore[no-untyped-def]
        """Give what the service made, or None if it refused on purpose."""
        self.settled = False
        try:
            return self.world.unit(work)
        except TemulaError:
            return None


COMING = ("pending", "confirmed")
ALLOWED = {
    "pending": {"pending"},
    "confirmed": {"confirmed", "refunded"},
    "cancelled": {"cancelled", "refunded"},
    "refunded": {"refunded", "cancelled"},
}


async def test_a_sale_keeps_its_promises_in_any_order(server: Postgres) -> None:
    """Never beyond quota or captured, one admission a ticket, and no two parts that disagree once facts are read."""
    assert PRICES == (1000, 0), "the machine buys paid and free tickets"
    async with server.database() as owner_url:
        machine = type("SaleHere", (Sale,), {"owner_url": owner_url})
        chosen = settings(
            max_examples=80, stateful_step_count=40, deadline=timedelta(seconds=30), print_blob=True,
            suppress_health_check=list(HealthCheck),
        )  # fmt: skip
        await asyncio.to_thread(run_state_machine_as_test, machine, settings=chosen)
