"""Takes our secrets out of what a receiver answered, before it is stored: many receivers repeat what they were sent."""

import html
from collections.abc import Collection
from typing import Final
from urllib.parse import quote

import msgspec

from temula.kernel.http.model import REDACTED, Response

STORED_BYTES: Final = 16384
# What is shorter is no secret, and taking it out would leave nothing that can be read.
SHORTEST: Final = 4
# Of a secret that the end of what was read has cut, a piece of this length tells nothing.
PIECE: Final = 4

_NUL: Final = "\N{REPLACEMENT CHARACTER}"


class Stored(msgspec.Struct, frozen=True):
    """An answer as it may be kept and shown: its headers, and the beginning of its body."""

    headers: list[tuple[str, str]]
    body: bytes


def scrubbed(answer: Response, secrets: Collection[str], *, most: int = STORED_BYTES) -> Stored:
    """The answer without the secrets and without NUL, which PostgreSQL's texts refuse; at most `most` of its body.

    Give the values of our signature headers and of the customer's own headers. A secret is found as it is, in capitals,
    and as JSON, HTML and URLs write it.
    """
    words = _spellings(secrets)
    headers = [(_clean(name, words), _clean(value, words)) for name, value in answer.headers]
    body = answer.body
    if body:
        found = [word.encode() for word in words]
        for word in found:
            if word in body:
                body = body.replace(word, REDACTED.encode())
        if answer.truncated:
            body = _without_cut(body, found)
        if b"\0" in body:
            body = body.replace(b"\0", _NUL.encode())
    return Stored(headers, body[:most])


def _clean(text: str, words: Collection[str]) -> str:
    for word in words:
        if word in text:
            text = text.replace(word, REDACTED)
    return text.replace("\0", _NUL) if "\0" in text else text


def _spellings(secrets: Collection[str]) -> list[str]:
    words: set[str] = set()
    for secret in secrets:
        if len(secret) < SHORTEST:
            continue
        words.add(secret)
        if secret.isalnum():
            words |= {secret.upper(), secret.lower()}
            continue
        plain = msgspec.json.encode(secret).decode()[1:-1]
        words |= {plain, plain.replace("/", "\\/"), html.escape(secret), quote(secret), quote(secret, safe="")}
    return sorted(words, key=len, reverse=True)


def _without_cut(body: bytes, words: Collection[bytes]) -> bytes:
    """The body without the beginning of a secret at its end."""
    for word in words:
        for length in range(len(word) - 1, PIECE - 1, -1):
            if body.endswith(word[:length]):
                return body[:-length] + REDACTED.encode()
    return body
