"""The API's hot paths over HTTP, each beside the bare driver doing the same work on the same database in the same run.

The bare side is asyncpg with the same number of connections, the same role and the same row-level security, without
HTTP, parsing, tokens, limits, audit and facts: what is left when everything that Temula adds is taken away.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg

from benchmarks.harness import ROUNDS, Load, Served, http_request, load, median, repeat, served
from temula.kernel.clock import rfc3339
from temula.kernel.ids import CHECK_IN, REGISTRATION

AT_ONCE = 16
READS, WRITES, SCANS = 2000, 600, 200

Act = Callable[[asyncpg.Connection, int], Awaitable[object]]


def main() -> None:
    """Print each path's rate and latency and its ratio to the bare driver."""
    with served() as running:
        asyncio.run(_measure(running))


async def _measure(running: Served) -> None:
    event, types, gate = _prepare(running)
    codes = _tickets(running, event, types[0], SCANS * ROUNDS)
    async with _connections(running) as pool:
        await _compare("GET /events, 50 rows", _reading(running, pool))
        await _compare("POST /registrations, free", _registering(running, pool, event, types[0]))
        await _compare("POST /check-ins", _scanning(running, pool, gate, codes))


async def _compare(name: str, rounds: AsyncIterator[tuple[Load, Load]]) -> None:
    ours, bare = zip(*[pair async for pair in rounds], strict=True)
    api, driver = median(list(ours)), median(list(bare))
    print(
        f"{name}: {api.rate:,.0f}/s, p50 {api.p50_ms:.1f} ms, p99 {api.p99_ms:.1f} ms; "
        f"bare driver {driver.rate:,.0f}/s; ratio {api.rate / driver.rate:.2f} ({AT_ONCE} at once, median of {ROUNDS})"
    )


async def _reading(running: Served, pool: "asyncpg.Pool") -> AsyncIterator[tuple[Load, Load]]:
    request = http_request("GET", running.port, "/api/v1/events?limit=50", running.token)

    async def read(connection: asyncpg.Connection, _n: int) -> None:
        await connection.fetch("SELECT * FROM events ORDER BY id DESC LIMIT 51")

    for _ in range(ROUNDS):
        api = await load(running.port, [request] * READS, at_once=AT_ONCE)
        yield api, await _bare(running, pool, read, READS)


async def _registering(
    running: Served, pool: "asyncpg.Pool", event: str, ticket_type: str
) -> AsyncIterator[tuple[Load, Load]]:
    body = {
        "event_id": event, "buyer": {"name": "Aisyah", "email": "a@example.org"},
        "attendees": [{"ticket_type_id": ticket_type}],
    }  # fmt: skip
    request = http_request("POST", running.port, "/api/v1/registrations", running.token, body)
    organization = running.quickstart["organization_id"]

    async def write(connection: asyncpg.Connection, _n: int) -> None:
        now = datetime.now(UTC)
        await connection.execute("UPDATE ticket_types SET taken = taken + 1 WHERE id = $1", ticket_type)
        await connection.execute(
            "INSERT INTO registrations (organization_id, id, event_id, buyer_name, buyer_email, state, total, currency,"
            " created_at, updated_at) VALUES ($1, $2, $3, 'A', 'a@example.org', 'confirmed', 0, 'MYR', $4, $4)",
            organization, REGISTRATION.new(now), event, now,
        )  # fmt: skip

    for _ in range(ROUNDS):
        api = await load(running.port, [request] * WRITES, at_once=AT_ONCE)
        yield api, await _bare(running, pool, write, WRITES)


async def _scanning(
    running: Served, pool: "asyncpg.Pool", gate: dict[str, Any], codes: list[dict[str, Any]]
) -> AsyncIterator[tuple[Load, Load]]:
    organization = running.quickstart["organization_id"]

    async def scan(connection: asyncpg.Connection, n: int) -> None:
        ticket, now = codes[n], datetime.now(UTC)
        await connection.execute(
            "INSERT INTO check_ins (organization_id, id, event_id, checkpoint_id, ticket_id, attendee_id, method,"
            " actor_kind, actor_id, at, undone_at) VALUES ($1, $2, $3, $4, $5, $6, 'qr', 'token', 'bare', $7, $7)",
            organization, CHECK_IN.new(now), ticket["event_id"], gate["id"], ticket["id"], ticket["attendee_id"], now,
        )  # fmt: skip

    for _ in range(ROUNDS):
        batch, codes = codes[:SCANS], codes[SCANS:] + codes[:SCANS]
        requests = [
            http_request(
                "POST", running.port, "/api/v1/check-ins", running.token,
                {"checkpoint_id": gate["id"], "code": one["code"]},
            )
            for one in batch
        ]  # fmt: skip
        yield await load(running.port, requests, at_once=AT_ONCE), await _bare(running, pool, scan, SCANS)


async def _bare(running: Served, pool: "asyncpg.Pool", act: Act, number: int) -> Load:
    begin = f"BEGIN; SELECT set_config('temula.organization', '{running.quickstart['organization_id']}', true)"

    async def one(n: int) -> None:
        async with pool.acquire() as connection:
            await connection.execute(begin)
            await act(connection, n)
            await connection.execute("COMMIT")

    return await repeat(one, number, at_once=AT_ONCE)


@asynccontextmanager
async def _connections(running: Served) -> AsyncIterator["asyncpg.Pool"]:
    pool = await asyncpg.create_pool(
        running.owner_url, min_size=AT_ONCE, max_size=AT_ONCE, server_settings={"role": "temula_app"}
    )
    yield pool
    await pool.close()


def _prepare(running: Served) -> tuple[str, list[str], dict[str, Any]]:
    starts = datetime.now(UTC) + timedelta(days=30)
    made = {}
    for n in range(50):
        made = running.call(
            "POST",
            "/events",
            {
                "name": f"Event {n}", "starts_at": rfc3339(starts), "ends_at": rfc3339(starts + timedelta(hours=3)),
                "timezone": "Asia/Kuala_Lumpur", "currency": "MYR", "venue": "Hall",
            },
        )  # fmt: skip
    free = running.call("POST", f"/events/{made['id']}/ticket-types", {"name": "Free", "price": 0, "quota": 100000})
    running.call("POST", f"/events/{made['id']}/publish", {})
    gate = running.call("POST", "/checkpoints", {"event_id": made["id"], "name": "Gate A"})
    return made["id"], [free["id"]], gate


def _tickets(running: Served, event: str, ticket_type: str, number: int) -> list[dict[str, Any]]:
    for _ in range(number // 100):
        attendees = [{"ticket_type_id": ticket_type}] * 100
        buyer = {"name": "Aisyah", "email": "a@example.org"}
        running.call("POST", "/registrations", {"event_id": event, "buyer": buyer, "attendees": attendees})
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        found, cursor = [], ""
        while True:
            page = running.call("GET", f"/tickets?event_id={event}&limit=100{cursor}")
            found += page["data"]
            if page["next_cursor"] is None:
                break
            cursor = f"&cursor={page['next_cursor']}"
        if len(found) >= number:
            return found
        time.sleep(0.5)
    raise RuntimeError("the tickets were not issued in time")
