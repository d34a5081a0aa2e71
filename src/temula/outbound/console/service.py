"""What the console shows: the organization's numbers as they are now, and its latest messages."""

from datetime import datetime

import msgspec

from temula.domain.checkins import service as checkins
from temula.domain.registrations import service as registrations
from temula.kernel.database import UnitOfWork


class Sent(msgspec.Struct, frozen=True):
    """A message on its way to an endpoint, or there."""

    id: str
    type: str
    to: str
    state: str
    attempts: int
    at: datetime


class Deliveries(msgspec.Struct, frozen=True):
    """What the console is told of webhooks, by who wires it; `latest` is newest first."""

    last_hour: int
    disabled_endpoints: int
    latest: list[Sent]


class Live(msgspec.Struct, frozen=True):
    """What the home page shows; deliveries are those of the last hour."""

    registrations: int
    checked_in: int
    deliveries: int
    disabled_endpoints: int
    latest: list[Sent]


async def live(uow: UnitOfWork, deliveries: Deliveries) -> Live:
    """Count what the home page shows."""
    return Live(
        await registrations.count(uow), await checkins.count(uow), deliveries.last_hour, deliveries.disabled_endpoints,
        deliveries.latest,
    )  # fmt: skip
