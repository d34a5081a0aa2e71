"""Accounts with providers, from the command line: an organization's own, or the platform's."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import NamedTuple

from temula.domain.connections import service
from temula.domain.connections.model import Connection
from temula.domain.organizations import service as organizations
from temula.domain.organizations.model import Mode
from temula.inbound.kit import registry
from temula.inbound.kit.manifest import Manifest
from temula.kernel.database import UnitOfWork
from temula.kernel.errors import InvalidInput
from temula.kernel.tenancy import Actor
from temula.operations.wiring import PLATFORM_ACTOR, House


class Owner(NamedTuple):
    """Whose account it is: the organization that the actor acts for, or the platform's if there is no actor."""

    actor: Actor | None

    @property
    def on_platform(self) -> bool:
        """Whether it is the platform's."""
        return self.actor is None


async def look(house: House, owner: Owner, kind: str, provider: str, mode: str | None) -> tuple[Manifest, Mode]:
    """Find the provider's manifest and the mode, before anybody types a key; an organization has its one mode."""
    manifest = registry.get(house.providers, kind, provider).manifest
    if owner.actor is None:
        if mode not in tuple(Mode):
            raise InvalidInput(
                "Say whether it is the platform's account for real money: --mode live or --mode sandbox."
            )
        return manifest, Mode(mode)
    async with house.database.reading(owner.actor) as uow:
        own = Mode((await organizations.current(uow)).mode)
    if mode not in (None, own):
        raise InvalidInput(f"This organization is {own.value}; its twin has the other mode.")
    return manifest, own


async def connect(house: House, owner: Owner, manifest: Manifest, mode: Mode, given: Mapping[str, str]) -> str:
    """Store the connection; give the address where the provider calls back. A key of the other mode is refused."""
    _check(manifest, mode, given)
    token = service.new_token()
    async with _acting(house, owner) as uow:
        made = await service.connect(
            uow, house.ring, kind=manifest.kind, provider=manifest.name, mode=mode, credentials=given,
            hint=_hint(manifest, given), token=token, on_platform=owner.on_platform,
        )  # fmt: skip
    await _audit(house, owner, "connection.add", made.id)
    base = house.configuration.server.base_url
    return f"{base}/in/{manifest.kind}/{manifest.name}/{mode.value}/{token}"


async def find(house: House, owner: Owner, connection_id: str) -> tuple[Connection, Manifest]:
    """Find a connection and its provider's manifest."""
    async with _acting(house, owner) as uow:
        found = await service.get(uow, connection_id, on_platform=owner.on_platform)
    return found, registry.get(house.providers, found.kind, found.provider).manifest


async def change(
    house: House, owner: Owner, connection: Connection, manifest: Manifest, given: Mapping[str, str]
) -> None:
    """Replace a connection's credentials. A key of the other mode is refused."""
    _check(manifest, Mode(connection.mode), given)
    async with _acting(house, owner) as uow:
        await service.change(
            uow, house.ring, connection.id, given, _hint(manifest, given), on_platform=owner.on_platform
        )
    await _audit(house, owner, "connection.change", connection.id)


async def disable(house: House, owner: Owner, connection_id: str) -> None:
    """Take a connection out of use."""
    async with _acting(house, owner) as uow:
        await service.disable(uow, connection_id, on_platform=owner.on_platform)
    await _audit(house, owner, "connection.disable", connection_id)


async def listed(house: House, owner: Owner) -> list[Connection]:
    """List the connections."""
    async with _acting(house, owner) as uow:
        return await service.listed(uow, on_platform=owner.on_platform)


@asynccontextmanager
async def _acting(house: House, owner: Owner) -> AsyncIterator[UnitOfWork]:
    if owner.actor is not None:
        async with house.database.unit(owner.actor) as uow:
            yield uow
    else:
        async with house.database.crossing("the operator looks after the platform's connections") as uow:
            yield uow


async def _audit(house: House, owner: Owner, action: str, connection_id: str) -> None:
    # A crossing unit of work belongs to no organization's chain, so the platform's own has the entry.
    if owner.on_platform:
        async with house.database.unit(PLATFORM_ACTOR) as uow:
            uow.audit(action, connection_id, {"platform": True})


def _check(manifest: Manifest, mode: Mode, given: Mapping[str, str]) -> None:
    for credential in manifest.credentials:
        prefixes = credential.prefixes.get(mode.value, ())
        if prefixes and not given[credential.name].startswith(prefixes):
            raise InvalidInput(
                f"{credential.label}: the account is {mode.value}, so it must begin with {' or '.join(prefixes)}."
            )


def _hint(manifest: Manifest, given: Mapping[str, str]) -> str:
    return given[manifest.credentials[0].name][-4:]
