"""The commands about replays, run as an operator runs them, beside a worker."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from temula.domain.events.facts import EventArchived
from temula.kernel.ids import EVENT
from temula.kernel.tenancy import system
from temula.operations.serving import worker_loops
from temula.outbound.webhooks import service
from temula.outbound.webhooks.model import Delivery, Progress
from temula.outbound.webhooks.service import replays
from tests.harness.house import until
from tests.harness.receiver import Receiver
from tests.operations.cli.conftest import Operator

NOBODY = "org_00000000000000000000000001"


@asynccontextmanager
async def working(operator: Operator) -> AsyncIterator[None]:
    stop = asyncio.Event()
    loops = [asyncio.ensure_future(loop) for loop in worker_loops(operator.house, stop)]
    try:
        yield
    finally:
        stop.set()
        await asyncio.gather(*loops)


class Site:
    """An organization whose endpoint came after its messages."""

    def __init__(self, operator: Operator, endpoint_id: str) -> None:
        self.operator, self.endpoint_id = operator, endpoint_id
        self.here = ("--organization", operator.sandbox.organization_id)
        self.actor = system("test", operator.sandbox.organization_id)

    async def progress(self, replay_id: str) -> Progress:
        async with self.operator.house.database.reading(self.actor) as uow:
            return await replays.get(uow, replay_id)

    async def deliveries(self) -> list[Delivery]:
        from temula.kernel.pages import window

        async with self.operator.house.database.reading(self.actor) as uow:
            return (await service.deliveries(uow, window(self.operator.house.ring, None, 100, "test"))).items


@pytest.fixture
async def site(operator: Operator, hooks: Receiver) -> Site:
    actor = system("test", operator.sandbox.organization_id)
    async with operator.house.database.unit(actor) as uow:
        for _ in range(5):
            uow.tell(EventArchived(event_id=EVENT.new(uow.now), archived_at="2027-05-01T12:00:00.000Z"))
    here = ("--organization", operator.sandbox.organization_id)
    made = await operator.run("webhooks", "endpoints", "create", hooks.url, *here)
    return Site(operator, made.split()[1])


async def test_previewed_done_and_listed(operator: Operator, site: Site, hooks: Receiver) -> None:
    """`--dry-run` counts and does nothing; then it is done, and its end is said; one delivery is replayed by its id."""
    asked = ("webhooks", "replay", "--kind", "missing", "--since", "1h", "--endpoint", site.endpoint_id, *site.here)
    preview = await operator.run(*asked, "--dry-run")
    assert "5 messages would be sent; nothing was done" in preview
    assert "event.archived" in preview
    assert "rpl_" not in await operator.run("webhooks", "replays", "list", *site.here)
    async with working(operator):
        said = await operator.run(*asked, "--rate", "0")
        replay_id = said.split()[0]
        assert f"{replay_id} is done: 5 delivered, 0 failed, 5 matched" in said
        assert len(hooks.arrivals) == 5
        listed = await operator.run("webhooks", "replays", "list", *site.here)
        assert replay_id in listed
        assert "done" in listed
        one = (await site.deliveries())[0]
        assert "is on its way" in await operator.run("webhooks", "replay", one.id, *site.here)

        async def again() -> bool:
            return len(hooks.arrivals) == 6

        await until(again)
        assert hooks.arrivals[-1].id == one.message_id


async def test_interrupted_it_goes_on_until_it_is_cancelled(operator: Operator, site: Site) -> None:
    """Ctrl-C leaves the replay running and says how to cancel it; cancelling does."""
    await operator.run("webhooks", "endpoints", "pause", site.endpoint_id, *site.here)
    async with working(operator):
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "temula.operations.cli", "webhooks", "replay", "--kind", "missing", "--since", "1d",
            *site.here, env=operator.environ, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        assert process.stdout is not None
        replay_id = (await asyncio.wait_for(process.stdout.readline(), 30)).decode().strip()

        async def counted() -> bool:
            return (await site.progress(replay_id)).matched == 5

        await until(counted)
        process.send_signal(signal.SIGINT)
        rest, _ = await asyncio.wait_for(process.communicate(), 30)
        assert process.returncode == 130
        assert f"temula webhooks replays cancel {replay_id}" in rest.decode().replace("\n", " ")
        assert (await site.progress(replay_id)).state == "running"
        said = await operator.run("webhooks", "replays", "cancel", replay_id, *site.here)
        assert "is cancelled: 0 of 5 were delivered" in said
        assert "cancelled" in await operator.run("webhooks", "replays", "show", replay_id, *site.here)


async def test_the_sandbox_that_runs_here_need_not_be_named(operator: Operator, site: Site) -> None:
    """Its organization is in quickstart.json; where there is none, or no such organization, a line says what to do."""
    asked = ("replay", "--kind", "missing", "--since", "1h", "--no-watch")
    for words in (asked, ("replay", "dlv_x"), ("replays", "list"), ("replays", "show", "rpl_x")):
        said = await operator.run("webhooks", *words, fails=True)
        assert "--organization org_..." in said
        assert len(said.strip().splitlines()) == 1
    for words in (asked, ("replays", "list")):
        said = await operator.run("webhooks", *words, "--organization", NOBODY, fails=True)
        assert said == f"temula: There is no organization {NOBODY}.\n"
    operator.sandbox_runs()
    replay_id = (await operator.run("webhooks", *asked)).strip()
    assert (await site.progress(replay_id)).state == "running"
    assert replay_id in await operator.run("webhooks", "replays", "list")
    assert "is cancelled" in await operator.run("webhooks", "replays", "cancel", replay_id)
    assert "no webhook delivery" in await operator.run("webhooks", "replay", "dlv_x", fails=True)


async def test_what_cannot_be_is_one_line(operator: Operator, site: Site) -> None:
    """Neither a delivery nor a kind, both, a kind that there is not, a time that is none: exit code 2 and why."""
    wrong: tuple[tuple[tuple[str, ...], str], ...] = (
        ((), "Name one delivery, or a --kind"), (("dlv_x", "--kind", "failed"), "Name one delivery, or a --kind"),
        (("--kind", "all"), "filter, failed, missing"), (("--kind", "failed"), "needs since"),
        (("--kind", "failed", "--since", "yesterday"), "how long ago"), (("dlv_x",), "no webhook delivery"),
        (("--kind", "failed", "--since", "2026-11-23T10:15:00"), "how long ago"),
        (("--kind", "filter", "--endpoint", "whe_x"), "no webhook endpoint"),
    )  # fmt: skip
    for words, why in wrong:
        said: Any = await operator.run("webhooks", "replay", *words, *site.here, fails=True)
        assert why in said
        assert len(said.strip().splitlines()) == 1
