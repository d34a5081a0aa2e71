"""Jobs whose last try failed: those that say what to do then end where their reader looks, the others are dead."""

from collections.abc import Awaitable, Callable

from temula.kernel.database import Database
from temula.kernel.runner import Handler, JobRunner
from temula.kernel.tenancy import Actor
from tests.harness.ground import Work, found, organization, serving
from tests.harness.house import until

LAST = "UPDATE jobs SET tries_left = $1"


class Hopeless:
    """A handler that never manages; it notes each time it was tried, and given up."""

    def __init__(self, give_up_fails: bool = False) -> None:
        self.tried = 0
        self.given_up: list[tuple[str, str, str]] = []
        self._fails = give_up_fails

    async def handle(self, _actor: Actor, _job: Work) -> None:
        self.tried += 1
        raise LookupError("not there")

    async def give_up(self, actor: Actor, job: Work, error: Exception) -> None:
        self.given_up.append((actor.organization_id, job.name, repr(error)))
        if self._fails:
            raise RuntimeError("cannot be recorded either")


def rows(owner_url: str, met: Callable[[list[tuple]], bool]) -> Callable[[], Awaitable[bool]]:
    async def look() -> bool:
        return met(await found(owner_url, "SELECT state, last_error FROM jobs"))

    return look


async def enqueue(database: Database, actor: Actor, tries_left: int) -> None:
    async with database.unit(actor) as uow:
        uow.enqueue(Work(name="it"))
    async with database.crossing("a test leaves a job few tries") as uow:
        await uow.run(LAST, tries_left)


async def test_given_up_after_the_last_try(database: Database, owner_url: str) -> None:
    """Only after the last try is it given up, with whose it was and what failed, and then the job is done."""
    actor, work = await organization(database), Hopeless()
    await enqueue(database, actor, 2)
    async with serving(JobRunner(database, {Work.KIND: Handler(Work, work.handle, work.give_up)})):
        await until(rows(owner_url, lambda kept: kept == []))
    assert work.tried == 2
    assert work.given_up == [(actor.organization_id, "it", "LookupError('not there')")]


async def test_dead_if_it_cannot_be_given_up(database: Database, owner_url: str) -> None:
    """If giving up fails too the job is dead, with that error, where operators find it."""
    actor, work = await organization(database), Hopeless(give_up_fails=True)
    await enqueue(database, actor, 1)
    async with serving(JobRunner(database, {Work.KIND: Handler(Work, work.handle, work.give_up)})):
        await until(rows(owner_url, lambda kept: kept == [("dead", "RuntimeError: cannot be recorded either")]))
    assert (work.tried, len(work.given_up)) == (1, 1)


async def test_dead_without_a_way_to_give_up(database: Database, owner_url: str) -> None:
    """A kind of job that does not say what to do then is dead, with its last error."""
    actor, work = await organization(database), Hopeless()
    await enqueue(database, actor, 1)
    async with serving(JobRunner(database, {Work.KIND: Handler(Work, work.handle)})):
        await until(rows(owner_url, lambda kept: kept == [("dead", "LookupError: not there")]))
    assert work.given_up == []
