"""Makes a connection to a customer's receiver: the name is resolved once, every answer checked, only those dialled."""

import asyncio
import socket
import ssl
from collections.abc import Sequence

from temula.kernel.addresses import AddressPolicy, AddressRefused, CheckedUrl, check_answers
from temula.kernel.http.dialling import Limits, MakeSocket, Resolve
from temula.kernel.http.model import NotSent
from temula.kernel.http.wire import Connection


class Reach:
    """Dials within the limits of each stage. Raises `NotSent` for whatever goes wrong: nothing has been sent yet."""

    def __init__(self, resolve: Resolve, make_socket: MakeSocket, tls: ssl.SSLContext, limits: Limits) -> None:
        self._resolve = resolve
        self._make_socket = make_socket
        self._tls = tls
        self._limits = limits

    async def connection(self, url: CheckedUrl, policy: AddressPolicy, until: float) -> Connection:
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
        self, loop: asyncio.AbstractEventLoop, url: CheckedUrl, policy: AddressPolicy, until: float
    ) -> Sequence[str]:
        answers: Sequence[str] = (url.host.strip("[]"),)
        if not url.loopback or url.host == "localhost":
            try:
                async with asyncio.timeout_at(min(until, loop.time() + self._limits.resolve)):
                    answers = await self._resolve(url.host)
            except (OSError, UnicodeError):  # a timeout is an OSError
                raise NotSent("dns_error") from None
        if not answers:
            raise NotSent("dns_error")
        try:
            # Whatever is dialled has come through here, whoever said that it is right.
            return check_answers(answers, policy, loopback=url.loopback)
        except AddressRefused as refused:
            raise NotSent(refused.code, refused.detail) from None

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
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        to = (address, port, 0, 0) if ":" in address else (address, port)
        made = self._make_socket((family, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", to))
        try:
            made.settimeout(0)
            async with asyncio.timeout(share):
                await loop.sock_connect(made, to)
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
