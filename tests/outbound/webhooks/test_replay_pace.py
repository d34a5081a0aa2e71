"""Replays that take their time: the rate holds, what is new goes first, cancelling stops, nobody is held up."""

import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from temula.kernel.clock import ManualClock, SystemClock
from temula.kernel.database import Database
from temula.kernel.facts import Fact
from temula.outbound.webhooks.jobs import settle_replays
from temula.outbound.webhooks.model import Standing, feed
from tests.harness.ground import found
from tests.harness.house import Running, Tenant, until
from tests.harness.receiver import Receiver
from tests.outbound.webhooks.adding import EVENT, add, for_endpoint, got
from tests.outbound.webhooks.test_replays import LONG_AGO, ended, told

WRITTEN = "SELECT delivered, failed FROM webhook_replays WHERE id = $1"


class Changed(Fact, frozen=True, kw_only=True):
    """What is told in these tests."""

    TYPE = "event.updated"
    n: int


async def happened(temula: Running, tenant: Tenant, number: int) -> None:
    async with temula.house.database.unit(tenant.actor) as uow:
        for n in range(number):
            uow.tell(Changed(n=n))


def fullest_second(times: list[float]) -> int:
    """The most that came within any second."""
    return max(sum(1 for one in times if start <= one < start + 1.0) for start in times)


async def days_pass(temula: Running) -> None:
    """The night comes in which what came of replays is written down."""
    database = Database(temula.owner_url, clock=ManualClock(SystemClock().now() + timedelta(days=3)))
    await database.open()
    await settle_replays(database)
    await database.close()


async def some_are_under_way(hooks: Receiver, endpoint: dict[str, Any]) -> None:
    """From now on the receiver takes its time, and has some in hand when this ends."""
    hooks.pauses["/hooks"] = 1.5
    await got(hooks, endpoint, len(for_endpoint(hooks, endpoint)) + 5)


async def test_no_second_sees_more_than_the_rate(temula: Running, tenant: Tenant, hooks: Receiver) -> None:
    """Sixty at 30 a second take two seconds, and the fullest of all seconds has no more than 30."""
    await happened(temula, tenant, 60)
    endpoint = await add(tenant.api, hooks)
    times: list[float] = []

    async def watch() -> None:
        while len(times) < 60:
            times.extend([time.monotonic()] * (len(hooks.arrivals) - len(times)))
            await asyncio.sleep(0.002)

    asked = {"kind": "missing", "endpoint_id": endpoint["id"], "since": LONG_AGO, "rate": 30}
    made = await tenant.api.post("/webhooks/replays", asked)
    await asyncio.wait_for(watch(), 30)
    assert (await ended(tenant.api, made["id"]))["delivered"] == 60
    assert 1.5 < times[-1] - times[0] < 6
    assert fullest_second(times) <= 30


def test_the_allowance_holds_in_every_second() -> None:
    """Whatever the rate, whenever steps are taken, though the queue stands still; what is retried is part of it."""
    for rate in (1, 3, 10, 99, 100, 2500, 10_000):
        for gap in (0.1, 0.13, 0.3, 0.7, 5.0):
            retried = 1 if rate * gap >= 1 else 0  # in each fourth step; more than the rate nobody could hold
            sent = list(_sent(rate, gap, retried))
            for start, _ in sent:
                assert sum(n for at, n in sent if start <= at < start + 1.0 - 1e-6) <= rate, (rate, gap)
            if gap == 0.1:
                assert sum(n for _, n in sent) >= 0.6 * rate * sent[-1][0], "and it is not much slower"


def _sent(rate: int, gap: float, retried: int) -> Iterator[tuple[float, int]]:
    """What a worker sends that takes all that is due just before each step, and stands still now and then."""
    allowance, due = 0.0, 0
    for n in range(100):
        if n % 9 not in (2, 3):
            yield n * gap, due
            due = 0
        coming = retried if n % 4 == 0 and n % 9 not in (1, 2, 3) else 0
        number, allowance = feed(rate, allowance, gap, Standing(due, coming, due + coming, None))
        number = max(0, number)
        allowance -= number
        due += number + coming


async def test_what_is_new_goes_before_a_replay(temula: Running, tenant: Tenant, hooks: Receiver) -> None:
    """A message that happens while hundreds are replayed is not behind them."""
    api = tenant.api
    await happened(temula, tenant, 600)
    event = await api.post("/events", EVENT)
    endpoint = await add(api, hooks, types=["event.*"], rate_limit=60)
    asked = {"kind": "missing", "endpoint_id": endpoint["id"], "since": LONG_AGO, "rate": None}
    made = await api.post("/webhooks/replays", asked)
    await got(hooks, endpoint, 10)
    before = len(for_endpoint(hooks, endpoint))
    await api.post(f"/events/{event['id']}/publish")
    await until(lambda: _has_type(hooks, "event.published"))
    place = [one.type for one in for_endpoint(hooks, endpoint)].index("event.published")
    assert place < before + 90, "behind what was in a worker's hands, and not behind the 600"
    shown = await api.post(f"/webhooks/replays/{made['id']}/cancel")
    assert shown["state"] == "cancelled"


async def test_cancelled_half_way_it_stops(temula: Running, tenant: Tenant, hooks: Receiver) -> None:
    """Progress is seen, what waits is removed, what was sent stays in the log, and the rest never comes."""
    api = tenant.api
    await happened(temula, tenant, 400)
    endpoint = await add(api, hooks, rate_limit=100)
    asked = {"kind": "missing", "endpoint_id": endpoint["id"], "since": LONG_AGO, "rate": None}
    made = await api.post("/webhooks/replays", asked)
    path = f"/webhooks/replays/{made['id']}"
    await got(hooks, endpoint, 40)
    half_way = await api.get(path)
    assert (half_way["state"], half_way["matched"]) == ("running", 400)
    assert 0 < half_way["delivered"] <= 400 - half_way["waiting"]
    assert half_way["added"] == half_way["delivered"] + half_way["failed"] + half_way["waiting"]
    await some_are_under_way(hooks, endpoint)
    await api.post(f"{path}/cancel")
    over = await ended(api, made["id"])
    assert (over["state"], over["waiting"]) == ("cancelled", 0)
    assert 40 <= over["delivered"] < 200
    assert (await api.post(f"{path}/cancel"))["state"] == "cancelled", "cancelling twice is no error"
    left = "SELECT count(*) FROM webhook_deliveries WHERE organization_id = $1"
    assert await found(temula.owner_url, left, tenant.id) == [(0,)]

    async def all_logged() -> bool:
        """What was under way has come and is logged, though nobody waited for it any more: the rest is missing."""
        again = await api.post("/webhooks/replays", {**asked, "rate": 10_000, "dry_run": True})
        return again["matched"] == 400 - len(for_endpoint(hooks, endpoint))

    await until(all_logged)
    came = len(for_endpoint(hooks, endpoint))
    assert came <= over["delivered"] + 32
    assert (await api.get(path))["delivered"] == came, "and its own count has it, too"
    await days_pass(temula)
    assert await found(temula.owner_url, WRITTEN, made["id"]) == [(came, 0)]
    assert (await api.get(path))["delivered"] == came


async def test_it_ends_with_its_endpoint(temula: Running, tenant: Tenant, hooks: Receiver) -> None:
    """Half-way the endpoint is deleted: the replay is over, and counts what arrived, what was under way included."""
    api = tenant.api
    await happened(temula, tenant, 400)
    endpoint = await add(api, hooks, rate_limit=100)
    asked = {"kind": "missing", "endpoint_id": endpoint["id"], "since": LONG_AGO, "rate": None}
    made = await api.post("/webhooks/replays", asked)
    await got(hooks, endpoint, 40)
    await some_are_under_way(hooks, endpoint)
    await api.delete(f"/webhooks/endpoints/{endpoint['id']}")
    over = await ended(api, made["id"])
    assert (over["state"], over["waiting"]) == ("done", 0)

    async def all_counted() -> bool:
        shown = await api.get(f"/webhooks/replays/{made['id']}")
        return shown["delivered"] == len(for_endpoint(hooks, endpoint))

    await until(all_counted)
    assert 40 <= len(for_endpoint(hooks, endpoint)) < 200


async def test_cancelling_takes_back_nothing_that_was_there_before(tenant: Tenant, hooks: Receiver) -> None:
    """A delivery that the replay only hurried goes on by its own schedule."""
    api = tenant.api
    event, endpoint = await api.post("/events", EVENT), await add(api, hooks, types=["event.updated"])
    hooks.answers = [500, 500]
    await told(api, event, "One")
    await got(hooks, endpoint, 1)

    async def waits() -> dict[str, Any] | None:
        found = await api.every("/webhooks/deliveries")
        return found[0] if found and found[0]["attempts"] else None

    await until(waits)
    made = await api.post("/webhooks/replays", {"kind": "failed", "since": LONG_AGO})
    await got(hooks, endpoint, 2)
    await api.post(f"/webhooks/replays/{made['id']}/cancel")
    await ended(api, made["id"])

    async def tried_again() -> bool:
        (delivery,) = await api.every("/webhooks/deliveries")
        return delivery["attempts"] == 2 and delivery["state"] == "pending"

    await until(tried_again)


async def test_an_endpoint_that_takes_nothing_holds_up_no_other(
    temula: Running, tenant: Tenant, hooks: Receiver
) -> None:
    """A replay of all endpoints goes on at each by itself; what is for the paused one comes when it is resumed."""
    api = tenant.api
    await happened(temula, tenant, 30)
    paused, other = await add(api, hooks), await add(api, hooks)
    await api.post(f"/webhooks/endpoints/{paused['id']}/pause", {})
    made = await api.post("/webhooks/replays", {"kind": "missing", "since": LONG_AGO})
    await got(hooks, other, 30)
    shown = await api.get(f"/webhooks/replays/{made['id']}")
    assert (shown["state"], shown["held_endpoint_ids"]) == ("running", [paused["id"]])
    await api.post(f"/webhooks/endpoints/{paused['id']}/resume", {})
    over = await ended(api, made["id"])
    assert (over["matched"], over["delivered"]) == (60, 60)
    came = Counter(one.id for one in for_endpoint(hooks, paused))
    assert len(came) == 30
    assert set(came.values()) == {1}


async def _has_type(hooks: Receiver, type_: str) -> bool:
    return type_ in hooks.types


def test_the_first_id_of_a_time_is_below_all_of_it() -> None:
    """Replays page by id: the bound for a time has nothing of that time or later below it."""
    from temula.kernel.ids import MESSAGE

    now = SystemClock().now()
    bound = MESSAGE.first(now)
    assert MESSAGE.parse(bound)
    assert all(MESSAGE.new(now) > bound for _ in range(3000))
