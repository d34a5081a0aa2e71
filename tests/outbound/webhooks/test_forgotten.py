"""What is missing is told by the log, and the log goes: by the plan's days, whatever the plan was when it went."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from temula.domain.organizations import service as organizations
from temula.domain.organizations.model import Plan
from temula.kernel.clock import ManualClock
from temula.outbound.webhooks.jobs import forget
from tests.harness import house
from tests.harness.house import Tenant, until
from tests.harness.postgres import Postgres
from tests.harness.receiver import Receiver
from tests.outbound.conftest import Still
from tests.outbound.webhooks.adding import EVENT, add, for_endpoint
from tests.outbound.webhooks.test_replays import LONG_AGO, names, told

DAY = 86_400


@pytest.fixture
async def still(server: Postgres, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Still]:
    """On a database of its own: its log goes."""
    clock, folder = ManualClock(datetime(2026, 12, 1, 9, 0, tzinfo=UTC)), tmp_path_factory.mktemp("forgotten")
    async with server.database() as url, house.running(url, folder, clock=clock) as temula:
        yield Still(temula, clock)


class Hears:
    """A tenant's endpoint that hears of publishing, and not of changes until it asks for them."""

    def __init__(self, clock: ManualClock, tenant: Tenant, hooks: Receiver, endpoint: dict[str, Any]) -> None:
        self.clock, self.tenant, self.hooks, self.endpoint = clock, tenant, hooks, endpoint

    async def misses(self, name: str) -> None:
        """A change that it does not hear of, and publishing behind that, which the log has when this ends."""
        api, logged = self.tenant.api, f"/webhooks/attempts?endpoint_id={self.endpoint['id']}"
        before = len(await api.every(logged))
        event = await api.post("/events", EVENT)
        await told(api, event, name)
        await api.post(f"/events/{event['id']}/publish")

        async def had() -> bool:
            return len(await api.every(logged)) > before

        await until(had)

    async def missed(self) -> list[str]:
        """Replay what it is missing, as was previewed; give what came of it."""
        api, before = self.tenant.api, len(for_endpoint(self.hooks, self.endpoint))
        asked = {"kind": "missing", "endpoint_id": self.endpoint["id"], "since": LONG_AGO, "rate": None}
        preview = await api.post("/webhooks/replays", {**asked, "dry_run": True})
        made = await api.post("/webhooks/replays", asked)

        async def over() -> Any:
            self.clock.advance(1)
            shown = await api.get(f"/webhooks/replays/{made['id']}")
            return shown if shown["finished_at"] else None

        assert (await until(over))["delivered"] == preview["matched"]
        return names(for_endpoint(self.hooks, self.endpoint)[before:])


async def hears(still: Still, hooks: Receiver, plan: Plan) -> Hears:
    tenant = await still.temula.tenant(plan=plan, connected=False)
    endpoint = await add(tenant.api, hooks, types=["event.published"])
    return Hears(still.clock, tenant, hooks, endpoint)


async def test_as_far_back_as_the_plan_keeps_the_log(still: Still, hooks: Receiver) -> None:
    """After 100 days the larger plan's log still tells; the other's is gone, and a larger plan brings nothing back."""
    longer, shorter = await hears(still, hooks, Plan.ENTERPRISE), await hears(still, hooks, Plan.PRO)
    database = still.temula.house.database
    for one in (longer, shorter):
        await one.misses("Old")
    still.clock.advance(100 * DAY)
    await forget(database, None, 90)
    for one in (longer, shorter):
        await one.misses("New")
        await one.tenant.api.patch(f"/webhooks/endpoints/{one.endpoint['id']}", {"types": ["*"]})
    async with database.unit(shorter.tenant.actor) as uow:
        larger = msgspec.structs.replace(await organizations.current(uow), plan=Plan.ENTERPRISE)
        await organizations.change(uow, larger)
    assert await longer.missed() == ["Old", "New"]
    assert await shorter.missed() == ["New"], "nobody knows whether it had the old ones"
    still.clock.advance(270 * DAY)
    await forget(database, None, 90)
    assert await longer.missed() == []
