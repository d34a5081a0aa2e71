"""When an endpoint is given up, and what becomes of its messages."""

from conformance.kit import Kit, Subscribed, check, require
from conformance.receiver import status
from conformance.sender import NotOffered


def _after(kit: Kit) -> int:
    if kit.sender.promises.disable_after is None:
        raise NotOffered("giving up endpoints that fail")
    return kit.sender.promises.disable_after


async def _fail(kit: Kit, subscribed: Subscribed, times: int) -> None:
    """Have a number of messages fail, each before the next is published, with time between them."""
    for _ in range(times):
        before = len(subscribed.box.arrivals)
        await kit.sender.publish(subscribed.endpoint)
        require(await subscribed.box.has(before + 1), "a message did not arrive")
        await kit.settled()


async def _is(kit: Kit, subscribed: Subscribed, *, enabled: bool) -> None:
    async def as_wanted() -> bool:
        return await kit.sender.enabled(subscribed.endpoint) == enabled

    await kit.until(as_wanted, f"the endpoint is {'disabled' if enabled else 'still enabled'}")


@check("disable.count", alone=True)
async def it_is_disabled_after_so_many(kit: Kit) -> None:
    """It is disabled by exactly as many failures in a row as are promised, over the time that is promised."""
    after, subscribed = _after(kit), await kit.subscribed(otherwise=status(500))
    promises = kit.sender.promises
    await _fail(kit, subscribed, 1)
    await kit.sender.pass_time(max(promises.disable_over, promises.waits[0] * (1 + promises.jitter) + 1))
    require(await subscribed.box.has(2), "there was no retry")
    await kit.settled()
    await _fail(kit, subscribed, after - 3)
    failed = len(subscribed.box.arrivals)
    require(failed == after - 1, f"{failed} attempts were made, {after - 1} were to be")
    await _is(kit, subscribed, enabled=True)
    await _fail(kit, subscribed, 1)
    await _is(kit, subscribed, enabled=False)


@check("disable.burst", alone=True)
async def a_burst_is_not_enough(kit: Kit) -> None:
    """Ten failures within a moment are one outage and disable nothing, if a span is promised."""
    if kit.sender.promises.disable_over <= 0:
        raise NotOffered("a span over which an endpoint has to fail")
    subscribed = await kit.subscribed(otherwise=status(500))
    _after(kit)
    for _ in range(10):
        await kit.sender.publish(subscribed.endpoint)
    require(await subscribed.box.has(5), "the messages did not arrive")
    await kit.settled()
    await _is(kit, subscribed, enabled=True)


@check("disable.success-between", alone=True)
async def a_success_begins_anew(kit: Kit) -> None:
    """A success between begins the count anew."""
    after = _after(kit)
    fails = [status(500)] * (after - 1)
    subscribed = await kit.subscribed(*fails, status(204), *fails)
    for _ in range(2 * after - 1):
        await _fail(kit, subscribed, 1)
        await kit.sender.pass_time(kit.sender.promises.waits[0] / (2 * after))
    await _is(kit, subscribed, enabled=True)


@check("disable.keeps-what-comes", alone=True)
async def what_comes_is_kept(kit: Kit) -> None:
    """What was and is published for a disabled endpoint is not sent, not lost, and goes out when it is enabled."""
    subscribed = await kit.subscribed(status(410))
    await kit.sender.publish(subscribed.endpoint)
    require(await subscribed.box.has(1), "the message did not arrive")
    await _is(kit, subscribed, enabled=False)
    markers = [await kit.sender.publish(subscribed.endpoint) for _ in range(10)]
    await kit.settled()
    await kit.sender.pass_time(max(kit.sender.promises.waits))
    await kit.settled()
    require(len(subscribed.box.arrivals) == 1, "it was sent to while it was disabled")
    await kit.sender.enable(subscribed.endpoint)

    def all_there() -> bool:
        bodies = [one.body for one in subscribed.box.arrivals[1:]]
        return all(any(marker.fits(body) for body in bodies) for marker in markers)

    require(await subscribed.box.until(all_there), f"{len(subscribed.box.arrivals) - 1} of 11 came when it was enabled")
    require(await subscribed.box.has(12), "the message that was refused did not come again")
