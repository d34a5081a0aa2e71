"""The platform's account as a fallback: only by plan and wish, never across modes, and recorded on each attempt."""

from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from temula.domain.connections import service as connections
from temula.domain.organizations import service as organizations
from temula.domain.organizations.model import Mode, Plan
from temula.inbound.payments.stripe.manifest import MANIFEST
from temula.kernel.tenancy import system
from temula.outbound.callers import service as callers
from tests.flows.money.conftest import Shop
from tests.harness import house
from tests.harness.house import Running, Tenant, until
from tests.harness.postgres import Postgres
from tests.harness.receiver import Receiver

PLATFORM_KEY = "sk_test_platform1234567890"


@pytest.fixture(scope="module")
async def platform(server: Postgres, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    """A Temula of the module's own, whose platform has a sandbox account: what others do stays without one."""
    async with server.database() as url, house.running(url, tmp_path_factory.mktemp("platform")) as running:
        await _connect_platform(running)
        yield running


async def _connect_platform(running: Running) -> None:
    door = connections.new_token()
    url = f"{running.base_url}/in/payments/stripe/sandbox/{door}"
    client = running.stripe(Tenant(None, "", running.api(None), PLATFORM_KEY))
    wanted: Any = {"url": url, "enabled_events": list(MANIFEST.callbacks)}
    endpoint = await client.v1.webhook_endpoints.create_async(wanted)
    credentials = {"secret_key": PLATFORM_KEY, "webhook_secret": str(endpoint.secret)}
    async with running.house.database.crossing("a test connects the platform's account") as uow:
        await connections.connect(
            uow, running.house.ring, kind="payments", provider="stripe", mode=Mode.SANDBOX, credentials=credentials,
            hint=PLATFORM_KEY[-4:], token=door, on_platform=True,
        )  # fmt: skip


@pytest.fixture
async def shop(platform: Running, hooks: Receiver) -> Shop:
    """A tenant without an account of its own; its provider's key is the platform's."""
    tenant = (await platform.tenant(connected=False))._replace(stripe_key=PLATFORM_KEY)
    await tenant.api.post("/webhooks/endpoints", {"url": hooks.url, "types": ["*"]})
    return Shop(platform, tenant, await platform.sale(tenant), hooks)


async def try_to_buy(shop: Shop) -> tuple[int, str]:
    seat = {"ticket_type_id": shop.sale.types[0]["id"], "name": "G"}
    order = {"event_id": shop.sale.event["id"], "buyer": {"name": "A", "email": "a@example.org"}, "attendees": [seat]}
    answer = await shop.tenant.api.call("POST", "/registrations", order)
    return answer.status, answer.code


async def change(running: Running, tenant: Tenant, **fields: Any) -> None:
    async with running.house.database.unit(tenant.actor) as uow:
        await organizations.change(uow, msgspec.structs.replace(await organizations.current(uow), **fields))


async def test_sold_through_the_platform(shop: Shop) -> None:
    """Sold, told and refunded through the platform's account, and each attempt says so."""
    made = await shop.confirmed()
    payment = await shop.payment(made)
    assert [one["on_platform"] for one in payment["attempts"]] == [True]
    assert len(await shop.told("payment.succeeded", made)) == 1
    assert (await shop.refund(made))["state"] == "succeeded"
    await shop.becomes(made, "refunded")


async def test_several_share_it(platform: Running, shop: Shop) -> None:
    """What the shared account is told belongs to the organization that it is about, also a refund made by hand."""
    neighbour = await platform.tenant(connected=False)
    theirs = shop._replace(tenant=neighbour, sale=await platform.sale(neighbour))
    mine, other = await shop.confirmed(), await theirs.confirmed()
    reference = (await shop.payment(mine))["transactions"][0]["reference"]
    await platform.stripe(shop.tenant).v1.refunds.create_async({"payment_intent": reference, "amount": 2000})

    async def adopted() -> bool:
        return (await shop.payment(mine))["refunded"] == 2000

    await until(adopted)
    (refund,) = await shop.tenant.api.every("/refunds")
    assert (refund["amount"], refund["reason"]) == (2000, "made_at_provider")
    assert await neighbour.api.every("/refunds") == []
    assert (await theirs.payment(other))["refunded"] == 0


async def test_not_wished_for(platform: Running, shop: Shop) -> None:
    """An organization that does not wish for it, or whose plan has none of it, gets no fallback."""
    await change(platform, shop.tenant, platform_payments=False)
    assert await try_to_buy(shop) == (409, "no_connection")
    await change(platform, shop.tenant, platform_payments=True)
    made = await shop.confirmed()
    assert made["payment"]["attempts"][0]["on_platform"] is True
    organization = await _current(platform, shop.tenant)
    assert not msgspec.structs.replace(organization, plan=Plan.FREE).may_use_platform_payments


async def test_own_account_comes_first(platform: Running, hooks: Receiver) -> None:
    """Who has an account of their own is paid there."""
    tenant = await platform.tenant()
    own = Shop(platform, tenant, await platform.sale(tenant), hooks)
    made = await own.confirmed()
    assert made["payment"]["attempts"][0]["on_platform"] is False
    assert await own.captured() == [5000]


async def test_live_never_falls_back_to_sandbox(platform: Running, hooks: Receiver) -> None:
    """A live organization that may fall back does not do so to the platform's sandbox account."""
    live, _ = await organizations.create_twins(
        platform.house.database, name="Live", plan=Plan.ENTERPRISE, part="test"
    )  # fmt: skip
    actor = system("test", live.organization_id)
    async with platform.house.database.unit(actor) as uow:
        _, token = await callers.create_token(uow, name="test", abilities=["*"])
    tenant = Tenant(live, token, platform.api(token), "")
    await change(platform, tenant, platform_payments=True)
    shop = Shop(platform, tenant, await platform.sale(tenant), hooks)
    assert await try_to_buy(shop) == (409, "no_connection")


async def test_account_replaced(platform: Running, hooks: Receiver) -> None:
    """What was sold through an account that was replaced is paid, told and refunded through that account."""
    tenant = await platform.tenant()
    shop = Shop(platform, tenant, await platform.sale(tenant), hooks)
    before = await shop.register()
    await platform._connect(tenant._replace(stripe_key="sk_test_second_account_123"))
    after = await shop.register()
    assert await shop.sessions() == 1
    await platform.pay(before)
    await platform.pay(after)
    for made in (before, after):
        await shop.becomes(made, "confirmed")
        assert (await shop.refund(made))["state"] == "succeeded"
    assert (await shop.captured(), await shop.given_back()) == ([5000], [5000])


async def _current(platform: Running, tenant: Tenant) -> organizations.Organization:
    async with platform.house.database.reading(tenant.actor) as uow:
        return await organizations.current(uow)
