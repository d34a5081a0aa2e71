"""No transaction is open while we wait for a stranger."""

import asyncio
from datetime import timedelta

import pytest

from temula.domain.connections import service as connections
from temula.domain.connections.model import PAYMENTS
from temula.domain.payments.ports import ChargeWish
from temula.kernel.http import TransactionOpen
from temula.kernel.money import Money
from tests.harness.ground import found
from tests.harness.house import Running, Tenant, until

WAITING = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND state LIKE 'idle in transaction%' AND xact_start < now() - interval '250 ms'
"""


async def test_a_connector_called_inside_a_transaction_is_stopped_at_the_door(temula: Running, tenant: Tenant) -> None:
    """The one door out refuses before a byte is sent: the provider never hears of it."""
    house, now = temula.house, temula.house.database.clock.now()
    connection = await connections.resolve(house.database, tenant.actor, PAYMENTS)
    charges = house.gateways.charges(connections.opened(house.ring, connection))
    charge = ChargeWish(
        organization_id=tenant.id, attempt_id="att_none", registration_id="reg_none", key="temula:test",
        money=Money(5000, "MYR"), description="x", success_url="https://example.org", wanted_at=now,
        cancel_url="https://example.org", expires_at=now + timedelta(hours=1),
    )  # fmt: skip
    async with house.database.unit(tenant.actor):
        with pytest.raises(TransactionOpen):
            await charges.charge(charge)
    assert (await temula.stripe(tenant).v1.checkout.sessions.list_async()).data == []
    assert (await charges.charge(charge)).next_action_url
    assert len((await temula.stripe(tenant).v1.checkout.sessions.list_async()).data) == 1


async def test_a_slow_provider_holds_no_transaction(temula: Running, tenant: Tenant) -> None:
    """While the provider takes its time over a charge and a refund, no connection stands inside a transaction."""
    sale = await temula.sale(tenant)
    wish = {"event_id": sale.event["id"], "buyer": {"name": "A", "email": "a@example.org"},
            "attendees": [{"ticket_type_id": sale.types[0]["id"]}]}  # fmt: skip
    await temula.fault("slow", tenant, seconds=1.5)
    made = await _watched(temula, tenant.api.post("/registrations", wish))
    await temula.pay(made)

    async def confirmed() -> bool:
        return (await tenant.api.get(f"/registrations/{made['id']}"))["state"] == "confirmed"

    await until(confirmed)
    await temula.fault("slow", tenant, seconds=1.5)
    refund = await _watched(temula, tenant.api.post("/refunds", {"registration_id": made["id"], "reason": "asked"}))
    assert refund["state"] == "succeeded"


async def _watched(temula: Running, call):  # type: ignore[no-untyped-def]
    """Make a call that takes its time, and look at PostgreSQL's sessions all the while."""
    calling = asyncio.ensure_future(call)
    looks = 0
    while not calling.done():
        await asyncio.sleep(0.1)
        assert await found(temula.owner_url, WAITING) == [(0,)]
        looks += 1
    assert looks > 5, "the provider was not slow"
    return await calling
