"""What dashboards show: attempts, failures, retries and latency by hour and day."""

import math
import random
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from temula.kernel.clock import rfc3339
from temula.outbound.webhooks import store
from temula.outbound.webhooks.jobs import adding_up
from temula.outbound.webhooks.model import counted
from temula.outbound.webhooks.model.counting import BUCKETS, Counted, bucket_of
from tests.harness.receiver import Receiver
from tests.outbound.webhooks.watched import Watched, seconds_until

KEYS = ("attempts", "delivered", "failures", "retries", "success_rate")
NOTHING = (0, 0, 0, 0, None)


async def test_a_chart_counts_each_attempt_once(watched: Watched, hooks: Receiver) -> None:
    """By hour and by day, of an endpoint and of all; hours in which nothing was tried are there too."""
    api, clock = watched.api, watched.still.clock
    start = clock.now().replace(minute=0, second=0, microsecond=0)
    hooks.answers = [500, 500]
    await watched.happen()
    delivery = await watched.tried(1)
    watched.move(seconds_until(delivery, clock.now()))
    delivery = await watched.tried(2)
    watched.move(seconds_until(delivery, clock.now()) + 2 * 3600)
    assert (await watched.tried(3))["state"] == "delivered"
    await watched.happen()
    await watched.tried(1, 1)

    chart = await api.get("/webhooks/stats")
    assert (chart["by"], len(chart["data"])) == ("hour", 24)
    assert datetime.fromisoformat(chart["until"]) > clock.now() >= datetime.fromisoformat(chart["data"][-1]["start"])
    by_start = {datetime.fromisoformat(one["start"]): tuple(one[key] for key in KEYS) for one in chart["data"]}
    assert by_start[start] == (2, 0, 2, 2, 0.0)
    assert by_start[start + timedelta(hours=1)] == NOTHING
    assert by_start[start + timedelta(hours=2)] == (2, 2, 0, 0, 1.0)
    assert sum(one != NOTHING for one in by_start.values()) == 2
    assert tuple(chart["total"][key] for key in KEYS) == (4, 2, 2, 2, 0.5)
    assert 0 <= chart["total"]["p50_ms"] <= chart["total"]["p95_ms"]
    assert chart["data"][0]["p50_ms"] is None

    days = await api.get(f"/webhooks/stats?by=day&endpoint_id={watched.endpoint['id']}")
    assert (days["endpoint_id"], len(days["data"])) == (watched.endpoint["id"], 30)
    assert tuple(days["data"][-1][key] for key in KEYS) == (4, 2, 2, 2, 0.5)
    other = await api.post("/webhooks/endpoints", {"url": hooks.url})
    assert (await api.get(f"/webhooks/stats?endpoint_id={other['id']}"))["total"]["attempts"] == 0
    span = f"from={rfc3339(start + timedelta(minutes=30))}&until={rfc3339(start + timedelta(hours=1))}"
    narrow = await api.get(f"/webhooks/stats?{span}")
    assert [tuple(one[key] for key in KEYS) for one in narrow["data"]] == [(2, 0, 2, 2, 0.0)]


async def test_days_are_added_up_and_stay_right(watched: Watched, hooks: Receiver) -> None:
    """A month reads the same before and after its days are added up, again and with what was counted late."""
    api, clock, database = watched.api, watched.still.clock, watched.still.temula.house.database
    handler = adding_up.handlers(database)[adding_up.AddUpDays.KIND]

    async def days(query: str = "") -> list[tuple[object, ...]]:
        chart = await api.get(f"/webhooks/stats?by=day&from={rfc3339(start)}{query}")
        return [tuple(one[key] for key in (*KEYS, "p50_ms", "p95_ms")) for one in chart["data"]]

    start = clock.now().replace(hour=0, minute=0, second=0, microsecond=0)
    for n in range(3):
        await watched.happen()
        await watched.tried(1, n)
        watched.move(86400)
    await watched.happen()
    delivery = await watched.tried(1, 3)
    before = await days()
    assert [one[0] for one in before] == [1, 1, 1, 1]
    for _ in range(2):
        await handler.handle(watched.tenant.actor, adding_up.AddUpDays())
        assert await days() == before
    assert await days(f"&endpoint_id={watched.endpoint['id']}") == before
    async with database.reading(watched.tenant.actor) as uow:
        (one,) = await store.attempts(uow, delivery["id"])
    late = msgspec.structs.replace(one, at=one.at - timedelta(days=1))
    async with database.crossing("a test counts late") as uow:
        await store.count_hours(uow, counted([late]))
    await handler.handle(watched.tenant.actor, adding_up.AddUpDays())
    assert [one[0] for one in await days()] == [1, 1, 2, 1]


@pytest.mark.parametrize(
    "query",
    [
        "from=2026-01-01T00:00:00Z",
        "from=2026-12-02T00:00:00Z&until=2026-12-01T00:00:00Z",
        "by=day&from=2020-01-01T00:00:00Z",
    ],
)
async def test_what_cannot_be_charted_is_refused(watched: Watched, query: str) -> None:
    """Too many steps, or none: the problem names the parameter."""
    answer = await watched.api.call("GET", f"/webhooks/stats?{query}")
    assert (answer.status, answer.json["errors"][0]["pointer"]) == (422, "/from")
    nobodys = await watched.api.get("/webhooks/stats?endpoint_id=whe_01kaqygtkve008000001yxg7pq")
    assert tuple(nobodys["total"][key] for key in KEYS) == NOTHING


def test_a_percentile_is_wrong_by_an_eighth_at_most() -> None:
    """Read back from the buckets, over durations of every size."""
    chance = random.Random(20261124)
    for _ in range(200):
        scale = chance.uniform(1, 9)
        durations = sorted(
            min(30_000, max(1, round(math.exp(chance.gauss(scale, 0.7))))) for _ in range(chance.randint(1, 300))
        )
        latency = [0] * BUCKETS
        for one in durations:
            latency[bucket_of(one)] += 1
        read_back = Counted(datetime(2026, 12, 1, tzinfo=UTC), latency=latency)
        for share in (0.5, 0.95, 1.0):
            true = durations[math.ceil(share * len(durations)) - 1]
            read = read_back.percentile(share)
            assert read is not None
            assert abs(read / true - 1) <= 0.126, (true, read)
    assert Counted(datetime(2026, 12, 1, tzinfo=UTC), latency=[3] + [0] * 47).percentile(0.5) == 0.5
    assert Counted(datetime(2026, 12, 1, tzinfo=UTC)).percentile(0.5) is None
