"""The one door out against hostile names, certificates and receivers, all of them on this machine.

Public test addresses are routed to local receivers by an injected socket, which also records what was dialled.
"""

import asyncio
import contextlib
import datetime as dt
import ipaddress
import json
import os
import socket
import ssl
import struct
import time
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable, Container
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import AddrInfoType
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from structlog.testing import capture_logs

from temula.kernel.addresses import AddressPolicy, CheckedUrl
from temula.kernel.http import (
    HeaderRefused,
    Http,
    HttpError,
    Limits,
    NotSent,
    OutcomeUnknown,
    Request,
    Response,
    TransactionOpen,
    check_customer_headers,
    redact,
)
from temula.kernel.waiting import open_unit

CASES = json.loads((Path(__file__).parents[1] / "testdata" / "ssrf_cases.json").read_text())["cases"]
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


# --- receivers ---------------------------------------------------------------------------------------------------


@dataclass
class Receiver:
    """A receiver on this machine that plays what it is told after each request it has read."""

    play: Play
    port: int = 0
    requests: list[bytes] = field(default_factory=list)
    connections: int = 0
    snis: list[str | None] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError, ssl.SSLError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = next(
                    (int(line[15:]) for line in head.split(b"\r\n") if line.startswith(b"Content-Length:")), 0
                )
                self.requests.append(head + await reader.readexactly(length))
                await self.play(writer)
        writer.close()


@contextlib.asynccontextmanager
async def receiver(play: Play | bytes, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[Receiver]:
    there = Receiver(says(play) if isinstance(play, bytes) else play)
    server = await asyncio.start_server(there.serve, "127.0.0.1", 0, ssl=tls)
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


PLAYS: dict[str, Play | bytes] = {
    "rx-accept-silent": silent,
    "rx-drip-headers": drips(OK, b"X-A: b\r\n"),
    "rx-body-inf": endless(OK + b"\r\n", b"a" * CAP),
    "rx-body-1g": endless(OK + b"Content-Length: 1073741824\r\n\r\n", b"a" * CAP),
    "rx-body-exact": OK + b"Content-Length: 65536\r\n\r\n" + b"a" * CAP,
    "rx-body-over": OK + b"Content-Length: 65537\r\n\r\n" + b"a" * (CAP + 1),
    "rx-br-bomb": OK + b"Content-Encoding: br\r\nContent-Length: 5\r\n\r\n\x8b\x02\x80\x00\x00",
    "rx-zstd-bomb": OK + b"Content-Encoding: zstd\r\nContent-Length: 5\r\n\r\n\x28\xb5\x2f\xfd\x00",
    "rx-deflate-bad": OK + b"Content-Encoding: deflate\r\nContent-Length: 5\r\n\r\nabcde",
    "rx-hdr-1m": OK + b"X-A: " + b"a" * MIB + b"\r\n\r\n",
    "rx-status-inf": endless(b"HTTP/1.1 200 ", b"a" * CAP),
    "rx-hdr-fold": OK + b"X-A: a\r\n b\r\n" + EMPTY,
    "rx-hdr-nul": OK + b"X-A: a\0b\r\n" + EMPTY,
    "rx-hdr-nocolon": OK + b"X-A a\r\n" + EMPTY,
    "rx-cl-dup": OK + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef",
    "rx-cl-neg": OK + b"Content-Length: -1\r\n\r\nabcdef",
    "rx-cl-huge": OK + b"Content-Length: 99999999999999999999\r\n\r\nabcdef",
    "rx-cl-short": OK + b"Content-Length: 100\r\n\r\n0123456789",
    "rx-chunk-huge": CHUNKED + b"ffffffffffffffff\r\nabc",
    "rx-chunk-ext": CHUNKED + b"3;" + b"a" * MIB + b"\r\nabc\r\n0\r\n\r\n",
    "rx-te-bad": OK + b"Transfer-Encoding: chunked, xchunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    "rx-h2-preface": b"\x00\x00\x12\x04\x00\x00\x00\x00\x00" + b"\x00" * 18,
    "rx-garbage": b"\x00" + os.urandom(1023),
    "rx-st-000": status(b"000 x"),
    "rx-st-99": status(b"99 x"),
    "rx-st-600": status(b"600 x"),
    "rx-st-1000": status(b"1000 x"),
    "rx-st-noreason": status(b"200"),
    "rx-st-201": status(b"201 x"),
    "rx-st-299": status(b"299 x"),
    "rx-rst-body": resets,
    "rx-fin-early": b"",
    "rx-extra-bytes": (OK + EMPTY) * 2,
    "rx-401-chal": status(b"401 x\r\nWWW-Authenticate: NTLM"),
    "rx-407": status(b"407 x\r\nProxy-Authenticate: Basic"),
    "rx-410": status(b"410 x"),
    "rx-429-ra": status(b"429 x\r\nRetry-After: 120"),
    "rx-nul-body": OK + b"Content-Length: 4\r\n\r\n\x00\xff\xfea",
    "rx-html-body": OK + b"Content-Length: 8\r\n\r\n<script>",
    "rx-set-cookie": status(b"200 OK\r\nSet-Cookie: a=b"),
}


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


@pytest.mark.parametrize("case", cases("receiver", PLAYS))
async def test_hostile_receiver_gets_its_verdict(case: dict[str, Any]) -> None:
    """Each receiver of the table ends in its verdict and code, in time, in 64 KiB, and is asked once."""
    async with receiver(PLAYS[case["id"]]) as there, Http() as http:
        began = time.monotonic()
        found, code, answer = await verdict(http, a_request(there.url, deadline=1.0), HERE)
    expected = case["expect"]
    assert time.monotonic() - began < min(expected["max_seconds"], 2.0)
    if expected["verdict"] != "delivered_or_failed":
        assert (found, code) == (expected["verdict"], expected.get("attempt_code"))
    if "body_truncated" in expected:
        assert answer is not None
        assert answer.truncated is expected["body_truncated"]
    assert answer is None or len(answer.body) <= CAP
    assert len(there.requests) == there.connections == 1


async def test_dripped_body_ends_at_the_deadline() -> None:
    """A body of a byte at a time ends with the whole deadline, and what came is kept with the error."""
    async with receiver(drips(OK + b"Content-Length: 9999\r\n\r\n", b"a")) as there, Http() as http:
        began = time.monotonic()
        with pytest.raises(OutcomeUnknown) as unknown:
            await http.send(a_request(there.url, deadline=0.5), policy=None)
    assert 0.4 < time.monotonic() - began < 1.0
    assert unknown.value.code == "timeout"
    assert unknown.value.answer is not None
    assert unknown.value.answer.status == 200
    assert unknown.value.answer.body.startswith(b"aaa")


@pytest.mark.parametrize("policy", [HERE, None], ids=["customer", "provider"])
async def test_endless_body_costs_neither_memory_nor_traffic(policy: AddressPolicy | None) -> None:
    """A 300 MiB body stops at the cap: memory stays, and the receiver cannot send on."""
    sent = [0]
    async with receiver(endless(OK + b"\r\n", b"a" * CAP, sent)) as there, Http() as http:
        before = resident()
        answer = await http.send(a_request(there.url), policy=policy)
        grown = resident() - before
    assert (len(answer.body), answer.truncated) == (CAP, True)
    assert grown < 8 * MIB
    assert sent[0] < 32 * MIB


@pytest.mark.parametrize(("lines", "length"), [(101, 1), (40, 2000)])
async def test_headers_are_capped_in_lines_and_in_all(lines: int, length: int) -> None:
    """More than 100 header lines, or 64 KiB of them though each is short enough, is no answer."""
    many = b"".join(b"X-%d: %s\r\n" % (number, b"v" * length) for number in range(lines))
    async with receiver(OK + many + EMPTY) as there, Http() as http:
        with pytest.raises(OutcomeUnknown, match="response_headers_too_large"):
            await http.send(a_request(there.url), policy=None)


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


async def test_gzip_is_not_inflated() -> None:
    """We ask for identity, and a compressed body stays as it came."""
    packed = b"\x1f\x8b\x08\x00" + b"\x00" * 16
    reply = OK + b"Content-Encoding: gzip\r\nContent-Length: 20\r\n\r\n" + packed
    async with receiver(reply) as there, Http() as http:
        answer = await http.send(a_request(there.url), policy=HERE)
    assert answer.body == packed
    assert b"Accept-Encoding: identity\r\n" in there.requests[0]


@pytest.mark.parametrize("case", cases("redirect"))
async def test_redirect_is_not_followed(case: dict[str, Any]) -> None:
    """A redirect is the answer; its location is never asked."""
    location = f"\r\nLocation: {case['location']}".encode() if case["location"] else b""
    async with receiver(status(str(case["status"]).encode() + b" x" + location)) as there, Http() as http:
        found = await verdict(http, a_request(there.url), HERE)
    assert found[:2] == (case["expect"]["verdict"], case["expect"]["attempt_code"])
    assert there.connections == 1


async def test_request_leaves_exactly_as_given() -> None:
    """Path, query, headers and body reach the receiver byte for byte, with one framing header and no cookie."""
    async with receiver(status(b"200 OK\r\nSet-Cookie: a=b; Path=/")) as there, Http() as http:
        url = f"http://127.0.0.1:{there.port}/%2e%2e/%2fx?a[]=%20&b=+"
        for _ in range(2):
            await http.send(Request("POST", url, {"X-A": "a\tb"}, b"x" * 2 * MIB), policy=HERE)
    head, _, body = there.requests[1].partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    assert lines[0] == b"POST /%2e%2e/%2fx?a[]=%20&b=+ HTTP/1.1"
    assert b"X-A: a\tb" in lines
    assert [line for line in lines if line.lower().startswith((b"content-length", b"transfer", b"cookie"))] == [
        b"Content-Length: 2097152"
    ]
    assert len(body) == 2 * MIB


async def test_connections_are_kept_for_providers_alone() -> None:
    """A provider's connection serves the next request; a customer's never does."""
    async with receiver(OK + EMPTY) as there, Http() as http:
        for connections, policy, dialled in ((1, None, True), (1, None, False), (2, HERE, True), (3, HERE, True)):
            answer = await http.send(a_request(there.url), policy=policy)
            assert there.connections == connections
            assert answer.address == ("127.0.0.1" if dialled else None)


# --- names and certificates --------------------------------------------------------------------------------------


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


def routed(port: int, dialled: list[str]) -> Callable[[AddrInfoType], socket.socket]:
    class Routed(socket.socket):
        def connect(self, address: Any) -> None:
            dialled.append(address[0])
            super().connect(("127.0.0.1", port))

    return lambda _info: Routed(socket.AF_INET, socket.SOCK_STREAM)


class Authority:
    """A certificate authority for one test run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.certificate = self._certificate(x509.BasicConstraints(ca=True, path_length=None), self.key, self.key)

    def _certificate(
        self, extension: x509.ExtensionType, key: ec.EllipticCurvePrivateKey, signer: Any, start: int = -1, end: int = 9
    ) -> bytes:
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a" if key is signer else "b")])
        issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a")])
        now = dt.datetime.now(dt.UTC)
        builder = x509.CertificateBuilder(issuer, name, key.public_key(), x509.random_serial_number())
        builder = builder.not_valid_before(now + dt.timedelta(days=start)).not_valid_after(now + dt.timedelta(days=end))
        builder = builder.add_extension(extension, critical=isinstance(extension, x509.BasicConstraints))
        return builder.sign(signer, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    def server(self, *names: x509.GeneralName, start: int = -1, end: int = 9, own: bool = False) -> ssl.SSLContext:
        key = ec.generate_private_key(ec.SECP256R1())
        chain = self._certificate(x509.SubjectAlternativeName(names), key, key if own else self.key, start, end)
        file = self.folder / f"{x509.random_serial_number()}.pem"
        form = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        file.write_bytes(key.private_bytes(serialization.Encoding.PEM, *form) + chain)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        return context

    def trusted(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cadata=self.certificate.decode())
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        return context


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


NAME = x509.DNSName("hooks.example.com")
HOOK = "https://hooks.example.com/temula"


@pytest.mark.parametrize("case", cases("dns"))
async def test_only_checked_addresses_are_dialled(
    case: dict[str, Any], authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One resolution an attempt, every answer checked at every attempt, and exactly the checked address dialled."""
    for name, value in case["answers"][0].get("env", {}).items():
        monkeypatch.setenv(name, value)
    headers = case["answers"][0].get("response_headers", {})
    reply = status(b"200 OK" + b"".join(f"\r\n{name}: {value}".encode() for name, value in headers.items()))
    names, dialled = Names(case["answers"]), list[str]()
    expected = case["expect"]
    wanted = expected["verdict"]
    attempts = len(case["answers"]) if wanted in {"block_dial", "reuse_only_if_pinned_address_allowed"} else 1
    async with (
        receiver(reply, tls=authority.server(NAME)) as there,
        Http(resolve=names, make_socket=routed(there.port, dialled), tls=authority.trusted(), limits=QUICK) as http,
    ):
        for _ in range(attempts):
            found, code, _ = await verdict(http, a_request(HOOK), PUBLIC)
    assert names.queries == attempts
    if wanted in {"dial", "dial_pinned"}:
        assert (found, dialled) == ("delivered", [GOOD])
    else:
        assert (found, code) == ("attempt_failed", expected.get("attempt_code", "address_not_allowed"))
        assert dialled == [GOOD] * (attempts - 1)
        assert there.connections == attempts - 1


@pytest.mark.parametrize("case", cases("url", {case["id"] for case in CASES if case["expect"] == "reject_save"}))
async def test_refused_url_is_neither_resolved_nor_dialled(case: dict[str, Any]) -> None:
    """A URL refused at save is refused again at send, before any name or address is touched."""
    names, dialled = Names([{"A": [GOOD]}]), list[str]()
    async with receiver(OK + EMPTY) as canary, Http(resolve=names, make_socket=routed(canary.port, dialled)) as http:
        with pytest.raises(NotSent) as refused:
            await http.send(a_request(case["url"]), policy=PUBLIC)
    assert refused.value.code == case["code"]
    assert (names.queries, dialled, canary.connections) == (0, [], 0)


async def test_address_that_was_not_checked_gets_no_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    """Should a URL ever slip past its check, the place where sockets are made still refuses."""
    async with receiver(OK + EMPTY) as canary, Http() as http:
        slipped = CheckedUrl("http", "127.0.0.1", canary.port, "/")
        monkeypatch.setattr("temula.kernel.http.client.check_url", lambda _url, _policy: slipped)
        with pytest.raises(NotSent, match="address_not_allowed"):
            await http.send(a_request(canary.url), policy=PUBLIC)
    assert canary.connections == 0


async def test_requests_at_the_same_time_do_not_mix_addresses(authority: Authority) -> None:
    """Fifty at once: each dials the address that was checked for its own name, and the refused ones none."""
    dialled: list[str] = []

    async def resolve(host: str) -> list[str]:
        number = int(host.removeprefix("h").partition(".")[0])
        await asyncio.sleep(number % 7 / 100)
        return [f"{'10' if number % 5 == 0 else '11'}.0.0.{number}"]

    async with (
        receiver(OK + EMPTY, tls=authority.server(x509.DNSName("*.example.com"))) as there,
        Http(resolve=resolve, make_socket=routed(there.port, dialled), tls=authority.trusted()) as http,
    ):
        sends = [verdict(http, a_request(f"https://h{n}.example.com/", deadline=9), PUBLIC) for n in range(50)]
        codes = [code for _, code, _ in await asyncio.gather(*sends)]
    assert codes == ["address_not_allowed" if n % 5 == 0 else None for n in range(50)]
    assert sorted(dialled) == sorted(f"11.0.0.{n}" for n in range(50) if n % 5)


def legacy(context: ssl.SSLContext) -> ssl.SSLContext:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    return context


def asking(context: ssl.SSLContext) -> ssl.SSLContext:
    context.verify_mode = ssl.CERT_OPTIONAL
    return context


SERVERS: dict[str, Callable[[Authority], ssl.SSLContext]] = {
    "tls-expired": lambda authority: authority.server(NAME, start=-9, end=-1),
    "tls-notyet": lambda authority: authority.server(NAME, start=1),
    "tls-selfsigned": lambda authority: authority.server(NAME, own=True),
    "tls-untrusted": lambda authority: Authority(authority.folder).server(NAME),
    "tls-wild-mismatch": lambda authority: authority.server(x509.DNSName("*.example.org"), x509.DNSName("*.com")),
    "tls-tls10": lambda authority: legacy(authority.server(NAME)),
    "tls-ip-san": lambda authority: authority.server(x509.IPAddress(ipaddress.ip_address(GOOD))),
    "tls-sni": lambda authority: authority.server(NAME),
    "tls-clientcert": lambda authority: asking(authority.server(NAME)),
}


@pytest.mark.parametrize("case", cases("tls", SERVERS))
async def test_certificate_is_verified_for_the_name(case: dict[str, Any], authority: Authority) -> None:
    """The pinned address is dialled, but SNI, Host and certificate are those of the URL; if not, nothing is sent."""
    dialled: list[str] = []
    async with (
        receiver(OK + EMPTY, tls=SERVERS[case["id"]](authority)) as there,
        Http(resolve=Names([{"A": [GOOD]}]), make_socket=routed(there.port, dialled), tls=authority.trusted()) as http,
    ):
        found, code, _ = await verdict(http, a_request(HOOK), PUBLIC)
    assert found == case["expect"]["verdict"]
    assert dialled == [GOOD]
    if found == "delivered":
        assert there.snis == ["hooks.example.com"]
        assert b"\r\nHost: hooks.example.com\r\n" in there.requests[0]
    else:
        assert code == "tls_error"
        assert there.requests == []


@pytest.mark.parametrize(
    ("greeting", "code"),
    [(b"HTTP/1.1 400 x\r\n\r\n", "tls_error"), (b"SSH-2.0-OpenSSH\r\n", "tls_error"), (None, "tls_timeout")],
    ids=["tls-plain", "tls-garbage", "tls-stall"],
)
async def test_what_is_not_tls_gets_no_request(greeting: bytes | None, code: str) -> None:
    """A port that greets in clear, or never answers the handshake, ends the attempt before anything is sent."""

    async def greet(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if greeting is not None:
            writer.write(greeting)
            writer.close()

    server = await asyncio.start_server(greet, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, Http(resolve=Names([{"A": [GOOD]}]), make_socket=routed(port, []), limits=QUICK) as http:
        with pytest.raises(NotSent) as not_sent:
            await http.send(a_request(HOOK), policy=PUBLIC)
    assert not_sent.value.code == code


def test_verification_cannot_be_switched_off() -> None:
    """A TLS context that does not verify, or speaks old versions, is refused when the client is built."""
    lax = ssl.create_default_context()
    lax.check_hostname = False
    old = ssl.create_default_context()
    old.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    for context in (lax, old, ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)):
        with pytest.raises(ValueError, match="verified"):
            Http(tls=context)


# --- what was sent, and what was not -----------------------------------------------------------------------------


@pytest.mark.parametrize("policy", [HERE, None], ids=["customer", "provider"])
async def test_refused_connection_was_not_sent(policy: AddressPolicy | None) -> None:
    """Nobody listens: the request cannot have happened."""
    async with receiver(b"") as there:
        pass
    async with Http() as http:
        with pytest.raises(NotSent) as not_sent:
            await http.send(a_request(there.url), policy=policy)
    assert not_sent.value.code == "connect_refused"


async def test_black_hole_was_not_sent() -> None:
    """A host that never accepts ends at the connect limit, though the deadline is far."""
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        fillers = [socket.socket() for _ in range(8)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(full.getsockname())
        async with Http(limits=QUICK) as http:
            began = time.monotonic()
            with pytest.raises(NotSent) as not_sent:
                await http.send(a_request(f"http://127.0.0.1:{full.getsockname()[1]}/", deadline=9), policy=HERE)
        for filler in fillers:
            filler.close()
    assert not_sent.value.code == "connect_timeout"
    assert time.monotonic() - began < 1.0


@pytest.mark.parametrize("policy", [HERE, None], ids=["customer", "provider"])
async def test_connection_lost_after_the_request_is_unknown(policy: AddressPolicy | None) -> None:
    """The receiver read the request and died: it may have acted, and we do not send it twice by ourselves."""

    async def dies(writer: asyncio.StreamWriter) -> None:
        writer.transport.abort()

    async with receiver(dies) as there, Http() as http:
        with pytest.raises(OutcomeUnknown) as unknown:
            await http.send(a_request(there.url), policy=policy)
    assert (unknown.value.code, unknown.value.answer) == ("connection_closed", None)
    assert len(there.requests) == 1


async def test_request_on_a_kept_connection_counts_as_sent() -> None:
    """A kept connection breaks under a request and nobody listens any more: the first try may still have happened."""
    closing = asyncio.Event()

    async def once(writer: asyncio.StreamWriter) -> None:
        if closing.is_set():
            writer.transport.abort()
        writer.write(OK + EMPTY)

    async with Http() as http:
        async with receiver(once) as there:
            request = Request("PUT", there.url, deadline=2.0)
            await http.send(request, policy=None)
            closing.set()
        with pytest.raises(OutcomeUnknown, match="connection_closed"):
            await http.send(request, policy=None)
    assert len(there.requests) == 2


async def test_names_are_resolved_for_providers_too() -> None:
    """A provider's name goes through the same resolver: its failure and its slowness are `dns_error`."""
    for script in ({"rcode": "SERVFAIL"}, {}, {"delay_s": 60, "A": [GOOD]}):
        async with Http(resolve=Names([script]), limits=QUICK) as http:
            with pytest.raises(NotSent, match="dns_error"):
                await http.send(a_request("https://provider.example.com/"), policy=None)


async def test_system_resolver_finds_this_machine() -> None:
    """Without an injected resolver the operating system's is asked."""
    async with receiver(OK + EMPTY) as there, Http() as http:
        answer = await http.send(a_request(f"http://localhost:{there.port}/"), policy=HERE)
    assert (answer.status, answer.address) == (200, "127.0.0.1")


async def test_open_unit_of_work_forbids_sending() -> None:
    """Nobody waits for a stranger inside a transaction."""
    token = open_unit.set("unit 7")
    try:
        async with receiver(OK + EMPTY) as there, Http() as http:
            with pytest.raises(TransactionOpen, match="unit 7"):
                await http.send(a_request(there.url), policy=None)
        assert there.connections == 0
    finally:
        open_unit.reset(token)


@pytest.mark.parametrize("url", ["http://a@127.0.0.1/", "http://127.0.0.1/#x", "ftp://127.0.0.1/", "http://h/\r\nX: y"])
async def test_provider_url_is_read_strictly(url: str) -> None:
    """Our own configuration is no way around: credentials, fragments and line ends are refused."""
    async with Http() as http:
        with pytest.raises(NotSent, match="request_invalid"):
            await http.send(a_request(url), policy=None)


# --- headers, logs and secrets -----------------------------------------------------------------------------------


@pytest.mark.parametrize("case", cases("header"))
def test_customer_header_is_accepted_or_refused(case: dict[str, Any]) -> None:
    """Every header of the table is stored trimmed, or refused without telling its value."""
    count = case.get("header_count", 0)
    pairs = case.get("headers") or ([case["header"]] if "header" in case else [(f"X-{n}", "v") for n in range(count)])
    if case["expect"] == "allow":
        assert check_customer_headers(pairs) == [(name, value.strip()) for name, value in pairs]
        return
    with pytest.raises(HeaderRefused) as refused:
        check_customer_headers(dict(pairs) if len({name for name, _ in pairs}) == len(pairs) else pairs)
    assert "Evil" not in str(refused.value)


@pytest.mark.parametrize(
    "name", ["Content-Length", "transfer_encoding", "HOST", "Connection", "Accept-Encoding", "X\r"]
)
async def test_framing_headers_are_refused_at_send(name: str) -> None:
    """Whoever asks, no header that decides where the request ends goes beside the client's own."""
    async with receiver(OK + EMPTY) as there, Http() as http:
        with pytest.raises(NotSent, match="request_invalid"):
            await http.send(a_request(there.url, headers={name: "1"}), policy=None)
    assert there.connections == 0


async def test_one_log_line_without_secrets() -> None:
    """Each call logs once: where to and how it went, never a header, a body, a query or a secret."""
    secret = "sk_live_abcdef"
    async with receiver(OK + b"Content-Length: 14\r\n\r\n" + secret.encode()) as there, Http() as http:
        there_url = f"http://127.0.0.1:{there.port}/hooks/{secret}/x?key={secret}"
        request = Request("POST", there_url, {"Authorization": f"Bearer {secret}"}, secret.encode())
        with capture_logs() as logs:
            answer = await http.send(request, policy=HERE, secrets=[secret])
    with capture_logs() as failed:
        async with Http() as http:
            with pytest.raises(HttpError) as error:
                await http.send(request, policy=None, secrets=[secret])
    assert [line.pop("ms") >= 0 for line in logs + failed] == [True, True]
    common = {"event": "http.sent", "method": "POST", "host": "127.0.0.1", "path": "/hooks/[redacted]/x"}
    assert logs == [common | {"status": 200, "bytes": 14, "log_level": "info"}]
    assert failed == [common | {"error": "connect_refused", "bytes": 0, "log_level": "warning"}]
    assert error.value.__context__ is None
    assert secret not in repr([request, answer, error.value, logs, failed])


def test_redaction_leaves_no_tail() -> None:
    """A secret that begins with another one is taken out whole."""
    assert redact("abcdef abc", ["abc", "", "abcdef"]) == "[redacted] [redacted]"
