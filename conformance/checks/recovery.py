"""How a receiver gets what it missed, and in which order."""

import asyncio
from collections import Counter

from conformance.kit import Kit, check, require
from conformance.receiver import status
from conformance.signatures import fits

MANY = 40


@check("replay.one")
async def replay_of_one(kit: Kit) -> None:
    """A message that was delivered can be sent again: the same id and bytes, a fitting signature."""
    endpoint, box = await kit.subscribed()
    marker = await kit.sender.publish(endpoint)
    require(await box.has(1), "the message did not arrive")
    await kit.settled()
    await kit.sender.replay(endpoint, marker)
    require(await box.has(2), "it did not come again")
    first, second = box.arrivals
    require((first.id, first.body) == (second.id, second.body), "it came with another id or other bytes")
    require(fits(endpoint.secret, second.headers, second.body), "its signature does not fit")


@check("replay.complete")
async def replay_is_complete(kit: Kit) -> None:
    """Everything since a time comes again, each message once, and nothing else."""
    endpoint, box = await kit.subscribed()
    await kit.sender.publish(endpoint)
    require(await box.has(1), "the message did not arrive")
    await asyncio.sleep(1.1)  # times may be given in whole seconds
    since = await kit.sender.now()
    markers = [await kit.sender.publish(endpoint) for _ in range(MANY)]
    require(await box.has(1 + MANY), f"{len(box.arrivals) - 1} of {MANY} arrived")
    await kit.settled()
    await kit.sender.replay_all(endpoint, since)
    require(await box.has(1 + 2 * MANY), f"{len(box.arrivals) - 1 - MANY} of {MANY} came again")
    await kit.settled()
    again = box.arrivals[1 + MANY :]
    require(len(again) == MANY, f"{len(again)} came again, {MANY} were to")
    require(all(any(marker.fits(one.body) for one in again) for marker in markers), "one of them is missing")
    require(Counter(one.id for one in again) == Counter(one.id for one in box.arrivals[1 : 1 + MANY]), "ids changed")


@check("pull.complete")
async def pull_is_complete(kit: Kit) -> None:
    """A receiver can read what was published, each message once, with the bytes that were sent."""
    endpoint, box = await kit.subscribed()
    markers = [await kit.sender.publish(endpoint) for _ in range(5)]
    require(await box.has(5), "the messages did not arrive")
    bodies = await kit.sender.pull(endpoint)
    for marker in markers:
        require(sum(marker.fits(body) for body in bodies) == 1, "a message is missing or there twice")
    sent = {one.body for one in box.arrivals}
    require(sent <= set(bodies), "what is read is not what was sent")


@check("order.per-key", alone=True)
async def order_per_key(kit: Kit) -> None:
    """If the first message of a key fails, later ones of that key wait for it, and those of other keys do not."""
    promises = kit.sender.promises
    endpoint, box = await kit.subscribed(status(500), ordered=True)
    stuck = await kit.sender.publish_series(endpoint)
    require(await box.has(1), "the first message did not arrive")
    other = await kit.sender.publish_series(endpoint)
    require(await box.has(1 + len(other)), "messages of another key wait too")
    await kit.settled()
    seen = [one.body for one in box.arrivals]
    require(not any(stuck[1].fits(body) for body in seen), "a later message overtook the one that failed")
    await kit.sender.pass_time(promises.waits[0] * (1 + promises.jitter) + 1)
    require(await box.has(1 + len(other) + len(stuck)), "what waited did not come")
    came = [next(n for n, marker in enumerate(stuck) if marker.fits(one.body))
            for one in box.arrivals if any(marker.fits(one.body) for marker in stuck)]  # fmt: skip
    require(came == [0, *range(len(stuck))], f"they came in the order {came}")


@check("order.without-failures")
async def order_of_many_keys(kit: Kit) -> None:
    """Of ten keys at once, each one's messages arrive in their order."""
    endpoint, box = await kit.subscribed(ordered=True)
    series = await asyncio.gather(*(kit.sender.publish_series(endpoint) for _ in range(10)))
    require(await box.has(sum(map(len, series))), "not all arrived")
    for markers in series:
        came = [next(n for n, marker in enumerate(markers) if marker.fits(one.body))
                for one in box.arrivals if any(marker.fits(one.body) for marker in markers)]  # fmt: skip
        require(came == list(range(len(markers))), f"they came in the order {came}")
