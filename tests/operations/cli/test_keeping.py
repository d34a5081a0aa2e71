"""The commands about what is past its time, run as an operator runs them."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import asyncpg
import pytest

from tests.harness.house import until
from tests.operations.cli.conftest import Operator
from tests.operations.test_retention import left, logged, read, there

AGO = timedelta(days=92)


@pytest.fixture
async def owner(operator: Operator) -> AsyncIterator[asyncpg.Connection]:
    opened = await asyncpg.connect(operator.environ["TEMULA_DATABASE_URL"])
    yield opened
    await opened.close()


@pytest.fixture
async def old(operator: Operator, owner: asyncpg.Connection) -> date:
    """A day that is past its time, with attempts of both of the operator's organizations."""
    at = datetime.now(UTC) - AGO
    await logged(owner, operator.live.organization_id, at, 1200, "l")
    return await logged(owner, operator.sandbox.organization_id, at, 3, "s")


async def test_looked_at_run_and_read_back(operator: Operator, owner: asyncpg.Connection, old: date) -> None:
    """A dry run changes nothing and says what would be; then it is, and the archive is found and read."""
    here = ("--organization", operator.live.organization_id)
    said = await operator.run("retention", "run", "--dry-run")
    assert {"1200", "3", str(old), "archived"} <= set(said.replace("│", " ").split())
    assert "the day is dropped" in said
    assert await left(owner, operator.live.organization_id) == 1200
    assert str(old) not in await operator.run("webhooks", "archives", "list", *here)

    assert "1 dropped whole" in await operator.run("retention", "run")
    assert not await there(owner, old)
    listed = await operator.run("webhooks", "archives", "list", *here)
    assert {str(old), "1200", f"{old}.jsonl.gz"} <= set(listed.replace("│", " ").split())

    file = Path(operator.environ["TEMULA_DATA_DIR"]) / "back.jsonl"
    await operator.run("webhooks", "archives", "get", str(old), *here, "--output", str(file))
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    assert len(rows) == 1200
    shown = await operator.run(
        "webhooks", "archives", "get", str(old), "--organization", operator.sandbox.organization_id
    )
    assert [json.loads(line)["id"] for line in shown.splitlines() if line] == ["dat_s1", "dat_s2", "dat_s3"]
    refused = await operator.run("webhooks", "archives", "get", "2020-01-01", *here, fails=True)
    assert "No archive of 2020-01-01" in refused
    assert len(refused.strip().splitlines()) == 1

    for words in (("list",), ("get", str(old))):
        assert "--organization org_..." in await operator.run("webhooks", "archives", *words, fails=True)
    operator.sandbox_runs()  # and now its organization need not be named
    listed = await operator.run("webhooks", "archives", "list")
    assert {str(old), "3"} <= set(listed.replace("│", " ").split())
    assert "dat_s1" in await operator.run("webhooks", "archives", "get", str(old))


async def test_switched_off(operator: Operator, owner: asyncpg.Connection, old: date) -> None:
    """Without archives a dry run says so, and the day only goes."""
    operator.environ["TEMULA_ARCHIVE_ENABLED"] = "false"
    assert "nothing" in await operator.run("retention", "run", "--dry-run")
    await operator.run("retention", "run")
    assert not await there(owner, old)
    assert "archive" not in os.listdir(operator.environ["TEMULA_DATA_DIR"])


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("TEMULA_ARCHIVE_URL", "s3://AKIDEXAMPLE:hush@bucket", "holds a credential"),
        ("TEMULA_ARCHIVE_URL", "ftp://bucket", "TEMULA_ARCHIVE_URL is file:///folder or s3://"),
        ("TEMULA_ARCHIVE_ACCESS_KEY_ID", "AKIDEXAMPLE", "Set both"),
        ("TEMULA_DATA_DELIVERY_DAYS", "30", "90"),
    ],
)
async def test_settings_that_cannot_be(operator: Operator, name: str, value: str, says: str) -> None:
    """They are refused in one line that does not repeat them: nothing below 90 days, no key in an address."""
    operator.environ.update({"TEMULA_ARCHIVE_URL": "s3://bucket", name: value})
    said = await operator.run("retention", "run", "--dry-run", fails=True)
    assert says in said
    assert len(said.strip().splitlines()) == 1
    assert "AKIDEXAMPLE" not in said
    assert "hush" not in said


async def test_killed_between_archive_and_drop(operator: Operator, owner: asyncpg.Connection, old: date) -> None:
    """`kill -9` when all is archived and nothing has gone yet: the next run drops the day, and the archive stays."""
    folder = Path(operator.environ["TEMULA_DATA_DIR"]) / "archive"
    live, sandbox = operator.live.organization_id, operator.sandbox.organization_id
    places = [folder / "webhook-attempts" / one / f"{old}.json" for one in (live, sandbox)]
    async with owner.transaction():  # somebody reads the log, so that it cannot be dropped yet
        await owner.fetch("SELECT FROM webhook_attempts LIMIT 1")
        running = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "temula.operations.cli", "retention", "run", env=operator.environ,
            stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip

        async def archived() -> bool:
            return all(place.exists() for place in places)

        await until(archived)
        running.kill()
        await running.wait()
        assert (await left(owner, live), await left(owner, sandbox)) == (1200, 3)
        before = places[0].read_bytes()
    assert "1 dropped whole" in await operator.run("retention", "run")
    assert not await there(owner, old)
    assert places[0].read_bytes() == before
    assert len(read(folder, live, old)) == 1200


async def test_archives_of_nobody(operator: Operator) -> None:
    """An organization that is not there is told in one line, and not as one that has no archives."""
    said = await operator.run("webhooks", "archives", "list", "--organization", f"org_{'0' * 25}1", fails=True)
    assert len(said.strip().splitlines()) == 1
    assert "┃" not in said
