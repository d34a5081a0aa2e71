"""A message's bytes, and how they are signed."""

import base64
import hashlib
import hmac
from collections.abc import Sequence
from datetime import datetime

import msgspec

from temula.kernel.clock import rfc3339
from temula.outbound.webhooks.model.delivery import Due

TIMESTAMP_HEADERS = ("webhook-id", "webhook-timestamp", "webhook-signature")


class Envelope(msgspec.Struct, frozen=True):
    """A message as it goes out."""

    event_id: str
    event_type: str
    timestamp: str
    organization_id: str
    team_id: str | None
    data: msgspec.Raw


def body_of(due: Due) -> bytes:
    """Give the message's bytes: compact UTF-8 JSON, the same at every attempt."""
    return envelope(due.message_id, due.type, due.occurred_at, due.organization_id, due.team_id, due.data)


def envelope(
    message_id: str, type_: str, occurred_at: datetime, organization_id: str, team_id: str | None, data: bytes
) -> bytes:
    """Give a message's bytes."""
    message = Envelope(message_id, type_, rfc3339(occurred_at), organization_id, team_id, msgspec.Raw(data))
    return msgspec.json.encode(message)


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
