"""Sends one request and gives back its answer, or says whether it may have happened.

No redirect is followed, nothing is decompressed, no cookie is kept and no proxy is taken from the environment. A
customer's connection is used for one request; a provider's is kept alive for the next, and aiohttp asks once more when
a kept one was closed under a method that may be repeated (GET, PUT, DELETE; never POST).
"""

import io
import re
import ssl
from collections.abc import Collection
from types import SimpleNamespace, TracebackType
from typing import Final, Self

import aiohttp
import structlog
from yarl import URL

from temula.kernel.addresses import DEFAULT_PORTS, AddressPolicy, CheckedUrl, check_url
from temula.kernel.http.dialling import (
    Attempt,
    CheckingResolver,
    Limits,
    MakeSocket,
    Resolve,
    Stage,
    SystemResolver,
    current_attempt,
    guarded,
    plain_socket,
    trusted_tls,
    verifying,
)
from temula.kernel.http.failures import FAILURES, MAX_HEADER_LINE, MAX_STATUS_LINE, name_failure
from temula.kernel.http.headers import check_request_headers
from temula.kernel.http.model import HttpError, NotSent, OutcomeUnknown, Request, Response, TransactionOpen, redact
from temula.kernel.waiting import open_unit

MAX_HEADER_BYTES: Final = 65536
MAX_HEADER_LINES: Final = 100
KEEP_ALIVE_SECONDS: Final = 30
PIECE: Final = 16384

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
    ) -> None:
        self._resolve = resolve
        self._system_resolver: SystemResolver | None = None
        self._make_socket = guarded(make_socket)
        self._tls = verifying(tls or trusted_tls())
        self._limits = limits or Limits()
        self._user_agent = user_agent
        self._providers: aiohttp.ClientSession | None = None
        self._customers: aiohttp.ClientSession | None = None

    async def open(self) -> None:
        self._system_resolver = SystemResolver()
        resolver = CheckingResolver(self._resolve or self._system_resolver)
        self._providers = self._session(resolver, keep_alive=True)
        self._customers = self._session(resolver, keep_alive=False)

    async def close(self) -> None:
        for session in (self._providers, self._customers):
            if session is not None:
                await session.close()
        self._providers = self._customers = None
        if self._system_resolver is not None:
            self._system_resolver.close()

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def send(self, request: Request, *, policy: AddressPolicy | None, secrets: Collection[str] = ()) -> Response:
        """One attempt. Give a `policy` whenever somebody else chose the URL; `secrets` never reach a log or an error.

        Raises `NotSent` or `OutcomeUnknown`; any status that came is an answer.
        """
        unit = open_unit.get()
        if unit is not None:
            raise TransactionOpen(f"end the unit of work ({unit}) before sending: prepare, send, record")
        attempt = Attempt(self._limits, request.deadline, policy=policy)
        outcome: Response | HttpError | None = None
        try:
            outcome = await self._exchange(request, attempt)
        finally:
            _log(request, attempt, outcome, secrets)
        if isinstance(outcome, HttpError):
            # Raised here and not where it was caught: aiohttp's errors carry the request's headers.
            raise outcome
        return outcome

    async def _exchange(self, request: Request, attempt: Attempt) -> Response | HttpError:
        arriving = _Arriving(request.max_response_bytes)
        token = current_attempt.set(attempt)
        try:
            async with attempt.timeout:
                attempt.enter(Stage.WAITING)
                await self._converse(request, attempt, arriving)
            return arriving.response(attempt)
        except FAILURES as error:
            return name_failure(error, attempt, arriving.response(attempt) if arriving.status else None)
        finally:
            attempt.stop()
            current_attempt.reset(token)

    async def _converse(self, request: Request, attempt: Attempt, arriving: "_Arriving") -> None:
        headers = self._headers(request)
        url = attempt.url = _read_url(request.url, attempt.policy)
        if url.loopback and url.host != "localhost":
            attempt.allowed = (url.host.strip("[]"),)
        async with self._session_for(attempt.policy).request(
            request.method,
            URL(url.url, encoded=True),
            headers=headers,
            data=_body(request.body),
            allow_redirects=False,
            skip_auto_headers={"Content-Type"},
        ) as answer:
            arriving.head(answer)
            await arriving.read(answer.content)
            if arriving.truncated:
                answer.close()

    def _headers(self, request: Request) -> dict[str, str]:
        if not _METHOD.fullmatch(request.method):
            raise NotSent("request_invalid", "the method is not a word in capitals")
        headers = dict(check_request_headers(request.headers))
        if "user-agent" not in {name.lower() for name in headers}:
            headers["User-Agent"] = self._user_agent
        headers["Accept-Encoding"] = "identity"
        return headers

    def _session_for(self, policy: AddressPolicy | None) -> aiohttp.ClientSession:
        session = self._providers if policy is None else self._customers
        if session is None:
            raise RuntimeError("open the client first: async with Http() as http")
        return session

    def _session(self, resolver: CheckingResolver, *, keep_alive: bool) -> aiohttp.ClientSession:
        traces = aiohttp.TraceConfig()
        traces.on_connection_create_end.append(_connected)
        traces.on_connection_reuseconn.append(_connected)
        connector = aiohttp.TCPConnector(
            resolver=resolver,
            use_dns_cache=False,
            ssl=self._tls,
            force_close=not keep_alive,
            keepalive_timeout=KEEP_ALIVE_SECONDS if keep_alive else None,
            limit=0,
            socket_factory=self._make_socket,
        )
        return aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),
            trust_env=False,
            auto_decompress=False,
            max_line_size=MAX_STATUS_LINE,
            max_field_size=MAX_HEADER_LINE,
            max_headers=MAX_HEADER_LINES,
            trace_configs=[traces],
        )


class _Arriving:
    """An answer as far as it has come, so that what came is not lost when the rest does not."""

    def __init__(self, cap: int) -> None:
        self._cap = cap
        self._headers: list[tuple[str, str]] = []
        self._body = bytearray()
        self.status = 0
        self.truncated = True

    def head(self, answer: aiohttp.ClientResponse) -> None:
        if sum(len(name) + len(value) + 4 for name, value in answer.raw_headers) > MAX_HEADER_BYTES:
            raise OutcomeUnknown("response_headers_too_large")
        if not 200 <= answer.status <= 999:
            raise OutcomeUnknown("bad_response")
        self._headers = [(_text(name), _text(value)) for name, value in answer.raw_headers]
        self.status = answer.status

    async def read(self, content: aiohttp.StreamReader) -> None:
        while len(self._body) <= self._cap:
            piece = await content.read(PIECE)
            if not piece:
                self.truncated = False
                return
            self._body += piece

    def response(self, attempt: Attempt) -> Response:
        return Response(
            status=self.status,
            headers=self._headers,
            body=bytes(self._body[: self._cap]),
            truncated=self.truncated,
            duration=attempt.elapsed,
            address=attempt.address,
        )


async def _connected(session: aiohttp.ClientSession, context: SimpleNamespace, params: object) -> None:
    attempt = current_attempt.get()
    if attempt is not None:
        attempt.connected()


def _read_url(url: str, policy: AddressPolicy | None) -> CheckedUrl:
    if policy is not None:
        return check_url(url, policy)
    found = _PROVIDER_URL.fullmatch(url)
    if found is None or int(found["port"] or 0) > 65535:
        raise NotSent("request_invalid", "the provider's URL cannot be read")
    port = int(found["port"] or DEFAULT_PORTS[found["scheme"]])
    target = found["target"]
    return CheckedUrl(found["scheme"], found["host"].lower(), port, target if target[:1] == "/" else f"/{target}")


def _body(body: bytes) -> bytes | aiohttp.BytesIOPayload | None:
    # A large body in one write would block the loop.
    return aiohttp.BytesIOPayload(io.BytesIO(body)) if len(body) > MAX_HEADER_BYTES else body or None


def _text(header: bytes) -> str:
    return header.decode("utf-8", "replace")


def _log(request: Request, attempt: Attempt, outcome: Response | HttpError | None, secrets: Collection[str]) -> None:
    url = attempt.url
    path = None if url is None else redact(url.target.partition("?")[0], secrets)
    fields: dict[str, object] = {"method": request.method, "host": url and url.host, "path": path}
    fields["ms"] = round(attempt.elapsed * 1000)
    if isinstance(outcome, Response):
        log.info("http.sent", status=outcome.status, bytes=len(outcome.body), **fields)
    else:
        log.warning("http.sent", error="cancelled" if outcome is None else outcome.code, bytes=0, **fields)
