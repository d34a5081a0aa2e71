"""Dead endpoints beside living ones: what is for the living does not wait for those that never answer.

How much of a percent it costs is measured by `python -m benchmarks webhooks_isolation`; here it is that it is no cliff.
"""

import asyncio
import statistics
from typing import Any

from tests.chaos.site import Site
from tests.harness.house import until
from tests.harness.receiver import Receiver

LIVING, DEAD, ROUNDS = 80, 20, 10
FOREVER = 3600.0
COSTS_AT_MOST, NOISE = 1.5, 0.3  # times, and seconds


async def test_twenty_of_a_hundred_are_dead(site: Site, hooks: Receiver) -> None:
    """A message for all reaches each of the living as fast as without the dead, in a burst and one by one."""
    living = [await _endpoint(site, hooks, f"living-{n}") for n in range(LIVING)]
    dead = [await _endpoint(site, hooks, f"dead-{n}", pause=FOREVER) for n in range(DEAD)]
    for one in dead:
        await site.tenant.api.patch(f"/webhooks/endpoints/{one['id']}", {"state": "paused"})
    worker = await site.worker()
    await _each_took(site, hooks, len(living))
    alone = await _each_took(site, hooks, len(living))
    for one in dead:
        await site.tenant.api.patch(f"/webhooks/endpoints/{one['id']}", {"state": "enabled"})
    asked = len([one for one in hooks.arrivals if "dead" in one.path])
    beside = await _each_took(site, hooks, len(living))
    assert len([one for one in hooks.arrivals if "dead" in one.path]) > asked, "they were asked"
    print(f"all living reached within {alone:.3f} s alone, {beside:.3f} s beside {DEAD} dead ones (medians)")
    assert beside <= COSTS_AT_MOST * alone + NOISE
    assert all(hooks.most[f"/hooks/dead-{n}"] <= 1 for n in range(DEAD)), "who has not answered yet has one place"
    assert worker.process.returncode is None


async def _endpoint(site: Site, hooks: Receiver, name: str, pause: float = 0.0) -> dict[str, Any]:
    hooks.pauses[f"/hooks/{name}"] = pause
    wanted = {"url": f"{hooks.url}/{name}", "types": ["event.updated"]}
    made: dict[str, Any] = await site.tenant.api.post("/webhooks/endpoints", wanted)
    return made


async def _each_took(site: Site, hooks: Receiver, living: int) -> float:
    """Tell one by one, then several at once; the median of how long a message took to all of the living."""
    clock, took = asyncio.get_running_loop().time, []
    for messages in (*[1] * ROUNDS, 5):
        wanted, began = _living(hooks) + messages * living, clock()
        await site.tell(messages)
        await until(lambda wanted=wanted: _has(hooks, wanted))
        took.append((clock() - began) / messages)
    return statistics.median(took)


def _living(hooks: Receiver) -> int:
    return sum("living" in one.path for one in hooks.arrivals)


async def _has(hooks: Receiver, number: int) -> bool:
    return _living(hooks) >= number
