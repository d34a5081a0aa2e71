"""The door for callbacks beside a bare insert of the same row, on the same database in the same run.

Each callback is new, signed, and of the size that Stripe sends; the answer says that it is verified and committed with
its job. The worker goes on processing them meanwhile, as it does in life. The bare way is asyncpg inserting the same
values into a table of the same shape, one transaction each.
"""

import asyncio
import hmac
import json
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import NamedTuple
from uuid import uuid4

import asyncpg

from benchmarks.harness import ROUNDS, Load, Served, load, median, repeat, served
from temula.domain.connections import service as connections
from temula.kernel.crypto import load as load_ring
from temula.kernel.database import Database
from temula.kernel.ids import CALLBACK

CALLBACKS = 1000
BARE = """
CREATE TABLE bench_callbacks (LIKE callbacks INCLUDING ALL);
"""
INSERT = """
INSERT INTO bench_callbacks (organization_id, id, connection_id, kind, provider, dedupe_key, headers, body, state,
    received_at) VALUES ($1, $2, $3, 'payments', 'stripe', $4, $5, $6, 'received', $7)
"""


class Door(NamedTuple):
    """Where callbacks go, and what signs them."""

    path: str
    secret: str
    organization_id: str
    connection_id: str


def main() -> None:
    """Print the medians of both, and the ratio of the waits."""
    with served() as running:
        asyncio.run(_measure(running))


async def _measure(running: Served) -> None:
    door = await _door(running)
    pool = await asyncpg.create_pool(running.owner_url, min_size=8, max_size=8)
    await pool.execute(BARE)
    for at_once in (1, 8):
        ours: list[Load] = []
        bare: list[Load] = []
        for _ in range(ROUNDS):
            ours.append(await load(running.port, [_request(door) for _ in range(CALLBACKS)], at_once=at_once))
            bodies = [_body() for _ in range(CALLBACKS)]
            bare.append(await repeat(_inserting(pool, door, bodies), CALLBACKS, at_once=at_once))
        _print(at_once, median(ours), median(bare))
    await pool.close()


def _inserting(pool: "asyncpg.Pool", door: Door, bodies: list[bytes]) -> Callable[[int], Awaitable[None]]:
    async def insert(number: int) -> None:
        now = datetime.now(UTC)
        await pool.execute(
            INSERT, door.organization_id, CALLBACK.new(now), door.connection_id, uuid4().hex, "{}", bodies[number], now
        )

    return insert


async def _door(running: Served) -> Door:
    sandbox = json.loads((running.folder / "sandbox.json").read_text())
    token = sandbox["callback_token"]
    database = Database(running.owner_url)
    await database.open()
    try:
        connection = await connections.behind_door(database, token)
    finally:
        await database.close()
    ring = load_ring((running.folder / "keys.json").read_bytes())
    credentials = connections.opened(ring, connection).credentials
    path = f"/in/payments/stripe/sandbox/{token}"
    return Door(path, credentials["webhook_secret"], connection.organization_id, connection.id)


def _body() -> bytes:
    """An event that we take and have no use for, so that what processing it changes is not measured."""
    about = {"id": f"po_{uuid4().hex}", "object": "payout", "description": "x" * 2500}
    event = {"id": f"evt_{uuid4().hex}", "object": "event", "type": "payout.paid", "livemode": False}
    return json.dumps({**event, "data": {"object": about}}, indent=2).encode()


def _request(door: Door) -> bytes:
    body, now = _body(), int(time.time())
    signature = hmac.new(door.secret.encode(), b"%d." % now + body, "sha256").hexdigest()
    head = (
        f"POST {door.path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        f"Stripe-Signature: t={now},v1={signature}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def _print(at_once: int, ours: Load, bare: Load) -> None:
    print(
        f"{at_once} at once, median of {ROUNDS}:"
        f" door {ours.p50_ms:.2f} ms, p99 {ours.p99_ms:.2f} ms, {ours.rate:.0f}/s;"
        f" bare insert {bare.p50_ms:.2f} ms, p99 {bare.p99_ms:.2f} ms, {bare.rate:.0f}/s;"
        f" {ours.p50_ms / bare.p50_ms:.1f} times its wait, {ours.rate / bare.rate:.2f} of its rate"
    )
