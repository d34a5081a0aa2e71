"""Secrets at rest: AES-256-GCM envelopes under a key ring, bound to where they belong.

Each sealed value has its own data key, wrapped by the ring's primary key; both layers carry the context (organization,
object, field) as associated data, so a value moved to another row, column or tenant does not open.
"""

import base64
import binascii
import hashlib
import hmac
import os
import secrets
from collections.abc import Mapping
from pathlib import Path

import msgspec
import structlog
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from temula.kernel.errors import Misconfigured, TemulaError

VERSION = 1
NONCE = 12
WRAPPED = NONCE + 32 + 16
TAG = 12

log = structlog.get_logger()


class Unopenable(TemulaError):
    """A sealed value does not open: wrong place, damaged, or its key is no longer in the ring."""

    code = "unopenable"
    title = "A stored secret cannot be opened"


class _RingFile(msgspec.Struct, forbid_unknown_fields=True):
    primary: str
    keys: dict[str, str]


class KeyRing:
    """Wrapping keys by id. New values use the primary one; older ones still open what they sealed."""

    def __init__(self, keys: Mapping[str, bytes], primary: str) -> None:
        if primary not in keys:
            raise Misconfigured(f"The key ring's primary key {primary!r} is not among its keys.")
        if any(len(key) != 32 or not 0 < len(name.encode()) < 256 for name, key in keys.items()):
            raise Misconfigured("Each key of the ring must be 32 bytes (base64) under a name of 1 to 255 bytes.")
        self._keys = {name: AESGCM(key) for name, key in keys.items()}
        self._raw = dict(keys)
        self.primary = primary

    def seal(self, secret: bytes, context: str) -> bytes:
        """Encrypt `secret` for the place named by `context`."""
        data_key = secrets.token_bytes(32)
        nonce = os.urandom(NONCE)
        return self._wrap(data_key, context) + nonce + AESGCM(data_key).encrypt(nonce, secret, context.encode())

    def open(self, sealed: bytes, context: str) -> bytes:
        """Decrypt what `seal` made for the same context; raises `Unopenable`."""
        data_key, rest = self._unwrap(sealed, context)
        try:
            return AESGCM(data_key).decrypt(rest[:NONCE], rest[NONCE:], context.encode())
        except (InvalidTag, ValueError) as error:
            raise Unopenable("A stored secret does not belong where it was found, or is damaged.") from error

    def rewrap(self, sealed: bytes, context: str) -> bytes | None:
        """Wrap the data key under the primary key; None if it is already."""
        if self.key_of(sealed) == self.primary:
            return None
        data_key, rest = self._unwrap(sealed, context)
        return self._wrap(data_key, context) + rest

    @property
    def head(self) -> bytes:
        """What every value begins with that hangs on the primary key."""
        name = self.primary.encode()
        return bytes((VERSION, len(name))) + name

    def tag(self, text: str) -> bytes:
        """Mark a text that goes out and comes back, so that nobody else can make or change one."""
        return _tag(self._raw[self.primary], text)

    def has_tagged(self, text: str, tag: bytes) -> bool:
        """Tell whether a key of this ring made this tag for this text."""
        return any(hmac.compare_digest(_tag(key, text), tag) for key in self._raw.values())

    @staticmethod
    def key_of(sealed: bytes) -> str:
        """Name the ring key that a sealed value hangs on."""
        return sealed[2 : 2 + sealed[1]].decode(errors="replace") if len(sealed) > 2 else ""

    def with_new_primary(self) -> "KeyRing":
        """Give a ring with one more key, which is its primary."""
        name = f"k{max((int(name[1:]) for name in self._raw if name[1:].isdigit()), default=0) + 1}"
        return KeyRing({**self._raw, name: secrets.token_bytes(32)}, name)

    def only_primary(self) -> "KeyRing":
        """Give a ring without the keys that nothing hangs on any more."""
        return KeyRing({self.primary: self._raw[self.primary]}, self.primary)

    def dump(self) -> bytes:
        """Serialise the ring; this is the secret to guard."""
        keys = {name: base64.b64encode(key).decode() for name, key in self._raw.items()}
        return msgspec.json.format(msgspec.json.encode(_RingFile(self.primary, keys)), indent=2)

    def _wrap(self, data_key: bytes, context: str) -> bytes:
        nonce = os.urandom(NONCE)
        return self.head + nonce + self._keys[self.primary].encrypt(nonce, data_key, context.encode())

    def _unwrap(self, sealed: bytes, context: str) -> tuple[bytes, bytes]:
        start = 2 + (sealed[1] if len(sealed) > 1 else 0)
        key = self._keys.get(self.key_of(sealed))
        if len(sealed) < start + WRAPPED + NONCE or sealed[0] != VERSION:
            raise Unopenable("A stored secret is damaged.")
        if key is None:
            raise Unopenable("A stored secret was sealed with a key that is not in the key ring; restore that key.")
        wrapped, rest = sealed[start : start + WRAPPED], sealed[start + WRAPPED :]
        try:
            return key.decrypt(wrapped[:NONCE], wrapped[NONCE:], context.encode()), rest
        except InvalidTag as error:
            raise Unopenable("A stored secret does not belong where it was found, or is damaged.") from error


class FileKeyRing(KeyRing):
    """A ring that follows its file: after `temula keys rotate` running processes seal with the new primary key.

    Only its owner may read the file. Keys that have left it are kept in memory: what was read before can be opened.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen = _state_of(path)
        super().__init__(*_read(_guarded(path)))

    def seal(self, secret: bytes, context: str) -> bytes:
        """Encrypt as `KeyRing.seal` does."""
        self._follow()
        return super().seal(secret, context)

    def open(self, sealed: bytes, context: str) -> bytes:
        """Decrypt as `KeyRing.open` does."""
        self._follow()
        return super().open(sealed, context)

    def has_tagged(self, text: str, tag: bytes) -> bool:
        """Tell as `KeyRing.has_tagged` does."""
        self._follow()
        return super().has_tagged(text, tag)

    def _follow(self) -> None:
        state = _state_of(self._path)
        if state is None or state == self._seen:
            return
        self._seen = state
        try:
            keys, primary = _read(_guarded(self._path))
            super().__init__({**self._raw, **keys}, primary)
        except (Misconfigured, OSError):
            # What is known still opens everything that was sealed until now; a restart says what is wrong.
            log.exception("key_ring.not_read")


def _state_of(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_mtime_ns


def _tag(key: bytes, text: str) -> bytes:
    # A key of its own: the ring's wrap secrets and do nothing else.
    return hmac.digest(hmac.digest(key, b"temula tags", hashlib.sha256), text.encode(), hashlib.sha256)[:TAG]


def load(text: str | bytes) -> KeyRing:
    """Read a ring as `dump` writes it; errors name no key."""
    return KeyRing(*_read(text))


def _read(text: str | bytes) -> tuple[dict[str, bytes], str]:
    try:
        ring = msgspec.json.decode(text, type=_RingFile)
        return {name: base64.b64decode(key, validate=True) for name, key in ring.keys.items()}, ring.primary
    except (msgspec.DecodeError, binascii.Error, UnicodeDecodeError):
        raise Misconfigured("The key ring is not of the form `temula keys new` writes.") from None


def _guarded(path: Path) -> bytes:
    """Read a ring's file, which only its owner may read."""
    if path.stat().st_mode & 0o077:
        raise Misconfigured(f"The key ring {path} is readable by others; run `chmod 600 {path}`.")
    return path.read_bytes()


def save_file(ring: KeyRing, path: Path) -> None:
    """Write a ring so that a crash leaves the old one or the new one, whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(path.name + ".new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(ring.dump())
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def new_ring() -> KeyRing:
    """Make a ring with one random key."""
    return KeyRing({"k1": secrets.token_bytes(32)}, "k1")
