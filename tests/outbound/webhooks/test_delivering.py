"""Delivery on a clock that the test moves: when a message is tried again, and when an endpoint is given up."""

import asyncio
from typing import Any

import asyncpg
import pytest
from aiohttp import web

from temula.outbound.webhooks import store
from tests.harness.house import until
from tests.harness.receiver import Receiver
from tests.outbound.webhooks.watched import Watched, arrived, has, seconds_until

WAITS = (60, 300, 1800, 7200, 86400)


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
    assert "410" in endpoint["state_reason"]
    await watched.happen()
    await until(lambda: has(watched, 2))
    watched.move(100_000)
    enabled = await watched.api.patch(f"/webhooks/endpoints/{endpoint['id']}", {"state": "enabled"})
    assert (enabled["state"], enabled["state_reason"]) == ("enabled", None)
    for which in (0, 1):
        assert (await watched.tried(1, which))["state"] in {"pending", "delivered"}
    await until(arrived(hooks, 3))
    assert len({one.id for one in hooks.arrivals}) == 2


async def test_what_is_on_its_way_waits_when_the_endpoint_is_given_up(watched: Watched, hooks: Receiver) -> None:
    """Deliveries that fail after their endpoint was disabled are kept like the others, and not tried meanwhile."""
    path = f"/webhooks/endpoints/{watched.endpoint['id']}"
    await watched.happen(8)  # so that several go at once
    await until(arrived(hooks, 8))
    await watched.api.patch(path, {"state": "paused"})
    await watched.happen(10)
    await until(lambda: has(watched, 18))
    hooks.answers = [410, *[500] * 9]
    await watched.api.patch(path, {"state": "enabled"})

    async def all_wait() -> bool:
        waiting = [one for one in await watched.deliveries() if one["state"] == "pending"]
        disabled = (await watched.state())["state"] == "disabled"
        return disabled and len(waiting) == 10 and not any(one["next_attempt_at"] for one in waiting)

    await until(all_wait)
    tried = len(hooks.arrivals)
    watched.move(7200)
    hooks.answers = []
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
    assert "in a row" in endpoint["state_reason"]

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
    await until(lambda: has(watched, 3))
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
