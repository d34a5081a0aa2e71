"""Object storage: the same promises from a folder of this machine and from a bucket."""

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from temula.kernel.database import Database
from temula.kernel.errors import Misconfigured
from temula.kernel.objects import Key, Objects, StorageFailed, objects_at
from temula.operations.wiring import PLATFORM_ACTOR
from tests.harness.house import free_port
from tests.harness.storage import BUCKET, KEY, SECRET, Bucket, bucket

MEGABYTE = 1024 * 1024
# Writes 200 MiB and reads them; says how much it read, and by how many bytes it grew meanwhile.
CARRIER = """
import asyncio, resource, sys
from temula.kernel.objects import Key, objects_at

async def parts():
    for n in range(200):
        yield bytes([n]) * 1024 * 1024

async def carry():
    objects = objects_at(sys.argv[1], Key(*sys.argv[2:]), plain=True)
    await objects.put_small("small", b"1")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    await objects.put("large", parts())
    size = sum([len(part) async for part in objects.get("large")])
    print(size, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024)

asyncio.run(carry())
"""


@pytest.fixture(scope="module")
def s3() -> Iterator[Bucket]:
    with bucket() as running:
        yield running


@pytest.fixture(params=["folder", "bucket"])
def objects(request: pytest.FixtureRequest, s3: Bucket, tmp_path: Path) -> Objects:
    if request.param == "folder":
        return Objects(tmp_path / "new" / "archive")
    return objects_at(s3.url.replace("/kept?", f"/{tmp_path.name}?"), Key(KEY, SECRET), plain=True)


async def parts(number: int, *, fails: bool = False) -> AsyncIterator[bytes]:
    for n in range(number):
        yield bytes([n % 251]) * MEGABYTE
    if fails:
        raise RuntimeError("on purpose")


async def test_what_is_written_is_read_back(objects: Objects) -> None:
    """An object of many parts comes back byte for byte, is listed with its size, and goes when it is removed."""
    await objects.put("log/org_1/2026-09-01.gz", parts(21))
    await objects.put_small("log/org_1/2026-09-01.json", b"{}")
    await objects.put_small("log/org_2/x.json", b"[]")
    read = b"".join([part async for part in objects.get("log/org_1/2026-09-01.gz")])
    assert read == b"".join([part async for part in parts(21)])
    assert await objects.size("log/org_1/2026-09-01.gz") == 21 * MEGABYTE
    assert await objects.names("log/org_1") == ["log/org_1/2026-09-01.gz", "log/org_1/2026-09-01.json"]
    await objects.delete("log/org_1/2026-09-01.gz")
    await objects.delete("log/org_1/2026-09-01.gz")
    assert await objects.names("log/org_1") == ["log/org_1/2026-09-01.json"]


async def test_what_is_not_there(objects: Objects) -> None:
    """It is told as such, and is no failure."""
    assert await objects.get_small("nothing") is None
    assert await objects.size("nothing") is None
    assert await objects.names("nowhere") == []
    with pytest.raises(FileNotFoundError):
        await anext(aiter(objects.get("nothing")))


async def test_half_a_write_is_never_seen(objects: Objects) -> None:
    """If what is written ends in an error, what was there before stays, whole."""
    await objects.put("one", parts(9))
    with pytest.raises(RuntimeError, match="on purpose"):
        await objects.put("one", parts(17, fails=True))
    assert await objects.size("one") == 9 * MEGABYTE
    with pytest.raises(RuntimeError, match="on purpose"):
        await objects.put("other", parts(17, fails=True))
    assert await objects.names("") == ["one"]


async def test_memory_is_bounded(s3: Bucket, tmp_path: Path) -> None:
    """Of a large object only some parts are in memory, whichever way it goes."""
    for url in (s3.url, f"file://{tmp_path}/archive"):
        words = (sys.executable, "-c", CARRIER, url, KEY, SECRET)
        process = await asyncio.create_subprocess_exec(*words, stdout=asyncio.subprocess.PIPE)
        said, _ = await process.communicate()
        carried, grown = map(int, said.split())
        assert carried == 200 * MEGABYTE
        assert grown < 100 * MEGABYTE, url


async def test_nobody_waits_for_it_inside_a_transaction(objects: Objects, database: Database) -> None:
    """Using the storage while a unit of work is open is a mistake of ours, and said at once."""
    async with database.unit(PLATFORM_ACTOR):
        with pytest.raises(RuntimeError, match="unit of work is open"):
            await objects.put_small("x", b"")


async def test_a_storage_that_does_not_answer_is_given_up(s3: Bucket) -> None:
    """Tries are few and bounded, and nothing of the address or the key is in what is raised."""
    closed = s3.url.rpartition(":")[0] + f":{free_port()}"
    async with asyncio.timeout(60):
        with pytest.raises(StorageFailed) as raised:
            await objects_at(closed, Key(KEY, SECRET), plain=True).put_small("x", b"1")
    assert raised.value.__cause__ is None
    for told in (KEY, SECRET, "127.0.0.1", BUCKET):
        assert told not in str(raised.value)


async def test_a_bucket_that_is_not_there(s3: Bucket) -> None:
    """That is a failing storage, and not an object that is not there."""
    objects = objects_at(s3.url.replace("s3://archive", "s3://nobodys"), Key(KEY, SECRET), plain=True)

    async def listed() -> None:
        await objects.names("x")

    for act in (lambda: objects.put_small("x", b"1"), lambda: objects.put("x", parts(9)), listed):
        with pytest.raises(StorageFailed, match=r"\((FileNotFound|Generic)\)"):
            await act()


async def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    """It is a failing storage like any other."""
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(StorageFailed):
        await Objects(tmp_path / "file" / "archive").put_small("x", b"1")


@pytest.mark.parametrize(
    "url",
    [
        "s3://key:secret@archive/kept", "s3:///kept", "s3://archive?endpoint=http://minio.test", "ftp://archive/kept",
        "s3://archive/kept?access_key_id=AKIDEXAMPLE", "file://host/folder", "https://archive.test/kept", "archive",
    ],
)  # fmt: skip
def test_an_address_that_is_none(url: str) -> None:
    """It is refused before anything is asked, and not repeated: somebody may have put a key into it."""
    with pytest.raises(Misconfigured) as refused:
        objects_at(url, None, plain=False)
    for told in ("secret@", "AKIDEXAMPLE", "minio"):
        assert told not in str(refused.value)


def test_a_key_does_not_show_itself() -> None:
    """A key in a log or in a traceback says nothing."""
    assert SECRET not in repr(Key(KEY, SECRET))
    assert KEY not in str(Key(KEY, SECRET))
