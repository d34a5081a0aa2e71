"""`make run` and `temula demo` as a newcomer has them: one command, an embedded database, everything in one folder."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import pytest

from tests.flows.running import Up, left, run, start
from tests.harness.api import Api
from tests.harness.house import until
from tests.operations.processes import Programs

LATER_START = 10.0  # what is promised is 4 seconds on a machine that does nothing else


class FirstRun(NamedTuple):
    """What came of the first start, a demo, and Ctrl-C."""

    quickstart: dict[str, Any]
    private: dict[str, int]
    demo: tuple[int, str]
    code: int
    tree: dict[int, str]
    left: dict[int, str]


async def events(up: Up) -> list[str]:
    """The names of the events that the API lists, newest first."""
    quickstart = json.loads((up.folder / "quickstart.json").read_bytes())
    async with aiohttp.ClientSession() as web:
        listed = await Api(web, up.base_url, quickstart["token"]).every("/events")
    return [one["name"] for one in listed]


@pytest.fixture(scope="module")
async def first(programs: Programs, home: Path) -> FirstRun:
    up = await start(programs, home)
    demo = await run(programs, up, "demo")
    private = {name: (home / name).stat().st_mode & 0o777 for name in ("quickstart.json", "sandbox.json", "keys.json")}
    tree = up.tree
    code = await up.interrupt()
    quickstart = json.loads((home / "quickstart.json").read_bytes())
    return FirstRun(quickstart, private, demo, code, tree, left(tree))


async def test_the_quickstart_file_holds_all_that_a_newcomer_needs(first: FirstRun) -> None:
    """Seven keys, each with something in it."""
    assert list(first.quickstart) == [
        "base_url", "token", "organization_id", "event_id", "ticket_type_id", "admin_email", "admin_password",
    ]  # fmt: skip
    assert all(first.quickstart.values())
    assert first.quickstart["token"].startswith("tml_test_")


async def test_files_with_secrets_are_private(first: FirstRun) -> None:
    """Token, password, provider key and key ring are for their owner only."""
    assert first.private == {"quickstart.json": 0o600, "sandbox.json": 0o600, "keys.json": 0o600}


async def test_the_demo_ends_well(first: FirstRun) -> None:
    """`temula demo` finds the server by the quickstart file, ends with its table and exit code 0."""
    code, said = first.demo
    assert code == 0, said
    assert "All 10 webhooks were sent, delivered and verified twice" in said


async def test_ctrl_c_stops_all_of_it(first: FirstRun) -> None:
    """API, worker, scheduler, stand-in and database end; none is left."""
    assert first.code in (0, 130)
    assert sum(program == "postgres" for program in first.tree.values()) > 1
    assert len(first.tree) > 6
    assert first.left == {}


async def test_it_starts_again_fast_with_what_was_there(first: FirstRun, programs: Programs, home: Path) -> None:
    """The next start is quick, with the same token, the same organization and the same data."""
    up = await start(programs, home)
    quickstart = json.loads((home / "quickstart.json").read_bytes())
    assert quickstart == first.quickstart | {"base_url": up.base_url}
    assert await events(up) == ["Demo Night", "First Night"]
    assert up.seconds < LATER_START
    assert await up.interrupt() in (0, 130)


async def test_killed_without_warning_it_recovers(first: FirstRun, programs: Programs, home: Path) -> None:
    """After kill -9 of the supervisor nothing stays behind, and the next start has everything again."""
    up = await start(programs, home)
    before, tree = await events(up), up.tree
    await up.program.kill()
    again = await start(programs, home)
    assert await events(again) == before

    async def all_gone() -> bool:
        return not left(tree)

    await until(all_gone)
    code, said = await run(programs, again, "demo")
    assert code == 0, said
    assert (await run(programs, again, "audit", "verify"))[0] == 0
    assert await again.interrupt() in (0, 130)
    assert first.quickstart["token"] == json.loads((home / "quickstart.json").read_bytes())["token"]
