"""Letting callbacks in and applying what they say."""

from collections.abc import Mapping

import structlog

from temula.domain.connections import service as connections
from temula.domain.connections.errors import UnknownDoor
from temula.domain.connections.model import PAYMENTS, Connection
from temula.domain.organizations.model import PLATFORM
from temula.domain.payments import service as payments
from temula.domain.payments.model import Observation
from temula.domain.payments.service import UnknownObject
from temula.inbound.kit import inbox
from temula.inbound.kit.registry import Provider, get
from temula.kernel.crypto import KeyRing
from temula.kernel.database import Database
from temula.kernel.ids import ORGANIZATION, OrganizationId
from temula.kernel.providers import CallbackRejected
from temula.kernel.tenancy import Actor, ActorKind, system

log = structlog.get_logger()

Providers = Mapping[tuple[str, str], Provider]


class Door:
    """Lets callbacks in: the secret token in the URL finds the connection, its secret verifies the raw bytes."""

    def __init__(self, database: Database, ring: KeyRing, providers: Providers) -> None:
        self._database = database
        self._ring = ring
        self._providers = providers

    async def accept(
        self, kind: str, name: str, mode: str, token: str, headers: Mapping[str, str], body: bytes
    ) -> bool:
        """Verify and store a callback; False if it had come before. Raises `UnknownDoor` or `CallbackRejected`."""
        connection = await connections.behind_door(self._database, token)
        if (connection.kind, connection.provider, connection.mode) != (kind, name, mode):
            raise UnknownDoor("No provider is expected at this address.")
        provider = get(self._providers, kind, name)
        dedupe_key = self._verified(provider, connection, headers, body)
        actor = Actor(ActorKind.PROVIDER, f"{name}:{connection.id}", connection.organization_id)
        async with self._database.unit(actor) as uow:
            fresh = await inbox.remember(uow, connection, dedupe_key, headers, body)
        log.info("callback.accepted", provider=name, connection=connection.id, key=dedupe_key, fresh=fresh)
        return fresh

    def _verified(self, provider: Provider, connection: Connection, headers: Mapping[str, str], body: bytes) -> str:
        if len(body) > provider.manifest.callback_limit:
            raise CallbackRejected("The callback is too large.")
        credentials = connections.opened(self._ring, connection).credentials
        try:
            genuine = provider.callbacks.is_genuine(body, headers, credentials, self._database.clock.now())
            if genuine and provider.callbacks.mode(body) == connection.mode:
                return provider.callbacks.callback_id(body)
        except Exception as error:  # noqa: BLE001 - a body made to break a parser is refused, not a crash
            log.warning("callback.unreadable", provider=connection.provider, error=type(error).__name__)
        raise CallbackRejected("The signature does not fit this body, or the body is for another mode.")

    async def process(self, actor: Actor, callback_id: str) -> None:
        """Apply what a stored callback says. Raises `UnknownObject` for what we do not know (yet): try again later."""
        async with self._database.reading(actor) as uow:
            callback = await inbox.get(uow, callback_id)
        if callback.state != "received":
            return
        connection = await connections.find(
            self._database, actor, callback.connection_id, on_platform=callback.organization_id == PLATFORM
        )
        observed = get(self._providers, callback.kind, callback.provider).callbacks.parse(callback.body)
        for seen in observed:
            await self._apply(connection, seen)
        async with self._database.unit(actor) as uow:
            await inbox.close(uow, callback_id, "done" if observed else "ignored")

    async def park(self, actor: Actor, callback_id: str, error: Exception) -> None:
        """Set a callback aside that could not be applied for long enough, with the reason, for operators to see."""
        reason = f"{type(error).__name__}: {error}"[:1000]
        async with self._database.unit(actor) as uow:
            await inbox.close(uow, callback_id, "parked", reason)
        log.error("callback.parked", callback=callback_id, reason=reason)

    async def _apply(self, connection: Connection, seen: Observation) -> None:
        if connection.kind != PAYMENTS:
            raise CallbackRejected(f"Nothing applies callbacks of kind {connection.kind}.")
        # Only the platform's own, verified callbacks may name the organization; others belong to their connection's.
        organization_id = connection.organization_id
        if connection.on_platform:
            organization_id = await self._named(connection, seen)
        actor = system(f"callback:{connection.provider}", organization_id)
        await self._database.run(actor, lambda uow: payments.see(uow, connection, seen))

    async def _named(self, connection: Connection, seen: Observation) -> OrganizationId:
        """Give the organization that the platform's callback is about: named in it, or known by the provider's ids."""
        if seen.organization_id is not None:
            return ORGANIZATION.parse(seen.organization_id)
        owner = await payments.owner_of(self._database, connection.id, seen.refs)
        if owner is None:
            raise UnknownObject("The platform's provider speaks of something that names no organization.")
        return owner
