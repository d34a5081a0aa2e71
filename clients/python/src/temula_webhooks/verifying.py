"""Whether a request came from Temula: signatures are compared in constant time, and too old or new ones refused."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import time
from collections.abc import Iterable, Mapping
from typing import Callable

from temula_webhooks.message import Message, parse

TOLERANCE = 300  # seconds that our clock and Temula's may differ by, and a request may have been on its way
_STAMP = re.compile(r"[0-9]{1,12}")


class NotGenuine(Exception):
    """The request is not one that Temula sent just now; `code` says why.

    `missing_header`, `bad_timestamp`, `too_old`, `too_new`, `bad_signature`; `bad_body` if it is signed but no message.
    """

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code


class Webhook:
    """Verifies what comes to one endpoint. Give the new and the previous secret while you rotate.

    `tolerance` is in seconds; `now` gives the seconds since 1970 and is there for tests. Raises `ValueError` if a
    secret is not `whsec_` and base64.
    """

    def __init__(self, *secrets: str, tolerance: float = TOLERANCE, now: Callable[[], float] = time.time) -> None:
        if not secrets:
            raise ValueError("Give the endpoint's signing secret (whsec_...).")
        self._secrets = tuple(secret.encode() for secret in secrets)
        self._keys = tuple(_key(secret) for secret in secrets)
        self._tolerance = tolerance
        self._now = now

    def verify(self, body: bytes | str, headers: Mapping[str, str]) -> Message:
        """Give the message of a genuine request; raises `NotGenuine`. `body` is the raw body, before any parsing."""
        self.check(body, headers)
        return _message(body)

    def check(self, body: bytes | str, headers: Mapping[str, str]) -> None:
        """Check the Standard Webhooks headers: they sign id, time and body; raises `NotGenuine`."""
        named = _named(headers)
        identifier, stamp, signatures = (
            _required(named, name) for name in ("webhook-id", "webhook-timestamp", "webhook-signature")
        )
        self._check_time(stamp)
        signed = f"{identifier}.{stamp}.".encode() + _raw(body)
        expected = ["v1," + base64.b64encode(_hmac(key, signed)).decode() for key in self._keys]
        _require_any(expected, signatures.split(" "))

    def verify_body(self, body: bytes | str, headers: Mapping[str, str]) -> Message:
        """Give the message of a request whose `X-Temula-Signature` fits; raises `NotGenuine`.

        That header signs the body alone: it does not tell a request of now from a copy of an old one. Prefer `verify`.
        """
        self.check_body(body, headers)
        return _message(body)

    def check_body(self, body: bytes | str, headers: Mapping[str, str]) -> None:
        """Check `X-Temula-Signature`, and `-Previous` if a secret is being rotated; raises `NotGenuine`."""
        named, raw = _named(headers), _raw(body)
        given = [_required(named, "x-temula-signature"), named.get("x-temula-signature-previous", "")]
        _require_any([_hmac(secret, raw).hex() for secret in self._secrets], given)

    def _check_time(self, stamp: str) -> None:
        if not _STAMP.fullmatch(stamp):
            raise NotGenuine("bad_timestamp", "The header webhook-timestamp is not a number of seconds.")
        late = self._now() - int(stamp)
        if late > self._tolerance:
            raise NotGenuine(
                "too_old", f"The request was signed {late:.0f} seconds ago; is this machine's clock right?"
            )
        if late < -self._tolerance:
            raise NotGenuine(
                "too_new", f"The request was signed in {-late:.0f} seconds; is this machine's clock right?"
            )


def _key(secret: str) -> bytes:
    try:
        key = base64.b64decode(secret[6:] if secret.startswith("whsec_") else secret, validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not key:
        raise ValueError("A signing secret is whsec_ and base64; copy it whole.")
    return key


def _hmac(key: bytes, data: bytes) -> bytes:
    return hmac.new(key, data, hashlib.sha256).digest()


def _raw(body: bytes | str) -> bytes:
    return body.encode() if isinstance(body, str) else bytes(body)


def _named(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def _required(named: Mapping[str, str], name: str) -> str:
    if not (value := named.get(name)):
        raise NotGenuine("missing_header", f"The request has no header {name}.")
    return value


def _require_any(expected: Iterable[str], given: Iterable[str]) -> None:
    """Compare all with all, so that the time taken says nothing about which fitted."""
    texts = [one.encode("utf-8", "replace") for one in given]
    fits = [hmac.compare_digest(wanted.encode(), text) for wanted in expected for text in texts]
    if not any(fits):
        raise NotGenuine("bad_signature", "No signature fits: is it this endpoint's secret, and the raw body?")


def _message(body: bytes | str) -> Message:
    try:
        return parse(body)
    except ValueError as error:
        raise NotGenuine("bad_body", str(error)) from None
