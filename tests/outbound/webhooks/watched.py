"""An endpoint that is watched while time is moved by hand."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any

from temula.kernel.clock import rfc3339
from temula.outbound.webhooks.model import TOPIC
from tests.harness.house import Tenant, until
from tests.harness.receiver import Receiver
from tests.outbound.conftest import Still


class Watched:
    """A tenant with an endpoint at the receiver, and an event whose changes are messages."""

    def __init__(self, still: Still, tenant: Tenant, endpoint: dict[str, Any], event: dict[str, Any]) -> None:
        self.still, self.tenant, self.api = still, tenant, tenant.api
        self.endpoint, self.event = endpoint, event
        self._changes = 0

    async def happen(self, times: int = 1) -> None:
        for _ in range(times):
            self._changes += 1
            await self.api.patch(f"/events/{self.event['id']}", {"name": f"Night {self._changes}"})

    def move(self, seconds: float) -> None:
        """Let time pass, and the worker look at once."""
        self.still.clock.advance(seconds)
        self.still.temula.house.database.bell.ring(TOPIC)

    async def deliveries(self) -> list[dict[str, Any]]:
        """Oldest first."""
        return (await self.api.every(f"/webhooks/deliveries?endpoint_id={self.endpoint['id']}"))[::-1]

    async def tried(self, times: int, which: int = 0) -> dict[str, Any]:
        """The delivery once it has been tried so often and nobody is at it."""

        async def look() -> dict[str, Any] | None:
            found = await self.deliveries()
            return found[which] if len(found) > which and found[which]["attempts"] >= times else None

        return await until(look)

    async def state(self) -> dict[str, Any]:
        return await self.api.get(f"/webhooks/endpoints/{self.endpoint['id']}")

    async def log(self, delivery: dict[str, Any]) -> list[dict[str, Any]]:
        return (await self.api.get(f"/webhooks/deliveries/{delivery['id']}"))["attempts"]


async def watching(stopped: Still, url: str) -> Watched:
    tenant = await stopped.temula.tenant(connected=False)
    starts = stopped.clock.now() + timedelta(days=90)
    body = {"name": "N", "starts_at": rfc3339(starts), "ends_at": rfc3339(starts), "currency": "MYR"}
    event = await tenant.api.post("/events", body)
    endpoint = await tenant.api.post("/webhooks/endpoints", {"url": url, "types": ["event.updated"]})
    return Watched(stopped, tenant, endpoint, event)


def arrived(hooks: Receiver, number: int) -> Callable[[], Awaitable[bool]]:
    async def look() -> bool:
        return len(hooks.arrivals) >= number

    return look


def seconds_until(delivery: dict[str, Any], now: datetime) -> float:
    return (datetime.fromisoformat(delivery["next_attempt_at"]) - now).total_seconds()


async def has(watched: Watched, number: int) -> bool:
    """So many deliveries have been made for the endpoint."""
    return len(await watched.deliveries()) == number
