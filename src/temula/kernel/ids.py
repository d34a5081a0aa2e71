"""Identifiers: TypeIDs (https://github.com/jetify-com/typeid, v0.3) over time-ordered UUIDs (RFC 9562, version 7).

An id is a plain `str` at run time and text in PostgreSQL; `NewType` keeps the kinds apart for the type checker.
"""

import os
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Generic, NewType, TypeVar, cast
from uuid import UUID

T = TypeVar("T", bound=str)

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base32: no i, l, o, u
_PAIRS = tuple(a + b for a in _ALPHABET for b in _ALPHABET)  # ten bits a lookup
_TO_PYTHON = str.maketrans(_ALPHABET, "0123456789abcdefghijklmnopqrstuv")  # the digits that int(text, 32) reads
# 26 characters hold 130 bits, so the first may only be 0 to 7: anything above overflows the UUID.
_SUFFIX = re.compile(r"[0-7][0-9a-hjkmnp-tv-z]{25}")
_PREFIX = re.compile(r"[a-z]([a-z_]{0,61}[a-z])?")
_BYTE_TO_DIGIT = (_ALPHABET * 8).encode()  # 256 is a multiple of 32, so each digit is equally likely
_VERSION = 7 << 16 | 0b1000  # and the variant, twelve bits of counter between them and two random bits behind
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


class InvalidId(ValueError):
    """The text is not an id of the kind that was asked for."""


class _Ticks:
    """The first 60 bits of the ids of this process: 48 of milliseconds and a counter of 12 (RFC 9562, 6.2, method 1).

    Each new millisecond starts its counter at a random place in the lower half. Ids made for the same millisecond
    count up from there; the 2,049th at the latest carries into the milliseconds after it, and the count goes on until
    the clock has overtaken it. A clock that is set back is believed: the ids are then of that earlier time.
    """

    __slots__ = ("_last", "_started")

    def __init__(self) -> None:
        self._started = -1
        self._last = -1

    def take(self, millisecond: int, number: int, seed: int) -> int:
        """Give the first of so many that follow each other."""
        if self._started <= millisecond <= self._last >> 12:
            first = self._last + 1
        else:
            self._started = millisecond
            first = millisecond << 12 | seed
        self._last = first + number - 1
        return first


_ticks = _Ticks()  # one a process: order within a millisecond is a promise of the process, not of an object


def _uuid7s(at: datetime, number: int, before: str = "") -> list[str]:
    """48 bits of time, version 7, 12 bits of counter, variant 0b10, 62 random bits, straight into base32.

    The bits fall on the characters so that no 128-bit number is needed: 10 characters hold the time, 4 the version,
    the counter and the variant with two random bits, and 12 the rest, each five bits of a random byte of its own.
    """
    millisecond = (at - _EPOCH) // _MILLISECOND
    if millisecond < 0:
        raise ValueError(f"an id cannot carry the time {at.isoformat()}: it counts from 1970")
    if not number:
        return []
    noise = os.urandom(13 * number + 2)
    digits = noise.translate(_BYTE_TO_DIGIT).decode()
    first = _ticks.take(millisecond, number, (noise[-1] & 7) << 8 | noise[-2])
    made: list[str] = []
    while number > len(made):
        tick, p, done = first + len(made), _PAIRS, len(made)
        time = before + "".join([p[tick >> shift & 1023] for shift in (52, 42, 32, 22, 12)])
        so_many = min(number - done, 4096 - (tick & 4095))  # of one millisecond
        start = _VERSION + ((tick & 4095) << 4)
        counts, randoms = range(start, start + 16 * so_many, 16), noise[12 * number + done :]
        made += [
            f"{time}{p[(middle := count | random >> 6) >> 10]}{p[middle & 1023]}{digits[n : n + 12]}"
            for count, random, n in zip(counts, randoms, range(12 * done, 12 * number, 12), strict=False)
        ]
    return made


def _encode(n: int) -> str:
    return "".join([_PAIRS[n >> shift & 1023] for shift in range(120, -1, -10)])


def is_id(text: str) -> bool:
    """Tell whether a text is an id, of whatever kind."""
    prefix, _, suffix = text.rpartition("_")
    return _PREFIX.fullmatch(prefix) is not None and _SUFFIX.fullmatch(suffix) is not None


@dataclass(frozen=True, slots=True)
class Kind(Generic[T]):
    """One kind of id: `EVENT.new(now)` makes one, `EVENT.parse(text)` is the only way in from outside."""

    prefix: str

    def __post_init__(self) -> None:
        if not _PREFIX.fullmatch(self.prefix):
            raise ValueError(f"{self.prefix!r} is not a TypeID prefix: lower-case letters, underscores inside")

    def new(self, at: datetime) -> T:
        return cast("T", _uuid7s(at, 1, f"{self.prefix}_")[0])

    def many(self, at: datetime, number: int) -> list[T]:
        """Make ids in one go, each later than the one before it."""
        return cast("list[T]", _uuid7s(at, number, f"{self.prefix}_"))

    def of(self, uuid: UUID) -> T:
        return cast("T", f"{self.prefix}_{_encode(uuid.int)}")

    def first(self, at: datetime) -> T:
        """Give the bound that no id made at `at` or later stands below, to the millisecond."""
        return self.of(UUID(int=(at - _EPOCH) // _MILLISECOND << 80))

    def parse(self, text: str) -> T:
        start = len(self.prefix) + 1
        if text.startswith(self.prefix + "_") and _SUFFIX.fullmatch(text, start):
            return cast("T", text)
        # Only the beginning is repeated: the text comes from outside and may be of any length.
        raise InvalidId(f"expected an id like {self.prefix}_ and 26 characters, got {text[:40]!r}")

    def uuid(self, id_: T) -> UUID:
        return UUID(int=int(self.parse(id_)[-26:].translate(_TO_PYTHON), 32))

    def time(self, id_: T) -> datetime:
        """When the id was made, to the millisecond."""
        return _EPOCH + (self.uuid(id_).int >> 80) * _MILLISECOND


OrganizationId = NewType("OrganizationId", str)
TeamId = NewType("TeamId", str)
MemberId = NewType("MemberId", str)
EventId = NewType("EventId", str)
TicketTypeId = NewType("TicketTypeId", str)
RegistrationId = NewType("RegistrationId", str)
AttendeeId = NewType("AttendeeId", str)
TicketId = NewType("TicketId", str)
CheckInId = NewType("CheckInId", str)
CheckpointId = NewType("CheckpointId", str)
PaymentId = NewType("PaymentId", str)
AttemptId = NewType("AttemptId", str)
TransactionId = NewType("TransactionId", str)
RefundId = NewType("RefundId", str)
ConnectionId = NewType("ConnectionId", str)
EndpointId = NewType("EndpointId", str)
MessageId = NewType("MessageId", str)
DeliveryId = NewType("DeliveryId", str)
DeliveryAttemptId = NewType("DeliveryAttemptId", str)
ReplayId = NewType("ReplayId", str)
TokenId = NewType("TokenId", str)
CallbackId = NewType("CallbackId", str)
JobId = NewType("JobId", str)
AuditId = NewType("AuditId", str)
SessionId = NewType("SessionId", str)
KeyId = NewType("KeyId", str)
HoldId = NewType("HoldId", str)

ORGANIZATION: Kind[OrganizationId] = Kind("org")
TEAM: Kind[TeamId] = Kind("team")
MEMBER: Kind[MemberId] = Kind("mem")
EVENT: Kind[EventId] = Kind("evt")
TICKET_TYPE: Kind[TicketTypeId] = Kind("tty")
REGISTRATION: Kind[RegistrationId] = Kind("reg")
ATTENDEE: Kind[AttendeeId] = Kind("att")
TICKET: Kind[TicketId] = Kind("tkt")
CHECK_IN: Kind[CheckInId] = Kind("chk")
CHECKPOINT: Kind[CheckpointId] = Kind("chp")
PAYMENT: Kind[PaymentId] = Kind("pay")
ATTEMPT: Kind[AttemptId] = Kind("pat")
TRANSACTION: Kind[TransactionId] = Kind("txn")
REFUND: Kind[RefundId] = Kind("ref")
CONNECTION: Kind[ConnectionId] = Kind("con")
ENDPOINT: Kind[EndpointId] = Kind("whe")
MESSAGE: Kind[MessageId] = Kind("msg")
DELIVERY: Kind[DeliveryId] = Kind("dlv")
DELIVERY_ATTEMPT: Kind[DeliveryAttemptId] = Kind("dat")
REPLAY: Kind[ReplayId] = Kind("rpl")
TOKEN: Kind[TokenId] = Kind("tok")
CALLBACK: Kind[CallbackId] = Kind("cbk")
JOB: Kind[JobId] = Kind("job")
AUDIT: Kind[AuditId] = Kind("aud")
SESSION: Kind[SessionId] = Kind("ses")
KEY: Kind[KeyId] = Kind("key")
HOLD: Kind[HoldId] = Kind("hol")
