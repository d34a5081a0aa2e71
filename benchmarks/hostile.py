"""What fifty hostile receivers at once do to the deliveries of the others (gate S6): their p99 beside that without.

The healthy are posted to at a steady rate. Each hostile one is asked again as soon as its attempt has ended, without
the rest that a failed delivery gets in life; those that answer at once and too much are asked four times a second.
"""

import asyncio
import statistics
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import NamedTuple

import uvloop

from benchmarks.harness import ROUNDS
from benchmarks.receivers import Answering, Farm, farm
from benchmarks.sender import BODY, HEADERS, POLICY
from temula.kernel.http import Http, HttpError, Request
from temula.operations.running import log_quietly

RATE = 1000  # healthy POSTs a second
SECONDS = 5.0
HEALTHY = 50
DEADLINE = 2.0  # of a hostile attempt; in life 15 s, but a shorter one has them come back more often
PAUSE = 0.25
CHUNK = b"a" * 65536


class Silent(asyncio.Protocol):
    """Takes the request and never answers."""


class Acting(asyncio.Protocol):
    """Does something to whoever has asked."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: asyncio.Transport = transport  # type: ignore[assignment]  # uvloop's is one, by its methods

    def data_received(self, data: bytes) -> None:
        self.act()

    def act(self) -> None:
        """Once for each piece of a request."""
        raise NotImplementedError


class Dripping(Acting):
    """A byte of the body each tenth of a second, for ever."""

    def act(self) -> None:
        self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 999999\r\n\r\n")
        self.drip()

    def drip(self) -> None:
        """The next one."""
        if not self.transport.is_closing():
            self.transport.write(b"a")
            asyncio.get_running_loop().call_later(0.1, self.drip)


class Endless(Acting):
    """A body without an end."""

    def act(self) -> None:
        self.transport.write(b"HTTP/1.1 200 OK\r\n\r\n" + CHUNK * 16)

    def resume_writing(self) -> None:
        self.transport.write(CHUNK)


class Flooding(Acting):
    """A hundred thousand interim answers."""

    def act(self) -> None:
        self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n" * 40_000)


class Resetting(Acting):
    """Hangs up on whoever asks."""

    def act(self) -> None:
        self.transport.abort()


KINDS: list[Callable[[], asyncio.BaseProtocol]] = [Silent, Dripping, Endless, Flooding, Resetting]


class Waits(NamedTuple):
    """Of the healthy ones, in ms."""

    p50: float
    p99: float


def main() -> None:
    """Print the waits without and with them."""
    log_quietly()
    with farm([Answering] * HEALTHY) as healthy, farm(KINDS * 10) as hostile:
        without, beside = uvloop.run(_measure(healthy, hostile))
    print(
        f"{RATE}/s to {HEALTHY} healthy receivers, median of {ROUNDS}:"
        f" p50 {without.p50:.2f} ms, p99 {without.p99:.2f} ms;"
        f" beside {len(KINDS) * 10} hostile ones p50 {beside.p50:.2f} ms, p99 {beside.p99:.2f} ms:"
        f" {beside.p99 / without.p99:.2f} times"
    )


async def _measure(healthy: Farm, hostile: Farm) -> tuple[Waits, Waits]:
    without: list[Waits] = []
    beside: list[Waits] = []
    async with Http() as http:
        await _healthy(http, healthy)  # warm
        for _ in range(ROUNDS):
            without.append(await _healthy(http, healthy))
            attacks = [asyncio.create_task(_attacked(http, hostile, number)) for number in range(len(hostile.ports))]
            await asyncio.sleep(0.5)
            beside.append(await _healthy(http, healthy))
            for attack in attacks:
                attack.cancel()
            await asyncio.wait(attacks)
    return _median(without), _median(beside)


async def _healthy(http: Http, there: Farm) -> Waits:
    waits: list[float] = []

    async def post(number: int) -> None:
        began = time.perf_counter()
        at = number % HEALTHY
        await http.send(Request("POST", there.url(at), HEADERS, BODY, 15.0), policy=POLICY, reuse=at)
        waits.append(time.perf_counter() - began)

    await _steadily(post, int(RATE * SECONDS))
    ordered = sorted(waits)
    return Waits(ordered[len(ordered) // 2] * 1000, ordered[int(len(ordered) * 0.99)] * 1000)


async def _steadily(post: Callable[[int], Coroutine[None, None, None]], number: int) -> None:
    loop = asyncio.get_running_loop()
    began = loop.time()
    async with asyncio.TaskGroup() as group:
        for n in range(number):
            group.create_task(post(n))
            if (ahead := began + n / RATE - loop.time()) > 0:
                await asyncio.sleep(ahead)


async def _attacked(http: Http, there: Farm, number: int) -> None:
    while True:
        with suppress(HttpError):
            request = Request("POST", there.url(number), HEADERS, BODY, DEADLINE)
            await http.send(request, policy=POLICY, reuse=f"hostile {number}")
        await asyncio.sleep(PAUSE)


def _median(rounds: list[Waits]) -> Waits:
    return Waits(*(statistics.median(values) for values in zip(*rounds, strict=True)))
