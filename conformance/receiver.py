"""Where messages arrive: an HTTP server by hand, so that it can answer as no library would, and sees each byte."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any, NamedTuple
from uuid import uuid4

Answer = Callable[["Visit"], Awaitable[None]]
PATIENCE = 20.0


class Arrival(NamedTuple):
    """One request as it came; header names in small letters, `pairs` as they were sent. `at` is of `time.monotonic`."""

    method: str
    path: str
    pairs: tuple[tuple[str, str], ...]
    body: bytes
    at: float

    @property
    def headers(self) -> dict[str, str]:
        """The headers by name; of one that came twice, the last."""
        return {name.lower(): value for name, value in self.pairs}

    @property
    def id(self) -> str:
        """The message's id."""
        return self.headers.get("webhook-id", "")

    @property
    def stamp(self) -> int:
        """When the attempt was made, as the sender says; 0 if it does not."""
        text = self.headers.get("webhook-timestamp", "")
        return int(text) if text.isdigit() else 0

    @property
    def json(self) -> Any:
        """The body, read."""
        return json.loads(self.body)


class Visit:
    """A request that is being answered."""

    def __init__(self, arrival: Arrival, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.arrival = arrival
        self._reader = reader
        self._writer = writer
        self.taken = 0

    async def send(self, data: bytes) -> None:
        """Write, and count what the other side's system took."""
        self._writer.write(data)
        await self._writer.drain()
        self.taken += len(data)

    async def gone(self) -> None:
        """Wait until the other side has closed the connection."""
        await self._reader.read()

    def drop(self) -> None:
        """Close the connection, whatever was said."""
        self._writer.close()


class Mailbox:
    """One endpoint's side of the receiver. `answers` are given one by one; when they are used up, `otherwise` is."""

    def __init__(self, url: str, answers: Sequence[Answer], otherwise: Answer, patience: float) -> None:
        self.url = url
        self._patience = patience
        self.answers = list(answers)
        self.otherwise = otherwise
        self.arrivals: list[Arrival] = []
        self.ended: list[float] = []
        self.visits: list[Visit] = []
        self._more = asyncio.Event()

    async def take(self, visit: Visit) -> None:
        """Note a request and answer it."""
        self.visits.append(visit)
        self.arrivals.append(visit.arrival)
        answer = self.answers.pop(0) if self.answers else self.otherwise
        self._more.set()
        try:
            await answer(visit)
        finally:
            self.ended.append(time.monotonic())
            self._more.set()

    async def until(self, met: Callable[[], bool], patience: float | None = None) -> bool:
        """Wait for what arrivals bring about; tell whether it came in time."""
        with suppress(TimeoutError):
            async with asyncio.timeout(patience or self._patience):
                while not met():
                    self._more.clear()
                    await self._more.wait()
        return met()

    async def has(self, number: int, patience: float | None = None) -> bool:
        """Wait for a number of requests."""
        return await self.until(lambda: len(self.arrivals) >= number, patience)


class Receiver:
    """Listens on loopback, at any port unless one is given; each mailbox has a path of its own."""

    def __init__(self, port: int = 0, patience: float = PATIENCE) -> None:
        self._patience = patience
        self._boxes: dict[str, Mailbox] = {}
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self.port = port
        self.connections = 0

    async def __aenter__(self) -> "Receiver":
        """Listen."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, limit=1 << 22)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        """Drop all connections."""
        if self._server is not None:
            self._server.close()
        for writer in list(self._open):
            writer.transport.abort()

    def box(self, *answers: Answer, otherwise: Answer | None = None) -> Mailbox:
        """Give a new mailbox."""
        path = f"/{uuid4().hex}"
        box = Mailbox(f"http://127.0.0.1:{self.port}{path}", answers, otherwise or status(204), self._patience)
        self._boxes[path] = box
        return box

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        self.connections += 1
        try:
            while (arrival := await _read(reader)) is not None:
                box = self._boxes.get(arrival.path)
                if box is None:
                    writer.write(_head(404))
                else:
                    await box.take(Visit(arrival, reader, writer))
                await writer.drain()
        except (OSError, EOFError, asyncio.LimitOverrunError, ValueError):
            pass  # whoever was there is gone, or never spoke HTTP: the checks see what did not arrive
        finally:
            self._open.discard(writer)
            writer.close()


async def _read(reader: asyncio.StreamReader) -> Arrival | None:
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.rstrip("\r\n").split("\r\n")
    method, path, _ = first.split(" ", 2)
    pairs = tuple((name, value.strip()) for name, _, value in (line.partition(":") for line in lines))
    named = {name.lower(): value for name, value in pairs}
    if "transfer-encoding" in named:
        body = await _chunks(reader)
    else:
        body = await reader.readexactly(int(named.get("content-length", "0")))
    return Arrival(method, path, pairs, body, time.monotonic())


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    body = b""
    while size := int((await reader.readline()).split(b";")[0], 16):
        body += await reader.readexactly(size)
        await reader.readline()
    await reader.readline()
    return body


def _head(code: int, headers: Sequence[tuple[str, str]] = ()) -> bytes:
    lines = [f"HTTP/1.1 {code} Answer", *(f"{name}: {value}" for name, value in headers)]
    if code >= 200 and code not in (204, 304):
        lines.append("Content-Length: 0")
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def status(code: int, **headers: str) -> Answer:
    """Answer with a status and no body; `retry_after="5"` is a header."""
    pairs = [(name.replace("_", "-"), value) for name, value in headers.items()]

    async def answer(visit: Visit) -> None:
        await visit.send(_head(code, pairs))

    return answer


def after_informational(code: int) -> Answer:
    """Answer 103 and then with a status: the first is no answer yet."""

    async def answer(visit: Visit) -> None:
        await visit.send(b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n" + _head(code))

    return answer


def saying(data: bytes) -> Answer:
    """Write bytes as they are, then drop the connection."""

    async def answer(visit: Visit) -> None:
        await visit.send(data)
        visit.drop()

    return answer


async def dropping(visit: Visit) -> None:
    """Drop the connection without an answer."""
    visit.drop()


def repeating(head: bytes, piece: bytes, pause: float) -> Answer:
    """Write `head`, then `piece` again and again, with a pause between, for as long as the other side stays."""

    async def answer(visit: Visit) -> None:
        await visit.send(head)
        while True:
            await visit.send(piece)
            await asyncio.sleep(pause)

    return answer


async def hanging(visit: Visit) -> None:
    """Take the request and never answer."""
    await visit.gone()
