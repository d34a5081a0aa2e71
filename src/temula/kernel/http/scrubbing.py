"""Takes our secrets out of what a receiver answered, before it is stored: many receivers repeat what they were sent."""

import html
import re
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

# What is secret in `v1,ABC= v1,DEF=` or `Bearer GHI`: a receiver may repeat one of them alone.
_TOKEN = re.compile(r"[A-Za-z0-9+/_=.~-]{16,}")
_RUN = re.compile(r"[A-Za-z0-9]+")

_NUL: Final = "\N{REPLACEMENT CHARACTER}"


class Stored(msgspec.Struct, frozen=True):
    """An answer as it may be kept and shown: its headers, and the beginning of its body."""

    headers: list[tuple[str, str]]
    body: bytes


def scrubbed(answer: Response, secrets: Collection[str], *, most: int = STORED_BYTES) -> Stored:
    """The answer without the secrets and without NUL, which PostgreSQL's texts refuse; at most `most` of its body.

    Give the values of our signature headers and of the customer's own headers. A secret is found as it is, in capitals,
    as JSON, HTML and URLs write it, and each long token of it alone.
    """
    words = _spellings(_suspected(answer, secrets))
    headers, body = answer.headers, answer.body
    if words:
        headers = [(_clean(name, words), _clean(value, words)) for name, value in headers]
        found = [word.encode() for word in words]
        for word in found:
            if word in body:
                body = body.replace(word, REDACTED.encode())
        if answer.truncated:
            body = _without_cut(body, found)
    if any("\0" in value for _, value in headers):
        headers = [(name, value.replace("\0", _NUL)) for name, value in headers]
    if b"\0" in body:
        body = body.replace(b"\0", _NUL.encode())
    return Stored(headers, body[:most])


def _suspected(answer: Response, secrets: Collection[str]) -> list[str]:
    """The secrets, and parts of them, that may be in the answer: most answers have none, and that is seen quickly.

    Every spelling leaves the letters and digits of a secret together, so its longest run of them must be there.
    """
    text = "\n".join([part for pair in answer.headers for part in pair]).lower().encode() + answer.body.lower()
    return [
        part
        for part in {part for whole in secrets for part in (whole, *_TOKEN.findall(whole))}
        if len(part) >= SHORTEST
        and (answer.truncated or max(_RUN.findall(part), key=len, default="").lower().encode() in text)
    ]


def _clean(text: str, words: Collection[str]) -> str:
    for word in words:
        if word in text:
            text = text.replace(word, REDACTED)
    return text


def _spellings(secrets: Collection[str]) -> list[str]:
    words: set[str] = set()
    for secret in secrets:
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
