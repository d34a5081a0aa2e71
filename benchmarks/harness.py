"""What benchmarks stand on: a real `temula up`, a bare load generator, medians of rounds."""

import asyncio
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httptools

ROUNDS = 3
START_LIMIT = 90.0


class Served(NamedTuple):
    """A running Temula: its address, a token of all abilities, and its data folder."""

    base_url: str
    token: str
    folder: Path
    started_in: float

    @property
    def port(self) -> int:
        return int(self.base_url.rpartition(":")[2])

    @property
    def owner_url(self) -> str:
        return (self.folder / "run" / "database-url").read_text().strip()

    @property
    def quickstart(self) -> dict[str, str]:
        found: dict[str, str] = json.loads((self.folder / "quickstart.json").read_text())
        return found

    def call(self, method: str, path: str, body: object = None) -> Any:
        """One plain request, for preparing."""
        request = urllib.request.Request(
            f"{self.base_url}/api/v1{path}", method=method, data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"},
        )  # fmt: skip
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)


@contextmanager
def served(folder: Path | None = None) -> Iterator[Served]:
    """`temula up` in a folder of its own, stopped at the end; a folder that is given is kept."""
    with tempfile.TemporaryDirectory(prefix="temula-bench-") as scratch:
        data = folder or reachable(scratch) / "var"
        port = _free_port()
        environ = {**os.environ, "TEMULA_DATA_DIR": str(data), "PORT": str(port), "PYTHONUNBUFFERED": "1"}
        environ.pop("TEMULA_DATABASE_URL", None)
        began = time.monotonic()
        command = [sys.executable, "-m", "temula.operations.cli", "up"]
        with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True) as process:
            try:
                assert process.stdout is not None
                for line in process.stdout:
                    if "Documentation" in line:
                        break
                else:
                    raise RuntimeError("temula up ended before it was ready")
                took = time.monotonic() - began
                token = json.loads((data / "quickstart.json").read_text())["token"]
                yield Served(f"http://localhost:{port}", token, data, took)
            finally:
                process.send_signal(signal.SIGINT)
                process.wait(30)


def reachable(scratch: str) -> Path:
    """The folder, passable for the user that root lends PostgreSQL to; else the data would be put elsewhere."""
    path = Path(scratch)
    path.chmod(0o711)
    return path


class Load(NamedTuple):
    """What a round of requests took."""

    rate: float
    p50_ms: float
    p99_ms: float


async def load(port: int, requests: list[bytes], *, at_once: int) -> Load:
    """Send ready-made requests over kept connections, `at_once` of them at a time; any status but 2xx is an error."""
    waiting = list(reversed(requests))
    took: list[float] = []

    async def one() -> None:
        client = await _Client.connect(port)
        while waiting:
            request = waiting.pop()
            began = time.perf_counter()
            status = await client.send(request)
            took.append(time.perf_counter() - began)
            if not 200 <= status < 300:
                raise RuntimeError(f"the API answered {status}")
        client.close()

    began = time.perf_counter()
    await asyncio.gather(*(one() for _ in range(at_once)))
    return _load(took, time.perf_counter() - began)


async def repeat(act: Callable[[int], Awaitable[object]], number: int, *, at_once: int) -> Load:
    """Do `act(n)` for each n below `number`, `at_once` at a time: the bare way to compare with."""
    waiting = list(range(number))
    took: list[float] = []

    async def one() -> None:
        while waiting:
            n = waiting.pop()
            began = time.perf_counter()
            await act(n)
            took.append(time.perf_counter() - began)

    began = time.perf_counter()
    await asyncio.gather(*(one() for _ in range(at_once)))
    return _load(took, time.perf_counter() - began)


def median(rounds: list[Load]) -> Load:
    """The median of each figure over the rounds."""
    return Load(*(statistics.median(values) for values in zip(*rounds, strict=True)))


def http_request(method: str, port: int, path: str, token: str, body: object = None) -> bytes:
    """A request as it goes over the wire."""
    data = b"" if body is None else json.dumps(body, separators=(",", ":")).encode()
    head = (
        f"{method} {path} HTTP/1.1\r\nHost: localhost:{port}\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n"
    )
    return head.encode() + data


class _Client(asyncio.Protocol):
    """A bare HTTP/1.1 client: so little work that the server is what is measured."""

    def __init__(self) -> None:
        self._answer: asyncio.Future[int] | None = None
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)

    @classmethod
    async def connect(cls, port: int) -> "_Client":
        _, client = await asyncio.get_running_loop().create_connection(cls, "127.0.0.1", port)
        return client

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_complete(self) -> None:
        answer, self._answer = self._answer, None
        if answer is not None and not answer.done():
            answer.set_result(self._parser.get_status_code())
        self._parser = httptools.HttpResponseParser(self)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(ConnectionError("the server closed the connection"))

    async def send(self, request: bytes) -> int:
        assert self._transport is not None
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._answer

    def close(self) -> None:
        assert self._transport is not None
        self._transport.close()


def _load(took: list[float], whole: float) -> Load:
    ordered = sorted(took)
    return Load(len(took) / whole, ordered[len(took) // 2] * 1000, ordered[int(len(took) * 0.99)] * 1000)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
