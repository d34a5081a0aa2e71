"""Runs jobs: claims due ones by lease, renews the lease while a handler works, records the outcome under a fence."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any, Generic, NamedTuple, TypeVar

import msgspec
import structlog
from croniter import croniter

from temula.kernel import jobs
from temula.kernel.bell import wait
from temula.kernel.database import Database
from temula.kernel.errors import TemulaError
from temula.kernel.tenancy import Actor, system

log = structlog.get_logger()

J = TypeVar("J", bound=jobs.Job)


class Handler(NamedTuple, Generic[J]):
    """What runs a kind of job: the type its payload decodes into, and the function.

    `give_up` is for work that may not end as a dead job nobody reads: after the last try failed it is called with what
    failed, records it where its reader looks, and the job is done. If it fails too, or there is none, the job is dead.
    """

    job: type[J]
    handle: Callable[[Actor, J], Awaitable[None]]
    give_up: Callable[[Actor, J, Exception], Awaitable[None]] | None = None


AnyHandler = Handler[Any]


class Timed(NamedTuple):
    """A job enqueued by the clock: `cron` is a five-field expression (UTC), or six with seconds last."""

    name: str
    cron: str
    job: jobs.Job


class JobRunner:
    """One worker's loop over the job table."""

    def __init__(self, database: Database, handlers: Mapping[str, AnyHandler], *, at_once: int = 32) -> None:
        self._database = database
        self._handlers = handlers
        self._at_once = at_once
        self._running: set[asyncio.Task[None]] = set()
        self._done: list[jobs.Claimed] = []
        self._recording = asyncio.Lock()

    async def serve(self, stop: asyncio.Event, *, poll: float = 1.0) -> None:
        """Run jobs until `stop` is set, then let the running ones end."""
        ring = self._database.bell.subscribe(jobs.TOPIC)
        try:
            while not stop.is_set():
                if not await self._claim_some():
                    await wait(ring, poll)
        finally:
            self._database.bell.unsubscribe(jobs.TOPIC, ring)
            if self._running:
                await asyncio.wait(self._running, timeout=20)

    async def _claim_some(self) -> bool:
        """Claim as many jobs as there is room for; tell whether there may be more."""
        if len(self._running) >= self._at_once:
            await asyncio.wait(self._running, return_when=asyncio.FIRST_COMPLETED)
            async with self._recording:  # those that are being recorded make room in a moment: claim for them too
                pass
            return True
        room = self._at_once - len(self._running)
        try:
            async with self._database.crossing("claiming due jobs") as uow:
                claimed = await uow.rows(jobs.Claimed, jobs.CLAIM, room, jobs.LEASE, uow.now)
        except TemulaError as error:
            log.warning("jobs.claim_failed", code=error.code)
            return False
        for job in claimed:
            if job.dead:
                log.error("job.dead", kind=job.kind, job=job.id, tries=job.tries - 1)
                continue
            task = asyncio.create_task(self._run(job), name=f"job {job.id}")
            self._running.add(task)
            task.add_done_callback(self._running.discard)
        return bool(claimed)

    async def _run(self, claimed: jobs.Claimed) -> None:
        renewing = asyncio.create_task(self._renew(claimed))
        try:
            handler = self._handlers[claimed.kind]
            job = msgspec.json.decode(claimed.payload, type=handler.job)
            await _handle(handler, system(f"job:{claimed.kind}", claimed.organization_id), job, last=claimed.last)
        except Exception as error:  # noqa: BLE001 - whatever a handler raises is recorded and retried
            await self._failed(claimed, error)
        else:
            await self._finished(claimed)
        finally:
            renewing.cancel()

    async def _finished(self, claimed: jobs.Claimed) -> None:
        """Record that a job is done, together with those that are done while an earlier record is being written."""
        self._done.append(claimed)
        async with self._recording:
            done, self._done = self._done, []
            if not done:  # somebody before us has recorded ours
                return
            outcomes = ([one.organization_id for one in done], [one.id for one in done], [one.tries for one in done])
            with suppress(TemulaError):  # the leases run out and the jobs, written to run twice, run again
                async with self._database.crossing("jobs are done") as uow:
                    await uow.run(jobs.FINISH, *outcomes)

    async def _renew(self, claimed: jobs.Claimed) -> None:
        while True:
            await self._database.clock.sleep(jobs.LEASE / 3)
            with suppress(TemulaError):
                async with self._database.crossing("a job is still running") as uow:
                    await uow.run(jobs.RENEW, claimed.organization_id, claimed.id, claimed.tries, jobs.LEASE, uow.now)

    async def _failed(self, claimed: jobs.Claimed, error: Exception) -> None:
        text = f"{type(error).__name__}: {error}"[:1000]
        log.warning("job.failed", kind=claimed.kind, job=claimed.id, tries=claimed.tries, error=text)
        with suppress(TemulaError):
            async with self._database.crossing("a job failed") as uow:
                await uow.run(
                    jobs.FAIL, claimed.organization_id, claimed.id, claimed.tries,
                    jobs.wait_before(claimed.tries), text, uow.now,
                )  # fmt: skip


async def _handle(handler: AnyHandler, actor: Actor, job: jobs.Job, *, last: bool) -> None:
    try:
        await handler.handle(actor, job)
    except Exception as error:
        if not last or handler.give_up is None:
            raise
        log.warning("job.given_up", kind=job.KIND, error=f"{type(error).__name__}: {error}"[:1000])
        await handler.give_up(actor, job, error)


class Scheduler:
    """Enqueues timed jobs; any number of schedulers may run, each tick happens once."""

    def __init__(self, database: Database, timed: tuple[Timed, ...], platform: Actor) -> None:
        self._database = database
        self._timed = timed
        self._platform = platform

    async def serve(self, stop: asyncio.Event, *, poll: float = 1.0) -> None:
        """Tick until `stop` is set."""
        while not stop.is_set():
            try:
                await self.tick()
            except TemulaError as error:
                log.warning("scheduler.tick_failed", code=error.code)
            with suppress(TimeoutError):
                async with asyncio.timeout(poll):
                    await stop.wait()

    async def tick(self) -> int:
        """Enqueue every timed job that is due; give how many."""
        enqueued = 0
        async with self._database.unit(self._platform) as uow:
            for timed in self._timed:
                following = _following(timed.cron, uow.now)
                await uow.run(jobs.SCHEDULE, timed.name, uow.now)
                if await uow.run(jobs.TICK, timed.name, following, uow.now):
                    uow.enqueue(timed.job)
                    enqueued += 1
        return enqueued


def _following(cron: str, now: datetime) -> datetime:
    following: datetime = croniter(cron, now).get_next(datetime)
    return following
