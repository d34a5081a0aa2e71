"""Stripe's signed events: genuine, id, parse (https://docs.stripe.com/webhooks/signature)."""

import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime

import msgspec

from temula.domain.payments.model import Observation
from temula.inbound.payments.stripe import mapping
from temula.inbound.payments.stripe.payloads import Event, Intent, Refund, Session

# Both ways: the official SDK lets any stamp of the future pass.
TOLERANCE = 300


def is_genuine(raw: bytes, headers: Mapping[str, str], credentials: Mapping[str, str], now: datetime) -> bool:
    """Tell whether one of the endpoint's secrets signed exactly these bytes, within five minutes of now."""
    header = headers.get("stripe-signature", "")
    stamp, signatures = _parts(header)
    secrets = [secret.strip() for secret in credentials.get("webhook_secret", "").split(",") if secret.strip()]
    if not (header.isascii() and stamp.isdigit()) or len(stamp) > 12 or abs(now.timestamp() - int(stamp)) > TOLERANCE:
        return False
    signed = stamp.encode() + b"." + raw
    expected = [hmac.digest(secret.encode(), signed, hashlib.sha256).hex().encode() for secret in secrets]
    return any(hmac.compare_digest(one, given.encode()) for one in expected for given in signatures)


def callback_id(raw: bytes) -> str:
    """Give the event's id: Stripe sends the same one again when it repeats."""
    return msgspec.json.decode(raw, type=Event).id


def mode(raw: bytes) -> str:
    """Tell by `livemode`."""
    return "live" if msgspec.json.decode(raw, type=Event).livemode else "sandbox"


def parse(raw: bytes) -> list[Observation]:
    """Translate an event."""
    event = msgspec.json.decode(raw, type=Event)
    about = event.data.object
    match event.type:
        case (
            "checkout.session.completed"
            | "checkout.session.async_payment_succeeded"
            | "checkout.session.async_payment_failed"
            | "checkout.session.expired"
        ):
            failed = event.type.endswith("failed")
            return [mapping.seen_session(msgspec.json.decode(about, type=Session), event.id, failed=failed)]
        case "payment_intent.payment_failed":
            return [mapping.seen_decline(msgspec.json.decode(about, type=Intent), event.id)]
        case "refund.created" | "refund.updated" | "refund.failed":
            return [mapping.seen_refund(msgspec.json.decode(about, type=Refund), event.id)]
        case _:
            return []


def _parts(header: str) -> tuple[str, list[str]]:
    pairs = [part.strip().partition("=") for part in header.split(",")]
    stamp = next((value for name, _, value in pairs if name == "t"), "")
    return stamp, [value for name, _, value in pairs if name == "v1"]
