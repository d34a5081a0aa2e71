"""What came of attempts is written in batches: deliveries, the log, its counts, and the health of endpoints."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import date, datetime, timedelta

import msgspec
import structlog

from temula.kernel.database import Database, UnitOfWork
from temula.kernel.errors import TemulaError
from temula.kernel.tenancy import system
from temula.outbound.webhooks import store
from temula.outbound.webhooks.jobs.sending import Tried
from temula.outbound.webhooks.model import (
    WARN_AT,
    Attempt,
    Endpoint,
    EndpointDisabled,
    EndpointFailing,
    EndpointState,
    Health,
    Outcome,
    counted,
    next_wait,
)

log = structlog.get_logger()
BATCH = 1000
PAUSE = 0.2  # before what could not be recorded is tried again


class Recorder:
    """Writes what is tried; an endpoint that fails, or failed before, has a transaction of its own."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._days: set[date] = set()
        self._failing: set[str] = set()

    def is_failing(self, endpoint_id: str, failures: int) -> None:
        """Learn what an endpoint has come to, from its row."""
        (self._failing.add if failures else self._failing.discard)(endpoint_id)

    async def record(self, batch: Sequence[Tried]) -> None:
        """Write a batch; raises if the database cannot be reached, and then it is to be tried again as a whole.

        What was written the first time changes nothing the second time.
        """
        await self._make_days(batch)
        calm: list[Tried] = []
        troubled: dict[str, list[Tried]] = defaultdict(list)
        for one in batch:
            endpoint_id = one.delivery.endpoint_id
            if not one.succeeded:
                self._failing.add(endpoint_id)
            if endpoint_id in self._failing:
                troubled[endpoint_id].append(one)
            else:
                calm.append(one)
        if calm and not await self._record_delivered(calm):
            async with self._database.crossing("recording deliveries") as uow:
                await _write(uow, [(one, None) for one in calm])
        for troubled_id, tried in troubled.items():
            await self._record_troubled(troubled_id, tried)

    async def _record_delivered(self, calm: Sequence[Tried]) -> bool:
        """Write what has succeeded in one go, unless some of it does not count any more: then nothing is written."""
        fences = {one.delivery.endpoint_id: one.fence for one in calm}
        if any(fences[one.delivery.endpoint_id] != one.fence for one in calm):
            return False
        attempts = [one.attempt for one in calm]
        with suppress(_SomeAreLost):
            async with self._database.crossing("recording deliveries") as uow:
                _require_all(await store.add_delivered(uow, attempts, fences), attempts)
                await store.count_hours(uow, counted(attempts))
            return True
        return False

    async def _record_troubled(self, endpoint_id: str, tried: list[Tried]) -> None:
        async def work(uow: UnitOfWork) -> int:
            endpoint = await store.lock(uow, endpoint_id)
            if endpoint is None:
                await _write(uow, [(_with(one, Outcome.GONE), None) for one in tried if not one.succeeded])
                return 0
            decided = [_decided(one, uow.now) for one in tried]
            kept = await _write(uow, decided)
            return await _count(uow, endpoint, [one for one in tried if one.delivery.id in kept])

        organization_id = tried[0].delivery.organization_id
        self.is_failing(endpoint_id, await self._database.run(system("webhooks", organization_id), work))

    async def _make_days(self, batch: Sequence[Tried]) -> None:
        for day in {one.attempt.at.date() for one in batch} - self._days:
            async with self._database.crossing("making the log's next partition") as uow:
                await store.make_day(uow, day)
            self._days.add(day)


class _SomeAreLost(Exception):
    """Not every outcome counts: the transaction is rolled back, and each is looked at."""


def _require_all(number: int, attempts: Sequence[Attempt]) -> None:
    if number < len(attempts):
        raise _SomeAreLost


def _with(tried: Tried, outcome: Outcome) -> Tried:
    return msgspec.structs.replace(tried, attempt=msgspec.structs.replace(tried.attempt, outcome=outcome))


def _decided(tried: Tried, now: datetime) -> tuple[Tried, datetime | None]:
    """Say when a delivery is tried again; None if it is over."""
    if tried.succeeded:
        return tried, None
    wait = next_wait(tried.attempt.number, tried.retry_after)
    if wait is None:
        return _with(tried, Outcome.EXHAUSTED), None
    return tried, now + timedelta(seconds=wait)


async def _write(uow: UnitOfWork, decided: Sequence[tuple[Tried, datetime | None]]) -> set[str]:
    """Write outcomes under their fences, and log those that count; give the deliveries of these."""
    settled = [
        store.Settled(
            one.delivery.organization_id, one.delivery.id, one.delivery.endpoint_id, one.fence, one.delivery.attempts,
            next_at,
        )
        for one, next_at in decided
    ]  # fmt: skip
    if not settled:
        return set()
    kept = await store.settle(uow, settled)
    attempts = [one.attempt for one, _ in decided if one.delivery.id in kept]
    if len(kept) < len(settled):
        log.warning("deliveries.lost", number=len(settled) - len(kept))
        lost = [(one, wanted) for (one, _), wanted in zip(decided, settled, strict=True) if wanted.id not in kept]
        attempts += await _stray(uow, lost)
    if attempts:
        await store.add_attempts(uow, attempts)
        await store.count_hours(uow, counted(attempts))
    return kept


async def _stray(uow: UnitOfWork, lost: Sequence[tuple[Tried, store.Settled]]) -> list[Attempt]:
    """Give attempts that were made though what they were for was taken back meanwhile: they are logged all the same."""
    stray = await store.stray(uow, [settled for _, settled in lost], [one.attempt for one, _ in lost])
    return [
        one.attempt if one.succeeded else _with(one, Outcome.GONE).attempt
        for one, _ in lost
        if one.delivery.id in stray
    ]


async def _count(uow: UnitOfWork, endpoint: Endpoint, tried: Sequence[Tried]) -> int:
    """Count attempts against their endpoint, warn of it, disable it; give how many have failed in a row."""
    if endpoint.state != EndpointState.ENABLED:
        return endpoint.failures
    health, reason = Health(endpoint.failures, endpoint.failing_since), None
    for one in tried:
        attempt = one.attempt
        health = health.after(attempt.at, succeeded=attempt.succeeded)
        if attempt.succeeded:
            continue
        reason = reason or health.reason_to_disable(attempt.status, attempt.error, uow.now)
        if health.failures in WARN_AT and reason is None:
            last = attempt.error or f"status {attempt.status}"
            uow.tell(EndpointFailing(endpoint_id=endpoint.id, failures=health.failures, last=last))
    if reason is not None:
        disabled = msgspec.structs.replace(
            endpoint, state=EndpointState.DISABLED, state_reason=reason, failures=health.failures,
            failing_since=health.since,
        )  # fmt: skip
        await store.update(uow, disabled)
        await store.sleep(uow, endpoint.id)
        uow.tell(EndpointDisabled(endpoint_id=endpoint.id, reason=reason))
        uow.audit("webhook_endpoint.disable", endpoint.id, {"reason": reason})
    elif health != Health(endpoint.failures, endpoint.failing_since):
        await store.note_health(uow, endpoint.id, health)
    return health.failures


class Line:
    """Outcomes in the order in which they came, recorded in batches; those of one endpoint stand in one line."""

    def __init__(self, recorder: Recorder, recorded: Callable[[Sequence[Tried]], None]) -> None:
        self._recorder = recorder
        self._recorded = recorded
        self._waiting: list[Tried] = []
        self._taken = 0
        self._some = asyncio.Event()

    def __len__(self) -> int:
        return len(self._waiting) + self._taken

    def add(self, tried: Tried) -> None:
        """Put an outcome at the end."""
        self._waiting.append(tried)
        self._some.set()

    async def serve(self, ended: asyncio.Event) -> None:
        """Record until `ended` is set and nothing is left, or the database cannot be reached then."""
        ending = asyncio.create_task(ended.wait())
        ending.add_done_callback(lambda _: self._some.set())
        while not ended.is_set() or self._waiting:
            await self._some.wait()
            self._some.clear()
            while self._waiting:
                batch, self._waiting = self._waiting[:BATCH], self._waiting[BATCH:]
                self._taken = len(batch)
                if await self._record(batch):
                    self._taken = 0
                    self._recorded(batch)
                elif not ended.is_set():
                    await asyncio.sleep(PAUSE)
                    self._waiting = batch + self._waiting
                self._taken = 0

    async def _record(self, batch: Sequence[Tried]) -> bool:
        """Write a batch; false if the database cannot be reached."""
        try:
            try:
                await self._recorder.record(batch)
            except TemulaError:
                raise
            except Exception:
                log.exception("deliveries.unrecordable", number=len(batch))
                await self._record_apart(batch)
        except TemulaError as error:
            log.warning("deliveries.record_failed", code=error.code, number=len(batch))
            return False
        except Exception:
            log.exception("delivery.given_up", number=len(batch))
        return True

    async def _record_apart(self, batch: Sequence[Tried]) -> None:
        """Record one by one what cannot be recorded together, without its answer if that is what cannot be stored."""
        for one in batch:
            try:
                await self._recorder.record([one])
            except TemulaError:
                raise
            except Exception:
                log.exception("delivery.unrecordable", delivery=one.delivery.id)
                bare = msgspec.structs.replace(one.attempt, response_headers=None, response_body=None)
                await self._recorder.record([msgspec.structs.replace(one, attempt=bare)])
