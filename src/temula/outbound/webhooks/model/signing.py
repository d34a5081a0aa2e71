"""How a message's bytes are signed."""

import base64
import hashlib
import hmac
from binascii import b2a_base64
from collections.abc import Sequence
from datetime import datetime

AGENT = "Temula-Webhooks/1 (+https://github.com/temula/temula)"
_BLOCK = 64
_INNER, _OUTER = bytes(n ^ 0x36 for n in range(256)), bytes(n ^ 0x5C for n in range(256))


class Keyed:
    """HMAC-SHA256 (RFC 2104) under one key, whose two states are made once: half the time for a message of 1 KB."""

    __slots__ = ("_inner", "_outer")

    def __init__(self, key: bytes) -> None:
        padded = (hashlib.sha256(key).digest() if len(key) > _BLOCK else key).ljust(_BLOCK, b"\0")
        self._inner = hashlib.sha256(padded.translate(_INNER))
        self._outer = hashlib.sha256(padded.translate(_OUTER))

    def sign(self, signed: bytes) -> bytes:
        """Give the 32 bytes of the signature."""
        inner = self._inner.copy()
        inner.update(signed)
        outer = self._outer.copy()
        outer.update(inner.digest())
        return outer.digest()


# What each attempt says about itself; `values` of `Signer` come in this order, the last only while secrets are rotated.
SIGNED = ("webhook-id", "webhook-timestamp", "webhook-signature", "X-Temula-Signature")
SIGNED_BY_TWO = (*SIGNED, "X-Temula-Signature-Previous")
ALWAYS = {"Content-Type": "application/json", "User-Agent": AGENT}


class Signer:
    """Signs under the secrets in use; the first is the present one, a second is on its way out."""

    __slots__ = ("_keys", "names")

    def __init__(self, secrets_in_use: Sequence[str]) -> None:
        self._keys = [
            (Keyed(base64.b64decode(secret.removeprefix("whsec_"))), Keyed(secret.encode()))
            for secret in secrets_in_use
        ]
        self.names = SIGNED if len(secrets_in_use) == 1 else SIGNED_BY_TWO

    def values(self, message_id: str, body: bytes, at: datetime) -> tuple[str, ...]:
        """Give the values of the headers of an attempt that begins now, in the order of `names`."""
        stamp = str(int(at.timestamp()))
        signed = f"{message_id}.{stamp}.".encode() + body
        standard, plain = self._keys[0]
        first = "v1," + b2a_base64(standard.sign(signed), newline=False).decode()
        if len(self._keys) == 1:
            return (message_id, stamp, first, plain.sign(body).hex())
        older, older_plain = self._keys[1]
        second = "v1," + b2a_base64(older.sign(signed), newline=False).decode()
        return (message_id, stamp, f"{first} {second}", plain.sign(body).hex(), older_plain.sign(body).hex())


def plain_signature(secret: str, body: bytes) -> str:
    """Sign for `X-Temula-Signature`: lower-case hex HMAC-SHA256 of the raw body; the key is the secret as shown."""
    return hmac.digest(secret.encode(), body, hashlib.sha256).hex()


def standard_signature(secret: str, message_id: str, stamp: int, body: bytes) -> str:
    """Sign for `webhook-signature` (https://github.com/standard-webhooks/standard-webhooks)."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{message_id}.{stamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()


def signed_headers(message_id: str, body: bytes, at: datetime, secrets_in_use: Sequence[str]) -> dict[str, str]:
    """Give the headers of an attempt under these secrets."""
    signer = Signer(secrets_in_use)
    return {**ALWAYS, **dict(zip(signer.names, signer.values(message_id, body, at), strict=True))}


def sent_headers(message_id: str, at: datetime, signatures: Sequence[str]) -> dict[str, str]:
    """Give the headers that an attempt had, of what the log keeps of them: its signatures, as `values` gave them."""
    values = (message_id, str(int(at.timestamp())), *signatures)
    return {**ALWAYS, **dict(zip(SIGNED_BY_TWO, values, strict=False))}
