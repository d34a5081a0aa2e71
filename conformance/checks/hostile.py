"""Receivers that want more than an answer's worth of the sender."""

import asyncio
import time

from conformance.kit import Kit, check, require
from conformance.receiver import Answer, hanging, repeating

OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
MARGIN = 5.0
LARGEST = 8 << 20  # bytes that systems on both sides may hold between them, and then some


async def _ends_in_time(kit: Kit, answer: Answer) -> int:
    """Wait until the sender lets go; give the bytes that it took of us."""
    endpoint, box = await kit.subscribed(answer)
    await kit.sender.publish(endpoint)
    require(await box.has(1), "the message did not arrive")
    deadline = kit.sender.promises.deadline + MARGIN
    await box.until(lambda: bool(box.ended), deadline)
    held = time.monotonic() - box.arrivals[0].at
    require(box.ended, f"it still holds the connection after {held:.0f} seconds")
    return box.visits[0].taken


@check("hostile.no-answer", slow=True)
async def no_answer(kit: Kit) -> None:
    """A receiver that never answers is left when the deadline is over."""
    await _ends_in_time(kit, hanging)


@check("hostile.slow-header", slow=True)
async def slow_header(kit: Kit) -> None:
    """A header of one byte a second does not hold the sender longer than its deadline."""
    await _ends_in_time(kit, repeating(b"HTTP/1.1 200 OK\r\nX-Slow: ", b"x", 1.0))


@check("hostile.slow-body", slow=True)
async def slow_body(kit: Kit) -> None:
    """A body of one byte a second does not either."""
    await _ends_in_time(kit, repeating(OK + b"Content-Length: 1000000\r\n\r\n", b"x", 1.0))


@check("hostile.slow-chunks", slow=True)
async def slow_chunks(kit: Kit) -> None:
    """Chunks of one byte a second without an end do not either."""
    await _ends_in_time(kit, repeating(OK + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n", 1.0))


@check("hostile.informational-flood", slow=True)
async def informational_flood(kit: Kit) -> None:
    """Answers of 103 without an end do not either."""
    await _ends_in_time(kit, repeating(b"", b"HTTP/1.1 103 Early Hints\r\n\r\n", 0.2))


@check("hostile.endless-body", slow=True)
async def endless_body(kit: Kit) -> None:
    """Of a body without an end only a bounded part is taken."""
    piece = b"x" * 65536
    taken = await _ends_in_time(kit, repeating(OK + b"Content-Length: 1000000000000\r\n\r\n", piece, 0.0))
    require(taken <= LARGEST, f"it took {taken:,} bytes")


@check("hostile.endless-header", slow=True)
async def endless_header(kit: Kit) -> None:
    """Of headers without an end only a bounded part is taken."""
    line = b"".join(b"X-%d: %s\r\n" % (number, b"x" * 200) for number in range(200))
    taken = await _ends_in_time(kit, repeating(b"HTTP/1.1 200 OK\r\n", line, 0.0))
    require(taken <= LARGEST, f"it took {taken:,} bytes")


@check("hostile.does-not-delay-others", alone=True, slow=True)
async def others_are_not_delayed(kit: Kit) -> None:
    """While ten endpoints hang under two hundred messages, another's twenty arrive within five seconds."""
    for _ in range(10):
        bad = await kit.subscribed(otherwise=hanging)
        await asyncio.gather(*(kit.sender.publish(bad.endpoint) for _ in range(20)))
    good = await kit.subscribed()
    began = time.monotonic()
    for _ in range(20):
        await kit.sender.publish(good.endpoint)
    require(await good.box.has(20, 5), f"{len(good.box.arrivals)} of 20 arrived within five seconds")
    took = max(one.at for one in good.box.arrivals) - began
    require(took < 5, f"it took {took:.1f} seconds")
