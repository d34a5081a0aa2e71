"""Endpoints, deliveries, how a message is signed, and when it is tried again."""

import base64
import hashlib
import hmac
import random
import secrets
from collections.abc import Sequence
from datetime import MAXYEAR, datetime, timedelta
from email.utils import parsedate_to_datetime
from enum import StrEnum

import msgspec

from temula.kernel.clock import rfc3339
from temula.kernel.facts import Fact, StoredFact
from temula.kernel.ids import DeliveryAttemptId, DeliveryId, EndpointId, MessageId, OrganizationId

# The wait before attempt 2, 3... A jitter is added, never taken away: nothing is tried earlier than promised.
WAITS = (60, 300, 1800, 7200, 86400)
JITTER = 0.1
LONGEST_RETRY_AFTER = 86400
DISABLE_AFTER = 5
DISABLE_OVER = timedelta(minutes=1)
DEADLINE = 15.0
READ_CAP, STORED_CAP = 65536, 16384
GONE = 410
OVERLAP = timedelta(hours=24)


class EndpointState(StrEnum):
    """Whether messages go out; those of a paused or disabled endpoint are kept for when it is enabled again."""

    ENABLED = "enabled"
    PAUSED = "paused"
    DISABLED = "disabled"


class DeliveryState(StrEnum):
    """Whether a message is still on its way."""

    PENDING = "pending"
    DELIVERED = "delivered"
    EXHAUSTED = "exhausted"


class Endpoint(msgspec.Struct, frozen=True):
    """Where an organization wants messages. Empty `event_ids` means all events; secrets are sealed."""

    organization_id: OrganizationId
    id: EndpointId
    url: str
    description: str
    state: EndpointState
    disabled_reason: str | None
    types: list[str]
    event_ids: list[str]
    secret: bytes
    previous_secret: bytes | None
    previous_until: datetime | None
    failures: int
    failing_since: datetime | None
    created_at: datetime
    updated_at: datetime

    def context(self, field: str) -> str:
        """Where a sealed secret of the endpoint belongs."""
        return secret_context(self.organization_id, self.id, field)


class Subscription(msgspec.Struct, frozen=True):
    """What an endpoint wants to hear of; `since` is the transaction that made it."""

    organization_id: OrganizationId
    id: EndpointId
    state: EndpointState
    types: list[str]
    event_ids: list[str]
    since: int

    def wants(self, fact: StoredFact) -> bool:
        """Tell whether a fact goes to the endpoint: not one that was there before it."""
        if fact.organization_id != self.organization_id or fact.transaction < self.since:
            return False
        if self.event_ids and fact.event_id not in self.event_ids:
            return False
        return any(
            pattern in ("*", fact.type) or (pattern.endswith(".*") and fact.type.startswith(pattern[:-1]))
            for pattern in self.types
        )


class Delivery(msgspec.Struct, frozen=True):
    """One message for one endpoint; `replay` counts the times it was asked for again."""

    organization_id: OrganizationId
    id: DeliveryId
    endpoint_id: EndpointId
    message_id: MessageId
    type: str
    state: DeliveryState
    attempts: int
    replay: int
    next_at: datetime
    created_at: datetime
    finished_at: datetime | None

    @property
    def next_attempt_at(self) -> datetime | None:
        """When it is tried next, if a time is set: not once it is over, and not while its endpoint takes nothing."""
        waits = self.state != DeliveryState.PENDING or self.next_at.year == MAXYEAR
        return None if waits else self.next_at


class Latest(msgspec.Struct, frozen=True):
    """A delivery and where it goes, for those who watch."""

    id: DeliveryId
    type: str
    url: str
    state: DeliveryState
    attempts: int
    created_at: datetime


class Claim(msgspec.Struct, frozen=True):
    """A delivery this worker holds by lease; the fence tells its outcome from a later holder's."""

    organization_id: OrganizationId
    id: DeliveryId
    endpoint_id: EndpointId
    message_id: MessageId
    attempts: int
    fence: int


class Target(msgspec.Struct, frozen=True):
    """Where it goes, and the sealed secrets that sign it."""

    url: str
    secret: bytes
    previous_secret: bytes | None
    previous_until: datetime | None


class Message(msgspec.Struct, frozen=True):
    """What it says."""

    type: str
    team_id: str | None
    occurred_at: datetime
    data: bytes


class Due(msgspec.Struct, frozen=True):
    """A claimed delivery with all that is needed to send it: the fields of `Claim`, `Target` and `Message`."""

    organization_id: OrganizationId
    id: DeliveryId
    endpoint_id: EndpointId
    message_id: MessageId
    attempts: int
    fence: int
    url: str
    secret: bytes
    previous_secret: bytes | None
    previous_until: datetime | None
    type: str
    team_id: str | None
    occurred_at: datetime
    data: bytes


class Attempt(msgspec.Struct, frozen=True):
    """One try, as logged; bodies of answers are cut at 16 KiB."""

    organization_id: OrganizationId
    id: DeliveryAttemptId
    delivery_id: DeliveryId
    number: int
    at: datetime
    duration_ms: int
    address: str | None
    request_headers: bytes
    status: int | None
    response_headers: bytes | None
    response_body: bytes | None
    error: str | None

    @property
    def succeeded(self) -> bool:
        """Only 2xx is a success, whatever became of the answer's body; redirects are not followed."""
        return self.status is not None and 200 <= self.status < 300


class Envelope(msgspec.Struct, frozen=True):
    """A message as it goes out."""

    event_id: str
    event_type: str
    timestamp: str
    organization_id: str
    team_id: str | None
    data: msgspec.Raw


class EndpointDisabled(Fact, frozen=True, kw_only=True):
    """An endpoint was disabled because it kept failing, or said 410."""

    TYPE = "endpoint.disabled"
    PUBLIC = False
    endpoint_id: EndpointId
    reason: str


def body_of(due: Due) -> bytes:
    """Give the message's bytes: compact UTF-8 JSON, the same at every attempt."""
    return envelope(due.message_id, due.type, due.occurred_at, due.organization_id, due.team_id, due.data)


def envelope(
    message_id: str, type_: str, occurred_at: datetime, organization_id: str, team_id: str | None, data: bytes
) -> bytes:
    """Give a message's bytes."""
    message = Envelope(message_id, type_, rfc3339(occurred_at), organization_id, team_id, msgspec.Raw(data))
    return msgspec.json.encode(message)


def new_secret() -> str:
    """Make a signing secret in the form of Standard Webhooks: `whsec_` and base64 of 32 random bytes."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()


def secret_context(organization_id: str, endpoint_id: str, field: str) -> str:
    """Name the place of a sealed secret."""
    return f"{organization_id}|webhook_endpoints|{endpoint_id}|{field}"


def plain_signature(secret: str, body: bytes) -> str:
    """Sign for `X-Temula-Signature`: lower-case hex HMAC-SHA256 of the raw body; the key is the secret as shown."""
    return hmac.digest(secret.encode(), body, hashlib.sha256).hex()


def standard_signature(secret: str, message_id: str, stamp: int, body: bytes) -> str:
    """Sign for `webhook-signature` (https://github.com/standard-webhooks/standard-webhooks)."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{message_id}.{stamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()


def signed_headers(message_id: str, body: bytes, at: datetime, secrets_in_use: Sequence[str]) -> dict[str, str]:
    """Give the headers of an attempt; the first secret is the present one, a second is on its way out."""
    stamp = int(at.timestamp())
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "Temula-Webhooks/1 (+https://github.com/temula/temula)",
        "X-Temula-Signature": plain_signature(secrets_in_use[0], body),
        "webhook-id": message_id,
        "webhook-timestamp": str(stamp),
        "webhook-signature": " ".join(standard_signature(one, message_id, stamp, body) for one in secrets_in_use),
    }
    if len(secrets_in_use) > 1:
        headers["X-Temula-Signature-Previous"] = plain_signature(secrets_in_use[1], body)
    return headers


def next_wait(attempts: int, retry_after: float | None) -> float | None:
    """Give the seconds until the next attempt after `attempts` failed ones; None if that was the last."""
    if attempts > len(WAITS):
        return None
    wait = WAITS[attempts - 1] * (1 + random.uniform(0, JITTER))  # noqa: S311 - jitter
    return max(wait, min(retry_after, LONGEST_RETRY_AFTER)) if retry_after is not None else wait


def retry_after_of(value: str | None, now: datetime) -> float | None:
    """Read a `Retry-After` header (RFC 9110, 10.2.3); None if there is none that can be read."""
    if value is None:
        return None
    if value.isascii() and value.isdigit() and len(value) < 10:
        return float(value)
    try:
        return max(0.0, (parsedate_to_datetime(value) - now).total_seconds())
    except (ValueError, TypeError):
        return None
