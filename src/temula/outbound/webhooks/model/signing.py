"""How a message's bytes are signed."""

import base64
import hashlib
import hmac
from collections.abc import Sequence
from datetime import datetime

from temula.outbound.webhooks.model.delivery import Due
from temula.outbound.webhooks.model.shaping import envelope

TIMESTAMP_HEADERS = ("webhook-id", "webhook-timestamp", "webhook-signature")


def body_of(due: Due) -> bytes:
    """Give the message's bytes: compact UTF-8 JSON, the same at every attempt."""
    return envelope(due.message_id, due.type, due.occurred_at, due.organization_id, due.team_id, due.data)


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
