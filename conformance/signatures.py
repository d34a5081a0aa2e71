"""Standard Webhooks verified by code of the kit's own."""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping


def key_of(secret: str) -> bytes:
    """Give the key that a secret stands for; empty if it cannot be read."""
    try:
        return base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except binascii.Error:
        return b""


def fits(secret: str, headers: Mapping[str, str], body: bytes) -> bool:
    """Tell whether one of a request's signatures is by a secret; the time is not looked at."""
    signed = f"{headers.get('webhook-id', '')}.{headers.get('webhook-timestamp', '')}.".encode() + body
    wanted = "v1," + base64.b64encode(hmac.digest(key_of(secret), signed, hashlib.sha256)).decode()
    return wanted in headers.get("webhook-signature", "").split(" ")
