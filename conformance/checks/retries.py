"""When a message is tried again."""

from itertools import pairwise

from conformance.kit import Kit, check, require
from conformance.receiver import Answer, Visit, status


def _failing_the_first() -> Answer:
    """Fail the first message for good, take the others: the endpoint does not count as dead meanwhile."""
    first: list[str] = []

    async def answer(visit: Visit) -> None:
        first[:] = first or [visit.arrival.id]
        await status(500 if visit.arrival.id == first[0] else 204)(visit)

    return answer


@check("retry.schedule", alone=True)
async def the_schedule_is_kept(kit: Kit) -> None:
    """Every retry comes not earlier than its wait and not later than its wait with the jitter; then it ends."""
    promises = kit.sender.promises
    endpoint, box = await kit.subscribed(otherwise=_failing_the_first())

    def tries() -> int:
        return sum(one.id == box.arrivals[0].id for one in box.arrivals)

    async def another_succeeds() -> None:
        before = len(box.arrivals)
        await kit.sender.publish(endpoint)
        require(await box.has(before + 1), "another message did not arrive")
        await kit.settled()

    await kit.sender.publish(endpoint)
    require(await box.has(1), "the message did not arrive")
    for number, wait in enumerate(promises.waits, 2):
        await another_succeeds()
        await kit.sender.pass_time(wait * 0.97)
        await kit.settled()
        require(tries() == number - 1, f"attempt {number} came earlier than {wait:.0f} seconds")
        await kit.sender.pass_time(wait * (0.03 + promises.jitter) + 2)
        late = f"attempt {number} did not come within {wait * (1 + promises.jitter):.0f} seconds"
        require(await box.until(lambda number=number: tries() == number), late)  # type: ignore[misc] # bound on purpose
    await another_succeeds()
    await kit.sender.pass_time(max(promises.waits) * (1 + promises.jitter) + 1)
    await kit.settled()
    require(tries() == len(promises.waits) + 1, "it went on after the last attempt")


@check("retry.jitter", alone=True)
async def jitter_is_only_later(kit: Kit) -> None:
    """Many first retries of one moment are spread, and none is earlier than the wait."""
    promises, count = kit.sender.promises, 40
    steps = 4
    require(promises.jitter > 0, "the sender promises no jitter: a receiver that comes back is met by all at once")
    found = [await kit.subscribed(status(500)) for _ in range(count)]
    for endpoint, _ in found:
        await kit.sender.publish(endpoint)
    for _, box in found:
        require(await box.has(1), "a message did not arrive")
    began = max(box.arrivals[0].stamp for _, box in found)
    await kit.settled()
    wait = promises.waits[0]
    await kit.sender.pass_time(wait * 0.97 - (await kit.sender.now() - began))
    await kit.settled()
    require(not any(len(box.arrivals) > 1 for _, box in found), "a retry came earlier than the wait")
    counts = []
    for _ in range(steps):
        await kit.sender.pass_time(wait * (0.03 + promises.jitter) / steps)
        await kit.settled()
        counts.append(sum(len(box.arrivals) > 1 for _, box in found))
    await kit.sender.pass_time(2)
    for _, box in found:
        require(await box.has(2), "a retry did not come")
    together = max(now - before for before, now in pairwise([0, *counts, count]))
    require(together < count, f"all came at once: {counts}")


@check("retry.ends-with-success", alone=True)
async def success_ends_it(kit: Kit) -> None:
    """After a success nothing more comes, whatever time passes."""
    promises = kit.sender.promises
    endpoint, box = await kit.subscribed(status(500), status(204), otherwise=status(500))
    await kit.sender.publish(endpoint)
    require(await box.has(1), "the message did not arrive")
    await kit.settled()
    await kit.sender.pass_time(promises.waits[0] * (1 + promises.jitter) + 1)
    require(await box.has(2), "there was no retry")
    await kit.settled()
    await kit.sender.pass_time(sum(promises.waits))
    await kit.settled()
    require(len(box.arrivals) == 2, "it was sent again after it had succeeded")


@check("retry.logged")
async def attempts_are_logged(kit: Kit) -> None:
    """The sender's log tells of each attempt: its number, and the status or what went wrong."""
    answered, dead = await kit.subscribed(status(418)), await kit.create(f"http://127.0.0.1:{_closed_port()}/")
    first = await kit.sender.publish(answered.endpoint)
    second = await kit.sender.publish(dead)

    async def logged() -> bool:
        return bool(await kit.sender.attempts(answered.endpoint, first) and await kit.sender.attempts(dead, second))

    await kit.until(logged, "there is no entry")
    (told,) = await kit.sender.attempts(answered.endpoint, first)
    require((told.number, told.status) == (1, 418), f"the log says {told}")
    (told,) = await kit.sender.attempts(dead, second)
    require(told.number == 1 and told.status is None and told.error, f"of a refused connection the log says {told}")


def _closed_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
