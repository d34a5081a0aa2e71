"""The signed text in a ticket's QR code: a gate without a network can tell which ticket it is and that we issued it.

Fixed binary, Ed25519, Base45; no personal data, so a change of name keeps the code. `docs/reference/ticket-code.md`
describes it byte by byte.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import ClassVar, Final
from uuid import UUID

import base45
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from temula.kernel.errors import InvalidInput
from temula.kernel.ids import EVENT, ORGANIZATION, TICKET, EventId, OrganizationId, TicketId, TicketTypeId

PREFIX: Final = "TML1:"
VERSION: Final = 1
LATEST_GENERATION: Final = 2**16 - 1

# version, key id, organization, event, ticket, generation, product hint, not before, not after
_LAYOUT: Final = struct.Struct(">B4s16s16s16sH4sII")
_SIGNATURE_BYTES: Final = 64
_BYTES: Final = _LAYOUT.size + _SIGNATURE_BYTES
# Base45 writes two bytes as three characters and a last odd byte as two.
_CHARACTERS: Final = len(PREFIX) + _BYTES // 2 * 3 + _BYTES % 2 * 2
# What is signed begins with the prefix, so that no other use of the key can produce a ticket's signature.
_SIGNED_AS: Final = PREFIX.encode()

_ADDED_BY_SCANNERS: Final = str.maketrans("", "", "\r\n\t")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MINUTE: Final = timedelta(minutes=1)


class CodeError(InvalidInput):
    """The text opens no gate.

    CodeError  x CodeMalformed  x CodeUnknownKey  x CodeForged
    """

    code: ClassVar[str] = "ticket_code_invalid"
    title: ClassVar[str] = "The ticket code is not valid"


class CodeMalformed(CodeError):
    """Not a ticket's code: scan again, or read another one."""

    code = "ticket_code_malformed"
    title = "This is not a ticket code"


class CodeUnknownKey(CodeError):
    """The right shape, but no key of ours: load the keys anew, else turn it away."""

    code = "ticket_code_unknown_key"
    title = "The ticket code is signed with a key that is not known here"


class CodeForged(CodeError):
    """It names a key of ours, which did not sign it: turn it away."""

    code = "ticket_code_forged"
    title = "The ticket code was changed or not issued by us"


@dataclass(frozen=True, slots=True)
class TicketPublicKey:
    """32 bytes that may be given to anybody; `id` is how a code names it."""

    raw: bytes
    id: bytes = field(init=False)
    _key: Ed25519PublicKey = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_key", Ed25519PublicKey.from_public_bytes(self.raw))
        object.__setattr__(self, "id", sha256(self.raw).digest()[:4])

    def signed(self, content: bytes, signature: bytes) -> bool:
        try:
            self._key.verify(signature, _SIGNED_AS + content)
        except InvalidSignature:
            return False
        return True


@dataclass(frozen=True, slots=True)
class TicketKey:
    """The private key of an organization; `seed` is kept sealed and shown to nobody."""

    seed: bytes = field(repr=False)
    public: TicketPublicKey = field(init=False)
    _key: Ed25519PrivateKey = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        key = Ed25519PrivateKey.from_private_bytes(self.seed)
        object.__setattr__(self, "_key", key)
        object.__setattr__(self, "public", TicketPublicKey(key.public_key().public_bytes_raw()))

    @property
    def id(self) -> bytes:
        return self.public.id

    def sign(self, content: bytes) -> bytes:
        return self._key.sign(_SIGNED_AS + content)


def generate_key() -> TicketKey:
    return TicketKey(Ed25519PrivateKey.generate().private_bytes_raw())


@dataclass(frozen=True, slots=True)
class TicketCode:
    """What the code says: enough to refuse what is not ours; whether the ticket still counts, only the record knows."""

    organization_id: OrganizationId
    event_id: EventId
    ticket_id: TicketId
    generation: int  # one up for each transfer or re-issue: the record accepts only the latest
    product_hint: bytes  # for a gate without a network; the record is asked when there is one
    not_before: datetime | None = None
    not_after: datetime | None = None

    def __post_init__(self) -> None:
        ORGANIZATION.parse(self.organization_id)
        EVENT.parse(self.event_id)
        TICKET.parse(self.ticket_id)
        if not 0 <= self.generation <= LATEST_GENERATION:
            raise ValueError(f"a generation is within 0 and {LATEST_GENERATION}")
        if len(self.product_hint) != 4:
            raise ValueError("a product hint is four bytes: use product_hint(ticket_type_id)")
        start, end = _minutes(self.not_before), _minutes(self.not_after)
        if start and end and start >= end:
            raise ValueError("a ticket's window ends after it begins")

    def valid_at(self, now: datetime, *, skew: timedelta = timedelta()) -> bool:
        """From `not_before` until just before `not_after`, widened on both sides by how wrong the clock may be."""
        if self.not_before is not None and now < self.not_before - skew:
            return False
        return self.not_after is None or now < self.not_after + skew

    def fits(self, ticket_type_id: TicketTypeId) -> bool:
        return self.product_hint == product_hint(ticket_type_id)


def product_hint(ticket_type_id: TicketTypeId) -> bytes:
    return sha256(ticket_type_id.encode()).digest()[:4]


def encode(code: TicketCode, key: TicketKey) -> str:
    content = _LAYOUT.pack(
        VERSION,
        key.id,
        ORGANIZATION.uuid(code.organization_id).bytes,
        EVENT.uuid(code.event_id).bytes,
        TICKET.uuid(code.ticket_id).bytes,
        code.generation,
        code.product_hint,
        _minutes(code.not_before),
        _minutes(code.not_after),
    )
    text: bytes = base45.b45encode(content + key.sign(content))
    return PREFIX + text.decode()


def decode(text: str, keys: Callable[[bytes], TicketPublicKey | None]) -> TicketCode:
    """Raises nothing but `CodeError`. `keys` must know only the keys of the organization at whose gate the code is
    read: a key is not bound to the organization that its owner writes into a code.
    """
    blob = _blob(text)
    content, signature = blob[: _LAYOUT.size], blob[_LAYOUT.size :]
    version, key_id, organization, event, ticket, generation, hint, start, end = _LAYOUT.unpack(content)
    if version != VERSION:
        raise CodeMalformed(f"the code is of version {version}; this gate reads version {VERSION}")
    key = keys(key_id)
    if key is None:
        raise CodeUnknownKey(f"no key {key_id.hex()} is known here")
    if not key.signed(content, signature):
        raise CodeForged(f"key {key_id.hex()} did not sign this code")
    try:
        return TicketCode(
            ORGANIZATION.of(UUID(bytes=organization)),
            EVENT.of(UUID(bytes=event)),
            TICKET.of(UUID(bytes=ticket)),
            generation,
            hint,
            _moment(start),
            _moment(end),
        )
    except ValueError as error:  # signed, but not by this module: another writer has a fault
        raise CodeMalformed(f"the code is signed and says what cannot be: {error}") from error


def _blob(text: str) -> bytes:
    """Scanners add line ends and some type in lower case; a blank inside is a digit of Base45 and stays."""
    if len(text) > 2 * _CHARACTERS:  # before any work is done on it
        raise CodeMalformed(f"a ticket code has {_CHARACTERS} characters, this text has {len(text)}")
    clean = text.translate(_ADDED_BY_SCANNERS).strip(" ")
    if not clean.isascii():  # upper() turns some other letters into ASCII ones
        raise CodeMalformed("a ticket code has only letters, digits and signs of ASCII")
    clean = clean.upper()
    if not clean.startswith(PREFIX):
        raise CodeMalformed(f"a ticket code begins with {PREFIX}")
    if len(clean) != _CHARACTERS:
        raise CodeMalformed(f"a ticket code has {_CHARACTERS} characters, this one has {len(clean)}")
    try:
        blob: bytes = base45.b45decode(clean[len(PREFIX) :])
    except ValueError as error:
        raise CodeMalformed("a ticket code is written in Base45 (RFC 9285)") from error
    return blob


def _minutes(at: datetime | None) -> int:
    """0 stands for no limit, so the first minute of 1970 cannot be one."""
    if at is None:
        return 0
    minutes, rest = divmod(at - _EPOCH, _MINUTE)
    if rest or not 0 < minutes < 2**32:
        raise ValueError(f"a ticket's window is in whole minutes after 1970, not {at.isoformat()}")
    return minutes


def _moment(minutes: int) -> datetime | None:
    return _EPOCH + minutes * _MINUTE if minutes else None
