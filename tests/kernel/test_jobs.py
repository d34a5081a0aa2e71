"""Background jobs: run iff enqueued with a committed transaction, at least once, with one outcome."""

import asyncio
import os
import re
import signal
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime

import pytest

from temula.domain.organizations.model import PLATFORM
from temula.kernel import jobs
from temula.kernel.clock import ManualClock
from temula.kernel.crypto import new_ring
from temula.kernel.database import Database
from temula.kernel.runner import Handler, JobRunner, Scheduler, Timed
from temula.kernel.tenancy import Actor, system
from tests.harness import ground
from tests.harness.ground import RolledBack, Work, another, found, holds, serving

LATE = 3600.0


@pytest.fixture
async def timed(owner_url: str, still: ManualClock) -> AsyncIterator[Database]:
    """The application's way into the database, on a clock that the test moves."""
    database = Database(owner_url, clock=still)
    await database.open()
    yield database
    await database.close()


class Worker:
    """A worker process's loop; it notes which jobs it ran, when, and for whom."""

    def __init__(self, database: Database, does: Callable[[Work], Awaitable[None]] | None = None) -> None:
        self.ran: list[str] = []
        self.at: list[float] = []
        self.organizations: list[str] = []
        self._clock, self._does = database.clock, does
        self.loop = JobRunner(database, {Work.KIND: Handler(Work, self._handle)})

    async def _handle(self, actor: Actor, job: Work) -> None:
        self.ran.append(job.name)
        self.at.append(self._clock.monotonic())
        self.organizations.append(actor.organization_id)
        if self._does is not None:
            await self._does(job)


async def fails(_job: Work) -> None:
    raise ValueError("cannot do it")


async def enqueue(database: Database, actor: Actor, *names: str, delay: float = 0.0) -> None:
    async with database.unit(actor) as uow:
        for name in names:
            uow.enqueue(Work(name=name), delay=delay)


async def kept(owner_url: str) -> list[tuple]:
    return await found(owner_url, "SELECT state, tries, last_error FROM jobs ORDER BY id")


async def until_kept(owner_url: str, wanted: list[tuple]) -> None:
    async with asyncio.timeout(20):
        while await kept(owner_url) != wanted:
            await asyncio.sleep(0.01)


async def test_a_job_of_a_rolled_back_transaction_never_runs(owner_url: str, database: Database) -> None:
    """Enqueued with the caller's transaction means: not at all without it."""
    actor = await ground.organization(database)
    with pytest.raises(RolledBack):
        await _enqueue_and_roll_back(database, actor)
    await enqueue(database, actor, "kept")
    worker = Worker(database)
    async with serving(worker.loop):
        await until_kept(owner_url, [])
    assert worker.ran == ["kept"]
    assert worker.organizations == [actor.organization_id]


async def _enqueue_and_roll_back(database: Database, actor: Actor) -> None:
    async with database.unit(actor) as uow:
        uow.enqueue(Work(name="dropped"))
        await uow.flush()
        raise RolledBack


async def test_a_committed_job_runs_though_its_process_died_at_once(owner_url: str, database: Database) -> None:
    """Killed with -9 by the very next statement after the commit."""
    actor = await ground.organization(database)
    script = f"""
        import asyncio, os
        from temula.kernel.database import Database
        from temula.kernel.tenancy import system
        from tests.harness.ground import Work

        async def main():
            database = Database({owner_url!r})
            await database.open()
            async with database.unit(system("test", {actor.organization_id!r})) as uow:
                uow.enqueue(Work(name="survives"))
            os.kill(os.getpid(), {int(signal.SIGKILL)})

        asyncio.run(main())
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", textwrap.dedent(script), env={**os.environ, "PYTHONPATH": "."}
    )
    assert await process.wait() == -signal.SIGKILL
    worker = Worker(database)
    async with serving(worker.loop):
        await until_kept(owner_url, [])
    assert worker.ran == ["survives"]


async def test_a_failing_job_is_tried_again_with_exponential_backoff_and_then_is_dead(
    owner_url: str, timed: Database, still: ManualClock
) -> None:
    """Tried after 1, 2 and 4 s, never earlier; after its last try it is kept as dead, with its error."""
    actor = await ground.organization(timed)
    await enqueue(timed, actor, "bad")
    error = "ValueError: cannot do it"
    worker = Worker(timed, fails)
    async with serving(worker.loop):
        for tries, wait in ((1, 1.0), (2, 2.0), (3, 4.0)):
            await until_kept(owner_url, [("ready", tries, error)])
            still.advance(wait - 0.01)
            await asyncio.sleep(0.05)
            assert len(worker.ran) == tries, "tried too early"
            still.advance(0.01)
        await until_kept(owner_url, [("dead", 4, error)])
        still.advance(LATE)
        await asyncio.sleep(0.05)
    assert worker.at == pytest.approx([0.0, 1.0, 3.0, 7.0])


def test_the_wait_doubles_up_to_an_hour() -> None:
    """1, 2, 4 ... seconds, and never more than an hour."""
    waits = [jobs.wait_before(tries) for tries in range(1, 20)]
    assert waits[:4] == [1, 2, 4, 8]
    assert waits == sorted(waits)
    assert waits[-1] == 3600


async def test_dead_jobs_are_seen_and_revived_from_the_command_line(owner_url: str, database: Database) -> None:
    """`temula jobs dead` lists them with their error, `temula jobs retry` lets one, or all, run again."""
    actor = await ground.organization(database)
    await enqueue(database, actor, "one", "two")
    broken = Worker(database, fails)
    async with database.crossing("the test leaves one try") as uow:
        await uow.run(jobs.Statement("UPDATE jobs SET tries_left = 1"))
    async with serving(broken.loop):
        await until_kept(owner_url, [("dead", 1, "ValueError: cannot do it")] * 2)
    listed = await _temula(owner_url, "jobs", "dead")
    ids = sorted(set(re.findall(r"job_[0-9a-z]{26}", listed)))
    assert len(ids) == 2
    assert "ValueError" in listed
    assert "1 jobs" in await _temula(owner_url, "jobs", "retry", ids[0])
    mended = Worker(database)
    async with serving(mended.loop):
        await holds(lambda: len(mended.ran) == 1)
        assert "1 jobs" in await _temula(owner_url, "jobs", "retry")
        await until_kept(owner_url, [])
    assert sorted(mended.ran) == ["one", "two"]


async def _temula(owner_url: str, *arguments: str) -> str:
    environ = {**os.environ, "TEMULA_DATABASE_URL": owner_url, "TEMULA_KEYS_RING": new_ring().dump().decode(),
               "COLUMNS": "300"}  # fmt: skip
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "temula.operations.cli", *arguments, stdout=subprocess.PIPE, env=environ
    )
    output, _ = await process.communicate()
    assert process.returncode == 0
    return output.decode()


async def test_a_long_job_keeps_its_lease(owner_url: str, timed: Database, still: ManualClock) -> None:
    """While a handler works for five minutes its worker renews the lease: nobody else takes the job."""
    actor = await ground.organization(timed)
    await enqueue(timed, actor, "long")
    end = asyncio.Event()

    async def long(_job: Work) -> None:
        await end.wait()

    async with another(owner_url, timed) as elsewhere, AsyncExitStack() as stack:
        worker, idle = Worker(timed, long), Worker(elsewhere)
        await stack.enter_async_context(serving(worker.loop))
        await holds(lambda: worker.ran == ["long"])
        await stack.enter_async_context(serving(idle.loop))
        for _ in range(30):
            (due,) = await found(owner_url, "SELECT run_at FROM jobs")
            still.advance(jobs.LEASE / 3)
            async with asyncio.timeout(20):  # the renewal has reached the database
                while await found(owner_url, "SELECT run_at FROM jobs") == [due]:
                    await asyncio.sleep(0.005)
        end.set()
        await until_kept(owner_url, [])
    assert (worker.ran, idle.ran) == (["long"], [])


async def test_a_dead_workers_job_is_taken_over_and_its_late_outcome_changes_nothing(
    owner_url: str, timed: Database, still: ManualClock
) -> None:
    """When the lease is over another worker runs the job; what the first one says afterwards is not recorded."""
    actor = await ground.organization(timed)
    await enqueue(timed, actor, "job")
    async with timed.crossing("a worker that is about to die claims") as uow:
        (claimed,) = await uow.rows(jobs.Claimed, jobs.CLAIM, 1, jobs.LEASE, uow.now)
    end = asyncio.Event()

    async def works(_job: Work) -> None:
        await end.wait()

    heir = Worker(timed, works)
    async with serving(heir.loop):
        still.advance(jobs.LEASE - 1)
        await asyncio.sleep(0.05)
        assert heir.ran == []
        still.advance(2)
        await holds(lambda: heir.ran == ["job"])
        mine = (claimed.organization_id, claimed.id, claimed.tries)
        async with timed.crossing("the first worker was not dead after all") as uow:
            assert await uow.run(jobs.RENEW, *mine, jobs.LEASE, uow.now) == 0
            assert await uow.run(jobs.FAIL, *mine, 1.0, "too late", uow.now) == 0
            assert await uow.run(jobs.FINISH, *([one] for one in mine)) == 0
        assert await kept(owner_url) == [("running", 2, "its worker died, or stood still")]
        end.set()
        await until_kept(owner_url, [])
    assert heir.ran == ["job"]


async def test_a_job_that_kills_its_workers_is_dead_in_the_end(
    owner_url: str, timed: Database, still: ManualClock
) -> None:
    """A worker that dies under a job counts as a failed try, so that such a job does not go round for ever."""
    actor = await ground.organization(timed)
    await enqueue(timed, actor, "poison")
    for _ in range(Work.TRIES):
        async with timed.crossing("a worker claims and dies") as uow:
            (claimed,) = await uow.rows(jobs.Claimed, jobs.CLAIM, 1, jobs.LEASE, uow.now)
            assert not claimed.dead
        still.advance(jobs.LEASE + 1)
    worker = Worker(timed)
    async with serving(worker.loop):
        await until_kept(owner_url, [("dead", Work.TRIES + 1, "its worker died, or stood still")])
        still.advance(LATE)
        await asyncio.sleep(0.05)
    assert worker.ran == []


async def test_jobs_with_one_key_wait_once(owner_url: str, database: Database) -> None:
    """A second job with the same key is not enqueued while one waits; other keys and organizations are their own."""
    first, second = await ground.organization(database), await ground.organization(database)
    for actor in (first, first, second):
        async with database.unit(actor) as uow:
            for key in ("a", "a", "b"):
                uow.enqueue(Work(name=key, key=key))
    assert len(await kept(owner_url)) == 4
    worker = Worker(database)
    async with serving(worker.loop):
        await until_kept(owner_url, [])
    assert sorted(worker.ran) == ["a", "a", "b", "b"]


async def test_many_workers_run_each_job_once(owner_url: str, database: Database) -> None:
    """Three workers, two hundred jobs, nobody dies: each runs once."""
    actor = await ground.organization(database)
    await enqueue(database, actor, *(str(n) for n in range(200)))
    async with another(owner_url, database) as second, another(owner_url, database) as third:
        workers = [Worker(one) for one in (database, second, third)]
        async with serving(*(worker.loop for worker in workers)):
            await until_kept(owner_url, [])
    assert sorted(int(name) for worker in workers for name in worker.ran) == list(range(200))


async def test_a_failing_claim_does_not_end_the_worker(owner_url: str, database: Database) -> None:
    """A connection cut under the loop costs a poll, not the process."""
    actor = await ground.organization(database)
    worker = Worker(database)
    query = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'temula'"
    async with serving(worker.loop):
        for n in range(5):
            await found(owner_url, query + " AND datname = current_database()")
            async with another(owner_url, database) as elsewhere:
                await enqueue(elsewhere, actor, str(n))
            await holds(lambda n=n: worker.ran[-1:] == [str(n)])
    assert worker.ran == [str(n) for n in range(5)]


EVERY_MINUTE = (Timed("test.tick", "* * * * *", Work(name="tick")),)


async def test_a_tick_happens_once_with_three_schedulers(owner_url: str, timed: Database, still: ManualClock) -> None:
    """All three look at the same moment, minute after minute: one job a minute."""
    async with another(owner_url, timed) as second, another(owner_url, timed) as third:
        schedulers = [Scheduler(one, EVERY_MINUTE, system("platform", PLATFORM)) for one in (timed, second, third)]
        for minute in range(1, 11):
            ticked = await asyncio.gather(*(scheduler.tick() for scheduler in schedulers for _ in range(3)))
            assert sum(ticked) == 1
            assert len(await kept(owner_url)) == minute
            assert await schedulers[0].tick() == 0
            still.advance(60)


async def test_ticks_missed_while_all_was_down_are_made_up_for_once(
    owner_url: str, timed: Database, still: ManualClock
) -> None:
    """Three hours without a scheduler: one job at the start, and then the next at the next full minute."""
    scheduler = Scheduler(timed, EVERY_MINUTE, system("platform", PLATFORM))
    await scheduler.tick()
    still.advance(3 * 3600 + 25)
    assert [await scheduler.tick() for _ in range(3)] == [1, 0, 0]
    still.advance(34)
    assert await scheduler.tick() == 0
    still.advance(1)
    assert await scheduler.tick() == 1
    ((following,),) = await found(owner_url, "SELECT next_at FROM job_schedules")
    assert following == datetime(2026, 12, 1, 12, 2, tzinfo=UTC)
