"""The sales machine's world: one event on a real database, its followers run by hand, a provider that says anything."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import asyncpg

from temula.domain.connections import service as connections
from temula.domain.connections.model import PAYMENTS, Connection
from temula.domain.events import service as events
from temula.domain.organizations.model import Mode
from temula.domain.registrations import jobs as registration_jobs
from temula.domain.tickets import jobs as ticket_jobs
from temula.domain.tickets.service import PublicKeys
from temula.kernel import following
from temula.kernel.clock import ManualClock
from temula.kernel.consumers import read
from temula.kernel.crypto import new_ring
from temula.kernel.database import Database, UnitOfWork
from temula.kernel.facts import START, Position
from temula.kernel.tenancy import Actor
from tests.harness import ground

T = TypeVar("T")
QUOTAS = (4, 3)
PRICES = (1000, 0)


class World:
    """Everything below the API, with time and the reading of facts in the test's hand."""

    def __init__(self, owner_url: str) -> None:
        self.owner_url = owner_url
        self.clock = ManualClock(datetime(2026, 12, 1, 9, 0, tzinfo=UTC))
        self.database = Database(owner_url, clock=self.clock, size=2)
        self.keys = PublicKeys()
        self._owner: asyncpg.Connection
        self.actor: Actor
        self.connection: Connection
        self.event_id = ""
        self.checkpoint_id = ""
        self.types: list[str] = []
        self._ring = new_ring()
        followers = (registration_jobs.FOLLOWER, ticket_jobs.follower(self._ring, lambda ticket_id: ticket_id))
        self._consumers = [following.consumer(self.database, follower) for follower in followers]
        self._at = [START] * len(followers)
        self._loop = asyncio.new_event_loop()

    def do(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return self._loop.run_until_complete(coroutine)

    def unit(self, work: Callable[[UnitOfWork], Awaitable[T]]) -> T:
        return self.do(self.database.run(self.actor, work))

    def found(self, query: str) -> list[tuple]:
        """Rows of this organization's tables, past all walls."""
        rows = self.do(self._owner.fetch(query, self.actor.organization_id))
        return [tuple(row) for row in rows]

    def open(self) -> None:
        self._owner = self.do(asyncpg.connect(self.owner_url))
        self.do(self.database.open())
        self.actor = self.do(ground.organization(self.database))
        self.unit(self._furnish)

    async def _furnish(self, uow: UnitOfWork) -> None:
        start = uow.now + timedelta(days=30)
        event = await events.create_event(
            uow, name="Night", starts_at=start, ends_at=start, timezone="UTC", currency="MYR"
        )
        for name, quota, price in zip("AB", QUOTAS, PRICES, strict=True):
            made = await events.add_ticket_type(uow, event.id, name=name, price=price, quota=quota)
            self.types.append(made.id)
        await events.publish(uow, event.id)
        self.event_id = event.id
        self.connection = await connections.connect(
            uow, self._ring, kind=PAYMENTS, provider="stripe", mode=Mode.SANDBOX, credentials={"secret_key": "none"},
            hint="none", token=connections.new_token(),
        )  # fmt: skip

    def close(self) -> None:
        self.do(self._owner.close())
        self.do(self.database.close())
        self._loop.close()

    def follow(self, follower: int, facts: int, *, again: bool = False) -> int:
        """Let one follower handle its next facts, or all it had before once more; gives how many there were."""
        return self.do(self._follow(follower, START if again else self._at[follower], facts, again=again))

    async def _follow(self, follower: int, after: Position, limit: int, *, again: bool) -> int:
        async with self.database.crossing("the test reads") as uow:
            found = await read(uow, after, limit)
        if again:
            found = [fact for fact in found if fact.at <= self._at[follower]]
        await self._consumers[follower].handle(found)
        if found and not again:
            self._at[follower] = found[-1].at
        return len(found)

    def settle(self) -> None:
        """Let all followers read to the end, again and again, for each tells facts to the others."""
        while sum(self.follow(follower, 500) for follower in range(len(self._consumers))):
            pass
