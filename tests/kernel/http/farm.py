"""Receivers on this machine that play whatever a hostile one can, and the cases of `ssrf_cases.json`."""

import asyncio
import contextlib
import json
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Container, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from temula.kernel.addresses import AddressPolicy
from temula.kernel.http import (
    Http,
    Limits,
    NotSent,
    OutcomeUnknown,
    Request,
    Response,
)

CASES = json.loads((Path(__file__).parents[2] / "testdata" / "ssrf_cases.json").read_text())["cases"]
PUBLIC = AddressPolicy(own_hosts=frozenset({"api.temula.example.com"}))
HERE = AddressPolicy(allow_loopback=True)
QUICK = Limits(resolve=0.5, connect=0.3, tls=0.3)
GOOD = "93.184.216.34"
CAP = 65536
MIB = 1 << 20
OK = b"HTTP/1.1 200 OK\r\n"
EMPTY = b"Content-Length: 0\r\n\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"

Play = Callable[[asyncio.StreamWriter], Awaitable[None]]


def cases(group: str, only: "Container[str] | None" = None) -> list[Any]:
    group_cases = [case for case in CASES if case["group"] == group]
    return [pytest.param(case, id=case["id"]) for case in group_cases if only is None or case["id"] in only]


@dataclass
class Receiver:
    """A receiver on this machine that plays what it is told after each request it has read."""

    play: Play
    port: int = 0
    requests: list[bytes] = field(default_factory=list)
    heard: dict[int, list[bytes]] = field(default_factory=dict)  # the same, by connection
    connections: int = 0
    snis: list[str | None] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        heard = self.heard.setdefault(self.connections, [])
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError, ssl.SSLError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = next(
                    (int(line[15:]) for line in head.split(b"\r\n") if line.startswith(b"Content-Length:")), 0
                )
                self.requests.append(head + await reader.readexactly(length))
                heard.append(self.requests[-1])
                await self.play(writer)
        writer.close()


@contextlib.asynccontextmanager
async def receiver(
    play: Play | bytes, *, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1"
) -> AsyncIterator[Receiver]:
    there = Receiver(says(play) if isinstance(play, bytes) else play)
    server = await asyncio.start_server(there.serve, host, 0, ssl=tls)
    there.port = server.sockets[0].getsockname()[1]
    if tls is not None:
        tls.sni_callback = lambda _socket, name, _context: there.snis.append(name)
    try:
        yield there
    finally:
        server.close()


def says(reply: bytes) -> Play:
    """Send the bytes and close, unless they end a message that keeps the connection."""

    async def play(writer: asyncio.StreamWriter) -> None:
        writer.write(reply)
        await writer.drain()
        if not reply.endswith(EMPTY):
            writer.close()

    return play


def endless(head: bytes, piece: bytes, sent: "list[int] | None" = None) -> Play:
    """As fast as it goes, cut at 300 MiB so that a failing client cannot take the machine down."""

    async def play(writer: asyncio.StreamWriter) -> None:
        writer.write(head)
        for count in range(300 * MIB // len(piece)):
            writer.write(piece)
            await writer.drain()
            if sent is not None:
                sent[:] = [count * len(piece)]

    return play


def drips(head: bytes, drop: bytes) -> Play:
    async def play(writer: asyncio.StreamWriter) -> None:
        writer.write(head)
        while True:
            writer.write(drop)
            await writer.drain()
            await asyncio.sleep(0.05)

    return play


async def silent(_writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(60)


async def resets(writer: asyncio.StreamWriter) -> None:
    writer.write(OK + b"Content-Length: 100\r\n\r\nabc")
    await writer.drain()
    await asyncio.sleep(0.05)
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


def status(line: bytes) -> bytes:
    return b"HTTP/1.1 " + line + b"\r\n" + EMPTY


def a_request(url: str, *, deadline: float = 2.0, headers: "dict[str, str] | None" = None) -> Request:
    return Request("POST", url, headers or {}, b"{}", deadline=deadline, max_response_bytes=CAP)


async def verdict(http: Http, request: Request, policy: AddressPolicy) -> tuple[str, str | None, Response | None]:
    """What the delivery engine will make of it: a 2xx that was seen is delivered, whatever became of the body."""
    code, answer = None, None
    try:
        answer = await http.send(request, policy=policy)
    except OutcomeUnknown as unknown:
        code, answer = unknown.code, unknown.answer
    except NotSent as not_sent:
        code = not_sent.code
    if answer is not None and 200 <= answer.status < 300:
        return "delivered", None, answer
    if answer is not None and 300 <= answer.status < 400:
        return "attempt_failed", "redirect_not_followed", answer
    return "attempt_failed", code or (f"http_{answer.status}" if answer else None), answer


@contextlib.contextmanager
def black_hole() -> Iterator[str]:
    """The URL of a host that never accepts: its queue is full, and the kernel drops what knocks."""
    with socket.socket() as full, contextlib.ExitStack() as fillers:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for _ in range(8):
            filler = fillers.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(full.getsockname())
        yield f"http://127.0.0.1:{full.getsockname()[1]}/"


class Names:
    """A resolver that reads from the script of a case, and counts."""

    def __init__(self, script: list[dict[str, Any]]) -> None:
        self.script = script
        self.queries = 0

    async def __call__(self, host: str) -> list[str]:
        answer = self.script[min(self.queries, len(self.script) - 1)]
        self.queries += 1
        await asyncio.sleep(answer.get("delay_s", 0) / 10)
        if "rcode" in answer:
            raise socket.gaierror(socket.EAI_AGAIN, answer["rcode"])
        return [*answer.get("A", []), *answer.get("AAAA", [])]
