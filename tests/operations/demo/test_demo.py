"""The demo against a running Temula: what it shows, what it counts, and what it says when something is not right."""

import io
import json
import signal
import sys
from asyncio.subprocess import PIPE, Process, create_subprocess_exec
from pathlib import Path

import pytest
from rich.console import Console

from temula.kernel.errors import Unavailable
from temula.operations.demo import Access, perform
from temula.operations.demo.stage import Stage
from tests.harness import house
from tests.harness.house import Running, Tenant, free_port, until
from tests.harness.postgres import Postgres


class Screen:
    """A stage whose lines can be read."""

    def __init__(self) -> None:
        self._file = io.StringIO()
        self.stage = Stage(Console(file=self._file, highlight=False, markup=False, width=80))

    @property
    def text(self) -> str:
        return self._file.getvalue()


async def demo(folder: Path, *options: str) -> Process:
    """`temula demo` in a process of its own."""
    command = (sys.executable, "-m", "temula.operations.cli", "demo", *options)
    return await create_subprocess_exec(*command, env={"TEMULA_DATA_DIR": str(folder)}, stdout=PIPE, stderr=PIPE)


async def test_all_is_sent_delivered_and_verified(temula: Running, tenant: Tenant) -> None:
    """Played through, it counts ten webhooks, each verified twice, cleans up, and ends with 0."""
    screen = Screen()
    assert await perform(Access(temula.base_url, tenant.token), screen.stage) == 0, screen.text
    assert "All 10 webhooks were sent, delivered and verified twice" in screen.text
    assert screen.text.count("X-Temula-Signature ok, Standard Webhooks ok") == 10
    assert "Aisyah Rahman again: refused, ticket_already_used: admitted by tok_" in screen.text
    assert await tenant.api.every("/webhooks/endpoints") == []


async def test_a_declined_card_ends_it_with_what_is_missing(temula: Running, tenant: Tenant) -> None:
    """When an act goes wrong it says which answer came instead, counts what came until then, and ends with 1."""
    await temula.fault("decline", tenant)
    screen = Screen()
    assert await perform(Access(temula.base_url, tenant.token), screen.stage) == 1
    _, said, faults = screen.text.partition("Not as it should be:")
    assert said, screen.text
    assert "/pay was answered 402" in faults
    assert await tenant.api.every("/webhooks/endpoints") == []


async def test_webhooks_that_do_not_come_are_named(server: Postgres, tmp_path: Path) -> None:
    """With no worker nothing is delivered: it waits as long as it may, then names what is missing, and ends with 1."""
    screen = Screen()
    async with server.database() as url, house.running(url, tmp_path, worker=False) as temula:
        tenant = await temula.tenant()
        assert await perform(Access(temula.base_url, tenant.token), screen.stage, patience=0.5) == 1
    assert "registration.created was expected and did not arrive" in screen.text


async def test_a_token_of_another_server_is_said_before_anything_happens(temula: Running) -> None:
    """A token that the server does not know is one clear sentence."""
    access = Access(temula.base_url, "tml_test_unknown")
    with pytest.raises(Unavailable, match=r"does not know the token of quickstart\.json"):
        await perform(access, Screen().stage)


async def test_ctrl_c_cleans_up(temula: Running, tenant: Tenant, tmp_path: Path) -> None:
    """Interrupted between two acts it removes its webhook endpoint and ends with 130."""
    (tmp_path / "quickstart.json").write_text(json.dumps({"base_url": temula.base_url, "token": tenant.token}))
    process = await demo(tmp_path, "--pause", "0.5")

    async def added() -> bool:
        return len(await tenant.api.every("/webhooks/endpoints")) == 1

    await until(added)
    process.send_signal(signal.SIGINT)
    await process.communicate()
    assert process.returncode == 130
    assert await tenant.api.every("/webhooks/endpoints") == []


@pytest.mark.parametrize("started_before", [False, True], ids=["never", "stopped"])
async def test_without_a_server_it_is_one_line(tmp_path: Path, *, started_before: bool) -> None:
    """`temula demo` with no server running is one line on standard error and exit code 2."""
    if started_before:
        quickstart = {"base_url": f"http://localhost:{free_port()}", "token": "tml_test_x"}
        (tmp_path / "quickstart.json").write_text(json.dumps(quickstart))
    process = await demo(tmp_path)
    out, err = await process.communicate()
    assert process.returncode == 2, err
    assert out == b""
    assert err.count(b"\n") == 1
    assert b"start Temula first, with `make run`" in err
