"""Followers: each fact has its effect once, whoever dies or fails on the way."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import textwrap
from collections import Counter
from collections.abc import AsyncIterator

import pytest

from temula.kernel import following
from temula.kernel.clock import ManualClock
from temula.kernel.consumers import ConsumerLoop, read
from temula.kernel.database import Database, UnitOfWork
from temula.kernel.facts import START, StoredFact
from temula.kernel.following import Follower
from temula.kernel.runner import JobRunner
from tests.harness import ground
from tests.harness.ground import Happened, another, found, holds, serving, tell


async def act(uow: UnitOfWork, fact: Happened) -> None:
    """An effect that is not harmless when repeated."""
    uow.audit("test.effect", str(fact.n))


FOLLOWER = Follower("tester", {Happened: act})


@pytest.fixture
async def timed(owner_url: str, still: ManualClock) -> AsyncIterator[Database]:
    """The application's way into the database, on a clock that the test moves."""
    database = Database(owner_url, clock=still)
    await database.open()
    yield database
    await database.close()


async def effects(owner_url: str) -> Counter[int]:
    """How often each fact had its effect."""
    rows = await found(owner_url, "SELECT target FROM audit_entries WHERE action = 'test.effect'")
    return Counter(int(target) for (target,) in rows)


async def all_facts(database: Database) -> list[StoredFact]:
    async with database.crossing("the test reads") as uow:
        return await read(uow, START, 1000)


async def test_a_process_that_dies_before_its_cursor_moves_does_nothing_twice(
    owner_url: str, database: Database
) -> None:
    """Killed with -9 after the fifth effect, with the cursor still at the start; the next process does the rest."""
    actor = await ground.organization(database)
    for n in range(12):
        await tell(database, actor, n)
    script = f"""
        import asyncio, os
        from temula.kernel import following
        from temula.kernel.consumers import ConsumerLoop
        from temula.kernel.database import Database
        from tests.harness.ground import Happened

        async def act(uow, fact):
            uow.audit("test.effect", str(fact.n))
            if fact.n == 5:
                os.kill(os.getpid(), {int(signal.SIGKILL)})

        async def main():
            database = Database({owner_url!r})
            await database.open()
            follower = following.Follower("tester", {{Happened: act}})
            await ConsumerLoop(database, following.consumer(database, follower)).serve(asyncio.Event())

        asyncio.run(main())
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", textwrap.dedent(script), stderr=subprocess.DEVNULL, env={**os.environ, "PYTHONPATH": "."}
    )
    assert await process.wait() == -signal.SIGKILL
    assert await effects(owner_url) == Counter(range(5))
    await following.consumer(database, FOLLOWER).handle(await all_facts(database))
    assert await effects(owner_url) == Counter(range(12))


async def test_two_workers_at_once_have_each_effect_once(owner_url: str, database: Database) -> None:
    """A lease that ran out lets two workers handle the same facts; each effect is had once, and nobody fails."""
    actor = await ground.organization(database)
    await tell(database, actor, *range(25))
    facts = await all_facts(database)
    async with another(owner_url, database) as second, another(owner_url, database) as third:
        await asyncio.gather(*(following.consumer(one, FOLLOWER).handle(facts) for one in (database, second, third)))
    assert await effects(owner_url) == Counter(range(25))
    assert await found(owner_url, "SELECT id FROM jobs WHERE kind = 'facts.follow_up'") == []


async def test_a_failure_becomes_a_job_with_backoff_and_holds_up_nobody(
    owner_url: str, timed: Database, still: ManualClock
) -> None:
    """The others are handled at once; the failing one is tried after 1, then 1, 2, 4 s, and has its effect once."""
    actor = await ground.organization(timed)
    tries: list[float] = []
    broken = True

    async def fragile(uow: UnitOfWork, fact: Happened) -> None:
        await act(uow, fact)
        if fact.n == 1:
            tries.append(still.monotonic())
            if broken:
                raise ValueError("not now")

    follower = Follower("tester", {Happened: fragile})
    runner = JobRunner(timed, following.handlers(timed, (follower,)))
    await tell(timed, actor, 0, 1, 2)
    async with serving(ConsumerLoop(timed, following.consumer(timed, follower)), runner):
        await _until_effects(owner_url, Counter((0, 2)))
        for number, wait in enumerate((1.0, 1.0, 2.0, 4.0), start=2):
            await _failures(owner_url, number - 2)
            still.advance(wait)
            await holds(lambda number=number: len(tries) == number)
        broken = False
        await _failures(owner_url, 4)
        still.advance(8.0)
        await _until_effects(owner_url, Counter((0, 1, 2)))
    assert tries == [0.0, 1.0, 2.0, 4.0, 8.0, 16.0]
    assert await found(owner_url, "SELECT id FROM jobs") == []


async def _until_effects(owner_url: str, wanted: Counter[int]) -> None:
    async with asyncio.timeout(20):
        while await effects(owner_url) != wanted:
            await asyncio.sleep(0.01)


async def _failures(owner_url: str, number: int) -> None:
    """Wait until the follow-up waits again after so many failed tries."""
    query = "SELECT count(*) FROM jobs WHERE state = 'ready' AND tries = $1"
    async with asyncio.timeout(20):
        while await found(owner_url, query, number) != [(1,)]:
            await asyncio.sleep(0.01)


async def test_a_job_and_a_rewind_together_have_the_effect_once(owner_url: str, database: Database) -> None:
    """A fact that waits as a job and is read again by a rewound consumer is handled by one of them."""
    actor = await ground.organization(database)
    await tell(database, actor, 7)
    facts = await all_facts(database)
    async with database.unit(actor) as uow:
        uow.enqueue(following.FollowUp(follower="tester", fact_id=facts[0].id))
    runner = JobRunner(database, following.handlers(database, (FOLLOWER,)))
    async with serving(runner, ConsumerLoop(database, following.consumer(database, FOLLOWER))):
        async with asyncio.timeout(20):
            while await found(owner_url, "SELECT id FROM jobs"):
                await asyncio.sleep(0.01)
        await _until_effects(owner_url, Counter((7,)))
    assert json.loads(facts[0].data)["n"] == 7
