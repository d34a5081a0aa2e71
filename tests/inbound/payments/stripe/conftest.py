"""The Stripe connector at its stand-in, as the shared suites want it."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import aiohttp
import pytest
import stripe

from emulators.payments.stripe import StripeEmulator
from temula.domain.connections.model import Connection, Opened
from temula.domain.payments.ports import ChargeAnswer, ChargeWish, RefundWish
from temula.inbound.kit.client import ProviderClient
from temula.inbound.payments.stripe.connector import Stripe
from temula.kernel.http import Http
from temula.kernel.ids import ORGANIZATION, ConnectionId
from temula.kernel.money import Money

KEY, STRANGE_KEY = "sk_test_4eC39HqLyjWDarjtT1zdp7dc", "sk_live_4eC39HqLyjWDarjtT1zdp7dc"
WEBHOOK_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
DEADLINE = 1.0
TICKET = Money(5000, "MYR")
# What Stripe counts in, by the digits after the point that it documents: https://docs.stripe.com/currencies.
DIGITS_MORE = {"ISK": 100}


class StripeSide:
    """The stand-in and its ledger, seen through the official library."""

    def __init__(self, emulator: StripeEmulator, web: aiohttp.ClientSession) -> None:
        self.emulator = emulator
        self.web = web
        self.secrets = (KEY, STRANGE_KEY, WEBHOOK_SECRET)
        self.sdk = stripe.StripeClient(
            KEY,
            base_addresses={"api": emulator.base_url},
            http_client=stripe.AIOHTTPClient(session=web),
            max_network_retries=0,
        )

    async def fault(self, fault: str, **options: object) -> None:
        await self._control("POST", "faults", {"fault": fault, **options})

    async def charges_of(self, attempt_id: str) -> list[Money]:
        await self._control("DELETE", "faults")
        sessions = (await self.sdk.v1.checkout.sessions.list_async({"limit": 100})).data
        return [_money(one.amount_total, one.currency) for one in sessions if one.client_reference_id == attempt_id]

    async def captured(self) -> list[Money]:
        charges = (await self.sdk.v1.charges.list_async({"limit": 100})).data
        return [_money(one.amount, one.currency) for one in charges if one.paid]

    async def given_back(self) -> list[Money]:
        refunds = (await self.sdk.v1.refunds.list_async({"limit": 100})).data
        return [_money(one.amount, one.currency) for one in refunds if one.status in ("pending", "succeeded")]

    async def buyer(self, answer: ChargeAnswer, outcome: str) -> None:
        await self._at_page(answer, "pay", outcome)

    async def settle(self, answer: ChargeAnswer, outcome: str) -> None:
        await self._at_page(answer, "settle", outcome)

    async def run_out(self, answer: ChargeAnswer) -> None:
        await self._control("POST", "clock", {"advance": 24 * 3600})

    async def _at_page(self, answer: ChargeAnswer, door: str, outcome: str) -> None:
        url = f"{self.emulator.base_url}/checkout/{answer.refs['session']}/{door}"
        async with self.web.post(url, json={"outcome": outcome}, headers={"Accept": "application/json"}) as page:
            assert page.status in (200, 402), await page.text()

    async def _control(self, method: str, path: str, body: object = None) -> None:
        async with self.web.request(method, f"{self.emulator.base_url}/_emulator/{path}", json=body) as answer:
            assert answer.status < 300, await answer.text()


def _money(amount: int, currency: str) -> Money:
    code = currency.upper()
    return Money(amount // DIGITS_MORE.get(code, 1), code)


@pytest.fixture
async def provider() -> AsyncIterator[StripeSide]:
    emulator = StripeEmulator()
    await emulator.start()
    async with aiohttp.ClientSession() as web:
        yield StripeSide(emulator, web)
    await emulator.stop()


@pytest.fixture
async def http() -> AsyncIterator[Http]:
    door = Http()
    await door.open()
    yield door
    await door.close()


def connector(http: Http, base_url: str, key: str) -> Stripe:
    credentials = {"secret_key": key, "webhook_secret": WEBHOOK_SECRET}
    organization = ORGANIZATION.new(datetime.now(UTC))
    connection = Connection(
        organization, ConnectionId("con_test"), "payments", "stripe", "sandbox", b"", key[-4:], enabled=True,
        created_at=datetime.now(UTC),
    )  # fmt: skip
    client = ProviderClient(http, base_url, DEADLINE, tuple(credentials.values()))
    return Stripe(client, Opened(connection, credentials))


@pytest.fixture
def charges(http: Http, provider: StripeSide) -> Stripe:
    return connector(http, provider.emulator.base_url, KEY)


@pytest.fixture
def refunds(charges: Stripe) -> Stripe:
    return charges


@pytest.fixture
def strangers(http: Http, provider: StripeSide) -> Stripe:
    """The connector with a key that the sandbox does not know."""
    return connector(http, provider.emulator.base_url, STRANGE_KEY)


@pytest.fixture
def wish_of() -> Any:
    numbers = count(1)

    def make(
        money: Money = TICKET, key: str | None = None, attempt_id: str | None = None
    ) -> ChargeWish:  # fmt: skip
        number, now = next(numbers), datetime.now(UTC)
        return ChargeWish(
            organization_id="org_a", attempt_id=attempt_id or f"pat_{number}", registration_id="reg_a",
            key=key or f"temula:sandbox:charge:pat_{number}", money=money, description="First Night: 1 x Seat",
            success_url="https://shop.test/paid", cancel_url="https://shop.test/back", wanted_at=now,
            expires_at=datetime.fromtimestamp(int(now.timestamp()), UTC) + timedelta(minutes=35),
        )  # fmt: skip

    return make


@pytest.fixture
def paid(charges: Stripe, provider: StripeSide, wish_of: Any) -> Any:
    async def pay(money: Money) -> dict[str, str]:
        answer = await charges.charge(wish_of(money=money))
        await provider.buyer(answer, "succeed")
        (seen,) = await charges.observe(answer.refs)
        return dict(seen.refs)

    return pay


@pytest.fixture
def refund_of() -> Any:
    numbers = count(1)

    def make(refs: dict[str, str], money: Money) -> RefundWish:
        number = next(numbers)
        return RefundWish(
            organization_id="org_a", refund_id=f"ref_{number}", key=f"temula:refund:ref_{number}", refs=refs,
            money=money, reason="requested_by_customer",
        )  # fmt: skip

    return make
