"""The tables of the delivery engine in memory, as their SQL means them: leases, fences, lanes, order, who is open."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from temula.outbound.webhooks.model import Health, Outcome

FAR, LONG_AGO = datetime(9999, 1, 1, tzinfo=UTC), datetime(1, 1, 1, tzinfo=UTC)


@dataclass(slots=True)
class Queue:
    open: bool = True
    due_at: datetime = FAR
    holder: int = 0
    fence: int = 0
    leased_until: datetime = LONG_AGO


@dataclass(slots=True)
class Row:
    """A waiting delivery; `kept` is for the core."""

    id: str
    endpoint_id: str
    lane: int
    order_key: str | None
    next_at: datetime
    attempts: int = 0
    kept: bool = False


@dataclass(slots=True)
class Endpoint:
    cap: int | None
    rate: int | None
    ordered: bool
    health: Health = field(default_factory=Health)
    enabled: bool = True
    version: int = 0


@dataclass(slots=True, frozen=True)
class Logged:
    delivery_id: str
    endpoint_id: str
    number: int
    began: datetime
    at: datetime
    outcome: Outcome
    status: int | None


class Store:
    """One method a statement; each is a transaction."""

    def __init__(self, endpoints: dict[str, Endpoint]) -> None:
        self.endpoints = endpoints
        self.queues: dict[str, Queue] = {one: Queue() for one in endpoints}
        self.rows: dict[str, Row] = {}
        self.log: list[Logged] = []
        self.disabled: list[tuple[str, datetime, int]] = []  # endpoint, when, how long the log was

    def add(self, row: Row) -> None:
        queue = self.queues[row.endpoint_id]
        self.rows[row.id] = replace(row, kept=not queue.open, lane=row.lane if queue.open else 2)
        queue.due_at = min(queue.due_at, row.next_at)

    def free_of_the_dead(self, living: set[int], now: datetime) -> None:
        for queue in self.queues.values():
            if queue.leased_until > now and queue.holder not in living:
                queue.leased_until = now

    def take(self, now: datetime, holder: int, until: datetime, most: int) -> list[tuple[str, int]]:
        taken = []
        free = [(q.due_at, one) for one, q in self.queues.items() if q.open and q.due_at <= now >= q.leased_until]
        for _, endpoint_id in sorted(free)[:most]:
            queue = self.queues[endpoint_id]
            queue.fence += queue.holder != holder
            queue.holder, queue.leased_until = holder, until
            taken.append((endpoint_id, queue.fence))
        return taken

    def keep(self, held: dict[str, int], until: datetime) -> set[str]:
        kept = {one for one, fence in held.items() if self.queues[one].fence == fence}
        for one in kept:
            self.queues[one].leased_until = until
        return kept

    def give_back(self, held: dict[str, int]) -> None:
        for one, fence in held.items():
            queue = self.queues[one]
            if queue.fence == fence:
                queue.leased_until = LONG_AGO
                queue.due_at = min((row.next_at for row in self.rows.values() if row.endpoint_id == one), default=FAR)

    def load(self, held: dict[str, int], most: dict[str, int], loaded: set[str], now: datetime) -> list[Row]:
        found = []
        for one, fence in held.items():
            queue = self.queues[one]
            if queue.fence != fence or not queue.open:
                continue
            mine = [row for row in self.rows.values() if row.endpoint_id == one]
            due = [row for row in mine if row.next_at <= now and row.id not in loaded and not _waits(row, mine)]
            due.sort(key=lambda row: (row.lane, row.next_at))
            found += [replace(row) for row in due[: most[one]]]
        return found

    def settle(self, row: Row, fence: int, logged: Logged, next_at: datetime | None) -> bool:
        there = self.rows.get(row.id)
        if there is None or self.queues[row.endpoint_id].fence != fence or there.attempts != row.attempts:
            return False
        if next_at is None:
            del self.rows[row.id]
        else:
            there.attempts, there.next_at = there.attempts + 1, next_at
        self.log.append(logged)
        return True

    def disable(self, endpoint_id: str, now: datetime) -> None:
        self.endpoints[endpoint_id].enabled = False
        self.endpoints[endpoint_id].version += 1
        self.queues[endpoint_id].open = False
        self.disabled.append((endpoint_id, now, len(self.log)))

    def enable(self, endpoint_id: str, now: datetime) -> None:
        endpoint = self.endpoints[endpoint_id]
        endpoint.enabled, endpoint.health, endpoint.version = True, Health(), endpoint.version + 1
        for row in self.rows.values():
            if row.endpoint_id == endpoint_id and row.next_at > now:
                row.next_at, row.lane, row.kept = now, 2, True
        self.queues[endpoint_id].open, self.queues[endpoint_id].due_at = True, LONG_AGO


def _waits(row: Row, others: list[Row]) -> bool:
    return row.order_key is not None and any(one.order_key == row.order_key and one.id < row.id for one in others)


def later(at: datetime, seconds: float) -> datetime:
    return at + timedelta(seconds=seconds)
