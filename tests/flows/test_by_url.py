"""Temula on somebody's own PostgreSQL: TEMULA_DATABASE_URL is all that it takes, and nothing embedded is started."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.flows.running import run, start
from tests.harness.by_url import by_url
from tests.harness.postgres import Postgres
from tests.operations.processes import Programs


@pytest.fixture
async def url(server: Postgres) -> AsyncIterator[str]:
    """An empty database."""
    async with by_url(server) as other, other.database(template=None) as made:
        yield made


async def test_migrated_run_and_played(url: str, programs: Programs, home: Path) -> None:
    """`temula migrate`, `temula up` and `temula demo` work on an empty database; a lost key ring is not replaced."""
    migrated = await (await programs.temula("migrate", TEMULA_DATABASE_URL=url)).rest()
    assert migrated[0] == 0
    assert migrated[1].startswith("applied: ")
    up = await start(programs, home, TEMULA_DATABASE_URL=url)
    assert "key ring made: " in up.said
    assert "migrated" not in up.said
    assert await run(programs, up, "migrate") == (0, "the schema is up to date\n")
    code, said = await run(programs, up, "demo")
    assert code == 0, said
    assert (await run(programs, up, "audit", "verify"))[0] == 0
    assert "postgres" not in up.tree.values()
    assert not (home / "postgres").exists()
    assert await up.interrupt() in (0, 130)

    (home / "keys.json").unlink()
    code, said = await (await programs.temula("up", **up.environ)).rest()
    assert code == 2
    assert "a new one could not open them" in said
    assert not (home / "keys.json").exists()
