"""Makes a connection: the name is resolved once, all answers checked if a customer chose it, and only those dialled."""

import asyncio
import socket
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from temula.kernel.addresses import MAX_DIALLED, AddressPolicy, AddressRefused, CheckedUrl, check_answers
from temula.kernel.http.model import NotSent
from temula.kernel.http.resolving import Resolve
from temula.kernel.http.wire import Connection

# Makes the socket for an address; a test makes one that connects elsewhere.
MakeSocket = Callable[[str], socket.socket]


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds for each stage before the request leaves; the request's own deadline still covers them all."""

    resolve: float = 5.0
    connect: float = 5.0
    tls: float = 5.0


class Reach:
    """Dials within the limits of each stage. Raises `NotSent` for whatever goes wrong: nothing has been sent yet."""

    def __init__(
        self, resolve: Resolve, resolve_own: Resolve, make_socket: MakeSocket, tls: ssl.SSLContext, limits: Limits
    ) -> None:
        self._resolve = resolve
        self._resolve_own = resolve_own
        self._make_socket = make_socket
        self._tls = tls
        self._limits = limits

    async def connection(self, url: CheckedUrl, policy: AddressPolicy | None, until: float) -> Connection:
        """A connection that is ready for the request, TLS verified for the name of the URL; `until` is the loop's."""
        loop = asyncio.get_running_loop()
        addresses = await self._addresses(loop, url, policy, until)
        dialled, address = await self._dial(loop, addresses, url.port, until)
        made = Connection(loop, address)
        try:
            await self._begin(loop, made, dialled, url, until)
        except BaseException:
            made.abort()
            dialled.close()
            raise
        return made

    async def _addresses(
        self, loop: asyncio.AbstractEventLoop, url: CheckedUrl, policy: AddressPolicy | None, until: float
    ) -> Sequence[str]:
        host = url.host.strip("[]")
        literal = url.loopback and host != "localhost"
        answers = (host,) if literal else await self._resolved(loop, host, until, own=policy is None)
        if policy is None:
            return answers[:MAX_DIALLED]
        try:
            # Whatever is dialled for a customer has come through here, whoever said that it is right.
            return check_answers(answers, policy, loopback=url.loopback)
        except AddressRefused as refused:
            raise NotSent(refused.code, refused.detail) from None

    async def _resolved(self, loop: asyncio.AbstractEventLoop, host: str, until: float, *, own: bool) -> Sequence[str]:
        resolve = self._resolve_own if own else self._resolve
        try:
            async with asyncio.timeout_at(min(until, loop.time() + self._limits.resolve)):
                answers = await resolve(host)
        except (OSError, UnicodeError):  # a timeout is an OSError
            raise NotSent("dns_error") from None
        if not answers:
            raise NotSent("dns_error")
        return answers

    async def _dial(
        self, loop: asyncio.AbstractEventLoop, addresses: Sequence[str], port: int, until: float
    ) -> tuple[socket.socket, str]:
        """Try one after the other, each for its share of the time that is left."""
        end = min(until, loop.time() + self._limits.connect)
        failure = NotSent("connect_failed")
        for number, address in enumerate(addresses):
            share = (end - loop.time()) / (len(addresses) - number)
            try:
                return await self._dial_one(loop, address, port, share), address
            except TimeoutError:
                failure = NotSent("connect_timeout")
            except ConnectionRefusedError:
                failure = NotSent("connect_refused")
            except OSError:
                failure = NotSent("connect_failed")
        raise failure

    async def _dial_one(self, loop: asyncio.AbstractEventLoop, address: str, port: int, share: float) -> socket.socket:
        made = self._make_socket(address)
        try:
            made.settimeout(0)
            async with asyncio.timeout(share):
                await loop.sock_connect(made, (address, port))
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except BaseException:
            made.close()
            raise
        return made

    async def _begin(
        self, loop: asyncio.AbstractEventLoop, made: Connection, dialled: socket.socket, url: CheckedUrl, until: float
    ) -> None:
        secure = url.scheme == "https"
        try:
            async with asyncio.timeout_at(min(until, loop.time() + self._limits.tls)):
                await loop.create_connection(
                    lambda: made,
                    sock=dialled,
                    ssl=self._tls if secure else None,
                    server_hostname=url.host.strip("[]") if secure else None,
                )
        except TimeoutError:
            raise NotSent("tls_timeout" if secure else "timeout") from None
        except ssl.SSLCertVerificationError as refused:
            raise NotSent("tls_error", f"the certificate was not accepted: {refused.verify_message}") from None
        except OSError:
            raise NotSent("tls_error" if secure else "connect_failed") from None


def plain_socket(address: str) -> socket.socket:
    """A TCP socket for the address."""
    return socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)


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
