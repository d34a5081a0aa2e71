"""What the console shows: the organization's numbers as they are now."""

import msgspec

from temula.domain.checkins import service as checkins
from temula.domain.registrations import service as registrations
from temula.kernel.database import UnitOfWork


class Numbers(msgspec.Struct, frozen=True):
    """The organization's live numbers; deliveries are those of the last hour."""

    registrations: int
    checked_in: int
    deliveries: int
    disabled_endpoints: int


class DeliveryCounts(msgspec.Struct, frozen=True):
    """What the console is told of webhooks, by who wires it."""

    delivered_last_hour: int
    disabled_endpoints: int


async def numbers(uow: UnitOfWork, deliveries: DeliveryCounts) -> Numbers:
    """Count what the home page shows."""
    return Numbers(
        await registrations.count(uow), await checkins.count(uow), deliveries.delivered_last_hour,
        deliveries.disabled_endpoints,
    )  # fmt: skip
