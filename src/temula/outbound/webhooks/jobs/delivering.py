"""The loops around the core: queues are taken, what is due is loaded, tried, and recorded, all in batches."""

import asyncio
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from contextlib import suppress

import structlog

from temula.kernel.addresses import AddressPolicy
from temula.kernel.crypto import KeyRing
from temula.kernel.database import Database, UnitOfWork
from temula.kernel.errors import TemulaError
from temula.kernel.ids import DELIVERY_ATTEMPT, EndpointId, OrganizationId
from temula.outbound.webhooks import store
from temula.outbound.webhooks.jobs.recording import Line, Recorder
from temula.outbound.webhooks.jobs.sending import Opened, Ready, Said, Transport, Tried, Trying
from temula.outbound.webhooks.model import CLOSED_TOPIC, DEADLINE, STALE_TOPIC, TOPIC, Held, Waiting
from temula.outbound.webhooks.model.engine import Engine, Start

log = structlog.get_logger()
LEASE = 30.0  # renewed each third of it; nothing begins whose deadline is later than its lease
PLACES = 256
LINES = 2  # of recording: while one waits for its commit, the other makes its batch
UNRECORDED = 2000  # what would be sent again if the worker died now is so much at most, and what is under way
TICK = 0.02  # how exactly a rate is kept
KEEP_EVERY = 1.0
LINGER = 2.0  # how long a queue that has run empty is kept, so that a steady trickle does not take it again each time
MESSAGES = 4096
GRACE = 5.0


class Deliverer:
    """One worker: at most `places` attempts at once, over queues that it holds by lease."""

    def __init__(
        self, database: Database, transport: Transport, ring: KeyRing, policy: AddressPolicy, *, places: int = PLACES
    ) -> None:
        self._database = database
        self._clock = database.clock
        self._ring = ring
        self._engine: Engine[Ready] = Engine(places)
        self._transport = transport
        self._policy = policy
        self._recorder = Recorder(database)
        self._lines = [Line(self._recorder, self._recorded) for _ in range(LINES)]
        self._opened: dict[str, Opened] = {}
        self._said: OrderedDict[str, Said] = OrderedDict()
        self._quiet = asyncio.Event()  # nothing is under way any more
        self._stale = asyncio.Event()
        self._low = asyncio.Event()  # some queue has few ready
        self._passing: float | None = None  # when the next pass is
        self._touched: dict[str, None] = {}  # endpoints at which attempts have ended since the last pass
        self._everywhere = False  # places were short
        self._held_up = False  # until more is recorded
        self._stopping = False
        self._missing: set[int] = set()

    async def serve(self, stop: asyncio.Event, *, poll: float = 1.0) -> None:
        """Deliver until `stop` is set, then let what is being sent end; no trouble of the database ends it."""
        bell = self._database.bell
        rung, closed, self._stale = (bell.subscribe(topic) for topic in (TOPIC, CLOSED_TOPIC, STALE_TOPIC))
        all_sent, all_written = asyncio.Event(), asyncio.Event()
        recording = [asyncio.create_task(line.serve(all_sent)) for line in self._lines]
        keeping = asyncio.create_task(self._keep_all(all_written))
        try:
            while not stop.is_set():
                more = await self._look_once(closed)
                if not more:
                    await _first((rung, closed, self._low, stop), poll)
                if rung.is_set() or not self._low.is_set():
                    self._engine.look_again()
                rung.clear()
                self._low.clear()
        finally:
            bell.unsubscribe(TOPIC, rung)
            bell.unsubscribe(CLOSED_TOPIC, closed)
            self._stopping = True
            self._quiet.clear()
            if self._engine.under_way:
                with suppress(TimeoutError):
                    async with asyncio.timeout(DEADLINE + GRACE):
                        await self._quiet.wait()
            bell.unsubscribe(STALE_TOPIC, self._stale)
            all_sent.set()
            await asyncio.gather(*recording)
            all_written.set()
            await keeping

    async def _look_once(self, closed: asyncio.Event) -> bool:
        """Take queues and load what is due; tell whether there may be more at once."""
        if self._stale.is_set():
            self._forget_loaded()
        try:
            async with self._database.crossing("claiming due deliveries") as uow:
                if closed.is_set():
                    closed.clear()
                    for one in await store.closed_queues(uow, self._database.bell.presence):
                        if one.endpoint_id in self._engine.turns:
                            self._engine.forget_ready(one.endpoint_id)
                await self._take(uow)
            # Apart, because what is loaded is much: a worker that stands still while PostgreSQL sends it would keep the
            # locks on what it took, and no timeout ends that.
            async with self._database.crossing("loading due deliveries") as uow:
                found = await self._load(uow)
        except TemulaError as error:
            log.warning("deliveries.claim_failed", code=error.code)
            return False
        except Exception:
            log.exception("deliveries.claim_failed")
            return False
        self._everywhere = True
        self._pass()
        return bool(found) and bool(self._engine.wanted())

    def _forget_loaded(self) -> None:
        """What is loaded of messages and deliveries may not be true any more, and is read anew."""
        self._stale.clear()
        self._said.clear()
        for endpoint_id in self._engine.turns:
            self._engine.forget_ready(endpoint_id)

    async def _take(self, uow: UnitOfWork) -> None:
        until, now = uow.now.timestamp() + LEASE, self._clock.monotonic()
        if (room := self._engine.room) > 0:
            for held in await store.take_queues(uow, self._database.bell.presence, LEASE, room):
                turn = self._engine.turns.get(held.endpoint_id)
                if turn is not None and turn.fence == held.fence:  # our own lease had run out
                    turn.leased_until = until
                    continue
                if turn is not None:
                    self._engine.drop(held.endpoint_id)
                self._engine.hold(held.organization_id, held.endpoint_id, held.fence, until, now)

    async def _load(self, uow: UnitOfWork) -> list[Waiting]:
        wanted = self._engine.wanted()
        if not wanted:
            return []
        turns = self._engine.turns
        held = self._held(wanted)
        loaded = [delivery_id for one in wanted for delivery_id in turns[one].held]
        found = await store.load(uow, held, wanted, loaded)
        await self._learn(uow, found)
        by_endpoint: dict[str, list[Ready]] = {one: [] for one in wanted}
        for delivery in found:
            if (said := self._said.get(delivery.message_id)) is not None:
                by_endpoint[delivery.endpoint_id].append(Ready(delivery, said))
        while len(self._said) > MESSAGES:
            self._said.popitem(last=False)
        for endpoint_id, deliveries in by_endpoint.items():
            if endpoint_id in turns:
                self._engine.loaded(endpoint_id, deliveries, wanted[endpoint_id])
        return found

    async def _learn(self, uow: UnitOfWork, found: Sequence[Waiting]) -> None:
        """Know the endpoints and messages of what is found."""
        versions = {one.endpoint_id: one for one in found}
        changed = [
            (one.organization_id, one.endpoint_id)
            for one in versions.values()
            if (known := self._opened.get(one.endpoint_id)) is None or known.target.version != one.version
        ]
        now = self._clock.monotonic()
        for target in await store.targets(uow, sorted(changed)) if changed else ():
            try:
                self._opened[target.id] = Opened(target, self._ring, self._transport, self._policy)
                self._recorder.is_failing(target.id, target.failures)
            except Exception:
                # Its queue is kept until the lease runs out, and then looked at again; the others go on.
                log.exception("delivery.failed", endpoint=target.id)
                self._opened.pop(target.id, None)
                self._engine.drop(target.id)
        for endpoint_id in versions:
            turn = self._engine.turns.get(endpoint_id)
            if turn is not None and turn.version != (target := self._opened[endpoint_id].target).version:
                turn.version = target.version
                self._engine.limit(
                    endpoint_id, cap=target.max_concurrency, rate=target.rate_limit, failures=target.failures, now=now
                )
        said, unknown = self._said, {}
        for one in found:
            if one.message_id in said:
                said.move_to_end(one.message_id)
            else:
                unknown[one.message_id] = one.organization_id
        if unknown:
            for message in await store.said(uow, sorted(zip(unknown.values(), unknown, strict=True))):
                said[message.id] = Said(message)

    def _pass_soon(self, seconds: float = 0.0) -> None:
        loop, at = asyncio.get_running_loop(), self._clock.monotonic() + seconds
        if self._passing is None or at < self._passing:
            self._passing = at
            if seconds:
                loop.call_later(seconds, self._pass)
            else:
                loop.call_soon(self._pass)

    def _pass(self) -> None:
        """Begin what may begin: where attempts have ended, or everywhere if places were what it waited for."""
        self._passing = None
        if self._stopping:
            return
        if sum(len(line) for line in self._lines) > UNRECORDED:
            self._everywhere = self._held_up = True
            return
        engine, now = self._engine, self._clock.monotonic()
        touched, everywhere = self._touched, self._everywhere
        self._touched, self._everywhere = {}, False
        only = None if everywhere else touched
        self._start(list(engine.start(now, self._clock.now().timestamp() + DEADLINE, only=only)))
        if any(engine.is_low(one) for one in touched):
            self._low.set()
        if (at := engine.next_start(now, only=only)) is not None:
            self._touched.update(touched)
            self._everywhere |= everywhere
            self._pass_soon(max(TICK, at - now))

    def _start(self, starts: Sequence[Start[Ready]]) -> None:
        at = self._clock.now()
        ids = DELIVERY_ATTEMPT.many(at, len(starts))
        for identifier, (endpoint_id, ready) in zip(ids, starts, strict=True):
            fence, opened = self._engine.turns[endpoint_id].fence, self._opened[endpoint_id]
            try:
                Trying(identifier, ready, fence, opened, at, self._ended)
            except Exception:
                # Nothing is recorded: the delivery is loaded again once its queue is taken anew.
                log.exception("delivery.failed", delivery=ready.id)
                self._ended(ready, None)

    def _ended(self, ready: Ready, tried: Tried | None) -> None:
        engine, now, endpoint_id = self._engine, self._clock.monotonic(), ready.delivery.endpoint_id
        if engine.is_full:
            self._everywhere = True
        self._touched[endpoint_id] = None
        if tried is None:
            engine.ended(ready, succeeded=False, seconds=0.0, asked=None, now=now)
        else:
            asked = None if tried.succeeded else tried.asked
            engine.ended(ready, succeeded=tried.succeeded, seconds=tried.seconds, asked=asked, now=now)
            self._lines[hash(endpoint_id) % LINES].add(tried)
        if not engine.under_way:
            self._quiet.set()
        if self._passing is None or now < self._passing:
            self._pass_soon()

    def _recorded(self, batch: Sequence[Tried]) -> None:
        for one in batch:
            self._engine.recorded(one.delivery.endpoint_id, one.delivery.id)
        if ordered := {one.delivery.endpoint_id for one in batch if one.delivery.order_key is not None}:
            self._engine.look_again(only=ordered)  # what waited for these may go
            self._low.set()
        if self._held_up:
            self._held_up = False
            self._pass_soon()

    async def _keep_all(self, ended: asyncio.Event) -> None:
        """Renew leases, take over from the dead, give back what has run empty; all of it at the end."""
        while not ended.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(KEEP_EVERY):
                    await ended.wait()
            try:
                await self._keep()
                await self._give_back(self._engine.idle(self._clock.monotonic(), LINGER))
            except TemulaError as error:
                log.warning("deliveries.keep_failed", code=error.code)
            except Exception:
                log.exception("deliveries.keep_failed")
        with suppress(TemulaError):
            await self._give_back(list(self._engine.turns))

    async def _keep(self) -> None:
        now = self._clock.now().timestamp()
        old = [one for one, turn in self._engine.turns.items() if turn.leased_until - now < LEASE * 2 / 3]
        due = self._held(old)
        async with self._database.crossing("keeping the queues of deliveries") as uow:
            missing = await store.missing(uow)
            # One whose connection was lost makes it anew at once: only who is missing a second later is dead.
            if dead := missing & self._missing:
                await store.free_queues_of(uow, dead)
            self._missing = missing
            kept = {one.endpoint_id for one in await store.keep_queues(uow, due, LEASE)} if due else set()
            until = uow.now.timestamp() + LEASE
        for one in due:
            turn = self._engine.turns.get(one.endpoint_id)
            if turn is None or turn.fence != one.fence:
                continue
            if one.endpoint_id in kept:
                turn.leased_until = until
            else:
                self._engine.drop(one.endpoint_id)

    def _held(self, endpoint_ids: Iterable[str]) -> list[Held]:
        turns = self._engine.turns
        return [
            Held(OrganizationId(turns[one].organization_id), EndpointId(one), turns[one].fence) for one in endpoint_ids
        ]

    async def _give_back(self, endpoint_ids: Sequence[str]) -> None:
        held = self._held(endpoint_ids)
        for one in held:
            self._engine.drop(one.endpoint_id)
        if held:
            async with self._database.crossing("giving queues of deliveries back") as uow:
                await store.give_queues_back(uow, held)


async def _first(events: tuple[asyncio.Event, ...], seconds: float) -> None:
    """Wait until one of the events is set, or so many seconds."""
    waiting = [asyncio.ensure_future(event.wait()) for event in events]
    _, pending = await asyncio.wait(waiting, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    for one in pending:
        one.cancel()
