"""What is missing, beside a model that is written otherwise: random subscriptions, facts, and what was had of them."""

import asyncio
import json
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, NamedTuple

import asyncpg
import pytest

from temula.kernel.consumers import ConsumerLoop
from temula.kernel.facts import Fact
from temula.outbound.webhooks.jobs import Replayer, fan_out
from temula.outbound.webhooks.model import Criteria, ReplayKind
from temula.outbound.webhooks.service import ReplayAsked, replays
from tests.harness import house
from tests.harness.house import Running, Tenant, until
from tests.harness.postgres import Postgres

SEEDS = range(12)
FACTS = 60
TYPES = ("event.updated", "event.published", "ticket.issued", "ticket.void", "check_in.completed", "payment.failed")


class Thing(Fact, frozen=True, kw_only=True):
    """A fact with a number to filter by; each class below has a type of its own."""

    TYPE = "event.updated"
    n: int
    about: str


KINDS: dict[str, type[Thing]] = {one: type(Thing)(one, (Thing,), {"TYPE": one}, frozen=True) for one in TYPES}


class Told(NamedTuple):
    """A fact as the test told it."""

    type: str
    event: str | None
    n: int


@pytest.fixture(scope="module")
async def alone(server: Postgres, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    """A Temula without a worker: what is added stays in the queue, to be looked at."""
    async with server.database() as url, house.running(url, tmp_path_factory.mktemp("alone"), worker=False) as temula:
        yield temula


@asynccontextmanager
async def stepping(temula: Running) -> AsyncIterator[None]:
    stop, database = asyncio.Event(), temula.house.database
    loops = [
        asyncio.create_task(ConsumerLoop(database, fan_out()).serve(stop, poll=0.01)),
        asyncio.create_task(Replayer(database).serve(stop, poll=0.01)),
        asyncio.create_task(Replayer(database).serve(stop, poll=0.01)),
    ]
    try:
        yield
    finally:
        stop.set()
        await asyncio.gather(*loops)


def fits(pattern: str, type_: str) -> bool:
    return pattern in ("*", type_) or pattern == type_.split(".", 1)[0] + ".*"


def wanted(asked: dict[str, Any], told: Told) -> bool:
    """Does this subscription get this fact? Written from the documentation and not from the code."""
    grant = asked.get("partner")
    return (
        any(fits(one, told.type) for one in asked["types"])
        and (not asked["event_ids"] or told.event in asked["event_ids"])
        and ("filter" not in asked or told.n >= asked["filter"]["gte"])
        and (
            grant is None
            or (
                any(fits(one, told.type) for one in grant["types"])
                and (grant["event_ids"] is None or told.event in grant["event_ids"])
            )
        )
    )


def subscription(chance: random.Random, events: list[str]) -> dict[str, Any]:
    patterns = (*TYPES, "*", "event.*", "ticket.*")
    asked: dict[str, Any] = {
        "url": "http://127.0.0.1:9/hooks", "types": chance.sample(patterns, chance.randint(1, 3)),
        "event_ids": chance.sample(events, chance.randint(0, 2)),
    }  # fmt: skip
    if chance.random() < 0.4:
        asked["filter"] = {"path": "data.n", "gte": chance.randint(0, 9)}
    if chance.random() < 0.4:
        granted = chance.choice([None, [], chance.sample(events, 1), events])
        asked["partner"] = {"reference": "p", "types": chance.sample(patterns, 2), "event_ids": granted}
    return asked


async def tell(temula: Running, tenant: Tenant, told: list[Told]) -> dict[str, Told]:
    """Write facts; give them by their message ids."""
    for one in told:
        async with temula.house.database.unit(tenant.actor) as uow:
            uow.tell(KINDS[one.type](n=one.n, about=json.dumps(one)), event_id=one.event)
    found = {}
    page = await tenant.api.get("/webhooks/messages?limit=100")
    for message in page["data"]:
        if about := message["data"].get("about"):
            found[message["event_id"]] = Told(*json.loads(about))
    return found


@pytest.mark.parametrize("seed", SEEDS)
async def test_missing_is_what_the_model_says(alone: Running, seed: int) -> None:
    """All that the subscription asks for and the grant allows, less what was tried or waits: each once."""
    chance, tenant = random.Random(seed), await alone.tenant(connected=False)
    body = {"name": "E", "starts_at": "2027-05-01T12:00:00Z", "ends_at": "2027-05-01T13:00:00Z", "currency": "MYR"}
    events = [(await tenant.api.post("/events", body))["id"] for _ in range(3)]
    choices = [Told(chance.choice(TYPES), chance.choice([*events, None]), chance.randint(0, 9)) for _ in range(FACTS)]
    asked = subscription(chance, events)
    before = await tell(alone, tenant, choices[: FACTS // 2])
    endpoint = (await tenant.api.post("/webhooks/endpoints", asked))["id"]
    after = {one: told for one, told in (await tell(alone, tenant, choices[FACTS // 2 :])).items() if one not in before}
    tried = set(chance.sample(sorted(before), 6))
    await _tried(alone, tenant, endpoint, tried)
    since = alone.house.database.clock.now() - timedelta(hours=1)
    replay = ReplayAsked(ReplayKind.MISSING, Criteria(since=since), endpoint, None)
    expected = {one for one, told in before.items() if wanted(asked, told)} - tried
    async with stepping(alone):
        async with alone.house.database.unit(tenant.actor) as uow:
            made = await alone.house.replays.create(uow, replay)

        async def added() -> bool:
            async with alone.house.database.reading(tenant.actor) as uow:
                shown = await replays.get(uow, made.id)
            return not shown.counting and shown.added == shown.matched

        await until(added)
    owner = await asyncpg.connect(alone.owner_url)
    rows = await owner.fetch(
        "SELECT message_id, replay_id, lane FROM webhook_deliveries WHERE organization_id = $1", tenant.id
    )
    await owner.close()
    assert sorted(one["message_id"] for one in rows if one["replay_id"]) == sorted(expected)
    assert {one["lane"] for one in rows if one["replay_id"]} <= {2}
    fanned = sorted(one["message_id"] for one in rows if not one["replay_id"])
    assert fanned == sorted(one for one, told in after.items() if wanted(asked, told))
    async with alone.house.database.reading(tenant.actor) as uow:
        assert (await alone.house.replays.preview(uow, replay)).matched == 0


async def _tried(temula: Running, tenant: Tenant, endpoint: str, message_ids: set[str]) -> None:
    owner = await asyncpg.connect(temula.owner_url)
    await owner.executemany(
        "INSERT INTO webhook_attempts (organization_id, at, id, delivery_id, endpoint_id, message_id, type, "
        "number, outcome, duration_ms, signatures, delivery_created_at) "
        "VALUES ($1, now(), 'dat_' || $3, 'dlv_' || $3, $2, $3, 'x', 1, 'exhausted', 1, '', now())",
        [(tenant.id, endpoint, one) for one in message_ids],
    )
    await owner.close()
