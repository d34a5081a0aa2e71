"""What is removed when its time is over, and what stays."""

from collections.abc import AsyncIterator
from datetime import timedelta

import asyncpg
import pytest

from temula.domain.organizations.model import PLATFORM
from temula.kernel.clock import ManualClock
from temula.kernel.database import Database
from temula.kernel.tenancy import system
from temula.operations import retention
from temula.operations.settings import DataSettings
from temula.outbound.webhooks.jobs.forgetting import STEP

DAYS = DataSettings(delivery_days=90, callback_days=90)
ATTEMPTS = """
INSERT INTO webhook_attempts (organization_id, at, id, delivery_id, endpoint_id, message_id, type, number,
    outcome, duration_ms, signatures, delivery_created_at)
SELECT $1, $2, 'dat_' || $3 || n, 'dlv_' || n, 'whe_1', 'msg_' || n, 'event.published', 1, 'delivered', 3, '',
    $2
FROM generate_series(1, $4::int) AS n
"""
CALLBACK = """
INSERT INTO callbacks (organization_id, id, connection_id, kind, provider, dedupe_key, headers, body, state,
    received_at)
VALUES ($1, $3, 'con_1', 'payments', 'stripe', $3, '{}', '{}', 'done', $2)
"""
KEY = """
INSERT INTO idempotency_keys (organization_id, caller_id, key, fingerprint, created_at)
VALUES ($1, 'tok_1', $3, 'x', $2)
"""


@pytest.fixture
async def kept(owner_url: str, still: ManualClock) -> AsyncIterator[Database]:
    """The application on a clock that stands still."""
    opened = Database(owner_url, clock=still)
    await opened.open()
    yield opened
    await opened.close()


async def test_what_is_past_its_time_is_removed(kept: Database, owner_url: str, still: ManualClock) -> None:
    """Attempts and callbacks go after their days, keys after 72 hours; what is younger stays, however much goes."""
    now, many = still.now(), 2 * STEP + 1
    owner = await asyncpg.connect(owner_url)
    for name, age in (("old", timedelta(days=91)), ("young", timedelta(days=89))):
        await owner.execute("SELECT temula_webhook_attempts_day($1)", (now - age).date())
        await owner.execute(ATTEMPTS, PLATFORM, now - age, name, many if name == "old" else 2)
        await owner.execute(CALLBACK, PLATFORM, now - age, name)
    for name, hours in (("old", 73), ("young", 71)):
        await owner.execute(KEY, PLATFORM, now - timedelta(hours=hours), name)

    handler = retention.handlers(kept, DAYS)[retention.ForgetOld.KIND]
    await handler.handle(system("test", PLATFORM), retention.ForgetOld())

    assert await owner.fetchval("SELECT array_agg(id ORDER BY id) FROM webhook_attempts") == [
        "dat_young1",
        "dat_young2",
    ]
    assert await owner.fetchval("SELECT array_agg(id) FROM callbacks") == ["young"]
    assert await owner.fetchval("SELECT array_agg(key) FROM idempotency_keys") == ["young"]
    await owner.close()
