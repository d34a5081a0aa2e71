"""Replays go on in steps: each is one transaction that adds what it found and writes where the next begins.

Nobody holds a replay. Whoever finds a step due locks its row, takes it, and lets go with the commit; one who dies in
the middle has done nothing, and the next who looks takes the same step. Nothing is lost or added twice, whoever dies.
"""

import asyncio
from datetime import datetime, timedelta

import msgspec
import structlog

from temula.kernel.bell import wait
from temula.kernel.database import Database, UnitOfWork
from temula.kernel.errors import TemulaError
from temula.kernel.facts import Position
from temula.kernel.ids import DELIVERY
from temula.kernel.tenancy import system
from temula.outbound.webhooks import store
from temula.outbound.webhooks.model import (
    BULK,
    REPLAYS_TOPIC,
    STALE_TOPIC,
    TICK,
    TOPIC,
    Chosen,
    EndpointState,
    Part,
    PartState,
    Replay,
    ReplayKind,
    Subscription,
    feed,
    refill,
)
from temula.outbound.webhooks.service.choosing import choose

log = structlog.get_logger()
AT_ONCE = 4
SEEN = 64
REMOVED = 5000
LOOK_AGAIN = 1.0  # at an endpoint that takes nothing now
SETTLES, DRAINS, DRAINS_LONGEST = 0.1, 0.5, 60.0
AFTER_TROUBLE = 10.0
SETTLED = timedelta(days=2)  # what was under way has ended, and what was hurried has been retried for its day


class Replayer:
    """Takes the steps of all replays, beside others that do the same."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def serve(self, stop: asyncio.Event, *, poll: float = 1.0) -> None:
        """Take steps until `stop` is set; no trouble of the database ends it."""
        ring = self._database.bell.subscribe(REPLAYS_TOPIC)
        try:
            while not stop.is_set():
                if (seconds := await self._look(poll)) > 0:
                    await wait(ring, min(poll, seconds))
        finally:
            self._database.bell.unsubscribe(REPLAYS_TOPIC, ring)

    async def _look(self, poll: float) -> float:
        """Take the steps that are due first; give in how many seconds the next one is."""
        try:
            async with self._database.crossing("looking for steps of replays") as uow:
                parts = await store.next_parts(uow, SEEN)
                fanned_out = await store.fanned_out(uow)
            due = [part for part in parts if part.step_at <= uow.now][:AT_ONCE]
            await asyncio.gather(*(self._take(part, fanned_out) for part in due))
        except TemulaError as error:
            log.warning("replays.look_failed", code=error.code)
            return poll
        if due:
            return 0.0
        return (parts[0].step_at - uow.now).total_seconds() if parts else poll

    async def _take(self, part: Part, fanned_out: Position) -> None:
        actor = system("webhooks", part.organization_id)
        try:
            await self._database.run(actor, lambda uow: self._step(uow, part, fanned_out))
        except TemulaError as error:
            log.warning("replay.step_failed", replay=part.replay_id, code=error.code)
            await self._put_off(part)
        except Exception:
            log.exception("replay.step_failed", replay=part.replay_id, endpoint=part.endpoint_id)
            await self._put_off(part)

    async def _put_off(self, part: Part) -> None:
        """Let the others go first."""

        async def work(uow: UnitOfWork) -> None:
            if (taken := await store.take_part(uow, part)) is not None:
                await store.keep_part(uow, _at(taken, uow.now, AFTER_TROUBLE))

        await self._database.run(system("webhooks", part.organization_id), work)

    async def _step(self, uow: UnitOfWork, seen: Part, fanned_out: Position) -> None:
        part, replay = await store.take_part(uow, seen), await store.replay(uow, seen.replay_id)
        if part is None or replay is None:
            return
        endpoint = await store.subscription(uow, part.endpoint_id, share=True)
        if part.state == PartState.REMOVING:
            more = await store.remove_some(uow, part, replay.created_at, REMOVED)
            uow.ring(STALE_TOPIC)
            uow.ring(TOPIC)
            after = _at(part, uow.now, TICK if more else 0.0, PartState.REMOVING if more else PartState.OVER)
        elif endpoint is None:  # with the endpoint went what waited for it
            after = _at(part, uow.now, 0.0, PartState.OVER)
        elif part.state == PartState.COUNTING:
            after = await self._count(uow, replay, part, endpoint, fanned_out)
        elif part.state == PartState.SENDING:
            after = await self._send(uow, replay, part, endpoint)
        else:
            after = await _drained(uow, part)
        await store.keep_part(uow, after)
        if after.state == PartState.OVER:
            await store.finish(uow, part.replay_id)

    async def _count(
        self, uow: UnitOfWork, replay: Replay, part: Part, endpoint: Subscription, fanned_out: Position
    ) -> Part:
        missing = replay.kind == ReplayKind.MISSING
        if missing and not part.looked_to and not await store.settled(uow, replay.horizon, fanned_out):
            return _at(part, uow.now, SETTLES)
        found = await choose(uow, replay, endpoint, part.looked_to)
        counted = msgspec.structs.replace(part, matched=part.matched + len(found.chosen), looked_to=found.looked_to)
        if not found.ended:
            return _at(counted, uow.now, 0.0)
        state = PartState.SENDING if counted.matched else PartState.OVER
        return _at(msgspec.structs.replace(counted, looked_to=""), uow.now, 0.0, state)

    async def _send(self, uow: UnitOfWork, replay: Replay, part: Part, endpoint: Subscription) -> Part:
        if endpoint.state != EndpointState.ENABLED:
            return _at(part, uow.now, LOOK_AGAIN)
        await store.alone(uow, endpoint.id)
        standing = await store.standing(uow, part, timedelta(seconds=TICK))
        number, left = feed(replay.rate, part.allowance, (uow.now - part.fed_at).total_seconds(), standing)
        part = msgspec.structs.replace(part, allowance=left, fed_at=uow.now)
        if number <= 0:
            return _at(part, uow.now, _until_one(replay.rate, left))
        found = await choose(uow, replay, endpoint, part.looked_to, limit=number)
        added = await _add(uow, part, found.chosen)
        part = msgspec.structs.replace(
            part, added=part.added + added, allowance=left - added, looked_to=found.looked_to
        )
        if found.ended:
            return _at(msgspec.structs.replace(part, matched=part.added), uow.now, TICK, PartState.DRAINING)
        full = replay.rate is not None and added == number
        return _at(part, uow.now, TICK if full else 0.0)


def _until_one(rate: int | None, allowance: float) -> float:
    return TICK if rate is None else max(TICK, (1.0 - allowance) / refill(rate))


async def _add(uow: UnitOfWork, part: Part, chosen: list[Chosen]) -> int:
    """Put what was chosen into the endpoint's queue, behind everything else."""
    wanted = [
        store.Wanted(
            part.organization_id, DELIVERY.new(uow.now), part.endpoint_id, one.message_id, one.type, BULK,
            one.order_key, part.replay_id,
        )
        for one in chosen
        if one.waits is None
    ]  # fmt: skip
    hurried = await store.hurry(uow, part, [one.waits for one in chosen if one.waits is not None])
    added = await store.add_deliveries(uow, wanted)
    if added or hurried:
        uow.ring(TOPIC)
    return added + hurried


async def _drained(uow: UnitOfWork, part: Part) -> Part:
    """All is added: it is over when nothing of it waits any more, retries neither."""
    standing = await store.standing(uow, part, timedelta())
    if not standing.waiting:
        return _at(part, uow.now, 0.0, PartState.OVER)
    seconds = DRAINS
    if standing.first is not None and standing.first > uow.now:
        seconds = min(DRAINS_LONGEST, max(DRAINS, (standing.first - uow.now).total_seconds()))
    return _at(part, uow.now, seconds)


def _at(part: Part, now: datetime, seconds: float, state: PartState | None = None) -> Part:
    """Say when the next step is, and what it does."""
    return msgspec.structs.replace(part, step_at=now + timedelta(seconds=seconds), state=state or part.state)


async def settle_replays(database: Database) -> None:
    """Write down what came of replays that were cut short, once nothing of them can come any more."""
    more = True
    while more:
        async with database.crossing("counting what came of replays") as uow:
            more = await store.settle_one(uow, uow.now - SETTLED)


async def forget_replays(database: Database, before: datetime) -> None:
    """Remove replays that ended before a time."""
    async with database.crossing("removing old replays") as uow:
        await store.forget_replays(uow, before)
