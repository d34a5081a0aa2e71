"""Endpoints at a receiver, and what has arrived for each."""

from typing import Any

from tests.harness.api import Api
from tests.harness.house import until
from tests.harness.receiver import Arrival, Receiver

EVENT = {"name": "E", "starts_at": "2027-05-01T12:00:00Z", "ends_at": "2027-05-01T13:00:00Z", "currency": "MYR"}


async def add(api: Api, hooks: Receiver, **asked: Any) -> dict[str, Any]:
    made: dict[str, Any] = await api.post("/webhooks/endpoints", {"url": hooks.url, **asked})
    return made


def for_endpoint(hooks: Receiver, endpoint: dict[str, Any]) -> list[Arrival]:
    return [arrival for arrival in hooks.arrivals if arrival.plainly_signed_by(endpoint["secret"])]


async def got(hooks: Receiver, endpoint: dict[str, Any], number: int) -> list[Arrival]:
    async def look() -> bool:
        return len(for_endpoint(hooks, endpoint)) >= number

    await until(look)
    return for_endpoint(hooks, endpoint)
