"""Use cases of connections: credentials go in sealed and come out only towards a connector."""

import hashlib
import secrets
from collections.abc import Mapping

import msgspec

from temula.domain.connections import store
from temula.domain.connections.errors import NoConnection, NoSuchConnection, UnknownDoor
from temula.domain.connections.model import Connection, Opened
from temula.domain.organizations import service as organizations
from temula.domain.organizations.model import PLATFORM, Mode
from temula.kernel.crypto import KeyRing
from temula.kernel.database import Database, UnitOfWork
from temula.kernel.ids import CONNECTION
from temula.kernel.tenancy import Actor


async def connect(
    uow: UnitOfWork, ring: KeyRing, *, kind: str, provider: str, mode: Mode, credentials: Mapping[str, str], hint: str,
    token: str, on_platform: bool = False,
) -> Connection:  # fmt: skip
    """Add a provider account and use it from now on for its kind; `token` is the secret part of its callback URL."""
    identifier = CONNECTION.new(uow.now)
    organization_id = PLATFORM if on_platform else uow.organization_id
    draft = Connection(
        organization_id,
        identifier,
        kind,
        provider,
        mode,
        b"",
        hint,
        enabled=True,
        created_at=uow.now,
        on_platform=on_platform,
    )
    sealed = ring.seal(msgspec.json.encode(dict(credentials)), draft.context)
    connection = msgspec.structs.replace(draft, credentials=sealed)
    await store.insert(uow, connection, token_hash(token))
    if not on_platform:
        uow.audit("connection.add", identifier, {"provider": provider, "mode": mode, "hint": hint})
    return connection


async def change(
    uow: UnitOfWork, ring: KeyRing, connection_id: str, credentials: Mapping[str, str], hint: str, *,
    on_platform: bool = False,
) -> None:  # fmt: skip
    """Replace a connection's credentials, as when the provider rolled a key: its address and its payments stay."""
    connection = await get(uow, connection_id, on_platform=on_platform)
    sealed = ring.seal(msgspec.json.encode(dict(credentials)), connection.context)
    await store.update(uow, msgspec.structs.replace(connection, credentials=sealed, hint=hint))
    if not on_platform:
        uow.audit("connection.change", connection.id, {"hint": hint})


async def disable(uow: UnitOfWork, connection_id: str, *, on_platform: bool = False) -> None:
    """Take a connection out of use; callbacks, refunds and looks at what was paid through it still find it."""
    connection = await get(uow, connection_id, on_platform=on_platform)
    await store.update(uow, msgspec.structs.replace(connection, enabled=False))
    if not on_platform:
        uow.audit("connection.disable", connection.id)


async def get(uow: UnitOfWork, connection_id: str, *, on_platform: bool = False) -> Connection:
    """Find a connection of the organization, or of the platform in a crossing unit of work."""
    found = await (store.get_on_platform if on_platform else store.get)(uow, connection_id)
    if found is None:
        raise NoSuchConnection(f"There is no connection {connection_id}.")
    return found


async def resolve(database: Database, actor: Actor, kind: str) -> Connection:
    """Choose the connection to use: the organization's own, else the platform's if plan and organization allow it.

    The fallback changes who receives the money, so it is the organization's explicit switch and is recorded on each
    payment attempt. Live never falls back to sandbox, nor the reverse.
    """
    async with database.reading(actor) as uow:
        organization = await organizations.current(uow)
        own = await store.used(uow, kind, organization.mode)
    if own is not None:
        return own
    if organization.may_use_platform_payments:
        async with database.crossing("falling back to the platform's connection") as uow:
            if (shared := await store.used_on_platform(uow, kind, organization.mode)) is not None:
                return shared
    raise NoConnection(
        f"{organization.name} has no {kind} provider connected for {organization.mode}; connect one with "
        "`temula connections add`."
    )


async def find(database: Database, actor: Actor, connection_id: str, *, on_platform: bool) -> Connection:
    """Find the very connection a payment was made with, whichever is in use now."""
    if on_platform:
        async with database.crossing("using the platform's connection") as uow:
            found = await store.get_on_platform(uow, connection_id)
    else:
        async with database.reading(actor) as uow:
            found = await store.get(uow, connection_id)
    if found is None:
        raise NoConnection(f"The connection {connection_id} no longer exists.")
    return found


async def behind_door(database: Database, token: str) -> Connection:
    """Find the connection whose callback URL carries `token`: the secret decides the tenant, never the payload."""
    async with database.crossing("finding whom a provider's callback is for") as uow:
        found = await store.by_token(uow, token_hash(token))
    if found is None:
        raise UnknownDoor("No provider is expected at this address.")
    return found


async def listed(uow: UnitOfWork, *, on_platform: bool = False) -> list[Connection]:
    """List the organization's connections, or the platform's in a crossing unit of work, credentials still sealed."""
    return await (store.listed_on_platform if on_platform else store.listed)(uow)


def opened(ring: KeyRing, connection: Connection) -> Opened:
    """Open the credentials, for a connector."""
    raw = ring.open(connection.credentials, connection.context)
    return Opened(connection, msgspec.json.decode(raw, type=dict[str, str]))


def new_token() -> str:
    """Make the secret part of a callback URL."""
    return secrets.token_urlsafe(24)


def token_hash(token: str) -> bytes:
    """Hash a callback token for storage; it has the entropy of a key, so no slow hash is needed."""
    return hashlib.sha256(token.encode()).digest()
