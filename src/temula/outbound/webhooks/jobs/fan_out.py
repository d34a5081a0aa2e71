"""Facts become deliveries."""

from temula.kernel.consumers import Consumer
from temula.kernel.database import Database
from temula.kernel.facts import StoredFact
from temula.kernel.ids import DELIVERY
from temula.outbound.webhooks import store
from temula.outbound.webhooks.model import (
    TOPIC,
    EndpointState,
)


def fan_out(database: Database) -> Consumer:
    """Give the consumer that makes one delivery for each public fact and endpoint that wants it."""

    async def handle(found: list[StoredFact]) -> None:
        public = [fact for fact in found if fact.public]
        if not public:
            return
        async with database.crossing("fanning messages out to endpoints") as uow:
            subscriptions = await store.subscriptions(uow, sorted({fact.organization_id for fact in public}))
            wanted = [
                store.Wanted(
                    fact.organization_id, DELIVERY.new(uow.now), endpoint.id, fact.id, fact.type,
                    endpoint.state == EndpointState.ENABLED,
                )
                for fact in public
                for endpoint in subscriptions
                if endpoint.wants(fact)
            ]  # fmt: skip
            if wanted and await store.add_deliveries(uow, wanted):
                uow.ring(TOPIC)

    return Consumer("webhooks", handle)
