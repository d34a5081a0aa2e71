"""One attempt: what is logged, how it is signed, how a hostile receiver is borne, and what a dead worker leaves."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

import asyncpg
import pytest
from aiohttp import web

from temula.kernel.sql import Statement
from temula.outbound.webhooks import model, store
from temula.outbound.webhooks.jobs.delivering import KEEP_EVERY, LEASE
from temula.outbound.webhooks.store import Settled
from tests.harness.house import until
from tests.harness.receiver import Receiver
from tests.outbound.conftest import Still
from tests.outbound.webhooks.watched import Watched, arrived, has, watching


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
    assert attempt["response_body"].startswith("\ufffd\ufffdxxx")  # NUL too, which PostgreSQL's texts refuse
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
    assert (first["message_id"], first["state"], first["attempts"]) == (delivery["message_id"], "pending", 0)
    others = await asyncio.gather(*(watched.api.post(path) for _ in range(5)))
    assert len({one["id"] for one in (delivery, first, *others)}) == 7
    assert delivery["replay_id"] is None
    assert first["replay_id"] is not None
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
    monkeypatch.setattr("temula.outbound.webhooks.jobs.sending.DEADLINE", 0.5)
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
        await until(lambda: has(hanging, 60))
        await healthy.happen(60)
        await until(arrived(hooks, 60), 10)
        assert {one["attempts"] for one in await hanging.deliveries()} == {0}


@pytest.mark.parametrize(("status", "outcome"), [(200, "delivered"), (500, "gone")])
async def test_what_is_taken_back_under_way_is_logged(stopped: Still, status: int, outcome: str) -> None:
    """An attempt that ends after its endpoint was deleted is in the log all the same, and is not tried again."""
    came, go = asyncio.Event(), asyncio.Event()

    async def wait(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        came.set()
        await go.wait()
        writer.write(f"HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n".encode())
        await writer.drain()

    async with playing(wait) as url:
        watched = await watching(stopped, url)
        await watched.happen()
        await came.wait()
        await watched.api.delete(f"/webhooks/endpoints/{watched.endpoint['id']}")
        go.set()

        async def logged() -> list[dict[str, Any]]:
            return (await watched.api.get(f"/webhooks/attempts?endpoint_id={watched.endpoint['id']}"))["data"]

        (attempt,) = await until(logged)
    assert (attempt["status"], attempt["outcome"], attempt["number"]) == (status, outcome, 1)


async def taken_by_another(watched: Watched, holder: int) -> Settled:
    """A message whose queue another worker has taken; gives what that worker would say of it."""
    path = f"/webhooks/endpoints/{watched.endpoint['id']}"
    await watched.api.patch(path, {"state": "paused"})
    await watched.happen()
    await until(lambda: has(watched, 1))
    (delivery,) = await watched.deliveries()
    async with watched.still.temula.house.database.crossing("playing another worker") as uow:
        await uow.run(store.WAKE, watched.tenant.id, watched.endpoint["id"])
        taken = await store.take_queues(uow, holder, LEASE, 1000)
        (held,) = [one for one in taken if one.endpoint_id == watched.endpoint["id"]]
        await uow.run(Statement("UPDATE webhook_endpoints SET state = 'enabled' WHERE id = $1"), held.endpoint_id)
    return Settled(held.organization_id, delivery["id"], held.endpoint_id, held.fence, 0, None)


async def test_a_standing_workers_queue_is_taken_over(watched: Watched, hooks: Receiver) -> None:
    """What a worker held that stands still goes out when its lease has run out; what it says then changes nothing."""
    connection, holder = await asyncpg.connect(watched.still.temula.owner_url), 4711
    await connection.execute("SELECT pg_advisory_lock_shared($1)", holder)
    said = await taken_by_another(watched, holder)
    watched.move(LEASE - 0.1)
    await asyncio.sleep(2 * KEEP_EVERY)
    assert (await watched.deliveries())[0]["attempts"] == 0
    watched.move(0.1)
    await until(arrived(hooks, 1))
    delivery = await watched.tried(1)
    await connection.close()
    async with watched.still.temula.house.database.crossing("playing the worker that stood still") as uow:
        assert await store.settle(uow, [said]) == set()
    assert (await watched.deliveries())[0] == delivery


async def test_a_dead_workers_queue_is_taken_over_at_once(watched: Watched, hooks: Receiver) -> None:
    """What a worker held that is connected no more goes out without waiting for its lease."""
    await taken_by_another(watched, 4712)
    await until(arrived(hooks, 1), patience=5)
