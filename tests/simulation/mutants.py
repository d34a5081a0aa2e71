"""The rules of delivery, each left out once: a simulation that finds nothing in such a world proves nothing.

Loading under the fence is not among them: who has lost a queue begins nothing of what it loads.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import NamedTuple

from temula.outbound.webhooks.model.engine import Engine, Start
from tests.simulation.store import Logged, Row, Store


class AnybodyRecords(Store):
    """The queue's fence is not looked at when an outcome is written."""

    def settle(self, row: Row, fence: int, logged: Logged, next_at: datetime | None) -> bool:
        return super().settle(row, self.queues[row.endpoint_id].fence, logged, next_at)


class AnythingCounts(Store):
    """How often the delivery had been tried is not looked at when an outcome is written."""

    def settle(self, row: Row, fence: int, logged: Logged, next_at: datetime | None) -> bool:
        if (there := self.rows.get(row.id)) is None:
            return False
        row.attempts = there.attempts
        return super().settle(row, fence, logged, next_at)


class AnybodyKeeps(Store):
    """The queue's fence is not looked at when a lease is renewed."""

    def keep(self, held: dict[str, int], until: datetime) -> set[str]:
        return super().keep({one: self.queues[one].fence for one in held}, until)


class NoOrder(Store):
    """A delivery does not wait for those before it."""

    def load(self, held: dict[str, int], most: dict[str, int], loaded: set[str], now: datetime) -> list[Row]:
        keys = {one.id: one.order_key for one in self.rows.values()}
        for row in self.rows.values():
            row.order_key = None
        found = super().load(held, most, loaded, now)
        for one in (*found, *self.rows.values()):
            one.order_key = keys[one.id]
        return found


class NoLease(Engine[Row]):
    """An attempt begins though its deadline is later than the lease."""

    def start(self, now: float, safe_until: float, only: Iterable[str] | None = None) -> Iterator[Start[Row]]:
        return super().start(now, float("-inf"), only)


class NoCap(Engine[Row]):
    """The endpoint's cap is not looked at."""

    def limit(self, endpoint_id: str, *, cap: int | None, rate: int | None, failures: int, now: float) -> None:
        super().limit(endpoint_id, cap=None, rate=rate, failures=failures, now=now)


class NoRate(Engine[Row]):
    """The endpoint's rate is not looked at."""

    def limit(self, endpoint_id: str, *, cap: int | None, rate: int | None, failures: int, now: float) -> None:
        super().limit(endpoint_id, cap=cap, rate=None, failures=failures, now=now)


class Mutant(NamedTuple):
    """A world in which one rule is left out."""

    store: type[Store] = Store
    engine: type[Engine[Row]] = Engine[Row]


MUTANTS = {
    "fence when recording": Mutant(store=AnybodyRecords),
    "fence when renewing": Mutant(store=AnybodyKeeps),
    "attempts when recording": Mutant(store=AnythingCounts),
    "order": Mutant(store=NoOrder),
    "lease before sending": Mutant(engine=NoLease),
    "cap": Mutant(engine=NoCap),
    "rate": Mutant(engine=NoRate),
}
