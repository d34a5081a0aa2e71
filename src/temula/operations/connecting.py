"""Connecting an organization's account with a provider, from the command line."""

from temula.domain.connections import service
from temula.domain.organizations import service as organizations
from temula.domain.organizations.model import Mode
from temula.inbound.kit import registry
from temula.inbound.kit.manifest import Manifest
from temula.kernel.errors import InvalidInput
from temula.kernel.ids import ORGANIZATION
from temula.kernel.tenancy import system
from temula.operations.wiring import House


async def look(house: House, organization_id: str, kind: str, provider: str) -> tuple[Manifest, Mode]:
    """Find the provider's manifest and the organization's mode, before anybody types a key."""
    actor = system("cli", ORGANIZATION.parse(organization_id))
    async with house.database.reading(actor) as uow:
        organization = await organizations.current(uow)
    return registry.get(house.providers, kind, provider).manifest, Mode(organization.mode)


async def connect(house: House, organization_id: str, manifest: Manifest, mode: Mode, given: dict[str, str]) -> str:
    """Store the connection; give the address where the provider calls back. A key of the other mode is refused."""
    for credential in manifest.credentials:
        prefixes = credential.prefixes.get(mode.value, ())
        if prefixes and not given[credential.name].startswith(prefixes):
            raise InvalidInput(
                f"{credential.label}: this organization is {mode.value}, so it must begin with {' or '.join(prefixes)}."
            )
    token = service.new_token()
    actor = system("cli", ORGANIZATION.parse(organization_id))
    hint = given[manifest.credentials[0].name][-4:]
    async with house.database.unit(actor) as uow:
        await service.connect(
            uow, house.ring, kind=manifest.kind, provider=manifest.name, mode=mode, credentials=given, hint=hint,
            token=token,
        )  # fmt: skip
    base = house.configuration.server.base_url
    return f"{base}/in/{manifest.kind}/{manifest.name}/{mode.value}/{token}"
