"""The statements that run most often find their rows by an index, on tables of tens of thousands of rows."""

import itertools
import json
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import asyncpg
import pytest

from temula.domain.checkins import store as checkins
from temula.domain.events import store as events
from temula.domain.payments import store as payments
from temula.domain.registrations import store as registrations
from temula.domain.tickets import store as tickets
from temula.inbound.kit import store as inbox
from temula.kernel import facts, following, jobs, sql
from temula.operations import migrations
from temula.outbound.callers import store as callers
from temula.outbound.webhooks import store as webhooks
from temula.outbound.webhooks.model import By
from tests.harness.postgres import Postgres

ROWS = 40_000
BIG, NOW = "org_0000000000000000000000000a", datetime(2026, 12, 1, tzinfo=UTC)
NUMBERS = itertools.count()
DAYS = ("webhook_attempts_20261130", "webhook_attempts_20261201")  # the partitions that have rows
APP, CROSSING = migrations.APP, migrations.CROSSING


def id_(kind: str, n: int = 20_000) -> str:
    return f"{kind}_{n:026d}"


# Half of the rows belong to one organization, the others to a hundred small ones. What is not given is the same in all.
FILL = f"""
SET session_replication_role = replica;
INSERT INTO organizations (organization_id, name, mode, plan, created_at)
SELECT 'org_' || lpad(n::text, 25, '0') || 'a', 'Many', 'sandbox', 'pro', now() FROM generate_series(0, 100) n;
CREATE TEMP TABLE many AS SELECT n, lpad(n::text, 26, '0') AS id, lpad((n % 400)::text, 26, '0') AS few,
    'org_' || lpad((CASE WHEN n % 2 = 0 THEN 0 ELSE 1 + n % 100 END)::text, 25, '0') || 'a' AS org,
    timestamptz '2026-12-01Z' + make_interval(secs => n - {ROWS // 2}) AS at
FROM generate_series(1, {ROWS}) n;
INSERT INTO api_tokens (organization_id, id, hash, name, hint, abilities, created_at)
SELECT org, 'tok_' || id, sha256(id::bytea), 'x', 'x', '{{"*"}}', at FROM many;
INSERT INTO sessions (organization_id, id, member_id, hash, created_at, expires_at)
SELECT org, 'ses_' || id, 'mem_' || few, sha256(id::bytea), at, at FROM many;
INSERT INTO facts (organization_id, transaction, id, type, public, event_id, occurred_at, data)
SELECT org, n, 'msg_' || id, CASE WHEN n % 1000 = 0 THEN 'endpoint.disabled' ELSE 'ticket.issued' END, true,
    'evt_' || few, at, '{{}}' FROM many;
INSERT INTO followed_facts (organization_id, follower, fact_id) SELECT org, 'tickets', 'msg_' || id FROM many;
INSERT INTO jobs (organization_id, id, kind, payload, dedupe, tries_left, run_at)
SELECT org, 'job_' || id, 'payments.look', '{{}}', id, 5, at FROM many;
INSERT INTO idempotency_keys (organization_id, caller_id, key, fingerprint, created_at)
SELECT org, 'tok_' || few, id, '', at FROM many;
INSERT INTO ticket_types (organization_id, id, event_id, name, price, currency, quota, created_at)
SELECT org, 'tty_' || id, 'evt_' || few, 'x', 100, 'MYR', 100, at FROM many;
INSERT INTO events (organization_id, id, name, description, state, visibility, starts_at, ends_at, timezone, venue,
    currency, created_at, updated_at)
SELECT org, 'evt_' || id, 'x', '', 'published', 'public', at, at, 'UTC', '', 'MYR', at, at FROM many;
INSERT INTO registrations (organization_id, id, event_id, buyer_name, buyer_email, state, total, currency,
    hold_expires_at, created_at, updated_at)
SELECT org, 'reg_' || id, 'evt_' || few, 'x', 'x', CASE WHEN n % 4 = 0 THEN 'pending' ELSE 'confirmed' END, 1, 'MYR',
    CASE WHEN n % 4 = 0 THEN at END, at, at FROM many;
INSERT INTO attendees (organization_id, id, registration_id, event_id, ticket_type_id, name, email, price, currency,
    state, created_at)
SELECT org, 'att_' || id, 'reg_' || id, 'evt_' || few, 'tty_' || id, 'x', 'x', 1, 'MYR', 'confirmed', at FROM many;
INSERT INTO tickets (organization_id, id, registration_id, attendee_id, event_id, ticket_type_id, state, generation,
    code, issued_at)
SELECT org, 'tkt_' || id, 'reg_' || id, 'att_' || id, 'evt_' || few, 'tty_' || id, 'issued', 0, 'x', at FROM many;
INSERT INTO check_ins (organization_id, id, event_id, checkpoint_id, ticket_id, attendee_id, method, actor_kind,
    actor_id, at)
SELECT org, 'chk_' || id, 'evt_' || few, 'chp_' || few, 'tkt_' || id, 'att_' || id, 'qr', 'token', 'x', at FROM many;
INSERT INTO payments (organization_id, id, registration_id, event_id, description, amount, currency, state, created_at,
    updated_at)
SELECT org, 'pay_' || id, 'reg_' || id, 'evt_' || few, 'x', 1, 'MYR', 'succeeded', at, at FROM many;
INSERT INTO provider_refs (organization_id, connection_id, kind, provider_ref, object_id)
SELECT org, 'con_1', 'charge', 'ch_' || id, 'pat_' || id FROM many;
INSERT INTO callbacks (organization_id, id, connection_id, kind, provider, dedupe_key, headers, body, state,
    received_at)
SELECT org, 'cbk_' || id, 'con_1', 'payments', 'stripe', 'evt_' || id, '{{}}', '', 'done', at FROM many;
INSERT INTO webhook_endpoints (organization_id, id, url, description, state, types, event_ids, secret, created_at,
    updated_at)
SELECT org, 'whe_' || id, 'x', '', 'enabled', '{{"*"}}', '{{}}', '', at, at FROM many WHERE n <= 400;
INSERT INTO webhook_queues (organization_id, endpoint_id, due_at, leased_until)
SELECT organization_id, id, '2026-11-01', '-infinity' FROM webhook_endpoints;
INSERT INTO webhook_deliveries (organization_id, id, endpoint_id, message_id, type, lane, order_key, next_at,
    created_at)
SELECT org, 'dlv_' || id, 'whe_' || few, 'msg_' || id, 'x', n % 3, CASE WHEN n % 2 = 0 THEN few END, at, at FROM many;
SELECT temula_webhook_attempts_day('2026-12-01'::date - 1), temula_webhook_attempts_day('2026-12-01');
INSERT INTO webhook_attempts (organization_id, at, id, delivery_id, endpoint_id, message_id, type, number,
    outcome, duration_ms, signatures, status, error, delivery_created_at)
SELECT org, at, 'dat_' || id, 'dlv_' || id, 'whe_' || few, 'msg_' || id, 'x' || n % 7, 1,
    CASE WHEN n % 20 = 0 THEN 'retried' ELSE 'delivered' END, 1, '', CASE WHEN n % 40 = 0 THEN NULL
    WHEN n % 20 = 0 THEN 503 ELSE 200 END, CASE WHEN n % 40 = 0 THEN 'timeout' END, at
FROM many;
INSERT INTO fact_objects (organization_id, object_id, fact_id) SELECT org, 'reg_' || few, 'msg_' || id FROM many;
INSERT INTO webhook_hours (organization_id, endpoint_id, hour, attempts, delivered, retried, exhausted, gone, failures,
    duration_ms, latency)
SELECT org, 'whe_' || few, date_trunc('hour', at) - make_interval(hours => n), 1, 1, 0, 0, 0, 0, 1, '{{1}}' FROM many;
INSERT INTO webhook_days (organization_id, endpoint_id, day, attempts, delivered, failures, retried, latency)
SELECT organization_id, endpoint_id, hour, 1, 1, 0, 0, '{{1}}' FROM webhook_hours;
ANALYZE;
SET session_replication_role = DEFAULT;
"""


class Hot(NamedTuple):
    """A statement, what it is asked with, the indexes it is to use (`|`: one as good as the other), and its role."""

    name: str
    statement: sql.Statement
    arguments: tuple[Any, ...]
    indexes: set[str]
    role: str = APP
    plan: sql.Statement | None = None


def page(name: str, statement: sql.Statement, kind: str, index: str, *narrowed: str) -> Hot:
    return Hot(name, statement, (BIG, id_(kind), 51, *narrowed), {index})


def deliveries(name: str, statement: sql.Statement, *narrowed: str) -> list[Hot]:
    """A piece of a list of deliveries, of few days and of many."""

    def back(days: int) -> tuple[Any, ...]:
        return BIG, id_("dlv"), 51, id_("dlv", 0), NOW - timedelta(days=days), *narrowed

    found = {"webhook_deliveries_pkey" if not narrowed else "webhook_deliveries_pkey|webhook_deliveries_due"}
    return [
        Hot(f"{name}, near", statement, back(1), found, plan=webhooks.PLAN_EACH),
        Hot(f"{name}, far", statement, back(90), found, plan=webhooks.PLAN_ONCE),
    ]


def search(by: By, index: str, **asked: Any) -> list[Hot]:
    """A search of the log, of few days and of many, with what it is asked for in the order of its arguments."""
    given = [asked.get(name) for name in ("endpoint", "types", "lowest", "highest")]
    more = [asked[name] for name in ("messages",) if name in asked]

    def back(days: int, *, far: bool) -> tuple[Any, ...]:
        since, error = NOW - timedelta(days=days), asked.get("error")
        return BIG, NOW, "", since, 5000, 51, *given, False, None, error, None, far, *more

    return [
        Hot(f"log by {by}, near", webhooks.SEARCHES[by], back(1, far=False), {index}, plan=webhooks.PLAN_EACH),
        Hot(f"log by {by}, far", webhooks.SEARCHES[by], back(90, far=True), {index}, plan=webhooks.PLAN_ONCE),
    ]


def of_day(name: str) -> str:
    """Either of the indexes of the two days that have rows; PostgreSQL names them and cuts the names."""
    return "|".join(f"{day}_{name}" for day in DAYS)


EVENT, ORDER = id_("evt", 200), id_("reg")
TOMORROW, MINUTE = NOW + timedelta(days=1), timedelta(minutes=1)
OF_DAY = "webhook_attempts_20261201_pkey"
HOT = (
    Hot("token by hash", callers.TOKEN_BY_HASH, (b"\x00" * 32,), {"api_tokens_hash"}, CROSSING),
    Hot("session by hash", callers.SESSION_BY_HASH, (b"\x00" * 32, NOW), {"sessions_hash"}, CROSSING),
    Hot("claim a key", callers.KEY, (BIG, id_("tok", 200), f"{20_000:026d}"), {"idempotency_keys_pkey"}),
    Hot("read facts", facts.READ, (39_000, 0, 200), {"facts_order"}, CROSSING),
    Hot("fact by id", following.GET, (BIG, id_("msg")), {"facts_id"}),
    Hot("followed before", following.FOLLOWED, (BIG, "tickets", id_("msg")), {"followed_facts_pkey"}),
    Hot("claim jobs", jobs.CLAIM, (8, 30.0, NOW), {"jobs_due", "jobs_pkey"}, CROSSING),
    Hot("finish a job", jobs.FINISH, ([BIG], [id_("job")], [1]), {"jobs_pkey"}, CROSSING),
    Hot("take queues", webhooks.TAKE_QUEUES, (NOW, 1, 30.0, 64), {"webhook_queues_due"}, CROSSING),
    Hot("load deliveries", webhooks.LOAD, ([BIG], [id_("whe", 200)], [0], [64], [id_("dlv", 7)], NOW),
        {"webhook_queues_pkey", "webhook_deliveries_due", "webhook_deliveries_order"}, CROSSING),
    Hot("messages of deliveries", webhooks.SAID, ([BIG], [id_("msg")]), {"facts_id"}, CROSSING),
    Hot("settle deliveries", webhooks.SETTLE, ([BIG], [id_("dlv")], [id_("whe", 200)], [0], [0], [NOW]),
        {"webhook_queues_pkey", "webhook_deliveries_pkey"}, CROSSING),
    Hot("log what was delivered", webhooks.ADD_DELIVERED, ([BIG], [id_("whe", 200)], [0], [1], [id_("dlv")], [1],
        [NOW], ["dat_1"], [None], [1], [None], [""], [], [200], [], [], [None]),
        {"webhook_queues_pkey", "webhook_deliveries_pkey"}, CROSSING),
    Hot("rows of the log", webhooks.ROWS, (BIG, [NOW], [id_("dat")]), {OF_DAY}, plan=webhooks.PLAN_EACH),
    Hot("attempts of a delivery", webhooks.ATTEMPTS, (BIG, id_("dlv"), NOW),
        {"webhook_attempts_20261201_organization_id_delivery_id_numbe_idx"}, plan=webhooks.PLAN_EACH),
    Hot("attempts of a day to archive", webhooks.PAGE_OF_DAY, (BIG, NOW, id_("dat"), TOMORROW, 100), {OF_DAY}),
    Hot("attempts of a day to erase in", webhooks.PAGE_OF_ATTEMPTS, (BIG, NOW, id_("dat"), TOMORROW, 500), {OF_DAY}),
    Hot("where a step of a day ends", webhooks.STEP_OF_DAY, (BIG, NOW, TOMORROW, 5000), {OF_DAY}, CROSSING),
    Hot("a step of a day goes", webhooks.DELETE_OF_DAY, (BIG, NOW, TOMORROW, NOW + MINUTE, "dat"), {OF_DAY}, CROSSING),
    Hot("facts to erase in", webhooks.PAGE_OF_FACTS, (BIG, 20_000, 0, 500), {"facts_pkey|facts_order"}),
    *search(By.TIME, of_day("pkey")),
    *search(By.ENDPOINT, of_day("organization_id_endpoint_id_at_idx"), endpoint=id_("whe", 200)),
    *search(By.TYPE, of_day("organization_id_type_at_idx"), types=["x3"]),
    *search(By.MESSAGES, of_day("organization_id_message_id_endpoi_idx"), messages=[id_("msg")]),
    Hot("what is said of an object", webhooks.SAID_OF, (BIG, id_("reg", 200), 201), {"fact_objects_pkey"}),
    Hot("an attempt", webhooks.ATTEMPT, (BIG, NOW - timedelta(seconds=1), NOW, id_("dat")), {of_day("pkey")}),
    Hot("an hour's counts", webhooks.HOURS, (BIG, NOW - timedelta(hours=24), NOW), {"webhook_hours_hour"}),
    Hot("a day's counts", webhooks.DAYS, (BIG, NOW - timedelta(days=30), NOW),
        {"webhook_days_day|webhook_days_pkey", "webhook_hours_hour|webhook_hours_pkey"}),
    Hot("how far a pull looks", webhooks.LOOK, (BIG, 20_000, 0, 2000), {"facts_pkey|facts_order"}),
    Hot("pulled messages", webhooks.MESSAGES, (BIG, 20_000, 0, 24_000, 0, ["ticket.issued"], 100),
        {"facts_pkey|facts_order"}),
    Hot("the end of the log", webhooks.END, (BIG,), {"facts_pkey|facts_order"}),
    Hot("where a pull goes on", webhooks.POSITION_OF, (BIG, id_("msg")), {"facts_id"}),
    Hot("what was told of endpoints", webhooks.WARNINGS, (BIG, 100), {"facts_notices"}),
    Hot("what waits for an endpoint", webhooks.WAITING, (BIG, id_("whe", 200), 1001), {"webhook_deliveries_due"}),
    Hot("what the log has of an endpoint", webhooks.LOGGED,
        (BIG, id_("whe", 200), id_("msg"), NOW - timedelta(days=9), NOW + timedelta(days=9), NOW, None, None, False),
        {"webhook_attempts_20261201_organization_id_message_id_endpoi_idx|"
         "webhook_attempts_20261201_organization_id_endpoint_id_at_idx", "webhook_deliveries_due", "facts_id"}),
    Hot("facts that may be missing", webhooks.HAPPENED, (BIG, id_("msg"), 40_000), {"facts_id"}),
    Hot("what an endpoint has had", webhooks.HAD, (BIG, id_("whe", 200), [id_("msg"), id_("msg", 20_002)], NOW),
        {"webhook_attempts_20261201_organization_id_message_id_endpoi_idx|"
         "webhook_attempts_20261201_organization_id_endpoint_id_at_idx"}),
    Hot("what waits of messages", webhooks.WAITS, (BIG, id_("whe", 200), [id_("msg")]), {"webhook_deliveries_due"}),
    Hot("what waits of a replay", webhooks.STANDING, (BIG, id_("rpl"), id_("whe", 200), NOW, NOW),
        {"webhook_deliveries_replay"}),
    Hot("ticket at the gate", tickets.GET, (BIG, id_("tkt")), {"tickets_pkey"}),
    Hot("who was first", checkins.STANDING, (BIG, id_("tkt")), {"check_ins_once"}),
    Hot("first entry", registrations.ARRIVE, (BIG, id_("att"), NOW), {"attendees_pkey"}),
    Hot("take of the quota", events.TAKE, (BIG, id_("tty"), EVENT, 1, NOW), {"ticket_types_pkey|ticket_types_event"}),
    Hot("expired holds", registrations.LAPSED, (NOW, 500), {"registrations_holds"}, CROSSING),
    Hot("a provider's object", payments.BY_REF, (BIG, "con_1", "charge", id_("ch")),
        {"provider_refs_pkey|provider_refs_owner"}),
    Hot("payments of a registration", payments.OF_REGISTRATION, (BIG, ORDER), {"payments_registration"}),
    Hot("attendees of a registration", registrations.ATTENDEES_OF, (BIG, ORDER), {"attendees_registration"}),
    Hot("tickets of a registration", tickets.OF_REGISTRATION, (BIG, ORDER), {"tickets_registration"}),
    page("events", events.LIST, "evt", "events_pkey"),
    page("registrations", registrations.LIST, "reg", "registrations_pkey"),
    page("registrations of an event", registrations.LIST_OF_EVENT, "reg", "registrations_event", EVENT),
    page("attendees", registrations.LIST_ATTENDEES, "att", "attendees_pkey"),
    page("attendees of an event", registrations.LIST_ATTENDEES_OF_EVENT, "att", "attendees_event", EVENT),
    page("tickets", tickets.LIST, "tkt", "tickets_pkey"),
    page("tickets of an event", tickets.LIST_OF_EVENT, "tkt", "tickets_event", EVENT),
    page("check-ins", checkins.LIST, "chk", "check_ins_pkey"),
    page("check-ins of an event", checkins.LIST_OF_EVENT, "chk", "check_ins_event", EVENT),
    page("payments", payments.LIST, "pay", "payments_pkey"),
    *deliveries("deliveries", webhooks.DELIVERIES),
    *deliveries("deliveries of an endpoint", webhooks.DELIVERIES_OF_ENDPOINT, id_("whe", 200)),
)  # fmt: skip


@pytest.fixture(scope="module")
async def filled(server: Postgres) -> AsyncIterator[asyncpg.Connection]:
    """Tens of thousands of rows in every table that grows, with the planner told of them."""
    async with server.database() as url:
        connection = await asyncpg.connect(url)
        await connection.execute(FILL)
        yield connection
        await connection.close()


def literal(value: object) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, bytes):
        return rf"'\x{value.hex()}'::bytea"
    if value is None:
        return "NULL"
    if isinstance(value, list):
        return "'{" + ",".join(f'"{item}"' for item in value) + "}'"
    return str(value) if isinstance(value, int | float) else f"'{value}'"


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for below in plan.get("Plans", []):
        yield from nodes(below)


async def planned(connection: asyncpg.Connection, hot: Hot) -> list[dict[str, Any]]:
    """The plan that a statement settles on: the driver prepares once, and PostgreSQL may go generic after five."""
    given = ", ".join(literal(argument) for argument in hot.arguments)
    async with connection.transaction():
        await connection.execute(f"SET LOCAL ROLE {hot.role}")
        await connection.execute("SELECT set_config('temula.organization', $1, true)", BIG)
        if hot.plan is not None:
            await connection.execute(hot.plan)
        name = f"hot_{next(NUMBERS)}"
        await connection.execute(f"PREPARE {name} AS {hot.statement}")
        for _ in range(7):
            plan = await connection.fetchval(f"EXPLAIN (FORMAT JSON) EXECUTE {name} ({given})")
    return list(nodes(json.loads(plan)[0]["Plan"]))


@pytest.mark.parametrize("hot", HOT, ids=lambda hot: hot.name)
async def test_a_hot_statement_uses_its_index(filled: asyncpg.Connection, hot: Hot) -> None:
    """It reads no large table from end to end, goes through the index made for it, and sorts no more than its page."""
    found = await planned(filled, hot)
    read_whole = {node["Relation Name"] for node in found if node["Node Type"] == "Seq Scan"}
    small = {name for name in read_whole if name.startswith("webhook_attempts_") and name not in DAYS}
    assert not read_whole - {"webhook_endpoints", "organizations"} - small
    used = {node["Index Name"] for node in found if "Index Name" in node}
    assert all(used & set(wanted.split("|")) for wanted in hot.indexes), sorted(used)


async def test_a_claimed_callback_is_found_by_its_key(filled: asyncpg.Connection) -> None:
    """A callback that came before is recognised by the unique index of its connection's keys."""
    row = (BIG, id_("cbk", 99_999), "con_1", "payments", "stripe", f"evt_{20_000:026d}", "{}", b"", "received", "", NOW)
    found = await planned(filled, Hot("dedupe", inbox.INSERT, row, set()))
    (insert,) = [node for node in found if node["Node Type"] == "ModifyTable"]
    assert insert["Conflict Arbiter Indexes"] == ["callbacks_organization_id_connection_id_dedupe_key_key"]


async def test_the_first_scan_is_decided_by_the_index(filled: asyncpg.Connection) -> None:
    """Redeeming a ticket asks the index of standing check-ins and nothing else."""
    row = (BIG, id_("chk", 99_999), EVENT, id_("chp", 200), id_("tkt"), id_("att"), "qr", "token", "x", NOW)
    found = await planned(filled, Hot("redeem", checkins.ADMIT, row, set()))
    (insert,) = [node for node in found if node["Node Type"] == "ModifyTable"]
    assert insert["Conflict Arbiter Indexes"] == ["check_ins_once"]


async def test_retention_reads_by_age(filled: asyncpg.Connection) -> None:
    """What is past its time is found by an index on it, so that a night's work fits into the statement timeout."""
    old = NOW - timedelta(seconds=ROWS // 2 - 50)
    for statement, index in (
        (inbox.DELETE_OLD, "callbacks_age"),
        (callers.DELETE_OLD_KEYS, "idempotency_keys_age"),
    ):
        found = await planned(filled, Hot(index, statement, (old,), set(), CROSSING))
        assert index in {node.get("Index Name") for node in found}, statement
