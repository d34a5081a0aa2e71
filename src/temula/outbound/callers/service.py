"""Use cases of callers: making and revoking tokens, finding who calls, signing in."""

import secrets
from collections import OrderedDict
from datetime import datetime, timedelta

import msgspec

from temula.domain.organizations import service as organizations
from temula.domain.organizations.model import ABILITIES as BY_ROLE
from temula.domain.organizations.model import Member, Role
from temula.kernel.clock import Clock
from temula.kernel.database import Database, UnitOfWork
from temula.kernel.errors import InvalidInput, NotFound
from temula.kernel.ids import SESSION, TOKEN
from temula.kernel.tenancy import Actor, ActorKind
from temula.outbound.callers import store
from temula.outbound.callers.errors import NoToken
from temula.outbound.callers.model import Caller, Session, Token, grantable, hashed, new_token, well_formed

# A revoked token is refused everywhere within this many seconds.
REMEMBERED = 5.0
MOST_REMEMBERED = 10_000
SESSION_LENGTH = timedelta(days=14)


async def create_token(
    uow: UnitOfWork, *, name: str, abilities: list[str], expires_at: datetime | None = None, secret: str | None = None
) -> tuple[Token, str]:
    """Make a token for the organization; give it and the secret, which is not stored and shown this once."""
    if unknown := [one for one in abilities if not grantable(one)]:
        raise InvalidInput(f"Abilities are resource:action; unknown: {', '.join(unknown)}.", pointer="/abilities")
    if not abilities or not name.strip():
        raise InvalidInput("A token needs a name and at least one ability.")
    if expires_at is not None and expires_at <= uow.now:
        raise InvalidInput("A token must expire in the future.", pointer="/expires_at")
    organization = await organizations.current(uow)
    secret = secret or new_token(organization.mode)
    hint = f"{secret[:9]}...{secret[-4:]}"
    token = Token(
        uow.organization_id, TOKEN.new(uow.now), hashed(secret), name, hint, sorted(set(abilities)), expires_at, None,
        None, uow.now,
    )  # fmt: skip
    await store.insert_token(uow, token)
    uow.audit("token.create", token.id, {"name": name, "abilities": token.abilities})
    return token, secret


async def revoke_token(uow: UnitOfWork, token_id: str) -> None:
    """Revoke a token."""
    if not await store.revoke_token(uow, token_id):
        raise NotFound(f"There is no token {token_id} that counts.")
    uow.audit("token.revoke", token_id)


async def tokens(uow: UnitOfWork) -> list[Token]:
    """List the organization's tokens."""
    return await store.tokens(uow)


class Callers:
    """Finds who a token belongs to, remembering for a moment, and notes when tokens were used."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._clock: Clock = database.clock
        self._known: OrderedDict[bytes, tuple[float, Caller]] = OrderedDict()
        self._used: set[str] = set()

    async def find(self, secret: str) -> Caller:
        """Find the caller; raises `NoToken` for whatever is wrong with the token."""
        if not well_formed(secret):
            raise NoToken("Send a valid API token: Authorization: Bearer tml_...")
        digest = hashed(secret)
        now = self._clock.monotonic()
        known = self._known.get(digest)
        if known is None or now - known[0] > REMEMBERED:
            known = (now, await self._look_up(digest))
            self._known[digest] = known
            while len(self._known) > MOST_REMEMBERED:
                self._known.popitem(last=False)
        caller = known[1]
        if not caller.token.counts(self._clock.now()):
            raise NoToken("Send a valid API token: Authorization: Bearer tml_...")
        self._used.add(caller.token.id)
        return caller

    async def _look_up(self, digest: bytes) -> Caller:
        async with self._database.crossing("finding whom a token belongs to") as uow:
            token = await store.token_by_hash(uow, digest)
        if token is None:
            raise NoToken("Send a valid API token: Authorization: Bearer tml_...")
        actor = Actor(ActorKind.TOKEN, token.id, token.organization_id, frozenset(token.abilities))
        async with self._database.reading(actor) as uow:
            return Caller(actor, await organizations.current(uow), token)

    async def note_used(self) -> None:
        """Write when tokens were last used; called once a minute, so a busy token costs one update a minute."""
        if used := sorted(self._used):
            async with self._database.crossing("noting when tokens were used") as uow:
                await store.touch(uow, used)
            self._used.difference_update(used)


async def sign_in(database: Database, email: str, password: str) -> str | None:
    """Open a session for a member; give its secret, or None if email address and password do not fit."""
    member = await organizations.sign_in(database, email, password)
    if member is None:
        return None
    secret = secrets.token_urlsafe(32)
    async with database.unit(actor_of(member)) as uow:
        session = Session(
            member.organization_id, SESSION.new(uow.now), member.id, hashed(secret), uow.now, uow.now + SESSION_LENGTH
        )
        await store.insert_session(uow, session)
        uow.audit("member.sign_in", member.id)
    return secret


async def signed_in(database: Database, secret: str | None) -> Actor | None:
    """Find the member whose session this is, as an actor; None if nobody's."""
    if not secret:
        return None
    async with database.crossing("finding whose session this is") as uow:
        session = await store.session_by_hash(uow, hashed(secret))
    if session is None:
        return None
    actor = Actor(ActorKind.USER, session.member_id, session.organization_id)
    async with database.reading(actor) as uow:
        members = {member.id: member for member in await organizations.members(uow)}
    member = members.get(session.member_id)
    return None if member is None else msgspec.structs.replace(actor, abilities=BY_ROLE[Role(member.role)])


async def session_counts(database: Database, secret: str) -> bool:
    """Tell whether a session has not ended."""
    async with database.crossing("looking whether a session counts") as uow:
        return await store.session_by_hash(uow, hashed(secret)) is not None


async def sign_out(database: Database, secret: str) -> None:
    """End a session."""
    async with database.crossing("ending a session") as uow:
        await store.delete_session(uow, hashed(secret))


async def forget_old(database: Database, keys_before: datetime) -> int:
    """Remove Idempotency-Keys and sessions that are past their time."""
    async with database.crossing("removing old keys and sessions") as uow:
        return await store.delete_old(uow, keys_before)


def actor_of(member: Member) -> Actor:
    """Give the actor that a member is."""
    return Actor(ActorKind.USER, member.id, member.organization_id, BY_ROLE[Role(member.role)])
