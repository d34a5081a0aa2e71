"""The log at ten million attempts: pages for each filter, charts, and a day that is dropped while others are logged.

One organization, a hundred endpoints, one of which has nine attempts in ten, over a week; two in a hundred failed. The
days are filled unlogged, to be quick about it; today's is as it always is. Whoever asks goes through the wall. "First"
is what is asked first of a connection, which has seen none of the log's tables yet: the median of several.
`TEMULA_ATTEMPTS=1000000` chooses another size.
"""

import asyncio
import math
import os
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple

import msgspec
import uvloop

from benchmarks.receivers import Answering, Farm, farm
from benchmarks.webhooks import Ground, ground
from temula.kernel.database import Database
from temula.kernel.errors import Unavailable
from temula.kernel.ids import DELIVERY_ATTEMPT
from temula.kernel.pages import window
from temula.kernel.sql import Statement
from temula.kernel.tenancy import Actor
from temula.operations.running import log_quietly
from temula.outbound.webhooks import service, store
from temula.outbound.webhooks.jobs import adding_up, forgetting
from temula.outbound.webhooks.model import Attempt, Sought, Step, answered

DAYS, ENDPOINTS, ASKED, FRESH = 7, 100, 30, 5
EACH_SECOND = math.ceil(int(os.environ.get("TEMULA_ATTEMPTS", "10000000")) / DAYS / 86_400)
ATTEMPTS = EACH_SECOND * 86_400 * DAYS
AT_ONCE, LOGGING, DROPPED = 64, 10.0, 3
TYPES = ["ticket.issued", "registration.created", "check_in.completed", "attendee.checked_in", "payment.succeeded"]
# The digits of an id carry its time, by which an attempt is found. All of a second are made in its first millisecond.
SECONDS = Statement("""
CREATE TEMP TABLE seconds AS SELECT s, at, ms, (
    SELECT string_agg(substr('0123456789abcdefghjkmnpqrstvwxyz', (ms >> 45 - 5 * d & 31)::int + 1, 1), '' ORDER BY d)
    FROM generate_series(0, 9) AS d) AS time
FROM (SELECT s, $1::timestamptz + make_interval(secs => s) AS at,
        (extract(epoch FROM $1::timestamptz) + s)::bigint * 1000 AS ms
    FROM generate_series(0, 86399) AS s) AS all_of_them
""")
# 'payment.failed' goes to others than the big endpoint; 503 is answered to one type only; 418 and 'tls_failed' hardly
# ever; 'ticket.void' never happened.
FILL = Statement(
    """
INSERT INTO filled (organization_id, at, id, delivery_id, endpoint_id, message_id, type, event_id, number,
    outcome, duration_ms, address, signatures, status, response_headers, response_body, error, delivery_created_at)
SELECT $1, at, 'dat_' || digits, 'dlv_' || digits, $2[CASE WHEN n % 10 = 9 THEN 2 + n / 10 % ($5 - 1) ELSE 1 END],
    'msg_' || digits, type, 'evt_' || lpad((n % 20)::text, 26, '0'), 1,
    CASE WHEN status = 200 THEN 'delivered' ELSE 'retried' END, 2 + n % 97, '203.0.113.7',
    'v1,' || hash || 'aaaaaaaaaaa=' || chr(10) || hash || hash, status,
    CASE WHEN status IS NOT NULL THEN '\\x436f6e74656e742d4c656e6774683a20320d0a5365727665723a206e67696e78'::bytea END,
    CASE WHEN status IS NOT NULL THEN 'ok'::bytea END,
    CASE WHEN status IS NULL THEN CASE WHEN n % 1000000 = 7 THEN 'tls_failed' ELSE 'timeout' END END, at
FROM (SELECT *, CASE WHEN n % 1000000 = 77 THEN 418 WHEN n % 1000000 = 7 OR n % 100 = 31 THEN NULL
        WHEN n % 100 = 53 THEN 500 WHEN type = 'event.updated' THEN 503 ELSE 200 END AS status
    FROM (SELECT s * $4 + k AS n, at + k * interval '20 microseconds' AS at, time || lpad(k::text, 16, '0') AS digits,
            md5(s::text || k::text) AS hash, CASE WHEN (s * $4 + k) % 10 = 9 THEN 'payment.failed'
                WHEN (s * $4 + k) % 500 = 88 THEN 'event.updated' ELSE $3[1 + (s * $4 + k) % 5] END AS type
        FROM seconds, generate_series(0, $4 - 1) AS k) AS kinds) AS made
""".replace("$2[", "($2::text[])[")
    .replace("$3[", "($3::text[])[")
    .replace("$4", "$4::int")
    .replace("$5", "$5::int")
)
# What was said of a registration (3 facts), of a busy one (150), and of an event (half a million).
OBJECTS = Statement("""
INSERT INTO fact_objects (organization_id, object_id, fact_id)
SELECT organization_id, unnest(ARRAY[event_id, 'reg_' || lpad((n / 3)::text, 26, '0'),
    'tkt_' || lpad((n / 150)::text, 26, '0')]), message_id
FROM (SELECT *, row_number() OVER (ORDER BY at) - 1 AS n FROM webhook_attempts WHERE at >= $1 AND at < $2) AS a
""")
HOURS = Statement("""
INSERT INTO webhook_hours SELECT $1, endpoint_id, hour, 140, 137, 3, 0, 0, 3, 7000, (
    SELECT array_agg(CASE WHEN b BETWEEN 5 AND 22 THEN (random() * 15)::int ELSE 0 END) FROM generate_series(1, 48) b
    WHERE endpoint_id <> '')
FROM unnest($2::text[]) AS endpoint_id,
    generate_series(date_trunc('hour', now()) - interval '31 days', date_trunc('hour', now()), '1 hour') AS hour
""")


class Logged(NamedTuple):
    """When a transaction that logs attempts began and ended, in seconds."""

    began: float
    ended: float


def main() -> None:
    """Print how long pages and charts take, and what dropping a day does to who logs."""
    log_quietly()
    with farm([Answering]) as there:
        uvloop.run(_measure(there))


async def _measure(there: Farm) -> None:
    async with ground(there) as g:
        (actor,) = await g.organizations([there.url(0)], 1, ENDPOINTS)
        async with g.database.reading(actor) as uow:
            asked = window(g.ring, None, 100, "benchmark")
            endpoints = [one.id for one in (await service.listed(uow, asked, service.Narrowed())).items]
        began = time.perf_counter()
        first = await _fill(g, actor, endpoints)
        print(f"{ATTEMPTS:,} attempts over {DAYS} days, filled in {time.perf_counter() - began:.0f} s")
        await _pages(g, actor, endpoints, first)
        await _charts(g, actor, endpoints)
        await _drop(g, actor, first)


async def _fill(g: Ground, actor: Actor, endpoints: Sequence[str]) -> datetime:
    """Fill the days before today; gives the first."""
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    days = [today - timedelta(days=n) for n in range(DAYS, 0, -1)]
    await g.owner.execute("SET statement_timeout = 0; SET maintenance_work_mem = '512MB'; SET timezone = 'UTC'")
    for day in days:
        name = f"webhook_attempts_{day:%Y%m%d}"
        await g.owner.execute("DROP TABLE IF EXISTS seconds")
        await g.owner.execute("CREATE UNLOGGED TABLE filled (LIKE webhook_attempts INCLUDING CONSTRAINTS)")
        await g.owner.execute(SECONDS.replace("$1", f"'{day.isoformat()}'"))
        await g.owner.execute(FILL, actor.organization_id, endpoints, TYPES, EACH_SECOND, ENDPOINTS)
        await g.owner.execute(f"ALTER TABLE filled RENAME TO {name}")
        span = f"FROM ('{day:%Y-%m-%d} 00:00+00') TO ('{day + timedelta(days=1):%Y-%m-%d} 00:00+00')"
        await g.owner.execute(f"ALTER TABLE webhook_attempts ATTACH PARTITION {name} FOR VALUES {span}")
        await g.owner.execute(f"VACUUM ANALYZE {name}")
    # A log of ninety days has as many partitions, whatever is in them.
    await g.owner.execute(
        "SELECT temula_webhook_attempts_day($1::date - n) FROM generate_series(1, $2::int) AS n",
        days[0].date(),
        90 - DAYS,
    )
    await g.owner.execute(OBJECTS, days[2], days[3])
    await g.owner.execute(HOURS, actor.organization_id, endpoints)
    await g.owner.execute("ANALYZE webhook_attempts")
    await g.owner.execute("VACUUM ANALYZE fact_objects, webhook_hours")
    return days[0]


async def _pages(g: Ground, actor: Actor, endpoints: Sequence[str], first: datetime) -> None:
    big, small = endpoints[0], endpoints[1]
    ticket, registration, event = ("0" * 23 + "123", "0" * 23 + "456", "0" * 25 + "7")
    searches = {
        "nothing given": Sought(),
        "one endpoint, nine in ten": Sought(big),
        "one endpoint, one in a thousand": Sought(small),
        "a type, one in five": Sought(types=("ticket.issued",)),
        "a type that never occurs": Sought(types=("ticket.void",)),
        "failed": Sought(answered=answered("failed")),
        "failed at one endpoint": Sought(small, answered=answered("failed")),
        "succeeded": Sought(answered=answered("succeeded")),
        "5xx": Sought(answered=answered("5xx")),
        "4xx, ten in ten million": Sought(answered=answered("4xx")),
        "a status, ten in ten million": Sought(answered=answered("418")),
        "a status that never occurs": Sought(answered=answered("999")),
        "an error, ten in ten million": Sought(error="tls_failed"),
        "a registration": Sought(object_id=f"reg_{registration}"),
        "a ticket with 150 facts": Sought(object_id=f"tkt_{ticket}"),
        "an event that was told of days ago": Sought(object_id=f"evt_{event}"),
        "an event that nothing is said of": Sought(object_id=f"evt_{'0' * 24}99"),
        "an hour of the first day": Sought(since=first + timedelta(hours=9), until=first + timedelta(hours=10)),
        "the big endpoint, a status and a type that never meet": Sought(big, ("ticket.issued",), answered("503")),
        "the big endpoint, a type that only others get": Sought(big, ("payment.failed",)),
        "failed, at the big endpoint, a type that only others get": Sought(
            big, ("payment.failed",), answered("failed")
        ),
    }
    print(f"{'page of 50':<58}{'p50 ms':>8}{'max ms':>8}{'first ms':>10}  found, and whether it is all")
    for title, sought in searches.items():
        await _page(g, actor, title, sought)


async def _page(g: Ground, actor: Actor, title: str, sought: Sought) -> None:
    found: list[service.Found] = []

    async def ask(database: Database = g.database) -> None:
        # Each asks for the page after the one before, and at the end from the start again.
        cursor = found[-1].next_cursor if found else None
        async with database.reading(actor) as uow:
            found.append(await service.search(uow, window(g.ring, cursor, 50, "benchmark"), sought))

    took = await _repeated(ask)
    more, number = "and on" if found[0].next_cursor else "all", len(found[0].attempts)
    first = statistics.median([await _first(g, found.clear, ask) for _ in range(FRESH)])
    print(f"{title:<58}{statistics.median(took):>8.1f}{max(took):>8.1f}{first:>10.1f}  {number} {more}")


async def _first(g: Ground, start: Callable[[], None], ask: Callable[[Database], Awaitable[None]]) -> float:
    """Milliseconds of the first page on a connection of its own."""
    name, folder = await g.owner.fetchrow("SELECT current_database(), current_setting('unix_socket_directories')")
    database = Database(f"postgresql://postgres@/{name}?host={folder}", size=1)
    await database.open()
    try:
        start()
        began = time.perf_counter()
        await ask(database)
        return (time.perf_counter() - began) * 1000
    finally:
        await database.close()


async def _charts(g: Ground, actor: Actor, endpoints: Sequence[str]) -> None:
    now = datetime.now(UTC)
    handler = adding_up.handlers(g.database)[adding_up.AddUpDays.KIND]
    await handler.handle(actor, adding_up.AddUpDays())
    for title, step, ago, endpoint in (
        ("day chart, by hour, all endpoints", Step.HOUR, None, None),
        ("day chart, by hour, one endpoint", Step.HOUR, None, endpoints[0]),
        ("month chart, by day, all endpoints", Step.DAY, None, None),
        ("two weeks, by hour, all endpoints", Step.HOUR, now - timedelta(days=13), None),
    ):

        async def ask(step: Step = step, ago: datetime | None = ago, endpoint: str | None = endpoint) -> None:
            async with g.database.reading(actor) as uow:
                await service.stats(uow, step, ago, None, endpoint)

        took = await _repeated(ask)
        print(f"{title:<58}{statistics.median(took):>8.1f}{max(took):>8.1f}")


async def _repeated(ask: Callable[[], Awaitable[None]]) -> list[float]:
    """Milliseconds, each time."""
    took = []
    for _ in range(ASKED):
        began = time.perf_counter()
        await ask()
        took.append((time.perf_counter() - began) * 1000)
    return took


async def _drop(g: Ground, actor: Actor, first: datetime) -> None:
    """Log without a pause, and drop the oldest days meanwhile, one in each window: in truth it is one in a day."""
    async with g.database.reading(actor) as uow:
        asked = window(g.ring, None, 1, "benchmark")
        (one,) = (await service.search(uow, asked, Sought())).attempts
        template, _ = await service.attempt(uow, one.id)
    before, during, within, dropped = [], [], [], []
    for n in range(DROPPED):
        before += await _logged(g, template, asyncio.sleep(LOGGING))
        dropping = asyncio.ensure_future(_dropped_amid(g, (first + timedelta(days=n)).date()))
        logged = await _logged(g, template, dropping)
        began, ended = await dropping
        dropped.append(ended - began)
        within += [one for one in logged if one.began < ended and one.ended > began]
        during += logged
    print(
        f"dropping a day of {ATTEMPTS // DAYS:,}: {', '.join(f'{one:.2f}' for one in dropped)} s; logging {AT_ONCE} "
        f"attempts in {LOGGING:.0f} s in which it is dropped: {_told(during)}; without: {_told(before)}; "
        f"while it goes: {_told(within)}"
    )


async def _dropped_amid(g: Ground, day: date) -> tuple[float, float]:
    """Drop a day in the middle of a window; give when that began and ended."""
    await asyncio.sleep(LOGGING / 2)
    began = time.perf_counter()
    await _drop_day(g, day)
    ended = time.perf_counter()
    await asyncio.sleep(LOGGING / 2)
    return began, ended


async def _drop_day(g: Ground, day: date) -> None:
    # As the job does: the lock is given up at once if somebody holds it, so that nobody waits behind it.
    while True:
        try:
            async with g.database.crossing("a benchmark drops a day") as uow:
                await store.drop_day(uow, day)
        except Unavailable:
            await asyncio.sleep(forgetting.PAUSE)
        else:
            return


async def _logged(g: Ground, template: Attempt, until: Awaitable[object]) -> list[Logged]:
    """Log attempts, a transaction after another, while something else runs."""
    logged = []
    running = asyncio.ensure_future(until)
    while not running.done():
        now = datetime.now(UTC)
        attempts = [
            msgspec.structs.replace(template, at=now, id=DELIVERY_ATTEMPT.new(now), delivery_created_at=now)
            for _ in range(AT_ONCE)
        ]
        began = time.perf_counter()
        async with g.database.crossing("a benchmark logs") as uow:
            await store.add_attempts(uow, attempts)
        logged.append(Logged(began, time.perf_counter()))
        await asyncio.sleep(0.002)
    await running
    return logged


def _told(logged: Sequence[Logged]) -> str:
    took = sorted((one.ended - one.began) * 1000 for one in logged)
    return f"p50 {statistics.median(took):.1f}, p95 {took[int(len(took) * 0.95)]:.1f}, max {took[-1]:.1f} ms"
