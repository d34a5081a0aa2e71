"""Use cases of deliveries, their log and replays."""

from datetime import datetime

from temula.kernel import following
from temula.kernel.database import UnitOfWork
from temula.kernel.ids import DELIVERY
from temula.kernel.pages import Page, Window, page
from temula.outbound.webhooks import store
from temula.outbound.webhooks.errors import NoSuchDelivery, NoSuchEndpoint, NotGranted
from temula.outbound.webhooks.model import (
    BULK,
    TOPIC,
    Attempt,
    Delivery,
    Latest,
    envelope,
)


async def deliveries(uow: UnitOfWork, window: Window, *, endpoint_id: str | None = None) -> Page[Delivery]:
    """List deliveries, newest first."""
    return page(await store.deliveries(uow, window, endpoint_id), window, lambda delivery: delivery.id)


async def delivery(uow: UnitOfWork, delivery_id: str) -> Delivery:
    """Find a delivery of the organization."""
    if (found := await store.delivery(uow, delivery_id)) is None:
        raise NoSuchDelivery(f"There is no webhook delivery {delivery_id}.")
    return found


async def log_of(uow: UnitOfWork, delivery_id: str) -> tuple[Delivery, bytes, list[Attempt]]:
    """Give a delivery, the body that is sent, and every attempt so far."""
    found = await delivery(uow, delivery_id)
    fact = await following.get(uow, found.message_id)
    body = envelope(fact.id, fact.type, fact.occurred_at, fact.organization_id, fact.team_id, fact.data)
    return found, body, await store.attempts(uow, delivery_id)


async def replay(uow: UnitOfWork, delivery_id: str) -> Delivery:
    """Send a message again to the same endpoint: same id, new attempts, signed anew."""
    original = await delivery(uow, delivery_id)
    endpoint = await store.subscription(uow, original.endpoint_id, share=True)
    if endpoint is None:
        raise NoSuchEndpoint(f"There is no webhook endpoint {original.endpoint_id} any more.")
    fact = await following.get(uow, original.message_id)
    if not endpoint.may_have(original.type, fact.event_id):
        raise NotGranted(
            f"The endpoint's partner was not granted {original.type} of this event; change the grant first."
        )
    identifier = DELIVERY.new(uow.now)
    wanted = store.Wanted(
        uow.organization_id, identifier, original.endpoint_id, original.message_id, original.type, BULK,
        replay_id=original.id,
    )  # fmt: skip
    await store.add_deliveries(uow, [wanted])
    uow.ring(TOPIC)
    uow.audit("webhook_delivery.replay", original.id, {"as": identifier})
    return await delivery(uow, identifier)


async def latest(uow: UnitOfWork, limit: int) -> list[Latest]:
    """List the newest deliveries with where they go."""
    return await store.latest(uow, limit)


async def delivered_since(uow: UnitOfWork, since: datetime) -> int:
    """Count deliveries that succeeded since a time."""
    return await store.delivered_since(uow, since)
