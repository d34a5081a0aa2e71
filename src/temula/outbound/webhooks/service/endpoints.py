"""Use cases of webhook endpoints."""

from datetime import timedelta

import msgspec

from temula.domain.events import service as events
from temula.kernel.addresses import AddressPolicy, AddressRefused, check_url
from temula.kernel.crypto import KeyRing
from temula.kernel.database import UnitOfWork
from temula.kernel.errors import InvalidInput
from temula.kernel.ids import ENDPOINT, EVENT, InvalidId
from temula.kernel.pages import Page, Window, page
from temula.outbound.webhooks import store
from temula.outbound.webhooks.errors import NoSuchEndpoint, UrlRefused
from temula.outbound.webhooks.model import (
    OVERLAP,
    TOPIC,
    Endpoint,
    EndpointState,
    new_secret,
    secret_context,
)

MOST_TYPES = 100


class Endpoints:
    """Webhook endpoints of organizations, under one address policy and one catalogue of message types."""

    def __init__(self, ring: KeyRing, policy: AddressPolicy, types: frozenset[str]) -> None:
        self._ring = ring
        self._policy = policy
        self.types = types

    async def create(
        self, uow: UnitOfWork, *, url: str, description: str, types: list[str], event_ids: list[str]
    ) -> tuple[Endpoint, str]:
        """Add an endpoint; give it and its signing secret, which is shown this once."""
        identifier, secret = ENDPOINT.new(uow.now), new_secret()
        sealed = self._ring.seal(secret.encode(), secret_context(uow.organization_id, identifier, "secret"))
        endpoint = Endpoint(
            uow.organization_id, identifier, self._checked_url(url), description, EndpointState.ENABLED, None,
            self._checked_types(types), await _checked_events(uow, event_ids), sealed, None, None, 0, None, uow.now,
            uow.now,
        )  # fmt: skip
        await store.insert(uow, endpoint)
        uow.audit("webhook_endpoint.create", endpoint.id, {"url": endpoint.url, "types": endpoint.types})
        return endpoint, secret

    async def update(self, uow: UnitOfWork, endpoint_id: str, changes: dict[str, object]) -> Endpoint:
        """Change an endpoint; enabling one sends what was kept for it."""
        before = await locked(uow, endpoint_id)
        changed = dict(changes)
        if "url" in changed:
            changed["url"] = self._checked_url(str(changed["url"]))
        if isinstance(types := changed.get("types"), list):
            changed["types"] = self._checked_types(types)
        if isinstance(event_ids := changed.get("event_ids"), list):
            changed["event_ids"] = await _checked_events(uow, event_ids)
        after = msgspec.structs.replace(before, **changed)
        if after.state != before.state:
            after = msgspec.structs.replace(after, disabled_reason=None, failures=0, failing_since=None)
            if after.state == EndpointState.ENABLED:
                await store.wake(uow, endpoint_id)
            else:
                await store.sleep(uow, endpoint_id)
        await store.update(uow, after)
        uow.ring(TOPIC)
        uow.audit("webhook_endpoint.update", after.id, {name: str(value) for name, value in changed.items()})
        return after

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
        return after, secret

    def _checked_url(self, url: str) -> str:
        try:
            return check_url(url, self._policy).url
        except AddressRefused as error:
            raise UrlRefused(error.detail, pointer="/url", reason=error.code) from None

    def _checked_types(self, types: list[str]) -> list[str]:
        if not 1 <= len(types) <= MOST_TYPES:
            raise InvalidInput(f"Give 1 to {MOST_TYPES} types; * is all of them.", pointer="/types")
        for pattern in types:
            stem = pattern[:-1] if pattern.endswith(".*") else None
            known = pattern == "*" or pattern in self.types
            if not known and not (stem and any(one.startswith(stem) for one in self.types)):
                raise InvalidInput(
                    f"{pattern!r} is no message type; there are: {', '.join(sorted(self.types))}.", pointer="/types"
                )
        return sorted(set(types))


async def _checked_events(uow: UnitOfWork, event_ids: list[str]) -> list[str]:
    for n, event_id in enumerate(event_ids):
        try:
            EVENT.parse(event_id)
        except InvalidId as error:
            raise InvalidInput(str(error), pointer=f"/event_ids/{n}") from None
    await events.require(uow, event_ids)
    return sorted(set(event_ids))


async def get(uow: UnitOfWork, endpoint_id: str) -> Endpoint:
    """Find an endpoint of the organization."""
    if (endpoint := await store.get(uow, endpoint_id)) is None:
        raise NoSuchEndpoint(f"There is no webhook endpoint {endpoint_id}.")
    return endpoint


async def listed(uow: UnitOfWork, window: Window) -> Page[Endpoint]:
    """List endpoints, newest first."""
    return page(await store.listed(uow, window), window, lambda endpoint: endpoint.id)


async def delete(uow: UnitOfWork, endpoint_id: str) -> None:
    """Remove an endpoint with its deliveries and their log."""
    if not await store.delete(uow, endpoint_id):
        raise NoSuchEndpoint(f"There is no webhook endpoint {endpoint_id}.")
    uow.audit("webhook_endpoint.delete", endpoint_id)


async def disabled(uow: UnitOfWork) -> int:
    """Count disabled endpoints."""
    return await store.disabled(uow)


async def locked(uow: UnitOfWork, endpoint_id: str) -> Endpoint:
    if (endpoint := await store.lock(uow, endpoint_id)) is None:
        raise NoSuchEndpoint(f"There is no webhook endpoint {endpoint_id}.")
    return endpoint
