"""The client that delivers webhooks beside clients that are bare of its safety: CPU a POST, and POSTs a second.

Every client posts the same kilobyte, with the headers of a real delivery, over kept connections, to the same receivers
in another process. What a client does is measured by the CPU time of this process; the receivers' is not counted, and
neither are log lines: only warnings are written.
"""

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from typing import NamedTuple, cast

import aiohttp
import httptools
import uvloop

from benchmarks.harness import ROUNDS
from benchmarks.receivers import Answering, Farm, farm
from temula.kernel.addresses import AddressPolicy
from temula.kernel.http import Http, Request
from temula.operations.running import log_quietly

POSTS = 10_000
AT_ONCE = 100
BODY = b'{"event_id":"msg_01hzy","data":{"text":"' + b"x" * 982 + b'"}}'
HEADERS = {
    "Content-Type": "application/json",
    "webhook-id": "msg_01hzyq4c9be7p9x1c4mz3m0x6k",
    "webhook-timestamp": "1795514400",
    "webhook-signature": "v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4=",
    "X-Temula-Signature": "2b99a195f3379f79fd5155d4b6c3d2a1f59a4f4a6f8e6f0b2c1d3e4f5a6b7c8d",
}
POLICY = AddressPolicy(allow_loopback=True)

Post = Callable[[int], Awaitable[object]]
Client = Callable[[Farm, AsyncExitStack, Sequence[bytes]], Awaitable[Post]]


class Cost(NamedTuple):
    """What one POST takes of this process, and how many it makes a second."""

    cpu_us: float
    rate: float


async def our_client(there: Farm, stack: AsyncExitStack, bodies: Sequence[bytes]) -> Post:
    """The one door out, with everything on."""
    http = await stack.enter_async_context(Http(tls=there.tls))
    urls = [there.url(number) for number in range(len(there.ports))]

    async def post(number: int) -> None:
        at = number % len(urls)
        request = Request("POST", urls[at], HEADERS, bodies[number % len(bodies)], 15.0)
        answer = await http.send(request, policy=POLICY, reuse=at)
        assert answer.status == 200

    return post


async def bare_aiohttp(there: Farm, stack: AsyncExitStack, bodies: Sequence[bytes]) -> Post:
    """The usual client as it comes."""
    connector = aiohttp.TCPConnector(limit=0, ssl=there.tls or True)
    session = await stack.enter_async_context(aiohttp.ClientSession(connector=connector))

    async def post(number: int) -> None:
        body = bodies[number % len(bodies)]
        async with session.post(there.url(number), data=body, headers=HEADERS) as answer:
            await answer.read()
            assert answer.status == 200

    return post


async def bare_httptools(there: Farm, stack: AsyncExitStack, bodies: Sequence[bytes]) -> Post:
    """A socket and a parser: no deadline, no bound, no check; the least that Python can do."""
    loop = asyncio.get_running_loop()
    idle: dict[int, list[_Bare]] = {port: [] for port in there.ports}
    head = "".join(f"{name}: {value}\r\n" for name, value in HEADERS.items())

    async def post(number: int) -> None:
        port = there.ports[number % len(there.ports)]
        if idle[port]:
            bare = idle[port].pop()
        else:
            host = "127.0.0.1" if there.tls else None
            _, bare = await loop.create_connection(_Bare, "127.0.0.1", port, ssl=there.tls, server_hostname=host)
            stack.callback(bare.transport.abort)
        body = bodies[number % len(bodies)]
        start = f"POST /hooks/temula HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{head}Content-Length: {len(body)}\r\n\r\n"
        assert await bare.post(start.encode() + body, loop) == 200
        idle[port].append(bare)

    return post


class _Bare(asyncio.Protocol):
    transport: asyncio.Transport
    waiter: "asyncio.Future[int]"

    def __init__(self) -> None:
        self.parser = httptools.HttpResponseParser(self)

    def post(self, request: bytes, loop: asyncio.AbstractEventLoop) -> "asyncio.Future[int]":
        self.waiter = loop.create_future()
        self.transport.write(request)
        return self.waiter

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self.parser.feed_data(data)

    def on_message_complete(self) -> None:
        self.waiter.set_result(self.parser.get_status_code())


CLIENTS: dict[str, Client] = {
    "kernel/http": our_client,
    "bare aiohttp": bare_aiohttp,
    "bare httptools": bare_httptools,
}


def main() -> None:
    """Print for one and for fifty receivers, in clear and over TLS, what each client takes."""
    log_quietly()
    for tls in (False, True):
        for receivers in (1, 50):
            with farm([Answering] * receivers, tls=tls) as there:
                _print(f"{receivers} receivers, {'TLS' if tls else 'clear'}", uvloop.run(_measure(there)))


async def _measure(there: Farm) -> dict[str, Cost]:
    rounds: dict[str, list[Cost]] = {name: [] for name in CLIENTS}
    for _ in range(ROUNDS):
        for name, client in CLIENTS.items():
            async with AsyncExitStack() as stack:
                post = await client(there, stack, [BODY])
                await _posted(post, AT_ONCE * 5)  # connections are made, and everything is warm
                rounds[name].append(await _posted(post, POSTS))
    return {name: Cost(*map(statistics.median, zip(*costs, strict=True))) for name, costs in rounds.items()}


async def _posted(post: Post, number: int) -> Cost:
    numbers = iter(range(number))

    async def one() -> None:
        for n in numbers:
            await post(n)

    cpu, began = time.process_time(), time.perf_counter()
    await asyncio.gather(*(one() for _ in range(AT_ONCE)))
    return Cost((time.process_time() - cpu) / number * 1e6, number / (time.perf_counter() - began))


def _print(title: str, costs: dict[str, Cost]) -> None:
    ours = costs["kernel/http"]
    print(f"{title}, median of {ROUNDS}:")
    for name, cost in costs.items():
        cpu, rate = cost.cpu_us / ours.cpu_us, ours.rate / cost.rate
        against = "" if cost is ours else f"; ours makes {cpu:.2f} times its POSTs a CPU second, {rate:.2f} of its rate"
        print(f"  {name:15} {cost.cpu_us:6.1f} us CPU, {cost.rate:8,.0f}/s{against}")
