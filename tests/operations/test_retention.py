"""What is removed when its time is over, what is archived before, and what stays."""

import gzip
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from temula.domain.organizations import service as organizations
from temula.domain.organizations.model import PLATFORM, Plan
from temula.kernel.clock import ManualClock
from temula.kernel.database import Database
from temula.kernel.errors import Conflict, Unavailable
from temula.kernel.ids import OrganizationId
from temula.kernel.objects import Key, Objects, StorageFailed, objects_at
from temula.kernel.tenancy import system
from temula.operations import retention
from temula.operations.settings import DataSettings
from temula.outbound.webhooks.errors import ArchiveBroken
from temula.outbound.webhooks.jobs import forgetting
from temula.outbound.webhooks.jobs.forgetting import STEP
from temula.outbound.webhooks.service import Archives
from temula.outbound.webhooks.service.archives import ALONE
from tests.harness.storage import KEY, SECRET, Failing, bucket

DAYS = DataSettings(delivery_days=90, callback_days=90)
LONGER = timedelta(days=365)
ATTEMPTS = """
INSERT INTO webhook_attempts (organization_id, at, id, delivery_id, endpoint_id, message_id, type, number,
    outcome, duration_ms, signatures, request_body, response_headers, response_body, delivery_created_at)
SELECT $1, $2::timestamptz + n * interval '1 millisecond', 'dat_' || $3 || n, 'dlv_' || n, 'whe_1', 'msg_' || n,
    'event.published', 1, 'delivered', 3, E'v1,aaa\\nbbb', CASE WHEN n = 2 THEN '\\x7b7d'::bytea END,
    CASE WHEN n > 1 THEN 'Content-Type: text/plain'::bytea END,
    CASE WHEN n = 2 THEN '\\xff00'::bytea WHEN n > 2 THEN convert_to('Grüße, ' || n, 'UTF8') END, $2
FROM generate_series(1, $4::int) AS n
"""
CALLBACK = """
INSERT INTO callbacks (organization_id, id, connection_id, kind, provider, dedupe_key, headers, body, state,
    received_at)
VALUES ($1, $3, 'con_1', 'payments', 'stripe', $3, '{}', '{}', 'done', $2)
"""
KEY_ROW = """
INSERT INTO idempotency_keys (organization_id, caller_id, key, fingerprint, created_at)
VALUES ($1, 'tok_1', $3, 'x', $2)
"""


@pytest.fixture
async def kept(owner_url: str, still: ManualClock) -> AsyncIterator[Database]:
    """The application on a clock that stands still."""
    opened = Database(owner_url, clock=still)
    await opened.open()
    yield opened
    await opened.close()


@pytest.fixture
async def owner(owner_url: str) -> AsyncIterator[asyncpg.Connection]:
    opened = await asyncpg.connect(owner_url)
    yield opened
    await opened.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "archive"


@pytest.fixture
def archives(folder: Path) -> Archives:
    return Archives(Objects(folder))


async def organization(database: Database, plan: Plan) -> OrganizationId:
    live, _ = await organizations.create_twins(database, name="Club", plan=plan, part="test")
    return live.organization_id


async def logged(owner: asyncpg.Connection, organization_id: str, at: datetime, number: int, name: str = "a") -> date:
    await owner.execute("SELECT temula_webhook_attempts_day($1)", at.date())
    await owner.execute(ATTEMPTS, organization_id, at, name, number)
    return at.date()


async def there(owner: asyncpg.Connection, day: date) -> bool:
    return bool(await owner.fetchval("SELECT to_regclass($1)", f"webhook_attempts_{day:%Y%m%d}"))


async def left(owner: asyncpg.Connection, organization_id: str) -> int:
    return int(
        await owner.fetchval("SELECT count(*) FROM webhook_attempts WHERE organization_id = $1", organization_id)
    )


async def done(database: Database, archives: Archives, day: date) -> list[bool]:
    """Let what is over go; tell whether the day did, and whether whole."""
    return [one.whole for one in await forgetting.forget(database, archives, 90) if one.day == day]


def read(folder: Path, organization_id: str, day: date) -> list[dict[str, Any]]:
    """By the standard library alone, as anybody would."""
    file = folder / "webhook-attempts" / organization_id / f"{day}.jsonl.gz"
    return [json.loads(line) for line in gzip.decompress(file.read_bytes()).splitlines()]


def written(folder: Path) -> bool:
    return folder.exists()


async def test_what_is_past_its_time_is_removed(
    kept: Database, owner: asyncpg.Connection, still: ManualClock, archives: Archives
) -> None:
    """Attempts and callbacks go after their days, keys after 72 hours; what is younger stays, however much goes."""
    now, starter = still.now(), await organization(kept, Plan.STARTER)
    for name, age in (("old", timedelta(days=91)), ("young", timedelta(days=89))):
        await logged(owner, starter, now - age, 2 * STEP + 1 if name == "old" else 2, name)
        await owner.execute(CALLBACK, PLATFORM, now - age, name)
    for name, hours in (("old", 73), ("young", 71)):
        await owner.execute(KEY_ROW, PLATFORM, now - timedelta(hours=hours), name)

    handler = retention.handlers(kept, DAYS, archives)[retention.ForgetOld.KIND]
    await handler.handle(system("test", PLATFORM), retention.ForgetOld())

    assert await owner.fetchval("SELECT array_agg(id ORDER BY id) FROM webhook_attempts") == [
        "dat_young1",
        "dat_young2",
    ]
    assert await owner.fetchval("SELECT array_agg(id) FROM callbacks") == ["young"]
    assert await owner.fetchval("SELECT array_agg(key) FROM idempotency_keys") == ["young"]
    assert not await there(owner, (now - timedelta(days=91)).date())
    assert await there(owner, (now - timedelta(days=89)).date())


async def test_a_day_is_archived_whole_before_it_goes(
    kept: Database, owner: asyncpg.Connection, still: ManualClock, archives: Archives, folder: Path
) -> None:
    """Every attempt is in the archive as it was logged, in the order of time, and the manifest says what is there."""
    starter, other = await organization(kept, Plan.STARTER), await organization(kept, Plan.PRO)
    day = await logged(owner, starter, still.now() - timedelta(days=91), 450)
    await logged(owner, other, still.now() - timedelta(days=91), 1, "o")
    (whole,) = await forgetting.forget(kept, archives, 90)
    assert (whole.day, set(whole.over), whole.whole) == (day, {starter, other}, True)
    assert not await there(owner, day)

    found = read(folder, starter, day)
    assert [one["id"] for one in found] == [f"dat_a{n}" for n in range(1, 451)]
    first, second, third = found[:3]
    assert first["at"] == "2026-09-01T09:00:00.001000Z"
    assert first["request_headers"]["webhook-id"] == "msg_1"
    assert first["request_headers"]["webhook-signature"] == "v1,aaa"
    assert first["request_headers"]["X-Temula-Signature"] == "bbb"
    assert second["response_headers"] == [["Content-Type", "text/plain"]]
    assert (first["response_headers"], first.get("response_body"), first["status"]) == (None, None, None)
    assert (second["request_body"], second["response_body_base64"]) == ("{}", "/wA=")
    assert third["response_body"] == "Grüße, 3"
    (manifest,) = await archives.listed(starter)
    assert (manifest.rows, manifest.day, manifest.file) == (450, day, f"{day}.jsonl.gz")
    assert [json.loads(line) async for lines in archives.lines(manifest) for line in lines] == found
    assert [one.rows for one in await archives.listed(other)] == [1]


async def test_plans_keep_longer(
    kept: Database, owner: asyncpg.Connection, still: ManualClock, archives: Archives, folder: Path
) -> None:
    """A day goes organization by organization as their plans say, and is dropped with the last one's rows."""
    pro, enterprise = await organization(kept, Plan.PRO), await organization(kept, Plan.ENTERPRISE)
    day = await logged(owner, pro, still.now() - timedelta(days=91), 2 * STEP + 1)
    await logged(owner, enterprise, still.now() - timedelta(days=91), 3)
    assert await done(kept, archives, day) == [False]
    assert (await left(owner, pro), await left(owner, enterprise)) == (0, 3)
    assert len(read(folder, pro, day)) == 2 * STEP + 1
    assert await archives.listed(enterprise) == []

    assert await done(kept, archives, day) == []
    still.advance((LONGER - timedelta(days=91)).total_seconds())
    assert await done(kept, archives, day) == []
    still.advance(timedelta(days=1).total_seconds())
    assert await done(kept, archives, day) == [True]
    assert not await there(owner, day)
    assert len(read(folder, enterprise, day)) == 3


async def test_an_installation_may_keep_longer_than_a_plan(
    kept: Database, owner: asyncpg.Connection, still: ManualClock, archives: Archives
) -> None:
    """The setting is the least for every plan."""
    enterprise = await organization(kept, Plan.ENTERPRISE)
    await logged(owner, enterprise, still.now() - timedelta(days=399), 1)
    assert await forgetting.forget(kept, archives, 400) == []
    assert len(await forgetting.forget(kept, archives, 398)) == 1


async def test_without_archives_it_only_goes(
    kept: Database, owner: asyncpg.Connection, still: ManualClock, folder: Path
) -> None:
    """Archiving can be switched off: the day is dropped, and nothing is written."""
    day = await logged(owner, await organization(kept, Plan.FREE), still.now() - timedelta(days=91), 5)
    await forgetting.forget(kept, None, 90)
    assert not await there(owner, day)
    assert not written(folder)


async def test_an_empty_day_goes(
    kept: Database, owner: asyncpg.Connection, still: ManualClock, archives: Archives
) -> None:
    """A partition that nobody has written to is dropped with its time."""
    day = (still.now() - timedelta(days=100)).date()
    await owner.execute("SELECT temula_webhook_attempts_day($1)", day)
    await forgetting.forget(kept, archives, 90)
    assert not await there(owner, day)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("at", [1, 2, 3, 4])
async def test_a_storage_that_fails_loses_nothing(
    kept: Database, owner: asyncpg.Connection, still: ManualClock, folder: Path, at: int, after: bool
) -> None:
    """Wherever it fails nothing is removed; run again it is as if it had not failed."""
    ours, theirs = await organization(kept, Plan.PRO), await organization(kept, Plan.PRO)
    for one in (ours, theirs):
        day = await logged(owner, one, still.now() - timedelta(days=91), 250)
    failing = Failing(folder)
    failing.at, failing.after = at, after
    with pytest.raises(StorageFailed):
        await forgetting.forget(kept, Archives(failing), 90)
    assert (await left(owner, ours), await left(owner, theirs)) == (250, 250)
    await forgetting.forget(kept, Archives(failing), 90)
    assert not await there(owner, day)
    for one in (ours, theirs):
        assert [row["id"] for row in read(folder, one, day)] == [f"dat_a{n}" for n in range(1, 251)]
        assert len(await Archives(failing).listed(one)) == 1


async def test_what_was_written_is_read_back_before_it_counts(
    kept: Database, owner: asyncpg.Connection, still: ManualClock, folder: Path
) -> None:
    """A storage that loses bytes and says that all is well is found out, and nothing is removed."""

    class Lossy(Objects):
        async def put(self, name: str, parts: AsyncIterator[bytes]) -> None:
            whole = b"".join([part async for part in parts])
            await self.put_small(name, whole[:-1])

    ours = await organization(kept, Plan.PRO)
    await logged(owner, ours, still.now() - timedelta(days=91), 250)
    with pytest.raises(ArchiveBroken, match="cut"):
        await forgetting.forget(kept, Archives(Lossy(folder)), 90)
    assert await left(owner, ours) == 250


async def test_stopped_while_rows_go(
    kept: Database, owner: asyncpg.Connection, still: ManualClock, archives: Archives, folder: Path
) -> None:
    """Once rows have begun to go, the archive is not made anew of what is left; the rest goes the next time."""
    ours, longer = await organization(kept, Plan.PRO), await organization(kept, Plan.ENTERPRISE)
    day = await logged(owner, ours, still.now() - timedelta(days=91), 2 * STEP)
    await logged(owner, longer, still.now() - timedelta(days=91), 1)

    removing: list[str] = []

    def stop(_rows: int) -> None:
        if removing[-1] == "removing":
            raise KeyError("on purpose")

    progress = forgetting.Progress(lambda what, *_: removing.append(what), stop)
    with pytest.raises(KeyError):
        await forgetting.forget(kept, archives, 90, progress)
    assert await left(owner, ours) == STEP
    (before,) = await archives.listed(ours)
    await forgetting.forget(kept, archives, 90)
    assert await left(owner, ours) == 0
    assert await archives.listed(ours) == [before]
    assert len(read(folder, ours, day)) == 2 * STEP


async def test_an_archive_that_is_gone_holds_up_the_rest(
    kept: Database, owner: asyncpg.Connection, still: ManualClock, archives: Archives, folder: Path
) -> None:
    """If rows have begun to go and the archive is not what was written, nothing more goes before somebody looks."""
    ours = await organization(kept, Plan.PRO)
    day = await logged(owner, ours, still.now() - timedelta(days=91), 10)
    await archives.write(kept, ours, day, lambda _: None)
    (folder / "webhook-attempts" / ours / f"{day}.jsonl.gz").write_bytes(b"")
    await owner.execute("DELETE FROM webhook_attempts WHERE id = 'dat_a1'")
    with pytest.raises(ArchiveBroken, match="not all of its attempts"):
        await forgetting.forget(kept, archives, 90)
    assert await left(owner, ours) == 9


async def test_one_at_a_time(kept: Database, owner: asyncpg.Connection, still: ManualClock, archives: Archives) -> None:
    """Two nights, or a night and an erasure, never work on archives at the same time."""
    day = await logged(owner, await organization(kept, Plan.PRO), still.now() - timedelta(days=91), 1)
    async with kept.alone(ALONE) as still_alone:
        await still_alone()
        with pytest.raises(Conflict, match="Somebody else is writing archives"):
            await forgetting.forget(kept, archives, 90)
    assert await there(owner, day)
    await forgetting.forget(kept, archives, 90)
    assert not await there(owner, day)


@asynccontextmanager
async def reading(owner_url: str) -> AsyncIterator[asyncpg.Connection]:
    """Somebody who reads the log and takes their time."""
    connection = await asyncpg.connect(owner_url)
    transaction = connection.transaction()
    await transaction.start()
    await connection.fetch("SELECT FROM webhook_attempts LIMIT 1")
    yield connection
    await transaction.rollback()
    await connection.close()


async def test_dropping_waits_for_readers_without_holding_up_writers(
    owner_url: str, kept: Database, owner: asyncpg.Connection, still: ManualClock
) -> None:
    """While somebody reads the log, the drop is given up within a blink, again and again; the log is written on."""
    ours = await organization(kept, Plan.PRO)
    day = await logged(owner, ours, still.now() - timedelta(days=91), 1)
    async with reading(owner_url):
        with pytest.raises(Unavailable):
            async with kept.crossing("a test drops a day that is read") as uow:
                await forgetting.store.drop_day(uow, day)
        await owner.execute("SET statement_timeout = '2s'")
        await owner.execute(ATTEMPTS, ours, still.now() - timedelta(days=91), "b", 1)
        assert await there(owner, day)
    await forgetting.forget(kept, None, 90)
    assert not await there(owner, day)


async def test_a_bucket_is_as_good_as_a_folder(kept: Database, owner: asyncpg.Connection, still: ManualClock) -> None:
    """A day is archived into a bucket that speaks S3, and read back from there."""
    ours = await organization(kept, Plan.PRO)
    day = await logged(owner, ours, still.now() - timedelta(days=91), 300)
    with bucket() as s3:
        archives = Archives(objects_at(s3.url, Key(KEY, SECRET), plain=True))
        await forgetting.forget(kept, archives, 90)
        assert not await there(owner, day)
        folder = f"kept/webhook-attempts/{ours}"
        assert s3.names() == [f"{folder}/{day}.json", f"{folder}/{day}.jsonl.gz"]
        (manifest,) = await archives.listed(ours)
        assert sum([len(lines) async for lines in archives.lines(manifest)]) == 300
