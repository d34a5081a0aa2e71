"""An endpoint that is deleted or paused stops at once, though a worker has loaded more for it and is busy with it."""

from collections import Counter
from typing import Any

import pytest

from tests.harness.ground import found
from tests.harness.house import Running, Tenant, until
from tests.harness.receiver import Receiver
from tests.outbound.webhooks.test_replay_pace import happened

NUMBER, RATE = 60, 40  # a quarter of the rate is loaded ahead
ON_ITS_WAY = 2  # what is under way when it is answered, and what begins before the worker has heard of it
LEFT = "SELECT count(*) FROM webhook_deliveries WHERE organization_id = $1 AND endpoint_id = $2"


class Pair:
    """Two endpoints that get the same at the same pace: what comes to one by now would have come to the other."""

    def __init__(self, temula: Running, tenant: Tenant, hooks: Receiver, stopped: str) -> None:
        self.temula, self.tenant, self.hooks = temula, tenant, hooks
        self.stopped = stopped

    def came(self, name: str = "stops") -> int:
        return len(self.hooks.at(f"/hooks/{name}"))

    async def comes(self, name: str, number: int) -> None:
        async def look() -> bool:
            return self.came(name) >= number

        await until(look)

    async def left(self) -> int:
        ((number,),) = await found(self.temula.owner_url, LEFT, self.tenant.id, self.stopped)
        return number


@pytest.fixture
async def pair(temula: Running, tenant: Tenant, hooks: Receiver) -> Pair:
    asked: dict[str, Any] = {"types": ["event.updated"], "rate_limit": RATE}
    made = [
        await tenant.api.post("/webhooks/endpoints", {"url": f"{hooks.url}/{name}", **asked})
        for name in ("stops", "goes-on")
    ]
    await happened(temula, tenant, NUMBER)
    pair = Pair(temula, tenant, hooks, made[0]["id"])
    await pair.comes("stops", 20)
    return pair


async def test_nothing_comes_after_a_deletion(pair: Pair) -> None:
    """Once it is answered only what was under way arrives; what was loaded goes nowhere, and what arrived is logged."""
    api = pair.tenant.api
    await api.delete(f"/webhooks/endpoints/{pair.stopped}")
    before = pair.came()
    await pair.comes("goes-on", NUMBER)
    assert pair.came() <= before + ON_ITS_WAY < NUMBER
    assert await pair.left() == 0

    async def logged() -> bool:
        return len(await api.every(f"/webhooks/attempts?endpoint_id={pair.stopped}")) == pair.came()

    await until(logged)


async def test_nothing_comes_after_pausing(pair: Pair) -> None:
    """Once it is answered only what was under way arrives; the rest is kept, and comes once when it is resumed."""
    path = f"/webhooks/endpoints/{pair.stopped}"
    await pair.tenant.api.post(f"{path}/pause", {})
    before = pair.came()
    await pair.comes("goes-on", NUMBER)
    came = pair.came()
    assert came <= before + ON_ITS_WAY < NUMBER
    assert await pair.left() == NUMBER - came
    await pair.tenant.api.post(f"{path}/resume", {})
    await pair.comes("stops", NUMBER)
    assert set(Counter(one.id for one in pair.hooks.at("/hooks/stops")).values()) == {1}
