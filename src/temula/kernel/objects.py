"""Files that outlive rows: a folder of this machine, or a bucket that speaks S3, behind one small interface.

The storage is the operator's, not a stranger's, so it is not reached through `kernel/http` but through obstore, which
signs, splits and repeats as S3 wants it; docs/decisions/0017-archives.md says what holds instead. What it says of a
failure can quote the request, so only its kind goes on from here.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

import obstore
from obstore.exceptions import BaseError
from obstore.store import LocalStore, S3Store

from temula.kernel.errors import Misconfigured, Unavailable
from temula.kernel.waiting import open_unit

if TYPE_CHECKING:
    from collections.abc import Iterator

    import obstore.store as types

PART = 8 * 1024 * 1024
CHUNK = 1024 * 1024
AT_ONCE = 2
# Of one request; a large object is many.
CONNECT, REQUEST = timedelta(seconds=5), timedelta(seconds=60)
TRIES, PATIENCE = 3, timedelta(seconds=60)


class StorageFailed(Unavailable):
    """The object storage cannot be used now: it does not answer, refuses, or has no room."""

    code = "storage_failed"
    title = "The object storage cannot be used now"


class Key(NamedTuple):
    """What opens a bucket."""

    id: str
    secret: str

    def __repr__(self) -> str:
        return "Key(...)"


class Objects:
    """Named objects. A write is seen whole or not at all; what it replaces is seen until then."""

    def __init__(self, place: "Path | S3Store") -> None:
        self._place = place
        self._opened: LocalStore | S3Store | None = None

    async def put(self, name: str, parts: AsyncIterator[bytes]) -> None:
        """Write an object as its parts come; some parts of 8 MiB are in memory at a time."""
        with _told(f"writing {name}"):
            await obstore.put_async(self._store, name, parts, chunk_size=PART, max_concurrency=AT_ONCE)
            await self._settled(name)

    async def put_small(self, name: str, content: bytes) -> None:
        """Write an object in one request."""
        with _told(f"writing {name}"):
            await obstore.put_async(self._store, name, content, use_multipart=False)
            await self._settled(name)

    async def get(self, name: str) -> AsyncIterator[bytes]:
        """Read an object, some of it at a time; raises `FileNotFoundError` if it is not there."""
        with _told(f"reading {name}", absent=True):
            found = await obstore.get_async(self._store, name)
            async for part in found.stream(min_chunk_size=CHUNK):
                yield bytes(part)

    async def get_small(self, name: str) -> bytes | None:
        """Read a small object whole; None if it is not there."""
        try:
            return b"".join([part async for part in self.get(name)])
        except FileNotFoundError:
            return None

    async def size(self, name: str) -> int | None:
        """Tell how many bytes an object has; None if it is not there."""
        with _told(f"looking for {name}"):
            try:
                return int((await obstore.head_async(self._store, name))["size"])
            except FileNotFoundError:
                return None

    async def names(self, folder: str) -> list[str]:
        """List what is below a folder, in the order of names."""
        with _told(f"listing {folder}"):
            return sorted([one["path"] async for some in obstore.list(self._store, prefix=folder) for one in some])

    async def delete(self, name: str) -> None:
        """Remove an object; it may be gone already."""
        with _told(f"removing {name}"), suppress(FileNotFoundError):
            await obstore.delete_async(self._store, name)

    @property
    def _store(self) -> LocalStore | S3Store:
        # Late, so that a folder is made by who first needs it and not by each command.
        if self._opened is None:
            self._opened = LocalStore(self._place, mkdir=True) if isinstance(self._place, Path) else self._place
        return self._opened

    async def _settled(self, name: str) -> None:
        """See to it that a power cut takes nothing that we say is written; S3 answers when it is."""
        if isinstance(self._place, Path):
            await asyncio.to_thread(_sync, self._place / name)


def objects_at(url: str, key: Key | None, *, plain: bool) -> Objects:
    """Give the storage that a URL names; `plain` allows a bucket that is reached without TLS.

    `file:///folder`, or `s3://bucket/folder?region=...&endpoint=...`. Raises `Misconfigured` that quotes nothing of it.
    """
    parts = urlsplit(url)
    query = {name: values[0] for name, values in parse_qs(parts.query).items()}
    if parts.username or parts.password:
        raise Misconfigured(
            "TEMULA_ARCHIVE_URL holds a credential: set TEMULA_ARCHIVE_ACCESS_KEY_ID and ..._SECRET_..."
        )
    if parts.scheme == "file" and not parts.netloc and not query and parts.path.startswith("/"):
        return Objects(Path(unquote(parts.path)))
    if parts.scheme != "s3" or not parts.netloc or set(query) - {"region", "endpoint"}:
        raise Misconfigured(
            "TEMULA_ARCHIVE_URL is file:///folder or s3://bucket/folder?region=...&endpoint=https://..."
        )
    endpoint = query.get("endpoint")
    secure = endpoint is None or endpoint.startswith("https://")
    if not secure and not (plain and endpoint is not None and endpoint.startswith("http://")):
        raise Misconfigured("The endpoint in TEMULA_ARCHIVE_URL begins with https://.")
    client: types.ClientConfig = {"connect_timeout": CONNECT, "timeout": REQUEST, "allow_http": not secure}
    retries: types.RetryConfig = {"max_retries": TRIES, "retry_timeout": PATIENCE}
    config: types.S3Config = {}
    if query.get("region"):
        config["region"] = query["region"]
    if endpoint:
        config["endpoint"] = endpoint
    if key is not None:
        config["access_key_id"], config["secret_access_key"] = key
    with _told("opening the bucket"):
        store = S3Store(
            parts.netloc, prefix=parts.path.strip("/") or None, config=config, client_options=client,
            retry_config=retries,
        )  # fmt: skip
    return Objects(store)


@contextmanager
def _told(doing: str, *, absent: bool = False) -> "Iterator[None]":
    """Raise `StorageFailed` for what the storage says; it would quote addresses, requests and keys, we do not.

    `absent`: that the object is not there is no failure. When one is written or listed, it is the bucket that is not.
    """
    if open_unit.get() is not None:
        raise RuntimeError(f"{doing} while a unit of work is open: nobody waits for the storage inside a transaction")
    try:
        yield
    except (BaseError, OSError) as error:
        if absent and isinstance(error, FileNotFoundError):
            raise
        kind = type(error).__name__.removesuffix("Error")
        raise StorageFailed(f"The object storage failed at {doing} ({kind}).") from None


def _sync(file: Path) -> None:
    # What a killed writer of the same object left: it holds what the object holds, and nobody would ever look for it.
    for left in file.parent.glob(f"{file.name}#*"):
        left.unlink(missing_ok=True)
    for place in (file, file.parent):
        descriptor = os.open(place, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
