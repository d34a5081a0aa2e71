"""A world in virtual time: workers that crash and stall, a database that goes away, receivers of every kind, a ledger.

Everything follows from one seed. The workers run the product's core (`Engine`, `Health`, `next_wait`); the loops around
it are played here step by step, so that something can go wrong between any two of them.
"""

import heapq
import itertools
import random
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from temula.outbound.webhooks.model import GONE, Outcome, next_wait
from temula.outbound.webhooks.model.engine import Engine
from tests.simulation.store import Endpoint, Logged, Row, Store, later

START = datetime(2026, 12, 1, 9, tzinfo=UTC)
LEASE, DEADLINE, LINGER = 30.0, 15.0, 2.0
FAULTS_END = 240.0
SETTLED_WITHIN = 200_000.0


@dataclass(slots=True)
class Arrival:
    """An attempt as the receiver saw it; `ended` is None while it is under way."""

    delivery_id: str
    endpoint_id: str
    worker: int
    number: int
    began: float
    ended: float | None = None
    succeeded: bool = False
    excused: bool = False  # something broke before it was recorded: it may be repeated though it arrived


@dataclass(slots=True)
class Tried:
    row: Row
    arrival: Arrival
    fence: int
    status: int | None
    began: float
    ended: float
    retry_after: float | None


class Worker:
    """One process: what it has in memory is lost when it crashes."""

    def __init__(self, world: "World", number: int, engine: Engine[Row]) -> None:
        self.world, self.number, self.engine = world, number, engine
        self.alive, self.stalled_until = True, 0.0
        self.tried: list[Tried] = []
        self.versions: dict[str, int] = {}
        self.recording = False
        self.under_way: dict[str, Arrival] = {}
        world.after(0.0, self.poll)
        world.after(1.0, self.keep)

    def when_up(self, act: Callable[[], None]) -> bool:
        """True if it can act now; what a stalled one would do it does later."""
        if self.alive and self.stalled_until > self.world.now:
            self.world.after(self.stalled_until - self.world.now, act)
            return False
        return self.alive

    def poll(self) -> None:
        """Each second, whether the bell has rung or not."""
        if self.when_up(self.poll):
            self.world.after(self.world.tick(), self.poll)
            self.rung()

    def rung(self) -> None:
        if self.when_up(self.rung):
            self.engine.look_again()
            self.look()

    def look(self) -> None:
        if not self.when_up(self.look) or not self.world.database_up():
            return
        world, engine, now = self.world, self.engine, self.world.now
        for endpoint_id, fence in world.store.take(world.at(), self.number, world.at(LEASE), engine.room):
            turn = engine.turns.get(endpoint_id)
            if turn is not None and turn.fence == fence:
                turn.leased_until = now + LEASE
                continue
            if turn is not None:
                engine.drop(endpoint_id)
            engine.hold("org", endpoint_id, fence, now + LEASE, now)
            self.versions.pop(endpoint_id, None)
        if world.answer_lost():  # taken, and not known: the lease runs out, or is taken back
            return
        wanted = engine.wanted()
        held = {one: engine.turns[one].fence for one in wanted}
        loaded = {one for endpoint_id in wanted for one in engine.turns[endpoint_id].held}
        found: dict[str, list[Row]] = {one: [] for one in wanted}
        for row in world.store.load(held, wanted, loaded, world.at()):
            found[row.endpoint_id].append(row)
        for endpoint_id, rows in found.items():
            self._learn(endpoint_id)
            engine.loaded(endpoint_id, rows, wanted[endpoint_id])
        self.start()

    def _learn(self, endpoint_id: str) -> None:
        endpoint = self.world.store.endpoints[endpoint_id]
        if self.versions.get(endpoint_id) != endpoint.version:
            self.versions[endpoint_id] = endpoint.version
            self.engine.limit(
                endpoint_id, cap=endpoint.cap, rate=endpoint.rate, failures=endpoint.health.failures, now=self.world.now
            )

    def start(self) -> None:
        if not self.when_up(self.start):
            return
        now = self.world.now
        for endpoint_id, row in list(self.engine.start(now, now + DEADLINE)):
            self.world.send(self, row, self.engine.turns[endpoint_id].fence)
        if (at := self.engine.next_start(now)) is not None:
            self.world.after(max(0.02, at - now), self.start)

    def ended(self, tried: Tried) -> None:
        if not self.when_up(lambda: self.ended(tried)):
            return
        succeeded = tried.status is not None and 200 <= tried.status < 300
        asked = float("inf") if tried.status == GONE else tried.retry_after if tried.status == 429 else None
        self.engine.ended(
            tried.row, succeeded=succeeded, seconds=tried.ended - tried.began, asked=asked, now=self.world.now
        )
        self.tried.append(tried)
        self.start()
        if self.engine.is_low(tried.row.endpoint_id):
            self.world.after(0.001, self.look)
        if not self.recording:
            self.recording = True
            self.world.after(self.world.chance.uniform(0.001, 0.05), self.record)

    def record(self) -> None:
        if not self.when_up(self.record):
            return
        self.recording = False
        if not self.world.database_up():
            self.recording = True
            for one in self.tried:
                one.arrival.excused = True
            self.world.after(0.2, self.record)
            return
        batch, again = self.tried, self.world.answer_lost()
        for one in batch:
            self.world.settle(one)
        if again:  # it was written and the answer was lost: the same once more
            self.recording = True
            self.world.after(0.2, self.record)
            return
        self.tried = []
        for one in batch:
            self.engine.recorded(one.row.endpoint_id, one.row.id)
        for endpoint_id in {one.row.endpoint_id for one in batch}:
            if not self.world.store.queues[endpoint_id].open and endpoint_id in self.engine.turns:
                self.engine.forget_ready(endpoint_id)  # the bell rings for a queue that was closed
        self.engine.look_again({one.row.endpoint_id for one in batch if one.row.order_key})
        self.world.after(0.001, self.look)

    def keep(self) -> None:
        if not self.when_up(self.keep):
            return
        self.world.after(self.world.tick(), self.keep)
        if not self.world.database_up():
            return
        world, engine, now = self.world, self.engine, self.world.now
        world.store.free_of_the_dead(world.living(), world.at())
        old = {one: turn.fence for one, turn in engine.turns.items() if turn.leased_until - now < LEASE * 2 / 3}
        kept = world.store.keep(old, world.at(LEASE))
        for one in old:
            if one in kept:
                engine.turns[one].leased_until = now + LEASE
            else:
                engine.drop(one)
        idle = engine.idle(now, LINGER)
        world.store.give_back({one: engine.turns[one].fence for one in idle})
        for one in idle:
            engine.drop(one)

    def excuse(self) -> None:
        """Something breaks: what is not recorded yet may be sent again."""
        for one in (*self.under_way.values(), *(tried.arrival for tried in self.tried)):
            one.excused = True


class World:
    """All of it. `run` ends when nothing waits any more, or gives up long after the faults have ended.

    `store` and `engine` are for worlds in which one of the rules is left out, to see that it is missed.
    """

    def __init__(self, seed: int, *, store: type[Store] = Store, engine: type[Engine[Row]] = Engine[Row]) -> None:
        self.chance = random.Random(seed)
        self._engine = engine
        self.now = 0.0
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()
        self.store = store({f"whe_{n}": self._endpoint() for n in range(self.chance.randint(1, 5))})
        self.kinds = {one: self.chance.choice(KINDS) for one in self.store.endpoints}
        self.ledger: list[Arrival] = []
        self.added: dict[str, Row] = {}
        self._outages = [self._span(20) for _ in range(self.chance.randint(0, 2))]
        self._answers_lost = self.chance.choice((0.0, 0.0, 0.05))
        self.places = self.chance.choice((1, 4, 16, 64))
        self.workers = [self._worker() for _ in range(self.chance.randint(1, 3))]
        # In half of the worlds most comes in one burst, and what breaks breaks in it.
        begin, end = self.chance.choice(((0.0, FAULTS_END), self._span(60)))
        for _ in range(self.chance.randint(5, 80)):
            self.after(self.chance.uniform(begin, end), self._add)
        for _ in range(self.chance.randint(0, 4)):
            self.after(self.chance.uniform(begin, end), self._crash)
        for _ in range(self.chance.randint(0, 4)):
            self.after(self.chance.uniform(begin, end), self._stall)
        self.after(FAULTS_END, self._heal)

    def at(self, plus: float = 0.0) -> datetime:
        return later(START, self.now + plus)

    def after(self, seconds: float, act: Callable[[], None]) -> None:
        heapq.heappush(self._events, (self.now + seconds, next(self._numbers), act))

    def tick(self) -> float:
        """A second; the time until something is due where nobody has anything to do, or the tail takes most of it."""
        if self.now < FAULTS_END or any(one.engine.turns or one.tried for one in self.workers) or not self.store.rows:
            return 1.0
        return max(1.0, (min(row.next_at for row in self.store.rows.values()) - self.at()).total_seconds())

    def run(self) -> None:
        while self._events and (self.store.rows or self.now < FAULTS_END):
            self.now, _, act = heapq.heappop(self._events)
            if self.now > SETTLED_WITHIN:
                break
            act()

    def living(self) -> set[int]:
        return {one.number for one in self.workers if one.alive}

    def database_up(self) -> bool:
        return not any(begin <= self.now < end for begin, end in self._outages)

    def answer_lost(self) -> bool:
        return self.now < FAULTS_END and self.chance.random() < self._answers_lost

    def send(self, worker: Worker, row: Row, fence: int) -> None:
        """The receiver sees it now; its answer comes later, or never."""
        arrival = Arrival(row.id, row.endpoint_id, worker.number, row.attempts + 1, self.now)
        self.ledger.append(arrival)
        worker.under_way[row.id] = arrival
        kind = self.kinds[row.endpoint_id]
        status, seconds, retry_after = kind(self.chance) if self.now < FAULTS_END else (200, 0.01, None)
        arrival.succeeded = status is not None and 200 <= status < 300
        lost = arrival.succeeded and self.answer_lost()  # it did arrive, and we are not told

        def end() -> None:
            if worker.alive:
                arrival.ended = self.now
                del worker.under_way[row.id]
                worker.ended(Tried(row, arrival, fence, None if lost else status, arrival.began, self.now, retry_after))

        arrival.excused = lost
        self.after(min(seconds, DEADLINE), end)

    def settle(self, tried: Tried) -> None:
        """As the recorder does: the next time, the log, the endpoint's health, and whether it is given up."""
        row, endpoint = tried.row, self.store.endpoints[tried.row.endpoint_id]
        succeeded = tried.status is not None and 200 <= tried.status < 300
        wait = None if succeeded else next_wait(row.attempts + 1, tried.retry_after, self.chance)
        outcome = Outcome.DELIVERED if succeeded else Outcome.RETRIED if wait is not None else Outcome.EXHAUSTED
        began = later(START, tried.began)
        logged = Logged(row.id, row.endpoint_id, row.attempts + 1, began, self.at(), outcome, tried.status)
        if (
            not self.store.settle(row, tried.fence, logged, None if wait is None else self.at(wait))
            or not endpoint.enabled
        ):
            return
        endpoint.health = endpoint.health.after(began, succeeded=succeeded)
        if not succeeded and endpoint.health.reason_to_disable(tried.status, None, self.at()) is not None:
            self.store.disable(row.endpoint_id, self.at())

    def _endpoint(self) -> Endpoint:
        return Endpoint(
            self.chance.choice((None, 1, 2, 8)), self.chance.choice((None, None, 1, 5, 20)), self.chance.random() < 0.4
        )

    def _span(self, longest: float) -> tuple[float, float]:
        begin = self.chance.uniform(0, FAULTS_END - longest)
        return begin, begin + self.chance.uniform(1, longest)

    def _worker(self) -> Worker:
        return Worker(self, 1 + next(self._numbers), self._engine(self.places))

    def _add(self) -> None:
        endpoint_id = self.chance.choice(sorted(self.store.endpoints))
        key = f"tkt_{self.chance.randint(0, 2)}" if self.store.endpoints[endpoint_id].ordered else None
        made = len(self.added)
        row = Row(f"dlv_{made:04d}", endpoint_id, self.chance.randint(0, 1), key, self.at())
        self.added[row.id] = row
        self.store.add(row)
        for worker in self.workers:  # the bell; a lost ring costs no more than the poll
            if self.chance.random() < 0.8:
                self.after(0.001, worker.rung)

    def _crash(self) -> None:
        worker = self.chance.choice(self.workers)
        if worker.alive:
            worker.alive = False
            worker.excuse()
            for arrival in worker.under_way.values():
                arrival.ended = self.now  # its connections are closed with it
            self.workers.remove(worker)
            self.after(self.chance.uniform(0, 5), lambda: self.workers.append(self._worker()))
            if not self.workers:
                self.workers.append(self._worker())

    def _stall(self) -> None:
        worker = self.chance.choice(self.workers)
        # Mostly about as long as what it has of its lease, so that another is at its queue when it goes on.
        worker.stalled_until = self.now + self.chance.choice((3.0, 90.0, *[self.chance.uniform(18, LEASE + 12)] * 4))
        worker.excuse()

    def _heal(self) -> None:
        """No fault any more; whoever is disabled is enabled again, as its owner would."""
        for endpoint_id, endpoint in self.store.endpoints.items():
            if not endpoint.enabled:
                self.store.enable(endpoint_id, self.at())
        if self.store.rows:
            self.after(60.0, self._heal)


def most_at_once(arrivals: list[Arrival]) -> int:
    """How many a receiver had at the same time."""
    steps = sorted([(one.began, 1) for one in arrivals] + [(one.ended or one.began, -1) for one in arrivals])
    at = most = 0
    for _, step in steps:
        at += step
        most = max(most, at)
    return most


def by_endpoint(arrivals: list[Arrival]) -> dict[str, list[Arrival]]:
    found: defaultdict[str, list[Arrival]] = defaultdict(list)
    for one in arrivals:
        found[one.endpoint_id].append(one)
    return dict(found)


Answer = tuple[int | None, float, float | None]
KINDS: tuple[Callable[[random.Random], Answer], ...] = (
    lambda _: (200, 0.01, None),
    lambda chance: (200, chance.uniform(0.01, 0.2), None),
    lambda chance: (200 if chance.random() < 0.7 else 500, 0.02, None),
    lambda chance: (500, chance.uniform(0.01, 0.5), None),
    lambda _: (None, DEADLINE, None),
    lambda chance: (200, chance.uniform(1, 12), None),
    lambda chance: (200 if chance.random() < 0.6 else 500, chance.uniform(1, 12), None),
    lambda chance: (429 if chance.random() < 0.5 else 204, 0.02, chance.choice((None, 3.0, 100.0))),
    lambda chance: (410 if chance.random() < 0.05 else 200, 0.02, None),
)
