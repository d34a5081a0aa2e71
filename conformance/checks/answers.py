"""What the sender makes of each answer."""

from collections.abc import Sequence
from email.utils import formatdate

from conformance.kit import Kit, check, require
from conformance.receiver import Answer, after_informational, dropping, saying, status


async def _successes(kit: Kit, answers: Sequence[Answer]) -> None:
    found = [await kit.subscribed(answer) for answer in answers]
    for endpoint, _ in found:
        await kit.sender.publish(endpoint)
    for _, box in found:
        require(await box.has(1), "the message did not arrive")
    await kit.settled()
    await _pass_first_wait(kit)
    again = [number for number, (_, box) in enumerate(found) if len(box.arrivals) > 1]
    require(not again, f"success number {again} of the check was sent again")


async def _failures(kit: Kit, answers: dict[str, Answer]) -> None:
    found = {name: await kit.subscribed(answer) for name, answer in answers.items()}
    for endpoint, _ in found.values():
        await kit.sender.publish(endpoint)
    for name, (_, box) in found.items():
        require(await box.has(1), f"the message for the receiver that answers {name} did not arrive")
    await kit.settled()
    await _pass_first_wait(kit)
    for name, (_, box) in found.items():
        require(await box.has(2), f"after {name} there was no retry")
        require(len({one.id for one in box.arrivals}) == 1, f"after {name} another message came")


async def _pass_first_wait(kit: Kit) -> None:
    promises = kit.sender.promises
    await kit.sender.pass_time(promises.waits[0] * (1 + promises.jitter) + 1)
    await kit.settled()


@check("answer.2xx", alone=True)
async def any_2xx_is_success(kit: Kit) -> None:
    """200, 201, 202, 204 and 299 are success and are not sent again."""
    await _successes(kit, [status(code) for code in (200, 201, 202, 204, 299)])


@check("answer.1xx-is-none", alone=True)
async def informational_is_no_answer(kit: Kit) -> None:
    """103 before 204 is success, 103 before 500 is not."""
    await _successes(kit, [after_informational(204)])
    await _failures(kit, {"103 and 500": after_informational(500)})


@check("answer.3xx", alone=True)
async def redirects_are_failures(kit: Kit) -> None:
    """A redirect is a failure, and where it leads is never asked."""
    canary = kit.receiver.box()
    codes = (301, 302, 303, 307, 308)
    await _failures(kit, {str(code): status(code, location=canary.url) for code in codes})
    require(not canary.arrivals, "a redirect was followed")


@check("answer.304-and-4xx", alone=True)
async def other_statuses_are_failures(kit: Kit) -> None:
    """304, 400, 401, 403, 404, 409 and 422 are tried again: a receiver may be being deployed."""
    await _failures(kit, {str(code): status(code) for code in (304, 400, 401, 403, 404, 409, 422)})


@check("answer.5xx", alone=True)
async def server_errors_are_failures(kit: Kit) -> None:
    """500, 502, 503, 504 and 599 are tried again."""
    await _failures(kit, {str(code): status(code) for code in (500, 502, 503, 504, 599)})


@check("answer.none", alone=True)
async def no_answer_is_a_failure(kit: Kit) -> None:
    """A connection that is dropped, or speaks no HTTP, is tried again."""
    garbage = saying(b"SSH-2.0-OpenSSH_9.2p1\r\n")
    half = saying(b"HTTP/1.1 200 OK\r\nContent-Le")
    await _failures(kit, {"nothing": dropping, "another protocol": garbage, "half a header": half})


@check("answer.410")
async def gone_disables(kit: Kit) -> None:
    """410 disables the endpoint at once."""
    endpoint, box = await kit.subscribed(status(410))
    await kit.sender.publish(endpoint)
    require(await box.has(1), "the message did not arrive")

    async def disabled() -> bool:
        return not await kit.sender.enabled(endpoint)

    await kit.until(disabled, "it is still enabled")
    await kit.sender.publish(endpoint)
    await kit.settled()
    require(len(box.arrivals) == 1, "it was sent to again")


async def _waits_at_least(kit: Kit, told: str, seconds: float) -> None:
    promises = kit.sender.promises
    endpoint, box = await kit.subscribed(status(429, retry_after=told))
    await kit.sender.publish(endpoint)
    require(await box.has(1), "the message did not arrive")
    await kit.settled()
    await kit.sender.pass_time(seconds - 5)
    await kit.settled()
    require(len(box.arrivals) == 1, f"Retry-After: {told} asked for {seconds:.0f} seconds; it came earlier")
    await kit.sender.pass_time(5 + max(seconds, promises.waits[0]) * promises.jitter + 1)
    require(await box.has(2), "after the time that was asked for nothing came")


@check("retry-after.seconds", alone=True)
async def retry_after_in_seconds(kit: Kit) -> None:
    """429 with Retry-After in seconds is honoured."""
    seconds = kit.sender.promises.waits[0] * 10
    await _waits_at_least(kit, str(round(seconds)), seconds)


@check("retry-after.date", alone=True)
async def retry_after_as_a_date(kit: Kit) -> None:
    """429 with Retry-After as a date is honoured."""
    seconds = kit.sender.promises.waits[0] * 10
    await _waits_at_least(kit, formatdate(await kit.sender.now() + seconds, usegmt=True), seconds)


@check("retry-after.short", alone=True)
async def retry_after_is_never_earlier(kit: Kit) -> None:
    """Retry-After of one second does not make a retry come earlier than the schedule says."""
    await _waits_at_least(kit, "1", kit.sender.promises.waits[0])


@check("retry-after.absurd", alone=True)
async def retry_after_is_bounded(kit: Kit) -> None:
    """Retry-After of ten years, or one that nobody can read, does not lose the message."""
    promises = kit.sender.promises
    found = [await kit.subscribed(status(503, retry_after=text)) for text in ("315360000", "9" * 40, "soon", "-1")]
    for endpoint, _ in found:
        await kit.sender.publish(endpoint)
    for _, box in found:
        require(await box.has(1), "the message did not arrive")
    await kit.settled()
    await kit.sender.pass_time(max(promises.waits) * (1 + promises.jitter) + 1)
    for _, box in found:
        require(await box.has(2), "within the longest wait of the schedule nothing came")
