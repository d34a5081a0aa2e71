"""An archived day of an organization's log: gzip-compressed JSON Lines, and a manifest that says it is whole."""

import base64
import hashlib
import zlib
from collections.abc import Callable, Iterator
from datetime import date, datetime

import msgspec

from temula.kernel.ids import DeliveryAttemptId, DeliveryId, EndpointId, MessageId, OrganizationId
from temula.outbound.webhooks.model.delivery import Attempt

FORMAT = "temula.webhook_attempts/1"
ROOT = "webhook-attempts"
SUFFIX = ".jsonl.gz"
_GZIP = 16 + zlib.MAX_WBITS
_LEVEL = 6


class Line(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An attempt as it stands in an archive; a body that is not UTF-8 is there in Base64, under a name that says so."""

    organization_id: OrganizationId
    at: datetime
    id: DeliveryAttemptId
    delivery_id: DeliveryId
    endpoint_id: EndpointId
    message_id: MessageId
    type: str
    event_id: str | None
    number: int
    outcome: str
    duration_ms: int
    address: str | None
    request_headers: msgspec.Raw
    request_body: str | None = None
    request_body_base64: str | None = None
    status: int | None
    response_headers: msgspec.Raw
    response_body: str | None = None
    response_body_base64: str | None = None
    error: str | None
    replay_id: str | None
    delivery_created_at: datetime


class _Line(msgspec.Struct):
    message_id: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What an archive holds, written last: an archive that has one is whole. `bytes` and `sha256` are of the file."""

    organization_id: OrganizationId
    day: date
    file: str
    rows: int
    bytes: int
    sha256: str
    written_at: datetime
    erased_at: datetime | None = None
    format: str = FORMAT

    @property
    def name(self) -> str:
        """Where the file is."""
        return f"{folder_of(self.organization_id)}/{self.file}"

    @property
    def next_file(self) -> str:
        """What the file is called when it is written anew: the one that counts is never overwritten."""
        stem, _, version = self.file.removesuffix(SUFFIX).partition(".")
        return f"{stem}.{int(version or 0) + 1}{SUFFIX}"


def file_of(day: date) -> str:
    """Name the archive of a day (UTC)."""
    return f"{day.isoformat()}{SUFFIX}"


def manifest_of(organization_id: str, day: date) -> str:
    """Name the manifest of a day's archive."""
    return f"{folder_of(organization_id)}/{day.isoformat()}.json"


def folder_of(organization_id: str) -> str:
    """Name where an organization's archives are."""
    return f"{ROOT}/{organization_id}"


def line(attempt: Attempt) -> bytes:
    """Write an attempt as one line."""
    request, response = _text(attempt.request_body), _text(attempt.response_body)
    return msgspec.json.encode(
        Line(
            organization_id=attempt.organization_id, at=attempt.at, id=attempt.id, delivery_id=attempt.delivery_id,
            endpoint_id=attempt.endpoint_id, message_id=attempt.message_id, type=attempt.type,
            event_id=attempt.event_id, number=attempt.number, outcome=attempt.outcome,
            duration_ms=attempt.duration_ms, address=attempt.address,
            request_headers=msgspec.Raw(msgspec.json.encode(attempt.request_headers())), request_body=request[0],
            request_body_base64=request[1], status=attempt.status,
            response_headers=msgspec.Raw(msgspec.json.encode(attempt.answered_headers())), response_body=response[0],
            response_body_base64=response[1], error=attempt.error, replay_id=attempt.replay_id,
            delivery_created_at=attempt.delivery_created_at,
        )
    ) + b"\n"  # fmt: skip


def message_of(text: bytes) -> str:
    """Tell which message a line is about."""
    return msgspec.json.decode(text, type=_Line).message_id


def rewritten(text: bytes, headers: Callable[[bytes], bytes], body: Callable[[bytes], bytes]) -> bytes:
    """Give a line with its headers and bodies changed; the same bytes if nothing of them changes."""
    held = msgspec.json.decode(text, type=Line)
    changes: dict[str, object] = {}
    for name in ("request_headers", "response_headers"):
        raw = bytes(getattr(held, name))
        if (after := headers(raw)) != raw:
            changes[name] = msgspec.Raw(after)
    for name in ("request_body", "response_body"):
        content = _bytes(getattr(held, name), getattr(held, f"{name}_base64"))
        if content is not None and (after := body(content)) != content:
            changes[name], changes[f"{name}_base64"] = _text(after)
    return msgspec.json.encode(msgspec.structs.replace(held, **changes)) + b"\n" if changes else text


class Packer:
    """Compresses lines and counts what it gives; the same lines give the same bytes."""

    def __init__(self) -> None:
        self._zip = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP)
        self._hash = hashlib.sha256()
        self.rows = self.bytes = 0

    @property
    def sha256(self) -> str:
        """Hash of all that was given, in hex."""
        return self._hash.hexdigest()

    def pack(self, lines: list[bytes]) -> bytes:
        """Give the next bytes of the file; there may be none yet."""
        self.rows += len(lines)
        return self._count(self._zip.compress(b"".join(lines)))

    def end(self) -> bytes:
        """Give the last bytes of the file."""
        return self._count(self._zip.flush())

    def _count(self, packed: bytes) -> bytes:
        self._hash.update(packed)
        self.bytes += len(packed)
        return packed


class Unpacker:
    """Reads lines out of a file that comes in parts, counting as a packer does; `ValueError` says what is wrong."""

    def __init__(self) -> None:
        self._zip = zlib.decompressobj(_GZIP)
        self._hash = hashlib.sha256()
        self._rest = b""
        self.rows = self.bytes = 0

    @property
    def sha256(self) -> str:
        """Hash of all that was read, in hex."""
        return self._hash.hexdigest()

    def unpack(self, part: bytes, most: int) -> Iterator[list[bytes]]:
        """Give the whole lines that the next part brings, from about `most` bytes at a time."""
        self._hash.update(part)
        self.bytes += len(part)
        more = True
        while more:
            try:
                text = self._zip.decompress(part, most)
            except zlib.error as error:
                raise ValueError(f"it is damaged ({error})") from None
            part = self._zip.unconsumed_tail
            more = bool(part) or len(text) == most
            *lines, self._rest = (self._rest + text).split(b"\n")
            self.rows += len(lines)
            if lines:
                yield [one + b"\n" for one in lines]

    def end(self) -> None:
        """Make sure that the file ended where an archive ends."""
        if self._rest or not self._zip.eof or self._zip.unused_data:
            raise ValueError("it is cut, or something stands behind it")


def _text(body: bytes | None) -> tuple[str | None, str | None]:
    if body is None:
        return None, None
    try:
        return body.decode(), None
    except UnicodeDecodeError:
        return None, base64.b64encode(body).decode()


def _bytes(text: str | None, encoded: str | None) -> bytes | None:
    if encoded is not None:
        return base64.b64decode(encoded)
    return None if text is None else text.encode()
