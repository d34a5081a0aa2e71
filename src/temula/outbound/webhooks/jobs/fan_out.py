"""Facts become deliveries."""

from temula.kernel.consumers import WritingConsumer
from temula.kernel.database import UnitOfWork
from temula.kernel.facts import StoredFact
from temula.kernel.ids import DELIVERY
from temula.outbound.webhooks import store
from temula.outbound.webhooks.model import AT_THE_GATE, BULK, GATE, TOPIC, USUAL, EndpointState, Subscription

BATCH = 1000


def fan_out() -> WritingConsumer:
    """Give the consumer that makes one delivery for each public fact and endpoint that wants it.

    The deliveries and the cursor are one transaction: a fact that was fanned out is not read again.
    """

    async def write(uow: UnitOfWork, found: list[StoredFact]) -> None:
        public = [fact for fact in found if fact.public]
        if not public:
            return
        by_organization: dict[str, list[Subscription]] = {}
        for one in await store.subscriptions(uow, sorted({fact.organization_id for fact in public})):
            by_organization.setdefault(one.organization_id, []).append(one)
        pairs = [
            (fact, endpoint)
            for fact in public
            for endpoint in by_organization.get(fact.organization_id, ())
            if endpoint.wants(fact)
        ]
        ids = DELIVERY.many(uow.now, len(pairs))
        wanted = [_wanted(identifier, *pair) for identifier, pair in zip(ids, pairs, strict=True)]
        if await store.add_deliveries(uow, wanted):
            uow.ring(TOPIC)

    return WritingConsumer("webhooks", write, BATCH)


def _wanted(identifier: str, fact: StoredFact, endpoint: Subscription) -> store.Wanted:
    lane = GATE if fact.type in AT_THE_GATE else USUAL
    return store.Wanted(
        fact.organization_id, identifier, endpoint.id, fact.id, fact.type,
        lane if endpoint.state == EndpointState.ENABLED else BULK, endpoint.order_key(fact),
    )  # fmt: skip
