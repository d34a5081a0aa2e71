"""What the console shows: the organization's numbers as they are now, its latest messages, endpoints in trouble."""

from temula.domain.checkins import service as checkins
from temula.domain.registrations import service as registrations
from temula.kernel.database import UnitOfWork
from temula.outbound.callers.errors import MissingAbility
from temula.outbound.console.model import Live
from temula.outbound.console.ports import Webhooks

ENABLE = "webhooks:write"


async def live(uow: UnitOfWork, webhooks: Webhooks) -> Live:
    """Count what the home page shows."""
    told = await webhooks.look(uow)
    return Live(
        await registrations.count(uow), await checkins.count(uow), told.last_hour, told.disabled_endpoints, told.latest,
        told.troubled, told.notices,
    )  # fmt: skip


async def enable(uow: UnitOfWork, webhooks: Webhooks, endpoint_id: str) -> None:
    """Enable an endpoint again for somebody who may; raises `MissingAbility` for others."""
    if not uow.actor.may(ENABLE):
        raise MissingAbility(f"This needs the ability {ENABLE}: ask an owner or admin of the organization.")
    await webhooks.enable(uow, endpoint_id)
