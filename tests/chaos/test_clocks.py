"""Clocks that are wrong, or jump: a worker whose machine is an hour ahead or two behind sends nothing early or late."""

import asyncio
import time

import pytest

from temula.outbound.webhooks.jobs import PLACES
from tests.chaos.site import Site, have_come
from tests.harness.ground import found
from tests.harness.house import until
from tests.harness.places import open_folder
from tests.harness.receiver import Receiver

EACH = 60
WITHIN = 15.0
TRUE_WITHIN = 3.0
# `temula worker` on a machine whose clock is off by what a file says, from the moment on at which it says so.
OFF = """
import sys
from datetime import datetime, timedelta
from pathlib import Path
import temula.kernel.clock as clocks
from temula.operations.cli import main

file, sys.argv[1:] = Path(sys.argv[1]), ["worker"]
system_time = clocks.time.time

def off():
    return float(file.read_text())

class Off(datetime):
    @classmethod
    def now(cls, tz=None):
        return datetime.now(tz) + timedelta(seconds=off())

clocks.datetime = Off
clocks.time.time = lambda: system_time() + off()
main()
"""


@pytest.mark.parametrize("seconds", [3600, -7200])
async def test_a_workers_clock_jumps(site: Site, hooks: Receiver, seconds: int) -> None:
    """What is due goes out, what is not due waits, signatures carry the true time, and nothing is taken from others."""
    with open_folder() as folder:
        file = folder / "off"
        file.write_text("0")
        worker = await site.python(OFF, file)
        hooks.answers = [500]
        await site.tell(1)
        await have_come(hooks, 1)
        await until(lambda: _tried(site))
        await _told_and_come(site, hooks)
        file.write_text(str(seconds))
        await _told_and_come(site, hooks)
        other = await site.worker()
        await _told_and_come(site, hooks)
        await worker.kill()
        worker = await site.python(OFF, file)  # one that begins so
        await _told_and_come(site, hooks)
        await other.kill()
        await _told_and_come(site, hooks)
    arrived = [one.id for one in hooks.arrivals]
    assert arrived.count(arrived[0]) == 1, "its next attempt is in a minute"
    assert len(arrived) - len(set(arrived)) <= 2 * PLACES
    here = time.time() - asyncio.get_running_loop().time()
    for one in hooks.arrivals:
        assert abs(int(one.headers["webhook-timestamp"]) - (one.began + here)) < TRUE_WITHIN


async def _told_and_come(site: Site, hooks: Receiver) -> None:
    """What is told comes soon, whoever's clock says what."""
    began, before = time.monotonic(), await site.ids()
    await site.tell(EACH)
    new = await site.ids() - before

    async def come() -> bool:
        return new <= {one.id for one in hooks.arrivals} and await site.waiting() == 1

    await until(come, WITHIN)
    print(f"{EACH} came within {time.monotonic() - began:.1f} s")


async def _tried(site: Site) -> bool:
    return await found(site.temula.owner_url, "SELECT attempts FROM webhook_deliveries") == [(1,)]
