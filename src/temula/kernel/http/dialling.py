"""One attempt to reach a host: resolved once, every answer checked, and no socket made for any other address."""

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from dataclasses import dataclass
from enum import Enum
from typing import Final

from aiohttp import AddrInfoType
from aiohttp.abc import AbstractResolver, ResolveResult

from temula.kernel.addresses import AddressPolicy, CheckedUrl, check_answers

Resolve = Callable[[str], Awaitable[Sequence[str]]]
MakeSocket = Callable[[AddrInfoType], socket.socket]

# A thread waits as long as the name server makes it: without a bound, dead names would take every thread we have.
RESOLVER_THREADS: Final = 8


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds for each stage before the request leaves; the request's own deadline still covers them all."""

    resolve: float = 5.0
    connect: float = 5.0
    tls: float = 5.0


class Stage(Enum):
    WAITING = "waiting"
    RESOLVING = "resolving"
    CONNECTING = "connecting"
    HANDSHAKING = "handshaking"
    SENT = "sent"


class Attempt:
    """How far one request has come. It ends the wait when the stage or the whole takes too long.

    From the moment a connection is ours the request counts as sent: that a byte did not leave cannot be proved after.
    """

    def __init__(self, limits: Limits, deadline: float, *, policy: AddressPolicy | None) -> None:
        self._loop = asyncio.get_running_loop()
        self._limits = limits
        self._timer: asyncio.TimerHandle | None = None
        self._sockets: list[socket.socket] = []
        self.started = self._loop.time()
        self._end = self.started + deadline
        self.timeout = asyncio.timeout(None)
        self.stage = Stage.WAITING
        self.sent = False
        self.policy = policy
        self.url: CheckedUrl | None = None
        self.allowed: tuple[str, ...] | None = None
        self.address: str | None = None
        self.expired = False
        self._stopped = False

    @property
    def secure(self) -> bool:
        return self.url is not None and self.url.scheme == "https"

    @property
    def loopback(self) -> bool:
        return self.url is not None and self.url.loopback

    @property
    def elapsed(self) -> float:
        return self._loop.time() - self.started

    def enter(self, stage: Stage) -> None:
        if self._stopped:  # a look-up that went on in the background after its request had ended
            return
        self.stage = stage
        seconds = {
            Stage.RESOLVING: self._limits.resolve,
            Stage.CONNECTING: self._limits.connect,
            Stage.HANDSHAKING: self._limits.tls,
        }.get(stage)
        if self._timer is not None:
            self._timer.cancel()
        at = self._end if seconds is None else min(self._end, self._loop.time() + seconds)
        self._timer = self._loop.call_at(at, self._time_is_up)

    def stop(self) -> None:
        self._stopped = True
        if self._timer is not None:
            self._timer.cancel()

    def dialling(self, made: socket.socket) -> None:
        self._sockets.append(made)
        if self.stage is not Stage.CONNECTING:
            self.enter(Stage.CONNECTING)

    def connected(self) -> None:
        self.address = self._peer()
        self._sockets.clear()
        self.sent = True
        self.enter(Stage.SENT)

    def _time_is_up(self) -> None:
        # aiohttp does not say when TCP ends and TLS begins; a socket that has a peer does.
        if self.stage is Stage.CONNECTING and self.secure and self._peer() is not None:
            if self._loop.time() < self._end:
                self.enter(Stage.HANDSHAKING)
                return
            self.stage = Stage.HANDSHAKING
        self.expired = True
        self.timeout.reschedule(self._loop.time())

    def _peer(self) -> str | None:
        for made in self._sockets:
            try:
                return str(made.getpeername()[0])
            except OSError:  # it lost the race, or nobody has answered yet
                continue
        return None


current_attempt: ContextVar[Attempt | None] = ContextVar("current_attempt", default=None)


class NotChecked(OSError):
    """Somebody asked for a connection to an address that was never checked; an OSError, as aiohttp expects."""


class CheckingResolver(AbstractResolver):
    """What aiohttp asks for addresses: for a customer's host it gives only answers that passed, all or none."""

    def __init__(self, resolve: Resolve) -> None:
        self._resolve = resolve

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        attempt = _attempt()
        attempt.enter(Stage.RESOLVING)
        answers = await self._resolve(host)
        if not answers:
            raise OSError(f"no address for {host}")
        if attempt.policy is not None:
            answers = check_answers(answers, attempt.policy, loopback=attempt.loopback)
            attempt.allowed = tuple(answers)
        return [
            ResolveResult(
                hostname=host,
                host=answer,
                port=port,
                family=socket.AF_INET6 if ":" in answer else socket.AF_INET,
                proto=socket.IPPROTO_TCP,
                flags=socket.AI_NUMERICHOST,
            )
            for answer in answers
        ]

    async def close(self) -> None:
        """Nothing is held open."""


def guarded(make_socket: MakeSocket) -> MakeSocket:
    """The choke point: every socket of the client is made here, so an address that was not checked is not dialled."""

    def make(info: AddrInfoType) -> socket.socket:
        attempt = _attempt()
        if attempt.policy is not None and (attempt.allowed is None or info[4][0] not in attempt.allowed):
            raise NotChecked("only addresses that passed the check are dialled")
        made = make_socket(info)
        attempt.dialling(made)
        return made

    return make


def plain_socket(info: AddrInfoType) -> socket.socket:
    return socket.socket(family=info[0], type=info[1], proto=info[2])


class SystemResolver:
    """The operating system's resolver on a few threads of our own; nobody asks for a name that is being looked up."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(RESOLVER_THREADS, thread_name_prefix="resolve")
        self._running: dict[str, asyncio.Future[list[str]]] = {}

    async def __call__(self, host: str) -> Sequence[str]:
        attempt = _attempt()
        return await (self.look_up(host) if attempt.policy is None or attempt.loopback else self.public(host))

    async def public(self, host: str) -> Sequence[str]:
        """The addresses of a name in the public DNS, or of `localhost`."""
        # The dot keeps the search domains of resolv.conf out of what a customer's host can mean.
        return await self.look_up(host if host == "localhost" else f"{host}.")

    async def look_up(self, name: str) -> Sequence[str]:
        """The addresses of the name. Raises `OSError`."""
        running = self._running.get(name)
        if running is None:
            # One dead name, asked a hundred times, holds one thread and not all of them.
            running = asyncio.get_running_loop().run_in_executor(self._threads, _look_up, name)
            self._running[name] = running
            running.add_done_callback(lambda ended: self._ended(name, ended))
        return list(dict.fromkeys(await asyncio.shield(running)))

    def _ended(self, name: str, ended: "asyncio.Future[list[str]]") -> None:
        del self._running[name]
        if not ended.cancelled():
            ended.exception()  # seen, though nobody may be waiting any more

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)


def _look_up(name: str) -> list[str]:
    found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    return [str(address[0]) for _, _, _, _, address in found]


def trusted_tls() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context


def verifying(tls: ssl.SSLContext) -> ssl.SSLContext:
    """The context, if it verifies. Raises `ValueError`: verification cannot be switched off."""
    if (
        tls.verify_mode is not ssl.CERT_REQUIRED
        or not tls.check_hostname
        or tls.minimum_version < ssl.TLSVersion.TLSv1_2
    ):
        raise ValueError("TLS is verified, by name, from version 1.2 on: this context does not")
    return tls


def _attempt() -> Attempt:
    attempt = current_attempt.get()
    if attempt is None:
        raise RuntimeError("only Http.send dials")
    return attempt
