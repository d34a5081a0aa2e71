"""Named readers of the fact log: one at a time, taken over when one dies, rewindable, and nothing lost on failure."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from temula.kernel.clock import ManualClock
from temula.kernel.consumers import LEASE, Consumer, ConsumerLoop, cursors, rewind
from temula.kernel.database import Database
from temula.kernel.errors import NotFound
from temula.kernel.facts import StoredFact
from tests.harness import ground
from tests.harness.ground import another, holds, serving, tell


@pytest.fixture
async def timed(owner_url: str, still: ManualClock) -> AsyncIterator[Database]:
    """The application's way into the database, on a clock that the test moves."""
    database = Database(owner_url, clock=still)
    await database.open()
    yield database
    await database.close()


class Reader:
    """A process that reads for the consumer `r`; it can be made to stand still, as a hung one does."""

    def __init__(self, database: Database, *, batch: int = 3) -> None:
        self.got: list[int] = []
        self.going = asyncio.Event()
        self.going.set()
        self.fails = 0
        self.loop = ConsumerLoop(database, Consumer("r", self.handle, batch))

    async def handle(self, facts: list[StoredFact]) -> None:
        if self.fails:
            self.fails -= 1
            raise ValueError("cannot do it now")
        self.got += [int(json.loads(fact.data)["n"]) for fact in facts]
        await self.going.wait()


async def test_one_holder_at_a_time(owner_url: str, timed: Database) -> None:
    """Of three processes that read for one consumer, one does; together they get each fact once, in order."""
    actor = await ground.organization(timed)
    async with another(owner_url, timed) as second, another(owner_url, timed) as third:
        readers = [Reader(database) for database in (timed, second, third)]
        async with serving(*(reader.loop for reader in readers)):
            for n in range(30):
                await tell(timed, actor, n)
            await holds(lambda: sum(len(reader.got) for reader in readers) >= 30)
    assert sorted(n for reader in readers for n in reader.got) == list(range(30))
    assert [reader.got for reader in readers if reader.got] == [list(range(30))]


async def test_a_dead_holder_is_taken_over_when_its_lease_is_over_and_cannot_move_the_cursor(
    owner_url: str, timed: Database, still: ManualClock
) -> None:
    """Before the lease runs out nobody else reads; afterwards one does, and the old one's late work counts no more."""
    actor = await ground.organization(timed)
    await tell(timed, actor, *range(6))
    async with another(owner_url, timed) as elsewhere:
        stuck, heir = Reader(timed), Reader(elsewhere)
        stuck.going.clear()
        async with serving(stuck.loop):
            await holds(lambda: stuck.got == [0, 1, 2])
            async with serving(heir.loop):
                still.advance(LEASE - 1)
                await asyncio.sleep(0.1)
                assert heir.got == []
                still.advance(2)
                await holds(lambda: heir.got == list(range(6)))
                (after,) = await cursors(timed)
                stuck.going.set()
                await asyncio.sleep(0.1)
                (later,) = await cursors(timed)
                assert (later.transaction, later.position, later.fence) == (
                    after.transaction, after.position, after.fence
                )  # fmt: skip
        assert stuck.got == [0, 1, 2], "whoever has lost the lease stops"
        assert heir.got == list(range(6))


async def test_a_killed_holder_is_taken_over_at_once(owner_url: str, timed: Database) -> None:
    """A lease ends with the connection of the process that holds it: nobody waits for what was killed."""
    actor = await ground.organization(timed)
    await tell(timed, actor, *range(3))
    async with another(owner_url, timed) as elsewhere:
        killed, heir = Reader(timed), Reader(elsewhere)
        killed.going.clear()
        async with serving(killed.loop):
            await holds(lambda: killed.got == [0, 1, 2])
            await timed.bell.close()  # as the system does for a process that is killed
            async with serving(heir.loop):
                await holds(lambda: heir.got == [0, 1, 2])
            killed.going.set()


async def test_a_holder_that_ends_well_is_followed_at_once(owner_url: str, timed: Database) -> None:
    """A lease is given back at the end: nobody waits for it to run out."""
    actor = await ground.organization(timed)
    first = Reader(timed)
    await tell(timed, actor, 1)
    async with serving(first.loop):
        await holds(lambda: first.got == [1])
    async with another(owner_url, timed) as elsewhere:
        second = Reader(elsewhere)
        await tell(timed, actor, 2)
        async with serving(second.loop):
            await holds(lambda: second.got == [2])


async def test_a_rewind_while_reading_is_not_overwritten(timed: Database, still: ManualClock) -> None:
    """A reader in the middle of a batch does not move the cursor past a rewind; everything since is read again."""
    actor = await ground.organization(timed)
    await tell(timed, actor, 1)
    still.advance(60)
    since = still.now()
    for n in (2, 3, 4):
        await tell(timed, actor, n)
    reader = Reader(timed, batch=1)
    async with serving(reader.loop):
        await holds(lambda: reader.got == [1, 2, 3, 4])
        reader.going.clear()
        await tell(timed, actor, 5)
        await holds(lambda: reader.got[-1] == 5)
        await rewind(timed, "r", since)
        reader.going.set()
        await holds(lambda: len(reader.got) == 9)
    assert reader.got == [1, 2, 3, 4, 5, 2, 3, 4, 5]


async def test_a_rewind_never_goes_forward(timed: Database, still: ManualClock) -> None:
    """Rewinding a reader that is behind to a time it has not reached yet skips nothing."""
    actor = await ground.organization(timed)
    reader = Reader(timed)
    await tell(timed, actor, 1)
    async with serving(reader.loop):
        await holds(lambda: reader.got == [1])
    await tell(timed, actor, 2)
    still.advance(3600)
    await tell(timed, actor, 3)
    await rewind(timed, "r", still.now() - timedelta(seconds=1))
    async with serving(reader.loop):
        await holds(lambda: reader.got == [1, 2, 3])
    await rewind(timed, "r", still.now() + timedelta(days=1))
    await tell(timed, actor, 4)
    async with serving(reader.loop):
        await holds(lambda: reader.got[-1] == 4)
    assert reader.got == [1, 2, 3, 4]


async def test_rewinding_nobody_says_so(timed: Database, still: ManualClock) -> None:
    """A name that no consumer has is refused."""
    with pytest.raises(NotFound, match="nobody"):
        await rewind(timed, "nobody", still.now())


async def test_a_failing_handler_loses_nothing(timed: Database) -> None:
    """What a handler could not take is given to it again, in order, until it can."""
    actor = await ground.organization(timed)
    reader = Reader(timed)
    reader.fails = 3
    await tell(timed, actor, *range(8))
    async with serving(reader.loop):
        await holds(lambda: len(reader.got) == 8)
    assert reader.got == list(range(8))
