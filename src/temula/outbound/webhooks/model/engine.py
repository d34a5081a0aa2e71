"""The core of a worker: which endpoint's queue gets how many places, and what may start now. No input, no output.

A worker holds the queues of some endpoints; here is what it has of each in memory. Time is given with each call, in
seconds of a clock that never goes back.

- An endpoint starts with one place; each success doubles its places up to its cap (up to `ENOUGH` while it answers
  within `BRISK` seconds), a failure takes all but one.
- Endpoints that fail, that are slow or that have not answered yet may together have only a share of the worker's
  places, so that what floods, hangs or fails holds up nobody else.
- A rate limit is a bucket that holds a tenth of a second's worth, so that no second sees more than was asked for.
- What failed `BREAK_AFTER` times in a row is asked once in `PROBE_EVERY` seconds.
"""

from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from typing import Generic, NamedTuple, Protocol, TypeVar

CAP = 64
ENOUGH = 16  # for an endpoint that answers briskly: more at once would be more connections, and no more deliveries
BRISK = 0.05
TROUBLED_SHARE = 4  # a quarter of the places
SLOW = 1.0
TOO_SLOW = 5.0
AHEAD, FARTHEST = 0.05, 16  # what is loaded ahead: for so many seconds, and at most so often its places
BREAK_AFTER = 5
PROBE_EVERY = 1.0
LONGEST_BLOCK = 60.0
BULK_RATE = 100
REMEMBERED = 20_000
FEWEST = 4


class Item(Protocol):
    """A delivery as the core sees it."""

    @property
    def id(self) -> str: ...
    @property
    def lane(self) -> int: ...
    @property
    def kept(self) -> bool:
        """Was it kept while its endpoint took nothing? Such go out at a bounded rate."""


D = TypeVar("D", bound=Item)


class Start(NamedTuple, Generic[D]):
    """A delivery whose attempt begins now."""

    endpoint_id: str
    delivery: D


class Pace:
    """At most `rate` in any second: a bucket of a tenth of it that is filled at what is left of the rate."""

    __slots__ = ("_at", "_burst", "_level", "_refill", "rate")

    def __init__(self, rate: int, now: float) -> None:
        self.rate = rate
        self._burst = max(1.0, rate / 10)
        # What the bucket holds is part of the second's worth, or a full one would let through more than the rate.
        self._refill = float(rate) if self._burst <= 1.0 else max(1.0, rate - self._burst)
        self._level = self._burst
        self._at = now

    def ready_at(self, now: float) -> float:
        """When the next may go."""
        level = min(self._burst, self._level + (now - self._at) * self._refill)
        return now if level >= 1.0 - 1e-9 else now + (1.0 - level) / self._refill

    @property
    def full_at(self) -> float:
        """When the bucket is full: whoever begins with a full one then gives away nothing."""
        return self._at + (self._burst - self._level) / self._refill

    def take(self, now: float) -> None:
        """One goes."""
        self._level = min(self._burst, self._level + (now - self._at) * self._refill) - 1.0
        self._at = now


class Turn(Generic[D]):
    """What a worker has of one endpoint: its places, what is ready, what is under way, and how it has been."""

    __slots__ = (
        "blocked_until", "bulk", "cap", "failures", "fence", "held", "idle_since", "leased_until", "more",
        "organization_id", "pace", "places", "proven", "ready", "seconds", "slow", "version", "waiting",
    )  # fmt: skip

    def __init__(self, organization_id: str, fence: int, leased_until: float, now: float) -> None:
        self.organization_id = organization_id
        self.fence = fence
        self.leased_until = leased_until
        self.cap = CAP
        self.places = 1
        self.proven = False
        self.slow = False
        self.seconds = AHEAD  # how long its attempts take, the last ones more than those before
        self.failures = 0
        self.blocked_until = 0.0
        self.pace: Pace | None = None
        self.bulk = Pace(BULK_RATE, now)
        self.ready: tuple[deque[D], deque[D], deque[D]] = (deque(), deque(), deque())
        self.held: set[str] = set()  # loaded and not yet recorded: not to be loaded again
        self.waiting = 0  # how many are loaded and not begun
        self.more = True
        self.version: object = None  # of the endpoint, as `limit` knows it
        self.idle_since: float | None = None

    @property
    def troubled(self) -> bool:
        return self.failures > 0 or self.slow or not self.proven

    @property
    def depth(self) -> int:
        """How many to have ready: twice its places, more if it is quick; what is urgent waits behind none for long."""
        depth = self.places * max(2, min(FARTHEST, round(AHEAD / max(self.seconds, 0.001))))
        return depth if self.pace is None else max(1, min(depth, self.pace.rate // 4))


class Engine(Generic[D]):
    """All queues that a worker holds, within `places` attempts at once."""

    def __init__(self, places: int) -> None:
        self.places = places
        self._share = max(1, places // TROUBLED_SHARE)
        self.turns: dict[str, Turn[D]] = {}
        self.under_way: dict[str, str] = {}  # the endpoint of each delivery whose attempt has begun and not ended
        self._at: Counter[str] = Counter()  # how many are under way at each endpoint, whatever became of its queue
        self._in_trouble: set[str] = set()  # deliveries that began while their endpoint was troubled
        self._ready: dict[str, None] = {}  # endpoints that have something ready, in the order in which they got it
        self._known: dict[str, tuple[int, Pace | None]] = {}

    @property
    def is_full(self) -> bool:
        """Is every place taken, or every one of those that the troubled may have?"""
        return len(self.under_way) >= self.places or len(self._in_trouble) >= self._share

    def hold(self, organization_id: str, endpoint_id: str, fence: int, leased_until: float, now: float) -> None:
        """Take a queue; an endpoint that is known to be well starts with half the places that it had."""
        turn = self.turns[endpoint_id] = Turn(organization_id, fence, leased_until, now)
        places, turn.pace = self._known.get(endpoint_id, (0, None))
        if places:
            turn.places, turn.proven = max(1, places // 2), True

    def drop(self, endpoint_id: str) -> None:
        """Let a queue go; what is under way ends, and its outcome finds another fence."""
        turn = self.turns.pop(endpoint_id)
        self._ready.pop(endpoint_id, None)
        self._known.pop(endpoint_id, None)
        self._known[endpoint_id] = (turn.places if turn.proven and not turn.failures else 0, turn.pace)
        if len(self._known) > REMEMBERED:
            del self._known[next(iter(self._known))]

    def limit(self, endpoint_id: str, *, cap: int | None, rate: int | None, failures: int, now: float) -> None:
        """Set what the endpoint asks for and has come to; the bucket of a rate that is the same stays as it is."""
        turn = self.turns[endpoint_id]
        turn.cap = min(cap or CAP, self.places)
        turn.places = min(turn.places, turn.cap)
        turn.failures = failures
        if not failures:
            turn.blocked_until = 0.0
        if rate is None:
            turn.pace = None
        elif turn.pace is None or turn.pace.rate != rate:
            turn.pace = Pace(rate, now)

    def wanted(self) -> dict[str, int]:
        """How many to load for each queue that may have more and has few ready."""
        return {one: turn.depth - turn.waiting for one, turn in self.turns.items() if _is_low(turn)}

    def is_low(self, endpoint_id: str) -> bool:
        """Should more be loaded for a queue now?"""
        turn = self.turns.get(endpoint_id)
        return turn is not None and _is_low(turn)

    @property
    def room(self) -> int:
        """How many more queues to take: at most as many as are held, so that workers who begin together share them."""
        return max(0, min(max(FEWEST, len(self.turns)), 2 * self.places - len(self.turns)))

    def loaded(self, endpoint_id: str, found: Sequence[D], asked: int) -> None:
        """Put what was loaded for a queue behind what is ready."""
        turn, under_way = self.turns[endpoint_id], self.under_way
        held, ready = turn.held, turn.ready
        turn.more = len(found) >= asked
        before = len(held)
        for delivery in found:
            if delivery.id not in held and delivery.id not in under_way:
                held.add(delivery.id)
                ready[delivery.lane].append(delivery)
        turn.waiting += len(held) - before
        if turn.waiting:
            self._ready[endpoint_id] = None

    def look_again(self, only: Iterable[str] | None = None) -> None:
        """Something has become due: queues may have more."""
        for endpoint_id in self.turns if only is None else only:
            if (turn := self.turns.get(endpoint_id)) is not None:
                turn.more = True

    def forget_ready(self, endpoint_id: str) -> list[D]:
        """Give up what is loaded and not begun: the endpoint changed. It stays in its queue."""
        turn = self.turns[endpoint_id]
        given_up = [delivery for lane in turn.ready for delivery in lane]
        for lane in turn.ready:
            lane.clear()
        turn.held.difference_update(delivery.id for delivery in given_up)
        turn.waiting, turn.more = 0, True
        self._ready.pop(endpoint_id, None)
        return given_up

    def start(self, now: float, safe_until: float, only: Iterable[str] | None = None) -> Iterator[Start[D]]:
        """Give what begins now, one of each queue after another; none whose lease ends before `safe_until`."""
        rotating = deque(self._ready if only is None else only)
        while rotating and len(self.under_way) < self.places:
            endpoint_id = rotating.popleft()
            turn = self.turns.get(endpoint_id)
            if turn is None or turn.leased_until < safe_until:
                continue
            if self._at[endpoint_id] >= turn.places or now < turn.blocked_until:
                continue
            troubled = turn.troubled
            if troubled and len(self._in_trouble) >= self._share:
                continue
            delivery = self._next(endpoint_id, turn, now)
            if delivery is not None:
                self._begin(endpoint_id, turn, delivery, now, troubled=troubled)
                rotating.append(endpoint_id)
                yield Start(endpoint_id, delivery)

    def _next(self, endpoint_id: str, turn: Turn[D], now: float) -> D | None:
        if turn.pace is not None and turn.pace.ready_at(now) > now:
            return None
        for lane in turn.ready:
            if lane and not (lane[0].kept and turn.bulk.ready_at(now) > now):
                turn.waiting -= 1
                if not turn.waiting:
                    del self._ready[endpoint_id]
                return lane.popleft()
        return None

    def _begin(self, endpoint_id: str, turn: Turn[D], delivery: D, now: float, *, troubled: bool) -> None:
        self._at[endpoint_id] += 1
        self.under_way[delivery.id] = endpoint_id
        if troubled:
            self._in_trouble.add(delivery.id)
        if turn.pace is not None:
            turn.pace.take(now)
        if delivery.kept:
            turn.bulk.take(now)
        if turn.failures >= BREAK_AFTER:
            turn.blocked_until = max(turn.blocked_until, now + PROBE_EVERY)

    def ended(self, delivery: D, *, succeeded: bool, seconds: float, asked: float | None, now: float) -> None:
        """An attempt ended: its place is free. `asked` is a `Retry-After` of a receiver that says it is overloaded."""
        endpoint_id = self.under_way.pop(delivery.id)
        self._in_trouble.discard(delivery.id)
        left = self._at[endpoint_id] = self._at[endpoint_id] - 1
        if not left:
            del self._at[endpoint_id]
        turn = self.turns.get(endpoint_id)
        if turn is None or delivery.id not in turn.held:
            return  # the queue was lost meanwhile
        turn.slow = seconds > SLOW
        turn.seconds += (seconds - turn.seconds) / 8
        if succeeded:
            turn.failures, turn.proven = 0, True
            if seconds <= SLOW and (turn.places < ENOUGH or seconds > BRISK):
                turn.places = min(2 * turn.places, turn.cap)
            elif seconds > TOO_SLOW:
                turn.places = max(1, turn.places // 2)
        else:
            turn.failures += 1
            turn.places = 1
            if turn.failures >= BREAK_AFTER:
                turn.blocked_until = max(turn.blocked_until, now + PROBE_EVERY - seconds)
        if asked is not None:
            turn.blocked_until = max(turn.blocked_until, now + min(asked, LONGEST_BLOCK))

    def recorded(self, endpoint_id: str, delivery_id: str) -> None:
        """What became of a delivery is written: it may be loaded again once it is due again."""
        if (turn := self.turns.get(endpoint_id)) is not None:
            turn.held.discard(delivery_id)

    def next_start(self, now: float, only: Iterable[str] | None = None) -> float | None:
        """When something that is ready and waits for nothing but time may begin."""
        ahead = None
        for endpoint_id in self._ready if only is None else only:
            turn = self.turns.get(endpoint_id)
            if turn is not None and turn.waiting:
                at = self._waits_until(turn, now)
                if at > now and (ahead is None or at < ahead):
                    ahead = at
        return ahead

    def _waits_until(self, turn: Turn[D], now: float) -> float:
        at = max(now, turn.blocked_until)
        if turn.pace is not None:
            at = max(at, turn.pace.ready_at(now))
        first = next((lane[0] for lane in turn.ready if lane), None)
        return max(at, turn.bulk.ready_at(now)) if first is not None and first.kept else at

    def idle(self, now: float, linger: float) -> list[str]:
        """Queues with nothing ready, under way or unrecorded for `linger` seconds: give them back."""
        found = []
        for endpoint_id, turn in self.turns.items():
            paced = turn.pace is not None and now < turn.pace.full_at
            if turn.held or turn.more or paced or now < turn.blocked_until:
                turn.idle_since = None
            elif turn.idle_since is None:
                turn.idle_since = now
            elif now - turn.idle_since >= linger:
                found.append(endpoint_id)
        return found


def _is_low(turn: Turn[D]) -> bool:
    return turn.more and 2 * turn.waiting <= turn.depth
