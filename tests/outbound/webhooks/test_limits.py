"""Caps, rates, order and shares as the receiver sees them: over a real database, with one worker and with two."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import pairwise
from typing import Any, NamedTuple

import pytest
from aiohttp import web

from temula.domain.checkins.facts import CheckInCompleted
from temula.kernel.database import Database
from temula.kernel.facts import Fact
from temula.kernel.http import Http
from temula.outbound.webhooks.jobs import PLACES, Deliverer
from temula.outbound.webhooks.model import TOPIC
from temula.outbound.webhooks.model.engine import BULK_RATE, TROUBLED_SHARE
from tests.harness import house
from tests.harness.ground import found
from tests.harness.house import Running, Tenant, until
from tests.harness.places import open_folder
from tests.harness.postgres import Postgres
from tests.harness.receiver import Receiver

HANGING = 100


class Changed(Fact, frozen=True, kw_only=True):
    """What is told in these tests; with `order_by` a message is about a registration or a ticket."""

    TYPE = "event.updated"
    n: int
    registration_id: str | None = None


class Entered(Fact, frozen=True, kw_only=True):
    """A message of the lane that is not held up."""

    TYPE = CheckInCompleted.TYPE
    n: int


class Place(NamedTuple):
    """A Temula whose fan-out runs and whose deliverers the test starts."""

    temula: Running
    tenant: Tenant

    async def endpoint(self, hooks: Receiver, name: str, **asked: Any) -> dict[str, Any]:
        body = {"url": f"{hooks.url}/{name}", "types": ["event.updated", CheckInCompleted.TYPE], **asked}
        made: dict[str, Any] = await self.tenant.api.post("/webhooks/endpoints", body)
        return made

    async def tell(self, *facts: Fact) -> None:
        async with self.temula.house.database.unit(self.tenant.actor) as uow:
            for fact in facts:
                uow.tell(fact)

    async def change(self, number: int) -> None:
        await self.tell(*(Changed(n=n) for n in range(number)))

    async def set(self, endpoint: dict[str, Any], state: str) -> None:
        await self.tenant.api.patch(f"/webhooks/endpoints/{endpoint['id']}", {"state": state})

    async def waiting(self) -> int:
        ((number,),) = await found(self.temula.owner_url, "SELECT count(*) FROM webhook_deliveries")
        return number

    async def keeps(self, number: int) -> None:
        async def look() -> bool:
            return await self.waiting() == number

        await until(look)


@pytest.fixture
async def place(server: Postgres) -> AsyncIterator[Place]:
    """On a database of its own, so that the only deliverers are those of the test."""
    with open_folder() as folder:
        async with server.database() as url, house.running(url, folder) as temula:
            yield Place(temula, await temula.tenant(connected=False))


@asynccontextmanager
async def another_worker(place: Place) -> AsyncIterator[None]:
    """A deliverer with connections of its own, as in another process."""
    like = place.temula.house
    async with AsyncExitStack() as stack:
        database, http = Database(place.temula.owner_url, size=4), Http(max_idle=64)
        await database.open()
        stack.push_async_callback(database.close)
        await http.open()
        stack.push_async_callback(http.close)
        stop = asyncio.Event()
        serving = asyncio.create_task(Deliverer(database, http, like.ring, like.policy).serve(stop))
        try:
            yield
        finally:
            stop.set()
            await serving


@asynccontextmanager
async def workers(place: Place, number: int) -> AsyncIterator[None]:
    """So many in all; one is there."""
    async with AsyncExitStack() as stack:
        for _ in range(number - 1):
            await stack.enter_async_context(another_worker(place))
        yield


async def come(hooks: Receiver, name: str, number: int, patience: float = 30.0) -> None:
    async with asyncio.timeout(patience):
        while len(hooks.at(f"/hooks/{name}")) < number:
            await asyncio.sleep(0.005)


@pytest.mark.parametrize("number", [1, 2])
async def test_a_cap_holds(place: Place, hooks: Receiver, number: int) -> None:
    """The receiver never has more than its cap at once, and does get as many, with one worker and with two."""
    hooks.pauses["/hooks/capped"] = 0.06
    await place.endpoint(hooks, "capped", max_concurrency=3)
    async with workers(place, number):
        for _ in range(4):
            await place.change(20)
        await come(hooks, "capped", 80)
    assert hooks.most["/hooks/capped"] == 3
    assert len({one.id for one in hooks.arrivals}) == 80


@pytest.mark.parametrize("number", [1, 2])
async def test_a_rate_holds(place: Place, hooks: Receiver, number: int) -> None:
    """No second sees more than the rate, and it is used up nearly, with one worker and with two."""
    await place.endpoint(hooks, "paced", rate_limit=20)
    async with workers(place, number):
        await place.change(50)
        await come(hooks, "paced", 50)
    began = [one.began for one in hooks.at("/hooks/paced")]
    # What arrives is measured here, where it may have been held up by a few hundredths on the way.
    assert max(sum(at <= one < at + 0.95 for one in began) for at in began) <= 20
    assert began[-1] - began[0] < 3.5


async def test_a_steady_trickle_keeps_its_rate_when_the_queue_changes_hands(place: Place, hooks: Receiver) -> None:
    """A worker that ends gives the queue back, and the next begins with no more than a bucket of its own."""
    await place.endpoint(hooks, "paced", rate_limit=10)
    async with another_worker(place):
        await place.change(30)
        await come(hooks, "paced", 8)
    await come(hooks, "paced", 30)
    began = [one.began for one in hooks.at("/hooks/paced")]
    assert max(sum(at <= one < at + 0.95 for one in began) for at in began) <= 11


async def test_order_holds_with_failures_between(place: Place, hooks: Receiver) -> None:
    """Of one key each arrives after the one before it has, though it fails at first; other keys go on meanwhile."""
    endpoint = await place.endpoint(hooks, "ordered", order_by="registration")
    hooks.answers = [500]
    await place.tell(Changed(n=0, registration_id="reg_1"))
    await come(hooks, "ordered", 1)
    keys = ("reg_1", "reg_2", "reg_3")
    await place.tell(*(Changed(n=n, registration_id=keys[n % 3]) for n in range(1, 31)))
    await come(hooks, "ordered", 21)  # the others' twenty
    await place.keeps(11)
    assert all(one.message["data"]["registration_id"] != "reg_1" for one in hooks.arrivals[1:])
    async with another_worker(place):
        await place.set(endpoint, "paused")
        await place.set(endpoint, "enabled")  # which hurries what waits
        await come(hooks, "ordered", 32)
    arrived: dict[str, list[int]] = {}
    for one in hooks.arrivals[1:]:
        data = one.message["data"]
        arrived.setdefault(data["registration_id"], []).append(data["n"])
    assert sorted(arrived) == sorted(keys)
    assert all(before < behind for numbers in arrived.values() for before, behind in pairwise(numbers)), arrived


async def test_order_holds_across_a_takeover(place: Place, hooks: Receiver) -> None:
    """Workers come and go while messages of few keys go out: each key's arrive in its order."""
    hooks.pauses["/hooks/ordered"] = 0.01
    await place.endpoint(hooks, "ordered", order_by="registration")
    for n in range(4):
        async with another_worker(place):
            await place.tell(*(Changed(n=20 * n + m, registration_id=f"reg_{m % 3}") for m in range(20)))
            await come(hooks, "ordered", 20 * n + 10)
    await come(hooks, "ordered", 80)
    for key in ("reg_0", "reg_1", "reg_2"):
        numbers = [one.message["data"]["n"] for one in hooks.arrivals if one.message["data"]["registration_id"] == key]
        assert numbers == sorted(numbers)


async def test_check_ins_overtake_a_burst(place: Place, hooks: Receiver) -> None:
    """What happens at the gate goes before all of a burst that waits."""
    await place.endpoint(hooks, "all", max_concurrency=1)
    hooks.pauses["/hooks/all"] = 0.02
    await place.change(300)
    await come(hooks, "all", 5)
    await place.tell(Entered(n=1))

    async def entered() -> bool:
        return bool(hooks.of(Entered.TYPE))

    await until(entered)
    place_in_line = [one.type for one in hooks.arrivals].index(Entered.TYPE)
    assert place_in_line < 150, "half of the burst still waits"


async def test_the_failing_hold_their_share(place: Place, hooks: Receiver) -> None:
    """A hundred endpoints that hang have together a quarter of the places, and a living one does not wait for them."""
    await place.endpoint(hooks, "lives")
    await place.change(1)
    await come(hooks, "lives", 1)
    hanging = [f"hangs-{n}" for n in range(HANGING)]
    for name in hanging:
        hooks.pauses[f"/hooks/{name}"] = 3600.0
        await place.endpoint(hooks, name)
    for n in range(1, 6):
        await place.change(2)
        await come(hooks, "lives", 1 + 2 * n, patience=5.0)
    assert sum(hooks.most[f"/hooks/{name}"] for name in hanging) == PLACES // TROUBLED_SHARE


async def test_what_was_kept_goes_out_at_a_bounded_rate(place: Place, hooks: Receiver) -> None:
    """An endpoint that is enabled again gets its backlog at a hundred a second, no faster and not much slower."""
    endpoint = await place.endpoint(hooks, "back")
    await place.change(1)
    await come(hooks, "back", 1)
    await place.set(endpoint, "paused")
    await place.change(3 * BULK_RATE)
    await place.keeps(3 * BULK_RATE)
    await place.set(endpoint, "enabled")
    await come(hooks, "back", 3 * BULK_RATE + 1)
    began = [one.began for one in hooks.at("/hooks/back")[1:]]
    assert max(sum(at <= one < at + 0.95 for one in began) for at in began) <= BULK_RATE
    assert began[-1] - began[0] < 6


async def test_who_asks_for_time_is_left_alone(place: Place, hooks: Receiver) -> None:
    """`Retry-After` with 429: nothing else goes to that endpoint before, not even what it was not said for."""
    await place.endpoint(hooks, "tired")
    hooks.answers = [lambda: web.Response(status=429, headers={"Retry-After": "2"})]
    await place.change(1)
    await come(hooks, "tired", 1)
    await asyncio.sleep(0.1)
    place.temula.house.database.bell.ring(TOPIC)
    await place.change(5)
    await come(hooks, "tired", 6)
    first, *others = [one.began for one in hooks.at("/hooks/tired")]
    assert others[0] - first >= 1.95
