"""A network that can be cut: a proxy in between, with the faults that toxiproxy has.

Faults act on what passes from then on, in both directions, on connections that are there and on new ones.
"""

import asyncio
import random
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import NamedTuple

CHUNK = 65536


class Fault(NamedTuple):
    """What is wrong with the way. All that is left out is well."""

    name: str = "none"
    latency: tuple[float, float] = (0.0, 0.0)  # seconds, and by how much it varies
    rate: float | None = None  # bytes a second
    slice: int = CHUNK  # bytes at once
    swallowed: bool = False  # nothing arrives, and nobody is told
    refused: bool = False  # nobody is let in
    cut_after: int | None = None  # bytes of a connection, after which it is reset
    half: bool = False  # the far side's end is said to be over, and is not


HEALTHY = Fault()
FAULTS = (
    Fault("latency", latency=(0.25, 0.1)),  # each way
    Fault("bandwidth", rate=10_000.0),
    Fault("one byte at a time", slice=1, rate=2_000.0),
    Fault("swallowed", swallowed=True),
    Fault("reset", cut_after=0),
    Fault("cut in the middle", cut_after=3_000),
    Fault("refused", refused=True, cut_after=0),
    Fault("half closed", half=True),
)


class Proxy:
    """Passes connections on to a unix socket or a port; `fault` is what happens on the way."""

    def __init__(self, target: str | tuple[str, int], chance: random.Random) -> None:
        self.port = 0
        self._target, self._chance = target, chance
        self._fault = HEALTHY
        self._ways: set[_Way] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def fault(self) -> Fault:
        return self._fault

    def break_(self, fault: Fault) -> None:
        """From now on it is like that."""
        self._fault = fault
        for way in list(self._ways):
            way.passed = 0
            if fault.cut_after == 0:
                way.reset()
            if fault.half:
                way.half_close()

    def heal(self) -> None:
        """All is well again; whose bytes were swallowed is reset, for they will not come any more."""
        was, self._fault = self._fault, HEALTHY
        for way in list(self._ways):
            if was.swallowed or was.half:
                way.reset()

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._fault.refused:
            reset(writer)
            return
        try:
            if isinstance(self._target, str):
                far = await asyncio.open_unix_connection(self._target)
            else:
                far = await asyncio.open_connection(*self._target)
        except OSError:
            reset(writer)
            return
        way = _Way(self, writer, far[1], self._chance)
        self._ways.add(way)
        for source, sink in ((reader, far[1]), (far[0], writer)):
            task = asyncio.create_task(way.pass_on(source, sink))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def over(self, way: "_Way") -> None:
        self._ways.discard(way)

    def close(self) -> None:
        for way in list(self._ways):
            way.reset()
        for task in self._tasks:
            task.cancel()


class _Way:
    """One connection, both directions."""

    def __init__(
        self, proxy: Proxy, near: asyncio.StreamWriter, far: asyncio.StreamWriter, chance: random.Random
    ) -> None:
        self.passed = 0
        self._proxy, self._near, self._far, self._chance = proxy, near, far, chance

    def reset(self) -> None:
        reset(self._near)
        reset(self._far)
        self._proxy.over(self)

    def half_close(self) -> None:
        with suppress(OSError, RuntimeError):
            self._near.write_eof()

    async def pass_on(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with suppress(OSError, RuntimeError):
            while data := await source.read(CHUNK):
                await self._pass(data, sink)
            sink.write_eof()
            return
        self.reset()

    async def _pass(self, data: bytes, sink: asyncio.StreamWriter) -> None:
        while data:
            fault = self._proxy.fault
            part, data = data[: fault.slice], data[fault.slice :]
            mean, spread = fault.latency
            pause = mean + self._chance.uniform(-spread, spread) + (len(part) / fault.rate if fault.rate else 0.0)
            if pause > 0:
                await asyncio.sleep(pause)
            self.passed += len(part)
            if fault.cut_after is not None and self.passed > fault.cut_after:
                self.reset()
                return
            if not fault.swallowed:
                sink.write(part)
                await sink.drain()


def reset(writer: asyncio.StreamWriter) -> None:
    """Close with RST where the transport knows it, as a middle box does that has forgotten a connection."""
    sock = writer.get_extra_info("socket")
    if sock is not None and sock.family == socket.AF_INET:
        with suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


@asynccontextmanager
async def between(target: str | tuple[str, int], chance: random.Random) -> AsyncIterator[Proxy]:
    """A proxy in front of a socket's path or a host and port."""
    proxy = Proxy(target, chance)
    server = await asyncio.start_server(proxy.take, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        proxy.close()
