"""API tokens: `tml_live_` or `tml_test_`, 33 base62 characters (over 192 bits), 6 of checksum."""

import hashlib
import secrets
import string
import zlib
from datetime import datetime

import msgspec

from temula.domain.organizations.model import Mode, Organization
from temula.kernel.ids import MemberId, OrganizationId, SessionId, TokenId
from temula.kernel.tenancy import Actor

ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
PREFIXES = {Mode.LIVE: "tml_live_", Mode.SANDBOX: "tml_test_"}
RANDOM, CHECKSUM = 33, 6

ABILITIES = (
    "organization:read", "events:read", "events:write", "registrations:read", "registrations:write", "attendees:read",
    "attendees:write", "tickets:read", "tickets:write", "check_ins:read", "check_ins:write", "payments:read",
    "payments:write", "webhooks:read", "webhooks:write",
)  # fmt: skip


def grantable(ability: str) -> bool:
    """Tell whether a token may be given this: an ability, every action on a resource (`events:*`), or all (`*`)."""
    resources = {one.partition(":")[0] for one in ABILITIES}
    return ability == "*" or ability in ABILITIES or ability in {f"{resource}:*" for resource in resources}


class Token(msgspec.Struct, frozen=True):
    """A token as stored: its hash, never itself; `hint` is the prefix and the last four characters."""

    organization_id: OrganizationId
    id: TokenId
    hash: bytes
    name: str
    hint: str
    abilities: list[str]
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None
    created_at: datetime

    def counts(self, now: datetime) -> bool:
        """Whether the token is neither revoked nor expired."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


class Session(msgspec.Struct, frozen=True):
    """A person signed in at the console, as stored."""

    organization_id: OrganizationId
    id: SessionId
    member_id: MemberId
    hash: bytes
    created_at: datetime
    expires_at: datetime


class Caller(msgspec.Struct, frozen=True):
    """Who calls the API, for whom, and how often they may."""

    actor: Actor
    organization: Organization
    token: Token


def new_token(mode: Mode) -> str:
    """Make a token; it is shown once and stored as its hash."""
    body = PREFIXES[mode] + "".join(secrets.choice(ALPHABET) for _ in range(RANDOM))
    return body + checksum(body)


def well_formed(text: str) -> bool:
    """Tell whether the text can be a token at all: typos and scanners' finds are turned away before the database."""
    if not text.startswith(tuple(PREFIXES.values())) or len(text) != len("tml_live_") + RANDOM + CHECKSUM:
        return False
    return text.isascii() and checksum(text[:-CHECKSUM]) == text[-CHECKSUM:]


def checksum(body: str) -> str:
    """Give CRC-32 of the token's beginning in base62, six characters."""
    rest, digits = zlib.crc32(body.encode()), ""
    for _ in range(CHECKSUM):
        rest, digit = divmod(rest, len(ALPHABET))
        digits = ALPHABET[digit] + digits
    return digits


def hashed(secret: str) -> bytes:
    """Hash a token or session secret for storage; both have the entropy of keys."""
    return hashlib.sha256(secret.encode()).digest()
