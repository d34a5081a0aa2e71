"""Which facts become messages for an endpoint."""

import asyncio
from contextlib import asynccontextmanager
from pathlib import Path

from temula.kernel.consumers import ConsumerLoop
from temula.kernel.database import Database
from temula.outbound.webhooks.jobs import fan_out
from tests.harness import house
from tests.harness.house import until
from tests.harness.postgres import Postgres


@asynccontextmanager
async def fanning_out(database: Database):
    stop = asyncio.Event()
    reading = asyncio.create_task(ConsumerLoop(database, fan_out()).serve(stop))
    try:
        yield
    finally:
        stop.set()
        await reading


async def test_an_endpoint_hears_only_what_comes_after_it(server: Postgres, tmp_path: Path) -> None:
    """What happened before an endpoint was added is not sent to it, even if nobody had read it by then."""
    async with server.database() as url, house.running(url, tmp_path, worker=False) as temula:
        tenant = await temula.tenant(connected=False)
        sale = await temula.sale(tenant)  # publishes the event
        endpoint = await tenant.api.post("/webhooks/endpoints", {"url": "http://127.0.0.1:9/hooks", "types": ["*"]})
        await tenant.api.patch(f"/events/{sale.event['id']}", {"name": "Second Night"})

        async def wanted() -> list[str]:
            deliveries = await tenant.api.every(f"/webhooks/deliveries?endpoint_id={endpoint['id']}")
            return [one["type"] for one in deliveries]

        async with fanning_out(temula.house.database):
            await until(wanted)
        assert await wanted() == ["event.updated"]
