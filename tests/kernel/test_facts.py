"""The fact log: no fact missed, none twice, one order for everybody, whatever writers do."""

import asyncio
import json
import random
from contextlib import AsyncExitStack

from temula.kernel.consumers import Consumer, ConsumerLoop, rewind
from temula.kernel.database import Database, UnitOfWork
from temula.kernel.facts import Fact, StoredFact
from temula.kernel.ids import ATTENDEE, CHECK_IN, EVENT, REGISTRATION, TEAM
from temula.kernel.sql import Statement
from temula.kernel.tenancy import Actor
from tests.harness import ground
from tests.harness.ground import Happened, RolledBack, another, found, held_open, holds, serving, tell

TAKE_TRANSACTION_ID = Statement("SELECT pg_current_xact_id()::text")
WRITERS, TRANSACTIONS = 8, 40


class Reader:
    """Keeps what it got, in its order: the ledger that counts."""

    def __init__(self, name: str, database: Database, *, batch: int = 7) -> None:
        self.got: list[str] = []
        self.loop = ConsumerLoop(database, Consumer(name, self.handle, batch))

    async def handle(self, facts: list[StoredFact]) -> None:
        for fact in facts:
            data = json.loads(fact.data)
            self.got.append(f"{data['by']}:{data['n']}")


def change_mind(chance: random.Random) -> None:
    if chance.random() < 0.3:
        raise RolledBack


async def write(database: Database, actor: Actor, name: str, chance: random.Random) -> set[str]:
    """Transactions of random length and size, some rolled back; gives what was committed."""
    committed: set[str] = set()
    for number in range(TRANSACTIONS):
        told = [number * 10 + n for n in range(chance.randint(1, 4))]
        try:
            async with database.unit(actor) as uow:
                if chance.random() < 0.7:  # its place in the order is taken long before it commits
                    await uow.value(TAKE_TRANSACTION_ID)
                for n in told:
                    uow.tell(Happened(n=n, by=name))
                await asyncio.sleep(chance.choice((0, 0, 0.002, 0.01, 0.04)))
                change_mind(chance)
        except RolledBack:
            continue
        committed |= {f"{name}:{n}" for n in told}
    return committed


async def test_no_fact_is_missed_or_doubled_and_all_readers_see_one_order(owner_url: str) -> None:
    """8 writers with rollbacks, 3 readers on connections of their own, started apart, one rewound in the middle."""
    chance = random.Random(20261124)
    writers = Database(owner_url, size=WRITERS)
    await writers.open()
    async with AsyncExitStack() as stack:
        stack.push_async_callback(writers.close)
        actor = await ground.organization(writers)
        readers = [
            Reader(name, await stack.enter_async_context(another(owner_url, writers))) for name in ("a", "b", "c")
        ]
        begun = writers.clock.now()
        writing = [
            asyncio.create_task(write(writers, actor, f"w{n}", random.Random(chance.random()))) for n in range(WRITERS)
        ]
        for reader in readers[:2]:
            await stack.enter_async_context(serving(reader.loop))
            await holds(lambda reader=reader: len(reader.got) > 30)
        await rewind(writers, "b", begun)
        before = len(readers[1].got)
        await holds(lambda: len(readers[1].got) > before + 40)
        await stack.enter_async_context(serving(readers[2].loop))
        committed = set().union(*await asyncio.gather(*writing))
        await holds(lambda: all(committed <= set(reader.got) for reader in readers))
        await holds(lambda: readers[1].got[-1] == readers[0].got[-1])

    a, b, c = (reader.got for reader in readers)
    assert set(a) == committed, "rolled back facts never appear, committed ones always do"
    assert len(a) == len(committed)
    assert a == c
    again = next(n for n in range(1, len(b)) if b[n] == a[0])
    assert b[:again] == a[:again], "what was read before the rewind is the beginning of the one order"
    assert b[again:] == a, "after it, everything is read again, in the one order"
    stored = await found(owner_url, "SELECT count(*) FROM facts WHERE type = 'test.happened'")
    assert stored == [(len(committed),)]


async def _take_a_place(uow: UnitOfWork) -> None:
    await uow.value(TAKE_TRANSACTION_ID)
    uow.tell(Happened(n=0, by="long"))


async def test_a_long_transaction_holds_the_horizon_and_is_not_skipped(owner_url: str, database: Database) -> None:
    """What is committed after a transaction that still runs waits for it; then all come, the long one's first."""
    actor = await ground.organization(database)
    await tell(database, actor, 1, by="before")
    async with another(owner_url, database) as elsewhere, AsyncExitStack() as stack:
        early, late = Reader("early", elsewhere), Reader("late", elsewhere)
        await stack.enter_async_context(serving(early.loop))
        await holds(lambda: early.got == ["before:1"])
        async with held_open(elsewhere, actor, _take_a_place):
            for n in range(20):
                await tell(database, actor, n, by="short")
            await stack.enter_async_context(serving(late.loop))
            await holds(lambda: late.got == ["before:1"])
            await asyncio.sleep(0.1)  # time to read past a running transaction, if one would
            assert early.got == late.got == ["before:1"]
        await holds(lambda: len(early.got) == len(late.got) == 22)
    assert early.got == late.got == ["before:1", "long:0", *(f"short:{n}" for n in range(20))]


async def test_a_long_transaction_that_is_rolled_back_leaves_nothing(owner_url: str, database: Database) -> None:
    """The horizon moves on when it ends, whichever way it ends."""
    actor = await ground.organization(database)
    reader = Reader("r", database)
    async with another(owner_url, database) as elsewhere, serving(reader.loop):
        async with held_open(elsewhere, actor, _take_a_place, commit=False):
            await tell(database, actor, 1, 2, by="short")
            assert reader.got == []
        await holds(lambda: reader.got == ["short:1", "short:2"])


async def test_facts_of_one_transaction_keep_the_order_in_which_they_were_told(database: Database) -> None:
    """A hundred facts of one transaction come as they were told."""
    actor = await ground.organization(database)
    reader = Reader("r", database, batch=9)
    await tell(database, actor, *range(100), by="w")
    async with serving(reader.loop):
        await holds(lambda: len(reader.got) == 100)
    assert reader.got == [f"w:{n}" for n in range(100)]


class Told(Fact, frozen=True, kw_only=True):
    """A fact that names objects in each of the ways that there are."""

    TYPE = "test.told"
    organization_id: str
    team_id: str
    registration_id: str
    attendee_ids: list[str]
    reference_id: str
    note: str


async def test_a_fact_is_found_by_what_it_is_about(owner_url: str, database: Database) -> None:
    """Its own fields of ids, each once, its event, and what the teller adds; not whose it is, and not what is no id."""
    actor = await ground.organization(database)
    registration, attendee, team, event, check_in = (
        kind.new(database.clock.now()) for kind in (REGISTRATION, ATTENDEE, TEAM, EVENT, CHECK_IN)
    )
    async with database.unit(actor) as uow:
        told = Told(
            organization_id=actor.organization_id, team_id=team, registration_id=registration,
            attendee_ids=[attendee, attendee], reference_id="pi_3QK8sL2eZvKYlo2C", note=check_in,
        )  # fmt: skip
        uow.tell(told, event_id=event, about=(check_in, registration))
    rows = await found(
        owner_url, "SELECT o.object_id, f.type FROM fact_objects o JOIN facts f ON f.id = o.fact_id "
        "WHERE o.organization_id = $1 AND f.organization_id = $1", actor.organization_id,
    )  # fmt: skip
    assert sorted(rows) == sorted((one, "test.told") for one in (registration, attendee, event, check_in))
