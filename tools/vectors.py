"""Writes `clients/vectors.json`: signed requests, genuine and not, that every receiver can be tested by.

It signs by a few lines of standard library of its own and imports neither Temula nor its clients, so that an error of
theirs is not in what they are compared with.
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

FILE = Path(__file__).parent.parent / "clients" / "vectors.json"
AT = 1_795_428_900
MESSAGE = "msg_01kb0000000000000000000001"
SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
OTHER = "whsec_" + base64.b64encode(bytes(range(32, 64))).decode()
THIRD = "whsec_" + base64.b64encode(bytes(range(64, 88))).decode()
BODY = (
    f'{{"event_id":"{MESSAGE}","event_type":"check_in.completed","timestamp":"2026-11-23T10:15:00.123Z",'
    '"organization_id":"org_01kb0000000000000000000002","team_id":null,'
    '"data":{"event_id":"evt_01kb0000000000000000000003","attendee_id":"att_01kb0000000000000000000004",'
    '"check_in_time":"2026-11-23T10:15:00.123Z","location":"Gate A"}}'
).encode()
BODIES = {
    "an empty body": b"",
    "unicode": '{"name":"Nur Aïsyah 王 🎟️","quote":"\\"\\\\\\u2028"}'.encode(),
    "spaces and a line end that must stay": b'{ "a" : 1 }\r\n',
    "a large body": b'{"data":"' + b"x" * 2_000 + b'"}',
}
ABOUT = (
    "Requests as they arrive, and what a receiver makes of them. style: standard (webhook-* headers) or temula "
    "(X-Temula-Signature). secrets: what the receiver has. body: base64 of the raw bytes. now: the receiver's clock, "
    "in seconds since 1970; the tolerance is 300. expect: ok, missing_header, bad_timestamp, too_old, too_new or "
    "bad_signature. lenient: some libraries of Standard Webhooks let it pass. Written by tools/vectors.py."
)


class Vector(NamedTuple):
    """One request and its verdict."""

    name: str
    style: str
    headers: dict[str, str]
    body: bytes = BODY
    secrets: tuple[str, ...] = (SECRET,)
    now: int = AT
    expect: str = "ok"
    lenient: bool = False


def vectors(at: int = AT) -> Iterator[Vector]:
    """Give all vectors, signed at a time."""
    for vector in (*_standard(at), *_forged(at), *_timed(at), *_plain()):
        yield vector._replace(name=f"{vector.style}: {vector.name}", now=vector.now - AT + at)


def document() -> bytes:
    """Give the file's text."""
    listed = [one._asdict() | {"body": base64.b64encode(one.body).decode()} for one in vectors()]
    held: dict[str, Any] = {"about": ABOUT, "vectors": listed}
    return json.dumps(held, indent=1).encode() + b"\n"


def standard(secret: str, at: int | str, body: bytes = BODY) -> str:
    """Sign as Standard Webhooks says."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{MESSAGE}.{at}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


def plain(secret: str, body: bytes = BODY) -> str:
    """Sign for X-Temula-Signature: the key is the secret as it is shown."""
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def _headers(at: int | str, signature: str) -> dict[str, str]:
    return {"webhook-id": MESSAGE, "webhook-timestamp": str(at), "webhook-signature": signature}


def _standard(at: int) -> Iterator[Vector]:
    good = standard(SECRET, at)
    headers = _headers(at, good)
    yield Vector("a genuine request", "standard", headers)
    yield Vector("header names in capitals", "standard", {name.upper(): value for name, value in headers.items()})
    yield Vector("two signatures, the first fits", "standard", _headers(at, f"{good} {standard(OTHER, at)}"))
    yield Vector("two signatures, the second fits", "standard", _headers(at, f"{standard(OTHER, at)} {good}"))
    yield Vector("a signature of another version beside it", "standard", _headers(at, f"v1a,AAAA {good}"))
    yield Vector("two secrets, the second fits", "standard", headers, secrets=(OTHER, SECRET))
    yield Vector("a secret without its prefix", "standard", headers, secrets=(SECRET.removeprefix("whsec_"),))
    yield Vector("a secret of 24 bytes", "standard", _headers(at, standard(THIRD, at)), secrets=(THIRD,))
    for name, body in BODIES.items():
        yield Vector(name, "standard", _headers(at, standard(SECRET, at, body)), body)


def _forged(at: int) -> Iterator[Vector]:
    good = standard(SECRET, at)
    headers = _headers(at, good)
    changed = BODY[:-3] + b"B" + BODY[-2:]

    def forged(name: str, headers: dict[str, str], *, lenient: bool = False, **more: Any) -> Vector:
        return Vector(name, "standard", headers, expect="bad_signature", lenient=lenient, **more)

    yield forged("one byte of the body changed", headers, body=changed)
    yield forged("a byte added to the body", headers, body=BODY + b"\n")
    yield forged("the body empty", headers, body=b"")
    yield forged("another secret", headers, secrets=(OTHER,))
    yield forged("two wrong secrets", headers, secrets=(OTHER, THIRD))
    yield forged("another id", headers | {"webhook-id": MESSAGE + "x"})
    yield forged("another time", headers | {"webhook-timestamp": str(at + 1)})
    yield forged("two signatures, none fits", _headers(at, f"{standard(OTHER, at)} {standard(THIRD, at)}"))
    yield forged("one bit of the signature", _headers(at, _bit(good)))
    yield forged("a signature cut short", _headers(at, good[:-4]))
    yield forged("the fitting signature under version 1a", _headers(at, good.replace("v1,", "v1a,")))
    yield forged("the signature in capitals", _headers(at, "v1," + good[3:].upper()))
    yield forged("base64 for URLs", _headers(at, "v1," + _for_urls(at)), lenient=True)
    yield forged("base64 without its padding", _headers(at, good.rstrip("=")), lenient=True)
    yield forged("base64 whose last bits are not zero", _headers(at, _loose(good)), lenient=True)
    yield forged("hex instead of base64", _headers(at, "v1," + base64.b64decode(good[3:]).hex()))
    yield forged("the signature of the body alone", _headers(at, "v1," + plain(SECRET)))
    yield forged("no signature, only a version", _headers(at, "v1,"))


def _timed(at: int) -> Iterator[Vector]:
    def timed(name: str, stamp: int | str, expect: str) -> Vector:
        return Vector(name, "standard", _headers(stamp, standard(SECRET, stamp)), expect=expect)

    yield timed("five minutes old", at - 300, "ok")
    yield timed("more than five minutes old", at - 301, "too_old")
    yield timed("a day old", at - 86400, "too_old")
    yield timed("five minutes early", at + 300, "ok")
    yield timed("more than five minutes early", at + 301, "too_new")
    yield timed("a time in words", "yesterday", "bad_timestamp")
    yield timed("a time below zero", "-1", "bad_timestamp")
    headers = _headers(at, standard(SECRET, at))
    for name in headers:
        without = {other: value for other, value in headers.items() if other != name}
        yield Vector(f"no {name}", "standard", without, expect="missing_header")
        yield Vector(f"an empty {name}", "standard", without | {name: ""}, expect="missing_header")
    yield Vector("no headers at all", "standard", {}, expect="missing_header")
    both = {"X-Temula-Signature": plain(SECRET)}
    yield Vector("only the other style's header", "standard", both, expect="missing_header")


def _plain() -> Iterator[Vector]:
    def signed(name: str, first: str, previous: str | None = None, **more: Any) -> Vector:
        headers = {"X-Temula-Signature": first} | ({"X-Temula-Signature-Previous": previous} if previous else {})
        return Vector(name, "temula", headers, **more)

    good, other = plain(SECRET), plain(OTHER)
    yield signed("a genuine request", good)
    yield Vector("header names in small letters", "temula", {"x-temula-signature": good})
    yield signed("the previous secret, while it is rotated", other, good)
    yield signed("the new secret, while it is rotated", good, other)
    yield signed("two secrets, the second fits", good, secrets=(OTHER, SECRET))
    for name, body in BODIES.items():
        yield signed(name, plain(SECRET, body), body=body)
    wrong: dict[str, Any] = {"expect": "bad_signature"}
    yield signed("one byte of the body changed", good, body=BODY[:-3] + b"B" + BODY[-2:], **wrong)
    yield signed("the body empty", good, body=b"", **wrong)
    yield signed("another secret", good, secrets=(OTHER,), **wrong)
    yield signed("rotated twice since", other, plain(THIRD), **wrong)
    yield signed("in capitals", good.upper(), **wrong)
    yield signed("cut short", good[:-2], **wrong)
    yield signed("base64 instead of hex", base64.b64encode(bytes.fromhex(good)).decode(), **wrong)
    yield signed("the key decoded", hmac.new(bytes(range(32)), BODY, hashlib.sha256).hexdigest(), **wrong)
    yield Vector("no header", "temula", {}, expect="missing_header")
    yield Vector("only the previous one", "temula", {"X-Temula-Signature-Previous": good}, expect="missing_header")


def _bit(signature: str) -> str:
    decoded = bytearray(base64.b64decode(signature[3:]))
    decoded[7] ^= 1
    return "v1," + base64.b64encode(decoded).decode()


def _for_urls(at: int) -> str:
    """Give the alphabet of URLs, with a letter that the other does not have, whatever this signature holds."""
    text = standard(SECRET, at)[3:].replace("+", "-").replace("/", "_")
    return text if "-" in text or "_" in text else "-" + text[1:]


def _loose(signature: str) -> str:
    """Give other text for the same bytes: 256 bits leave two of the last sign's six unused."""
    signs = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    return signature[:-2] + signs[signs.index(signature[-2]) + 1] + "="


if __name__ == "__main__":
    FILE.write_bytes(document())
