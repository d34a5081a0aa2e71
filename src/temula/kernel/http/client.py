"""Sends one request over HTTP/1.1 and gives back its answer, or says whether it may have happened.

No redirect is followed, nothing is decompressed, no cookie is kept, no challenge is answered, and no proxy is taken
from the environment. One deadline covers everything; what is read is bounded while it is read. A customer's address is
dialled only after it passed the policy, and nothing but that address is.
"""

import logging
import re
import ssl
from collections.abc import Collection, Hashable, Mapping
from types import TracebackType
from typing import Final, Self

import structlog

from temula.kernel.addresses import DEFAULT_PORTS, AddressPolicy, AddressRefused, CheckedUrl, check_url
from temula.kernel.http.exchanging import Opened, Target, exchange
from temula.kernel.http.headers import HeaderRefused, header_lines
from temula.kernel.http.keeping import MAX_IDLE
from temula.kernel.http.model import HttpError, NotSent, Request, Response, TransactionOpen, redact
from temula.kernel.http.posting import Poster
from temula.kernel.http.reaching import Limits, MakeSocket, plain_socket, trusted_tls, verifying
from temula.kernel.http.resolving import Resolve
from temula.kernel.waiting import open_unit

MAX_HOPS: Final = 3
HOPS: Final = "Temula-Hops"
REMEMBERED: Final = 10_000

# Answers to these have no end that a parser finds without knowing the question.
_UNREADABLE: Final = frozenset({"HEAD", "CONNECT"})
_BODILESS: Final = frozenset({"GET", "DELETE", "OPTIONS"})

log = structlog.get_logger()

_METHOD = re.compile(r"[A-Z]{1,16}")
_PROVIDER_URL = re.compile(
    r"(?P<scheme>https?)://(?P<host>[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<target>(?:[/?][\x21\x22\x24-\x5b\x5d-\x7e]*)?)"
)


class Http:
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
        self._targets: dict[tuple[str, str], Target] = {}
        self._opened: Opened | None = None

    async def open(self) -> None:
        """Begin; it belongs to the loop that runs now."""
        self._opened = Opened(self._resolve, self._make_socket, self._tls, self._limits, self._max_idle)

    async def close(self) -> None:
        """Close what is kept. What is being sent ends by itself, by its deadline at the latest."""
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
        self, request: Request, *, policy: AddressPolicy | None, secrets: Collection[str] = (), reuse: Hashable = None
    ) -> Response:
        """One attempt. Give a `policy` whenever somebody else chose the URL; `secrets` never reach a log or an error.

        A customer's connection is closed afterwards, unless `reuse` names the endpoint: then it is kept, and serves
        only what is sent under the same name. A provider's is always kept. If a kept one turns out to have been closed
        before a byte of the answer came, it is replaced once, for methods that may be repeated and under `reuse`: so
        who gives that has to be known again by the receiver, by `webhook-id`.

        Raises `NotSent` or `OutcomeUnknown`; any status that came is an answer.
        """
        unit = open_unit.get()
        if unit is not None:
            raise TransactionOpen(f"end the unit of work ({unit}) before sending: prepare, send, record")
        opened = self._opened
        if opened is None:
            raise RuntimeError("open the client first: async with Http() as http")
        began = opened.loop.time()
        target: Target | None = None
        outcome: Response | HttpError | None = None
        try:
            target = self._target(request, policy)
            key = target.origin if policy is None else reuse
            question = self._written(request, target, keep=key is not None)
            place = None if key is None else opened.kept.place(key, target.origin, policy)
            outcome = await exchange(opened, request, question, target, place, began)
        except HttpError as error:
            outcome = error
            raise
        finally:
            _log(request, target, outcome, opened.loop.time() - began, secrets)
        return outcome

    def poster(
        self, url: str, headers: Mapping[str, str], *, policy: AddressPolicy, reuse: str, deadline: float, cap: int
    ) -> Poster:
        """Give what POSTs to a customer's receiver again and again, each with these headers.

        `reuse` names the endpoint, as in `send`; `deadline` is in seconds, and `cap` in bytes of an answer's body.
        Raises `NotSent` for a URL or header that may not be sent.
        """
        if self._opened is None:
            raise RuntimeError("open the client first: async with Http() as http")
        target = self._target(Request("POST", url), policy)
        try:
            start = f"{target.start}{header_lines(headers, self._defaults)}{HOPS}: 1\r\n"
        except HeaderRefused as refused:
            raise NotSent("request_invalid", refused.detail) from None
        return Poster(self._opened, target, start, reuse, deadline=deadline, cap=cap)

    def _target(self, request: Request, policy: AddressPolicy | None) -> "Target":
        """Where it goes, checked. Raises `NotSent`."""
        known = self._targets.get((request.method, request.url))
        if known is not None and known.policy is policy:
            return known
        if not _METHOD.fullmatch(request.method) or request.method in _UNREADABLE:
            raise NotSent("request_invalid", "the method is not one that we send")
        url = _read_url(request.url, policy)
        host = url.url[len(url.scheme) + 3 : len(url.url) - len(url.target)]
        start = f"{request.method} {url.target} HTTP/1.1\r\nHost: {host}\r\nAccept-Encoding: identity\r\n"
        if len(self._targets) >= REMEMBERED:
            self._targets.clear()
        target = Target(url, policy, (url.scheme, url.host, url.port), start)
        self._targets[request.method, request.url] = target
        return target

    def _written(self, request: Request, target: "Target", *, keep: bool) -> bytes:
        """The whole request as bytes, each part checked. Raises `NotSent`."""
        try:
            lines = header_lines(request.headers, self._defaults)
        except HeaderRefused as refused:
            raise NotSent("request_invalid", refused.detail) from None
        if target.policy is not None:
            if request.hops >= MAX_HOPS:
                raise NotSent("loop_detected")
            lines = f"{lines}{HOPS}: {request.hops + 1}\r\n"
        close = "" if keep else "Connection: close\r\n"
        length = f"Content-Length: {len(request.body)}\r\n" if request.body or request.method not in _BODILESS else ""
        return f"{target.start}{lines}{close}{length}\r\n".encode("ascii") + request.body


def _read_url(url: str, policy: AddressPolicy | None) -> CheckedUrl:
    if policy is not None:
        try:
            return check_url(url, policy)
        except AddressRefused as refused:
            raise NotSent(refused.code, refused.detail) from None
    found = _PROVIDER_URL.fullmatch(url)
    if found is None or int(found["port"] or 0) > 65535:
        raise NotSent("request_invalid", "the provider's URL cannot be read")
    port = int(found["port"] or DEFAULT_PORTS[found["scheme"]])
    target = found["target"]
    return CheckedUrl(found["scheme"], found["host"].lower(), port, target if target[:1] == "/" else f"/{target}")


def _log(
    request: Request,
    target: Target | None,
    outcome: Response | HttpError | None,
    took: float,
    secrets: Collection[str],
) -> None:
    answered = isinstance(outcome, Response)
    if answered and target is not None and target.policy is not None and not log.is_enabled_for(logging.DEBUG):
        return  # every delivery is in its own log anyway
    url = None if target is None else target.url
    path = None if url is None else redact(url.target.partition("?")[0], secrets)
    fields: dict[str, object] = {"method": request.method, "host": url and url.host, "path": path}
    fields["ms"] = round(took * 1000)
    if not isinstance(outcome, Response):
        log.warning("http.sent", error="cancelled" if outcome is None else outcome.code, bytes=0, **fields)
        return
    write = log.info if target is None or target.policy is None else log.debug
    write("http.sent", status=outcome.status, bytes=len(outcome.body), **fields)
