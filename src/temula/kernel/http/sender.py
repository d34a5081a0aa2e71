"""Sends webhooks: POST over HTTP/1.1 to addresses that customers gave us, quickly, and safely whatever answers.

No redirect is followed, nothing is decompressed, no cookie is kept, no challenge is answered, and no proxy is taken
from the environment. One deadline covers everything; what is read is bounded while it is read.
"""

import asyncio
import ssl
from collections.abc import Collection, Hashable
from types import TracebackType
from typing import Final, Self

import structlog

from temula.kernel.addresses import AddressPolicy, AddressRefused, CheckedUrl, check_url
from temula.kernel.http.deadlines import Deadlines
from temula.kernel.http.dialling import (
    Limits,
    MakeSocket,
    Resolve,
    SystemResolver,
    plain_socket,
    trusted_tls,
    verifying,
)
from temula.kernel.http.headers import HeaderRefused, header_lines
from temula.kernel.http.keeping import MAX_IDLE, Kept, Place
from temula.kernel.http.model import HttpError, NotSent, OutcomeUnknown, Request, Response, TransactionOpen, redact
from temula.kernel.http.reaching import Reach
from temula.kernel.http.wire import Connection
from temula.kernel.waiting import open_unit

MAX_HOPS: Final = 3
HOPS: Final = "Temula-Hops"
REMEMBERED: Final = 10_000

log = structlog.get_logger()


class Sender:
    """Open it once in a process; a test injects `resolve`, `make_socket` and `tls` instead of the system's."""

    def __init__(
        self,
        *,
        resolve: Resolve | None = None,
        make_socket: MakeSocket = plain_socket,
        tls: ssl.SSLContext | None = None,
        limits: Limits | None = None,
        user_agent: str = "Temula",
        max_idle: int = MAX_IDLE,
    ) -> None:
        self._resolve = resolve
        self._make_socket = make_socket
        self._tls = verifying(tls or trusted_tls())
        self._limits = limits or Limits()
        self._defaults = {"User-Agent": user_agent}
        self._max_idle = max_idle
        self._urls: dict[str, tuple[AddressPolicy, CheckedUrl, str]] = {}
        self._opened: _Opened | None = None

    async def open(self) -> None:
        """Begin; it belongs to the loop that runs now."""
        self._opened = _Opened(self._resolve, self._make_socket, self._tls, self._limits, self._max_idle)

    async def close(self) -> None:
        """Close what is kept. What is being sent ends by itself."""
        if self._opened is not None:
            self._opened.close()
            self._opened = None

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def send(
        self, request: Request, *, policy: AddressPolicy, secrets: Collection[str] = (), reuse: Hashable = None
    ) -> Response:
        """One attempt. `reuse` names the endpoint: over its connection goes nothing that was sent under another name.

        Without it the connection is closed afterwards. With it, a kept connection that the receiver has closed
        meanwhile, before a byte of an answer, is replaced once: then the receiver may see the request twice, so it has
        to know it again (by its `webhook-id`). `secrets` never reach a log or an error.

        Raises `NotSent` or `OutcomeUnknown`; any status that came is an answer.
        """
        unit = open_unit.get()
        if unit is not None:
            raise TransactionOpen(f"end the unit of work ({unit}) before sending: prepare, send, record")
        opened = self._opened
        if opened is None:
            raise RuntimeError("open the sender first: async with Sender() as sender")
        began = opened.loop.time()
        url: CheckedUrl | None = None
        outcome: Response | HttpError | None = None
        try:
            url, question = self._written(request, policy, keep=reuse is not None)
            outcome = await self._exchange(opened, request, question, Place(reuse, url, policy), url, began)
        except HttpError as error:
            outcome = error
            raise
        finally:
            _log(request, url, outcome, opened.loop.time() - began, secrets)
        return outcome

    def _written(self, request: Request, policy: AddressPolicy, *, keep: bool) -> tuple[CheckedUrl, bytes]:
        """The whole request as bytes, each part checked. Raises `NotSent`."""
        if request.method != "POST":
            raise NotSent("request_invalid", "the sender only posts")
        if request.hops >= MAX_HOPS:
            raise NotSent("loop_detected")
        remembered = self._urls.get(request.url)
        if remembered is None or remembered[0] is not policy:
            remembered = self._read(request.url, policy)
        try:
            lines = header_lines(request.headers, self._defaults)
        except HeaderRefused as refused:
            raise NotSent("request_invalid", refused.detail) from None
        close = "" if keep else "Connection: close\r\n"
        body = request.body
        head = f"{remembered[2]}{lines}{HOPS}: {request.hops + 1}\r\n{close}Content-Length: {len(body)}\r\n\r\n"
        return remembered[1], head.encode("ascii") + body

    def _read(self, text: str, policy: AddressPolicy) -> tuple[AddressPolicy, CheckedUrl, str]:
        try:
            url = check_url(text, policy)
        except AddressRefused as refused:
            raise NotSent(refused.code, refused.detail) from None
        host = url.url[len(url.scheme) + 3 : len(url.url) - len(url.target)]
        start = f"POST {url.target} HTTP/1.1\r\nHost: {host}\r\nAccept-Encoding: identity\r\n"
        if len(self._urls) >= REMEMBERED:
            self._urls.clear()
        self._urls[text] = remembered = (policy, url, start)
        return remembered

    async def _exchange(
        self, opened: "_Opened", request: Request, question: bytes, place: Place, url: CheckedUrl, began: float
    ) -> Response:
        until = began + request.deadline
        connection = opened.kept.take(place) if place.key is not None else None
        if connection is not None:
            await _ask(opened, connection, question, request.max_response_bytes, until)
            answer = connection.answer
            if not (answer.code == "connection_closed" and answer.silent and opened.loop.time() < until):
                return _outcome(opened, connection, place, began)
        connection = await opened.reach.connection(url, place.policy, until)
        if connection.lost:
            raise NotSent("connect_failed")
        await _ask(opened, connection, question, request.max_response_bytes, until)
        return _outcome(opened, connection, place, began)


class _Opened:
    """What belongs to one event loop."""

    def __init__(
        self, resolve: Resolve | None, make_socket: MakeSocket, tls: ssl.SSLContext, limits: Limits, max_idle: int
    ) -> None:
        self.loop = asyncio.get_running_loop()
        self.deadlines = Deadlines(self.loop)
        self.kept = Kept(self.loop, max_idle)
        self._system = SystemResolver()
        self.reach = Reach(resolve or self._system.public, make_socket, tls, limits)

    def close(self) -> None:
        self.deadlines.close()
        self.kept.close()
        self._system.close()


async def _ask(opened: _Opened, connection: Connection, question: bytes, cap: int, until: float) -> None:
    waiter = connection.ask(question, cap)
    opened.deadlines.add(connection, until)
    try:
        await waiter
    except asyncio.CancelledError:
        connection.abort()
        raise
    finally:
        opened.deadlines.discard(connection)


def _outcome(opened: _Opened, connection: Connection, place: Place, began: float) -> Response:
    """The answer, or what went wrong, with what came; the connection is kept if it may be."""
    answer = connection.answer
    response = connection.response(opened.loop.time() - began) if answer.status else None
    code = answer.code
    if place.key is not None and connection.reusable:
        opened.kept.put(connection, place)
    else:
        connection.abort()
    if code is not None or response is None:
        raise OutcomeUnknown(code or "bad_response", response)
    return response


def _log(
    request: Request,
    url: CheckedUrl | None,
    outcome: Response | HttpError | None,
    took: float,
    secrets: Collection[str],
) -> None:
    """One line: of ten thousand answers a second only when debugging, as each is in the log of deliveries anyway."""
    answered = isinstance(outcome, Response)
    if answered and not log.is_enabled_for(10):
        return
    path = None if url is None else redact(url.target.partition("?")[0], secrets)
    fields: dict[str, object] = {"method": request.method, "host": url and url.host, "path": path}
    fields["ms"] = round(took * 1000)
    if isinstance(outcome, Response):
        log.debug("http.sent", status=outcome.status, bytes=len(outcome.body), **fields)
    else:
        log.warning("http.sent", error="cancelled" if outcome is None else outcome.code, bytes=0, **fields)
