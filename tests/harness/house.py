"""A running Temula in this process: API over a socket, worker loops, the Stripe stand-in, and tenants on demand."""

import asyncio
import secrets
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import stripe
import uvicorn

from emulators.payments.stripe import Retries, StripeEmulator
from temula.domain.connections import service as connections
from temula.domain.organizations import service as organizations
from temula.domain.organizations.model import Mode, Organization, Plan
from temula.inbound.payments.stripe.manifest import MANIFEST
from temula.kernel import jobs
from temula.kernel.clock import Clock, rfc3339
from temula.kernel.crypto import new_ring
from temula.kernel.sql import Statement
from temula.kernel.tenancy import Actor, system
from temula.operations import app
from temula.operations.serving import worker_loops
from temula.operations.settings import DatabaseSettings, DataSettings, KeySettings, ProviderSettings, ServerSettings
from temula.operations.wiring import Configuration, House, opened
from temula.outbound.callers import service as callers
from tests.harness.api import Api

PATIENCE = 30.0
PUBLIC_URL = "https://api.temula.example.com"  # the own host of tests/testdata/ssrf_cases.json
HURRY = Statement("""
UPDATE jobs SET run_at = $3, tries_left = CASE WHEN $4 THEN 1 ELSE tries_left END
WHERE organization_id = $1 AND kind = $2 AND state = 'ready'
""")


class Tenant(NamedTuple):
    """A sandbox organization with a token of all abilities, connected to the Stripe stand-in."""

    organization: Organization
    token: str
    api: Api
    stripe_key: str

    @property
    def id(self) -> str:
        return self.organization.organization_id

    @property
    def actor(self) -> Actor:
        return system("test", self.organization.organization_id)


class Sale(NamedTuple):
    """A published event with its ticket types and a gate."""

    event: dict[str, Any]
    types: list[dict[str, Any]]
    gate: dict[str, Any]


class Running:
    """What tests see of it. `house` is for looking; acts go through the API."""

    def __init__(
        self, house: House, owner_url: str, base_url: str, emulator: StripeEmulator, web: aiohttp.ClientSession
    ):
        self.house = house
        self.owner_url = owner_url
        self.base_url = base_url
        self.emulator = emulator
        self.web = web

    def api(self, token: str | None) -> Api:
        return Api(self.web, self.base_url, token)

    async def tenant(self, *, plan: Plan = Plan.ENTERPRISE, connected: bool = True) -> Tenant:
        """A new organization; nothing of it is seen by the others."""
        _, sandbox = await organizations.create_twins(self.house.database, name="Tenant", plan=plan, part="test")
        actor = system("test", sandbox.organization_id)
        async with self.house.database.unit(actor) as uow:
            _, token = await callers.create_token(uow, name="test", abilities=["*"])
        key = f"sk_test_{secrets.token_hex(12)}"
        tenant = Tenant(sandbox, token, self.api(token), key)
        if connected:
            await self._connect(tenant)
        return tenant

    async def _connect(self, tenant: Tenant) -> None:
        door = connections.new_token()
        url = f"{self.base_url}/in/payments/stripe/sandbox/{door}"
        wanted: Any = {"url": url, "enabled_events": list(MANIFEST.callbacks)}
        endpoint = await self.stripe(tenant).v1.webhook_endpoints.create_async(wanted)
        credentials = {"secret_key": tenant.stripe_key, "webhook_secret": str(endpoint.secret)}
        async with self.house.database.unit(tenant.actor) as uow:
            await connections.connect(
                uow, self.house.ring, kind="payments", provider="stripe", mode=Mode.SANDBOX, credentials=credentials,
                hint=tenant.stripe_key[-4:], token=door,
            )  # fmt: skip

    def stripe(self, tenant: Tenant) -> stripe.StripeClient:
        """The official client of the tenant's account at the stand-in."""
        http = stripe.AIOHTTPClient(session=self.web)
        base = {"api": self.emulator.base_url}
        return stripe.StripeClient(tenant.stripe_key, base_addresses=base, http_client=http, max_network_retries=0)

    async def sale(self, tenant: Tenant, *, prices: tuple[int, ...] = (5000,), quota: int | None = 100) -> Sale:
        """An event on sale, made through the API."""
        starts = self.house.database.clock.now() + timedelta(days=30)
        event = await tenant.api.post(
            "/events",
            {
                "name": "First Night", "starts_at": rfc3339(starts), "ends_at": rfc3339(starts + timedelta(hours=4)),
                "timezone": "Asia/Kuala_Lumpur", "currency": "MYR", "venue": "Hall",
            },
        )  # fmt: skip
        types = [
            await tenant.api.post(
                f"/events/{event['id']}/ticket-types", {"name": f"Type {n}", "price": price, "quota": quota}
            )
            for n, price in enumerate(prices)
        ]
        await tenant.api.post(f"/events/{event['id']}/publish")
        gate = await tenant.api.post("/checkpoints", {"event_id": event["id"], "name": "Gate A"})
        return Sale(event, types, gate)

    async def pay(self, registration: dict[str, Any], outcome: str = "succeed", *, status: int = 200) -> dict[str, Any]:
        """The buyer at the payment page; a decline is a 402."""
        page = registration["payment"]["attempts"][-1]["next_action"]["url"]
        session_id = page.partition("?")[0].rstrip("/").rpartition("/")[2]
        url = f"{self.emulator.base_url}/checkout/{session_id}/pay"
        async with self.web.post(url, json={"outcome": outcome}, headers={"Accept": "application/json"}) as answer:
            assert answer.status == status, await answer.text()
            return await answer.json()

    async def hurry(self, tenant: Tenant, kind: str, *, last: bool = False) -> None:
        """Let the time come for the tenant's waiting jobs of a kind; `last` makes it their last try."""
        async with self.house.database.crossing("a test lets time pass") as uow:
            await uow.run(HURRY, tenant.id, kind, uow.now, last)
            uow.ring(jobs.TOPIC)

    async def fault(self, fault: str, tenant: Tenant | None = None, **options: object) -> None:
        """Order a fault at the stand-in; of one tenant's account if one is given."""
        wanted = {"fault": fault, **({"key": tenant.stripe_key} if tenant else {}), **options}
        async with self.web.post(f"{self.emulator.base_url}/_emulator/faults", json=wanted) as answer:
            assert answer.status == 201, await answer.text()


async def until(found: Callable[[], Awaitable[Any]], patience: float = PATIENCE) -> Any:
    """Wait for what other tasks or processes do; gives the first answer that is true."""
    async with asyncio.timeout(patience):
        while not (answer := await found()):
            await asyncio.sleep(0.02)
        return answer


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def configuration(
    owner_url: str, folder: Path, *, port: int = 8080, stripe_url: str | None = None, production: bool = False
) -> Configuration:
    server = ServerSettings(port=port)
    if production:
        server = ServerSettings(port=port, environment="production", public_url=PUBLIC_URL)
    return Configuration(
        DatabaseSettings(url=owner_url), server, KeySettings(ring=new_ring().dump().decode()),
        DataSettings(dir=str(folder)), ProviderSettings(stripe_sandbox_url=stripe_url),
    )  # fmt: skip


@asynccontextmanager
async def running(
    owner_url: str, folder: Path, *, clock: Clock | None = None, worker: bool = True, production: bool = False,
    ring: Path | None = None,
) -> AsyncIterator[Running]:  # fmt: skip
    """API, worker loops and stand-in, all in this process; `ring` is the key ring's file, if it is to have one."""
    emulator = StripeEmulator(retries=Retries(first=0.2, cap=1.0))
    await emulator.start()
    port = free_port()
    asked = configuration(owner_url, folder, port=port, stripe_url=emulator.base_url, production=production)
    if ring is not None:
        asked = asked._replace(keys=KeySettings(file=str(ring)))
    try:
        async with (
            opened(asked, clock=clock) as house,
            aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as web,
            _served(house, port),
        ):
            stop = asyncio.Event()
            loops = [asyncio.ensure_future(loop) for loop in (worker_loops(house, stop) if worker else [])]
            try:
                yield Running(house, owner_url, f"http://localhost:{port}", emulator, web)
            finally:
                stop.set()
                await asyncio.gather(*loops)
    finally:
        await emulator.stop()


@asynccontextmanager
async def _served(house: House, port: int) -> AsyncIterator[None]:
    config = uvicorn.Config(
        app.build(house), host="127.0.0.1", port=port, log_config=None, access_log=False, ws="none", lifespan="on",
        timeout_graceful_shutdown=1,
    )  # fmt: skip
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server._serve())
    await until(_is(lambda: server.started))
    try:
        yield
    finally:
        server.should_exit = True
        await serving


def _is(fact: Callable[[], bool]) -> Callable[[], Awaitable[bool]]:
    async def look() -> bool:
        return fact()

    return look
