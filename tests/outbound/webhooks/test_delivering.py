"""Delivery on a clock that the test moves: when it is tried again, when an endpoint is given up, what is logged."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any

import asyncpg
import pytest
from aiohttp import web

from temula.kernel.clock import rfc3339
from temula.outbound.webhooks import model, store
from temula.outbound.webhooks.service import TOPIC
from tests.harness.house import Tenant, until
from tests.harness.receiver import Receiver
from tests.outbound.conftest import Still

WAITS = (60, 300, 1800, 7200, 86400)


class Watched:
    """A tenant with an endpoint at the receiver, and an event whose changes are messages."""

    def __init__(self, still: Still, tenant: Tenant, endpoint: dict[str, Any], event: dict[str, Any]) -> None:
        self.still, self.tenant, self.api = still, tenant, tenant.api
        self.endpoint, self.event = endpoint, event
        self._changes = 0

    async def happen(self, times: int = 1) -> None:
        for _ in range(times):
            self._changes += 1
            await self.api.patch(f"/events/{self.event['id']}", {"name": f"Night {self._changes}"})

    def move(self, seconds: float) -> None:
        """Let time pass, and the worker look at once."""
        self.still.clock.advance(seconds)
        self.still.temula.house.database.bell.ring(TOPIC)

    async def deliveries(self) -> list[dict[str, Any]]:
        """Oldest first."""
        return (await self.api.every(f"/webhooks/deliveries?endpoint_id={self.endpoint['id']}"))[::-1]

    async def tried(self, times: int, which: int = 0) -> dict[str, Any]:
        """The delivery once it has been tried so often and nobody is at it."""

        async def look() -> dict[str, Any] | None:
            found = await self.deliveries()
            return found[which] if len(found) > which and found[which]["attempts"] >= times else None

        return await until(look)

    async def state(self) -> dict[str, Any]:
        return await self.api.get(f"/webhooks/endpoints/{self.endpoint['id']}")

    async def log(self, delivery: dict[str, Any]) -> list[dict[str, Any]]:
        return (await self.api.get(f"/webhooks/deliveries/{delivery['id']}"))["attempts"]


@pytest.fixture
async def watched(stopped: Still, hooks: Receiver) -> Watched:
    return await watching(stopped, hooks.url)


async def watching(stopped: Still, url: str) -> Watched:
    tenant = await stopped.temula.tenant(connected=False)
    starts = stopped.clock.now() + timedelta(days=90)
    body = {"name": "N", "starts_at": rfc3339(starts), "ends_at": rfc3339(starts), "currency": "MYR"}
    event = await tenant.api.post("/events", body)
    endpoint = await tenant.api.post("/webhooks/endpoints", {"url": url, "types": ["event.updated"]})
    return Watched(stopped, tenant, endpoint, event)


def arrived(hooks: Receiver, number: int) -> Callable[[], Awaitable[bool]]:
    async def look() -> bool:
        return len(hooks.arrivals) >= number

    return look


def seconds_until(delivery: dict[str, Any], now: datetime) -> float:
    return (datetime.fromisoformat(delivery["next_attempt_at"]) - now).total_seconds()


async def test_a_message_is_tried_six_times(watched: Watched, hooks: Receiver) -> None:
    """At once, then after 1 m, 5 m, 30 m, 2 h, 24 h: never earlier, a tenth later at most, then it is given up.

    Each try has the same id and body and its own timestamp and signature.
    """
    stamps = []
    hooks.answers = [500]
    await watched.happen()
    for number, wait in enumerate(WAITS, 1):
        delivery = await watched.tried(number)
        stamps.append(int(watched.still.clock.now().timestamp()))
        assert (delivery["state"], delivery["attempts"]) == ("pending", number)
        left = seconds_until(delivery, watched.still.clock.now())
        assert wait <= left <= wait * 1.1 + 0.001
        # Another message gets through, so that the endpoint does not count as failing for good.
        await watched.happen()
        assert (await watched.tried(1, number))["state"] == "delivered"
        hooks.answers = [500]
        watched.move(left)
    last = await watched.tried(6)
    stamps.append(int(watched.still.clock.now().timestamp()))
    assert (last["state"], last["next_attempt_at"]) == ("exhausted", None)
    tries = [one for one in hooks.arrivals if one.id == last["message_id"]]
    assert len(tries) == 6
    assert len({one.body for one in tries}) == 1
    assert [int(one.headers["webhook-timestamp"]) for one in tries] == stamps
    assert len({one.headers["webhook-signature"] for one in tries}) == 6
    assert len({one.headers["x-temula-signature"] for one in tries}) == 1
    assert [one["status"] for one in await watched.log(last)] == [500] * 6


@pytest.mark.parametrize(("told", "seconds"), [("3600", 3600), ("Tue, 01 Jan 2030 00:00:00 GMT", 86400), ("5", 60),
                                               ("soon", 60), ("-1", 60), ("9" * 12, 60)])  # fmt: skip
async def test_retry_after_is_honoured(watched: Watched, hooks: Receiver, told: str, seconds: int) -> None:
    """A receiver may ask for more time, up to a day, in seconds or as a date; never for less than the schedule."""
    hooks.answers = [lambda: web.Response(status=429, headers={"Retry-After": told})]
    await watched.happen()
    left = seconds_until(await watched.tried(1), watched.still.clock.now())
    assert seconds <= left <= seconds * 1.1


async def test_gone_disables_at_once(watched: Watched, hooks: Receiver) -> None:
    """410: nothing more is sent, all is kept, and when the endpoint is enabled again it goes out."""
    hooks.answers = [410]
    await watched.happen()
    delivery = await watched.tried(1)
    endpoint = await watched.state()
    assert (endpoint["state"], delivery["state"], delivery["next_attempt_at"]) == ("disabled", "pending", None)
    assert "410" in endpoint["disabled_reason"]
    await watched.happen()
    await until(lambda: _number(watched, 2))
    watched.move(100_000)
    enabled = await watched.api.patch(f"/webhooks/endpoints/{endpoint['id']}", {"state": "enabled"})
    assert (enabled["state"], enabled["disabled_reason"]) == ("enabled", None)
    for which in (0, 1):
        assert (await watched.tried(1, which))["state"] in {"pending", "delivered"}
    await until(arrived(hooks, 3))
    assert len({one.id for one in hooks.arrivals}) == 2


async def test_what_is_on_its_way_waits_when_the_endpoint_is_given_up(watched: Watched, hooks: Receiver) -> None:
    """A delivery that fails after its endpoint was disabled is kept like the others, and not tried meanwhile."""
    path = f"/webhooks/endpoints/{watched.endpoint['id']}"
    await watched.api.patch(path, {"state": "paused"})
    await watched.happen(10)
    await until(lambda: _number(watched, 10))
    hooks.answers = [500, 500, 410, *[500] * 7]
    await watched.api.patch(path, {"state": "enabled"})  # all ten leave together

    async def all_wait() -> bool:
        return all(one["next_attempt_at"] is None for one in await watched.deliveries())

    await until(all_wait)
    assert (await watched.state())["state"] == "disabled"
    tried = len(hooks.arrivals)
    watched.move(7200)
    await watched.api.patch(path, {"state": "enabled"})
    await until(arrived(hooks, tried + 10))


async def test_an_endpoint_is_not_paused_between_look_and_delivery(watched: Watched, hooks: Receiver) -> None:
    """While messages are made for endpoints nobody changes these, and none is sent or kept by mistake."""
    path = f"/webhooks/endpoints/{watched.endpoint['id']}"
    connection = await asyncpg.connect(watched.still.temula.owner_url)
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"

    async def waits() -> bool:
        return bool(await connection.fetchval(waiting))

    async with watched.still.temula.house.database.crossing("playing the fan-out") as uow:
        await store.subscriptions(uow, [watched.tenant.id])
        pausing = asyncio.create_task(watched.api.patch(path, {"state": "paused"}))
        await until(waits)
        assert not pausing.done()
    assert (await pausing)["state"] == "paused"
    await connection.close()


async def _number(watched: Watched, number: int) -> bool:
    return len(await watched.deliveries()) == number


async def test_five_failures_in_a_row_over_a_minute_disable(watched: Watched, hooks: Receiver) -> None:
    """Five within the minute are not enough; the next failure after it is, and what waits is kept."""
    hooks.answers = [500] * 6
    await watched.happen(5)
    for which in range(5):
        await watched.tried(1, which)
    assert (await watched.state())["state"] == "enabled"
    watched.still.clock.advance(59)
    await watched.happen()
    await watched.tried(1, 5)
    assert (await watched.state())["state"] == "enabled"
    hooks.answers = [500] * 20
    watched.move(1)

    async def disabled() -> dict[str, Any] | None:
        endpoint = await watched.state()
        return endpoint if endpoint["state"] == "disabled" else None

    await watched.happen()
    endpoint = await until(disabled)
    assert "in a row" in endpoint["disabled_reason"]

    async def all_wait() -> bool:
        found = await watched.deliveries()
        return len(found) == 7 and {(one["state"], one["next_attempt_at"]) for one in found} == {("pending", None)}

    await until(all_wait)
    hooks.answers = []
    await watched.api.patch(f"/webhooks/endpoints/{endpoint['id']}", {"state": "enabled"})

    async def all_out() -> bool:
        return {one["state"] for one in await watched.deliveries()} == {"delivered"}

    await until(all_out)


async def test_one_success_between_begins_the_count_anew(watched: Watched, hooks: Receiver) -> None:
    """Four failures, a success, four failures over more than a minute: the endpoint stays."""
    for number, answer in enumerate((500, 500, 500, 500, 200, 500, 500, 500, 500)):
        hooks.answers = [answer]
        await watched.happen()
        await watched.tried(1, number)
        watched.still.clock.advance(14)
    assert (await watched.state())["state"] == "enabled"


async def test_a_paused_endpoint_keeps_what_comes(watched: Watched, hooks: Receiver) -> None:
    """Paused by hand: messages wait and go out in full when it is enabled."""
    path = f"/webhooks/endpoints/{watched.endpoint['id']}"
    await watched.api.patch(path, {"state": "paused"})
    await watched.happen(3)
    await until(lambda: _number(watched, 3))
    watched.move(3600)
    assert {one["attempts"] for one in await watched.deliveries()} == {0}
    await watched.api.patch(path, {"state": "enabled"})
    await until(arrived(hooks, 3))


@pytest.mark.parametrize("status", [301, 302, 307, 308, 304])
async def test_a_redirect_is_a_failure(watched: Watched, hooks: Receiver, status: int) -> None:
    """Where it points to is never asked, though it is the same server."""
    target = hooks.url.replace("/hooks", "/elsewhere")
    hooks.answers = [lambda: web.Response(status=status, headers={"Location": target})]
    await watched.happen()
    delivery = await watched.tried(1)
    (attempt,) = await watched.log(delivery)
    assert (delivery["state"], attempt["status"]) == ("pending", status)
    assert len(hooks.arrivals) == 1


async def test_an_attempt_is_logged_whole(watched: Watched, hooks: Receiver) -> None:
    """Time, address, request headers with signatures, status, answer (cut at 16 KiB, whatever bytes), duration."""
    hooks.answers = [lambda: web.Response(status=200, body=b"\x00\xff" + b"x" * 100_000, headers={"X-Id": "7"})]
    await watched.happen()
    delivery = await watched.tried(1)
    whole = await watched.api.get(f"/webhooks/deliveries/{delivery['id']}")
    assert whole["delivery"] == delivery
    (attempt,) = whole["attempts"]
    (arrival,) = hooks.arrivals
    assert whole["message"] == arrival.message
    assert datetime.fromisoformat(attempt["at"]) == watched.still.clock.now()
    assert (attempt["number"], attempt["status"], attempt["error"]) == (1, 200, None)
    assert attempt["address"] == "127.0.0.1"
    assert ["X-Id", "7"] in attempt["response_headers"]
    assert attempt["response_body"].startswith("\x00\ufffdxxx")
    assert len(attempt["response_body"].encode()) <= 16384 + 2
    sent = {name.lower(): value for name, value in attempt["request_headers"].items()}
    assert sent["x-temula-signature"] == arrival.headers["x-temula-signature"]
    assert {name: arrival.headers[name] for name in sent} == sent
    assert arrival.headers["content-type"] == "application/json"
    missing = await watched.api.call("GET", "/webhooks/deliveries/dlv_x")
    assert (missing.status, missing.code) == (404, "webhook_delivery_not_found")


async def test_a_message_is_sent_again_by_hand(watched: Watched, hooks: Receiver) -> None:
    """A replay is a new delivery of the same message: same id and body, signed anew, as often as asked for."""
    await watched.happen()
    delivery = await watched.tried(1)
    watched.still.clock.advance(5)
    path = f"/webhooks/deliveries/{delivery['id']}/replay"
    first = await watched.api.post(path)
    assert (first["replay"], first["message_id"], first["state"]) == (1, delivery["message_id"], "pending")
    others = await asyncio.gather(*(watched.api.post(path) for _ in range(5)))
    assert sorted(one["replay"] for one in others) == [2, 3, 4, 5, 6]
    await until(arrived(hooks, 7))
    assert {one.id for one in hooks.arrivals} == {delivery["message_id"]}
    assert len({one.body for one in hooks.arrivals}) == 1
    assert len({one.headers["webhook-signature"] for one in hooks.arrivals}) == 2
    assert (await watched.api.call("POST", "/webhooks/deliveries/dlv_x/replay", {})).status == 404


async def test_a_rotated_secret_signs_beside_the_new_one(watched: Watched, hooks: Receiver) -> None:
    """For the whole overlap both verifiers succeed, and then the old one alone fails; without overlap at once."""
    old = watched.endpoint["secret"]
    path = f"/webhooks/endpoints/{watched.endpoint['id']}/rotate-secret"
    new = (await watched.api.post(path, {"overlap_hours": 2}))["secret"]
    await watched.happen()
    await until(arrived(hooks, 1))
    watched.move(7199)
    await watched.happen()
    await until(arrived(hooks, 2))
    for one in hooks.arrivals:
        assert one.plainly_signed_by(new)
        assert len(one.headers["webhook-signature"].split(" ")) == 2
        assert one.headers["x-temula-signature-previous"] == model.plain_signature(old, one.body)
    watched.move(1)
    await watched.happen()
    await until(arrived(hooks, 3))
    newest = (await watched.api.post(path, {"overlap_hours": 0}))["secret"]
    await watched.happen()
    await until(arrived(hooks, 4))
    for arrival, secret in zip(hooks.arrivals[2:], (new, newest), strict=True):
        assert arrival.plainly_signed_by(secret)
        assert "x-temula-signature-previous" not in arrival.headers
        assert len(arrival.headers["webhook-signature"].split(" ")) == 1
    assert (await watched.api.call("POST", path, {"overlap_hours": 169})).status == 422


async def test_an_address_is_checked_at_every_attempt(watched: Watched) -> None:
    """A stored address that is not allowed (any more) is not dialled; the attempt says why."""
    connection = await asyncpg.connect(watched.still.temula.owner_url)
    bad = "http://169.254.169.254/latest"
    await connection.execute("UPDATE webhook_endpoints SET url = $1 WHERE id = $2", bad, watched.endpoint["id"])
    await connection.close()
    await watched.happen()
    (attempt,) = await watched.log(await watched.tried(1))
    assert (attempt["status"], attempt["address"]) == (None, None)
    assert attempt["error"] in {"ip_literal_not_allowed", "scheme_not_allowed"}


@asynccontextmanager
async def playing(play: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]) -> AsyncIterator[str]:
    """A receiver of raw bytes; gives its address."""
    tasks: set[asyncio.Task[Any]] = set()

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await reader.readuntil(b"\r\n\r\n")
            await play(reader, writer)
        except (ConnectionError, asyncio.CancelledError):
            return
        finally:
            writer.close()

    server = await asyncio.start_server(take, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    finally:
        server.close()
        for task in tasks:
            task.cancel()


async def hang(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(3600)


async def never_end(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n")
    for _ in range(4096):  # 256 MiB, so that a sender that reads on does not take the machine down
        writer.write(b"x" * 65536)
        await writer.drain()


async def drip(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    while True:
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.05)


@pytest.mark.parametrize(
    ("play", "state", "error"),
    [(hang, "pending", "timeout"), (never_end, "delivered", None), (drip, "delivered", "timeout")],
)
async def test_a_slow_or_endless_answer_is_bounded(
    stopped: Still, monkeypatch: pytest.MonkeyPatch, play: Any, state: str, error: str | None
) -> None:
    """The deadline ends every attempt; a 2xx that was seen is a success, whatever became of its body."""
    assert model.DEADLINE == 15
    monkeypatch.setattr("temula.outbound.webhooks.jobs.DEADLINE", 0.5)
    async with playing(play) as url:
        watched = await watching(stopped, url)
        await watched.happen()
        delivery = await watched.tried(1)
        (attempt,) = await watched.log(delivery)
    assert (delivery["state"], attempt["error"]) == (state, error)
    assert len(attempt["response_body"] or "") <= 16384


async def test_an_endpoint_that_hangs_does_not_stop_others(stopped: Still, hooks: Receiver) -> None:
    """Sixty messages for an endpoint that never answers, and another's sixty arrive within its deadline."""
    async with playing(hang) as url:
        hanging, healthy = await watching(stopped, url), await watching(stopped, hooks.url)
        await hanging.happen(60)
        await until(lambda: _number(hanging, 60))
        await healthy.happen(60)
        await until(arrived(hooks, 60), 10)
        assert {one["attempts"] for one in await hanging.deliveries()} == {0}


async def test_a_dead_workers_delivery_is_taken_over(watched: Watched, hooks: Receiver) -> None:
    """What a worker held when it died goes out when its lease has run out; what it says afterwards changes nothing."""
    path = f"/webhooks/endpoints/{watched.endpoint['id']}"
    await watched.api.patch(path, {"state": "paused"})
    await watched.happen()
    await until(lambda: _number(watched, 1))
    database = watched.still.temula.house.database
    async with database.crossing("playing a worker that dies") as uow:
        await uow.run(store.WAKE, watched.tenant.id, watched.endpoint["id"], uow.now)
        claimed = await store.claim(uow, 1000, 30.0, [])
    (held,) = [one for one in claimed if one.endpoint_id == watched.endpoint["id"]]
    watched.move(29.9)
    assert (await watched.deliveries())[0]["attempts"] == 0
    watched.move(0.1)
    await until(arrived(hooks, 1))
    delivery = await watched.tried(1)
    async with database.unit(watched.tenant.actor) as uow:
        assert not await store.finish(uow, held, model.DeliveryState.EXHAUSTED, uow.now, uow.now)
    assert (await watched.deliveries())[0] == delivery
