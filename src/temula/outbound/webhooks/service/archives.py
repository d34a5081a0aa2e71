"""Use cases of archives: a day of an organization's log is written, read back, found, and written anew."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, date, datetime, time, timedelta

import msgspec
import structlog

from temula.kernel.database import Database
from temula.kernel.ids import OrganizationId
from temula.kernel.objects import Objects
from temula.kernel.tenancy import system
from temula.outbound.webhooks import store
from temula.outbound.webhooks.errors import ArchiveBroken, NoSuchArchive
from temula.outbound.webhooks.model import Attempt
from temula.outbound.webhooks.model.archive import (
    SUFFIX,
    Manifest,
    Packer,
    Unpacker,
    file_of,
    folder_of,
    line,
    manifest_of,
)

log = structlog.get_logger()

# Who writes archives or erases in them is alone: neither reads what the other is about to replace.
ALONE = "writing archives of the webhook log"
PAGE = 100
PIECE = 1024 * 1024

Told = Callable[[int], None]
Change = Callable[[bytes], bytes]


def bounds(day: date) -> tuple[datetime, datetime]:
    """Give when a day (UTC) begins and ends."""
    begin = datetime.combine(day, time(), UTC)
    return begin, begin + timedelta(days=1)


class Archives:
    """The archived days of every organization; the storage alone says which there are."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects

    async def manifest(self, organization_id: str, day: date) -> Manifest:
        """Find the archive of a day."""
        if (found := await self._manifest(organization_id, day)) is None:
            raise NoSuchArchive(f"No archive of {day} is there; `temula webhooks archives list` says which are.")
        return found

    async def listed(self, organization_id: str) -> list[Manifest]:
        """List an organization's archives, oldest first."""
        names = await self._objects.names(folder_of(organization_id))
        days = [name.rpartition("/")[2].removesuffix(".json") for name in names if name.endswith(".json")]
        return [await self.manifest(organization_id, date.fromisoformat(day)) for day in days]

    async def lines(self, manifest: Manifest) -> AsyncIterator[list[bytes]]:
        """Give an archive's lines, some at a time; raises `ArchiveBroken` if in the end it is not what was written."""
        reading = Unpacker()
        try:
            async for part in self._objects.get(manifest.name):
                for lines in reading.unpack(part, PIECE):
                    yield lines
            reading.end()
        except FileNotFoundError:
            raise ArchiveBroken(f"{manifest.name} is gone, and its manifest is there.") from None
        except ValueError as error:
            raise ArchiveBroken(f"{manifest.name} cannot be read: {error}.") from None
        if (reading.rows, reading.bytes, reading.sha256) != (manifest.rows, manifest.bytes, manifest.sha256):
            raise ArchiveBroken(f"{manifest.name} is not what its manifest says.")

    async def write(self, database: Database, organization_id: OrganizationId, day: date, told: Told) -> Manifest:
        """Archive an organization's attempts of a day, unless it is done; read back before it counts as done.

        Interrupted anywhere it can be run again. Once rows have begun to go, the archive is never made of what is left.
        """
        async with database.crossing("counting attempts that are archived") as uow:
            rows = await store.attempts_of_day(uow, organization_id, *bounds(day))
        found = await self._manifest(organization_id, day)
        if found is not None and rows <= found.rows and await self._objects.size(found.name) == found.bytes:
            return found
        if found is not None and rows < found.rows:
            raise ArchiveBroken(
                f"{found.name} is not what its manifest says, and not all of its attempts are in the log any more."
            )
        packer = Packer()
        file = file_of(day) if found is None else found.next_file
        packed = _packed(packer, _rows(database, organization_id, day, told))
        manifest = await self._kept(organization_id, day, file, packer, packed, database.clock.now())
        log.info(
            "archive.written", organization=organization_id, day=str(day), rows=manifest.rows, bytes=manifest.bytes
        )
        return manifest

    async def rewrite(self, manifest: Manifest, change: Change, now: datetime) -> Manifest:
        """Write an archive anew, each of its lines changed; the file before is gone afterwards."""

        async def changed() -> AsyncIterator[list[bytes]]:
            async for lines in self.lines(manifest):
                yield [change(one) for one in lines]

        packer = Packer()
        packed = _packed(packer, changed())
        day, organization_id = manifest.day, manifest.organization_id
        written = await self._kept(
            organization_id, day, manifest.next_file, packer, packed, manifest.written_at, erased_at=now
        )
        await self._objects.delete(manifest.name)
        return written

    async def tidy(self, organization_id: str) -> None:
        """Remove files that no manifest names: what was left by who was killed while writing."""
        counts = {manifest.name for manifest in await self.listed(organization_id)}
        for name in await self._objects.names(folder_of(organization_id)):
            if name.endswith(SUFFIX) and name not in counts:
                await self._objects.delete(name)

    async def _kept(
        self, organization_id: OrganizationId, day: date, file: str, packer: Packer, packed: AsyncIterator[bytes],
        written_at: datetime, erased_at: datetime | None = None,
    ) -> Manifest:  # fmt: skip
        """Write a file, read it back, and only then say that it is there."""
        await self._objects.put(f"{folder_of(organization_id)}/{file}", packed)
        manifest = Manifest(
            organization_id=organization_id, day=day, file=file, rows=packer.rows, bytes=packer.bytes,
            sha256=packer.sha256, written_at=written_at, erased_at=erased_at,
        )  # fmt: skip
        async for _ in self.lines(manifest):
            await asyncio.sleep(0)
        await self._objects.put_small(manifest_of(organization_id, day), msgspec.json.encode(manifest))
        return manifest

    async def _manifest(self, organization_id: str, day: date) -> Manifest | None:
        content = await self._objects.get_small(manifest_of(organization_id, day))
        try:
            return None if content is None else msgspec.json.decode(content, type=Manifest)
        except msgspec.DecodeError:
            raise ArchiveBroken(f"{manifest_of(organization_id, day)} is no manifest.") from None


async def _rows(
    database: Database, organization_id: OrganizationId, day: date, told: Told
) -> AsyncIterator[list[bytes]]:
    begin, end = bounds(day)
    after = (begin, "")
    while True:
        async with database.reading(system("webhook_archives", organization_id)) as uow:
            found: list[Attempt] = await store.page_of_day(uow, after, end, PAGE)
        if not found:
            return
        after = (found[-1].at, found[-1].id)
        yield [line(one) for one in found]
        told(len(found))


async def _packed(packer: Packer, pages: AsyncIterator[list[bytes]]) -> AsyncIterator[bytes]:
    """Compress on another thread: this one may be delivering."""
    async for lines in pages:
        if packed := await asyncio.to_thread(packer.pack, lines):
            yield packed
    yield packer.end()
