"""What is left when the sender is killed."""

import asyncio

from conformance.kit import Kit, Subscribed, check, require
from conformance.receiver import Visit, status
from conformance.sender import Marker


def _missing(subscribed: Subscribed, markers: list[Marker]) -> int:
    bodies = [one.body for one in subscribed.box.arrivals]
    return sum(not any(marker.fits(body) for body in bodies) for marker in markers)


async def _all_arrive(kit: Kit, subscribed: Subscribed, markers: list[Marker]) -> None:
    if not await subscribed.box.until(lambda: _missing(subscribed, markers) == 0, kit.sender.promises.patience / 2):
        await kit.sender.pass_time(kit.sender.promises.lease)
    arrived = await subscribed.box.until(lambda: _missing(subscribed, markers) == 0)
    require(arrived, f"{_missing(subscribed, markers)} of {len(markers)} messages are lost")


@check("crash.while-sending", alone=True)
async def killed_while_sending(kit: Kit) -> None:
    """Killed while it waits for answers it loses nothing, once leases have run out; a repeat has the same id."""

    async def slowly(visit: Visit) -> None:
        await asyncio.sleep(0.05)
        await status(204)(visit)

    subscribed = await kit.subscribed(otherwise=slowly)
    markers = [await kit.sender.publish(subscribed.endpoint) for _ in range(50)]
    require(await subscribed.box.has(1), "nothing arrived")
    try:
        await kit.sender.kill()
        await asyncio.sleep(0.2)
    finally:
        await kit.sender.start()
    await _all_arrive(kit, subscribed, markers)
    ids = {one.id for one in subscribed.box.arrivals}
    require(len(ids) == len(markers), f"{len(ids)} ids for {len(markers)} messages: a repeat came under another id")


@check("crash.while-down", alone=True)
async def published_while_down(kit: Kit) -> None:
    """What was published while nothing sent arrives when it is started."""
    subscribed = await kit.subscribed()
    await kit.sender.kill()
    try:
        markers = [await kit.sender.publish(subscribed.endpoint) for _ in range(20)]
    finally:
        await kit.sender.start()
    await _all_arrive(kit, subscribed, markers)


@check("crash.keeps-the-schedule", alone=True)
async def retries_survive(kit: Kit) -> None:
    """A retry that waits is made though the sender was killed meanwhile."""
    promises = kit.sender.promises
    subscribed = await kit.subscribed(status(500))
    marker = await kit.sender.publish(subscribed.endpoint)
    require(await subscribed.box.has(1), "the message did not arrive")
    await kit.settled()
    await kit.sender.kill()
    await kit.sender.start()
    await kit.sender.pass_time(promises.waits[0] * (1 + promises.jitter) + 1)
    require(await subscribed.box.has(2), "the retry is lost")
    require(marker.fits(subscribed.box.arrivals[1].body), "another message came")
