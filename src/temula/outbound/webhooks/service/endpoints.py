"""Use cases of webhook endpoints."""

from collections.abc import Mapping
from datetime import timedelta

import msgspec

from temula.kernel.addresses import AddressPolicy
from temula.kernel.crypto import KeyRing
from temula.kernel.database import UnitOfWork
from temula.kernel.errors import InvalidInput
from temula.kernel.ids import DELIVERY, ENDPOINT, MESSAGE, DeliveryId
from temula.kernel.pages import Page, Window, page
from temula.kernel.stringify import stringify
from temula.outbound.webhooks import store
from temula.outbound.webhooks.errors import EndpointNotEnabled, NoSuchEndpoint
from temula.outbound.webhooks.model import (
    OVERLAP,
    TEST_MARK,
    TOPIC,
    Endpoint,
    EndpointState,
    OrderBy,
    Payload,
    new_secret,
    secret_context,
)
from temula.outbound.webhooks.service.asking import REDACTED, Asked, Checks
from temula.outbound.webhooks.store import Narrowed


class Endpoints:
    """Webhook endpoints of organizations, under one address policy and one catalogue of message types.

    `examples` is the data of an example message for each type.
    """

    def __init__(self, ring: KeyRing, policy: AddressPolicy, examples: Mapping[str, Mapping[str, object]]) -> None:
        self._ring = ring
        self._examples = examples
        self._checks = Checks(ring, policy, frozenset(examples))

    async def create(self, uow: UnitOfWork, fields: Mapping[str, object]) -> tuple[Endpoint, str]:
        """Add an endpoint; give it and its signing secret, which is shown this once."""
        identifier, secret = ENDPOINT.new(uow.now), new_secret()
        stored = await self._checks.checked(Asked(uow, identifier, None), fields)
        sealed = self._ring.seal(secret.encode(), secret_context(uow.organization_id, identifier, "secret"))
        new = Endpoint(
            uow.organization_id, identifier, "", "", EndpointState.ENABLED, None, ["*"], [], None, None, Payload.FAT,
            [], None, None, None, OrderBy.NONE, b"{}", None, None, None, sealed, None, None, 0, None, uow.now, uow.now,
        )  # fmt: skip
        endpoint = msgspec.structs.replace(new, **stored)
        await store.insert(uow, endpoint)
        uow.audit("webhook_endpoint.create", endpoint.id, {"url": endpoint.url, "types": endpoint.types})
        return endpoint, secret

    async def update(
        self, uow: UnitOfWork, endpoint_id: str, changes: Mapping[str, object], *, reason: str | None = None
    ) -> Endpoint:
        """Change an endpoint; enabling one sends what was kept for it. `reason` says why it is paused."""
        before = await locked(uow, endpoint_id)
        after = msgspec.structs.replace(before, **await self._checks.checked(Asked(uow, endpoint_id, before), changes))
        if after.state != before.state:
            after = msgspec.structs.replace(after, state_reason=reason, failures=0, failing_since=None)
            if after.state == EndpointState.ENABLED:
                await store.wake(uow, endpoint_id)
            else:
                await store.sleep(uow, endpoint_id)
        await store.update(uow, after)
        uow.ring(TOPIC)
        told = {name: REDACTED if name == "headers" else value for name, value in changes.items()}
        uow.audit("webhook_endpoint.update", after.id, {**told, **({"reason": reason} if reason else {})})
        return msgspec.structs.replace(after, updated_at=uow.now)

    async def pause(self, uow: UnitOfWork, endpoint_id: str, reason: str | None = None) -> Endpoint:
        """Keep what comes for an endpoint until it is resumed."""
        if reason is not None and len(reason) > 500:
            raise InvalidInput("A reason has at most 500 characters.", pointer="/reason")
        return await self.update(uow, endpoint_id, {"state": EndpointState.PAUSED}, reason=reason)

    async def resume(self, uow: UnitOfWork, endpoint_id: str) -> Endpoint:
        """Send to a paused or disabled endpoint again, first of all what was kept for it."""
        return await self.update(uow, endpoint_id, {"state": EndpointState.ENABLED})

    async def enable(self, uow: UnitOfWork, endpoint_id: str) -> bool:
        """Resume an endpoint if it is disabled; tell whether it was. One that somebody has paused stays paused."""
        if (await locked(uow, endpoint_id)).state != EndpointState.DISABLED:
            return False
        await self.resume(uow, endpoint_id)
        return True

    async def rotate(self, uow: UnitOfWork, endpoint_id: str, overlap: timedelta = OVERLAP) -> tuple[Endpoint, str]:
        """Give the endpoint a new secret; for `overlap` the previous one signs too."""
        if not timedelta() <= overlap <= timedelta(days=7):
            raise InvalidInput("The overlap is from 0 to 7 days.", pointer="/overlap_hours")
        before = await locked(uow, endpoint_id)
        secret = new_secret()
        kept = self._ring.open(before.secret, before.context("secret")) if overlap else None
        after = msgspec.structs.replace(
            before,
            secret=self._ring.seal(secret.encode(), before.context("secret")),
            previous_secret=self._ring.seal(kept, before.context("previous_secret")) if kept else None,
            previous_until=uow.now + overlap if kept else None,
        )
        await store.update(uow, after)
        uow.audit("webhook_endpoint.rotate", after.id, {"overlap_seconds": int(overlap.total_seconds())})
        return msgspec.structs.replace(after, updated_at=uow.now), secret

    async def test(self, uow: UnitOfWork, endpoint_id: str, type_: str) -> DeliveryId:
        """Send an example of a type to one endpoint, whatever it subscribes to; `data.test` says what it is.

        The message is no fact of the organization: nobody else hears of it, and no replay and no list has it.
        """
        if (example := self._examples.get(type_)) is None:
            raise InvalidInput(
                f"{type_!r} is no message type; there are: {', '.join(sorted(self._examples))}.", pointer="/type"
            )
        endpoint = await locked(uow, endpoint_id)
        if endpoint.state != EndpointState.ENABLED:
            raise EndpointNotEnabled(f"The endpoint is {endpoint.state}; resume it to send it a test message.")
        self._checks.url(endpoint.url)
        message_id, delivery_id = MESSAGE.new(uow.now), DELIVERY.new(uow.now)
        await store.add_test_message(uow, message_id, type_, stringify({**example, TEST_MARK: True}))
        wanted = store.Wanted(uow.organization_id, delivery_id, endpoint.id, message_id, type_)
        await store.add_deliveries(uow, [wanted])
        uow.ring(TOPIC)
        uow.audit("webhook_endpoint.test", endpoint.id, {"type": type_, "message": message_id})
        return delivery_id

    def shown_headers(self, endpoint: Endpoint) -> dict[str, str]:
        """Give the names of the endpoint's own headers; their values are not shown."""
        if endpoint.headers is None:
            return {}
        opened = self._ring.open(endpoint.headers, endpoint.context("headers"))
        return dict.fromkeys((name for name, _ in msgspec.json.decode(opened)), REDACTED)


async def get(uow: UnitOfWork, endpoint_id: str) -> Endpoint:
    """Find an endpoint of the organization."""
    if (endpoint := await store.get(uow, endpoint_id)) is None:
        raise NoSuchEndpoint(f"There is no webhook endpoint {endpoint_id}.")
    return endpoint


async def listed(uow: UnitOfWork, window: Window, narrowed: Narrowed = Narrowed()) -> Page[Endpoint]:  # noqa: B008 - immutable
    """List endpoints, newest first."""
    return page(await store.listed(uow, window, narrowed), window, lambda endpoint: endpoint.id)


async def delete(uow: UnitOfWork, endpoint_id: str) -> None:
    """Remove an endpoint and what waits for it; the log of what it was sent stays its time."""
    if not await store.delete(uow, endpoint_id):
        raise NoSuchEndpoint(f"There is no webhook endpoint {endpoint_id}.")
    await store.drop_waiting(uow, endpoint_id)
    await store.sleep(uow, endpoint_id)
    uow.audit("webhook_endpoint.delete", endpoint_id)


async def disabled(uow: UnitOfWork) -> int:
    """Count disabled endpoints."""
    return await store.disabled(uow)


async def locked(uow: UnitOfWork, endpoint_id: str) -> Endpoint:
    """Find an endpoint and keep others from changing it until the commit."""
    if (endpoint := await store.lock(uow, endpoint_id)) is None:
        raise NoSuchEndpoint(f"There is no webhook endpoint {endpoint_id}.")
    return endpoint
