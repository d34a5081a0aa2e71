"""What tests of the Stripe stand-in share: one that runs, the official client, a shop that hears webhooks, a clock."""

import time
from collections.abc import AsyncIterator, Callable

import aiohttp
import pytest
import stripe
from aiohttp import web

from emulators.payments.stripe import StripeEmulator

KEY = "sk_test_shop_1234567890"


class Clock:
    """Time that moves only when a test moves it."""

    def __init__(self) -> None:
        self.now = float(int(time.time()))

    def __call__(self) -> float:
        return self.now

    def move(self, seconds: float) -> None:
        self.now += seconds


class Shop:
    """Where webhooks arrive: answers what `answers` says, 200 once that is used up, and keeps each as it came."""

    def __init__(self) -> None:
        self.received: list[tuple[bytes, str]] = []
        self.answers: list[int] = []
        self.secret = ""
        self.url = ""
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        app = web.Application()
        app.router.add_post("/callbacks", self._take)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/callbacks"

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def subscribe(self, client: stripe.StripeClient, *types: str) -> stripe.WebhookEndpoint:
        wanted = {"url": self.url, "enabled_events": list(types) or ["*"]}
        endpoint = await client.v1.webhook_endpoints.create_async(wanted)
        self.secret = endpoint.secret
        return endpoint

    @property
    def events(self) -> list[stripe.Event]:
        """What arrived, each one's signature verified by the official library."""
        return [stripe.Webhook.construct_event(body, signature, self.secret) for body, signature in self.received]

    @property
    def types(self) -> list[str]:
        return [event.type for event in self.events]

    async def _take(self, request: web.Request) -> web.Response:
        self.received.append((await request.read(), request.headers["Stripe-Signature"]))
        return web.Response(status=self.answers.pop(0) if self.answers else 200)


class Buyer:
    """Stands at the hosted page, and at the doors for tests."""

    def __init__(self, emulator: StripeEmulator, browser: aiohttp.ClientSession) -> None:
        self.emulator = emulator
        self.browser = browser

    async def pay(self, session: stripe.checkout.Session, outcome: str = "succeed") -> dict:
        headers = {"Accept": "application/json"}
        url = f"{self.emulator.base_url}/checkout/{session.id}/pay"
        async with self.browser.post(url, json={"outcome": outcome}, headers=headers) as answer:
            return await answer.json()

    async def order(self, fault: str, **options: object) -> None:
        wanted = {"fault": fault, **options}
        async with self.browser.post(f"{self.emulator.base_url}/_emulator/faults", json=wanted) as answer:
            assert answer.status == 201, await answer.text()

    async def control(self, method: str, path: str, body: dict | None = None) -> dict | None:
        async with self.browser.request(method, f"{self.emulator.base_url}/_emulator/{path}", json=body) as answer:
            assert answer.status < 300, await answer.text()
            return await answer.json() if answer.content_type == "application/json" else None


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def emulator(clock: Clock) -> AsyncIterator[StripeEmulator]:
    emulator = StripeEmulator(clock=clock)
    await emulator.start()
    yield emulator
    await emulator.stop()


@pytest.fixture
async def browser() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as browser:
        yield browser


@pytest.fixture
def buyer(emulator: StripeEmulator, browser: aiohttp.ClientSession) -> Buyer:
    return Buyer(emulator, browser)


@pytest.fixture
def connect(browser: aiohttp.ClientSession) -> Callable[..., stripe.StripeClient]:
    """Official clients of a stand-in; each speaks through the test's one pool of connections."""

    def client_of(emulator: StripeEmulator, key: str = KEY, retries: int = 0) -> stripe.StripeClient:
        http = stripe.AIOHTTPClient(session=browser)
        base = {"api": emulator.base_url}
        return stripe.StripeClient(key, base_addresses=base, http_client=http, max_network_retries=retries)

    return client_of


@pytest.fixture
def client(connect: Callable[..., stripe.StripeClient], emulator: StripeEmulator) -> stripe.StripeClient:
    return connect(emulator)


@pytest.fixture
async def shop() -> AsyncIterator[Shop]:
    shop = Shop()
    await shop.start()
    yield shop
    await shop.stop()


@pytest.fixture
def basket() -> dict:
    """Two tickets for MYR 30.00 in all."""
    return {
        "mode": "payment",
        "success_url": "https://shop.test/done?session={CHECKOUT_SESSION_ID}",
        "cancel_url": "https://shop.test/back",
        "client_reference_id": "pay_1",
        "line_items": [
            {"quantity": 2, "price_data": {"currency": "myr", "unit_amount": 1500, "product_data": {"name": "Seat"}}}
        ],
        "metadata": {"registration": "reg_1"},
        "payment_intent_data": {"metadata": {"payment": "pay_1"}},
    }
