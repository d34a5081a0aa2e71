"""The one door out against hostile names and certificates.

Public test addresses are routed to local receivers by an injected socket, which also records what was dialled.
"""

import asyncio
import ipaddress
import ssl
from collections.abc import Callable
from typing import Any

import pytest
from cryptography import x509

from temula.kernel.addresses import CheckedUrl
from temula.kernel.http import (
    Http,
    NotSent,
)
from tests.kernel.http.authority import Authority, asking, legacy, routed
from tests.kernel.http.farm import (
    CASES,
    EMPTY,
    GOOD,
    OK,
    PUBLIC,
    QUICK,
    Names,
    a_request,
    cases,
    receiver,
    status,
    verdict,
)


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
        receiver(OK + EMPTY, host="::1") as canary_v6,
        Http(
            resolve=names,
            make_socket=routed(there.port, dialled, canary_v6.port),
            tls=authority.trusted(),
            limits=QUICK,
        ) as http,
    ):
        for _ in range(attempts):
            found, code, _ = await verdict(http, a_request(HOOK), PUBLIC)
    assert names.queries == attempts
    assert canary_v6.connections == 0
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
    async with (
        receiver(OK + EMPTY) as canary,
        receiver(OK + EMPTY, host="::1") as canary_v6,
        Http(resolve=names, make_socket=routed(canary.port, dialled, canary_v6.port)) as http,
    ):
        with pytest.raises(NotSent) as refused:
            await http.send(a_request(case["url"]), policy=PUBLIC)
    assert refused.value.code == case["code"]
    assert (names.queries, dialled, canary.connections, canary_v6.connections) == (0, [], 0, 0)


async def test_address_that_was_not_checked_gets_no_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    """Should a URL ever slip past its check, the place where connections are made still refuses."""
    async with receiver(OK + EMPTY) as canary, Http(resolve=Names([{"A": ["127.0.0.1"]}])) as http:
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


SERVERS: dict[str, Callable[[Authority], ssl.SSLContext]] = {
    "tls-expired": lambda authority: authority.server(NAME, start=-9, end=-1),
    "tls-notyet": lambda authority: authority.server(NAME, start=1),
    "tls-selfsigned": lambda authority: authority.server(NAME, own=True),
    "tls-untrusted": lambda authority: Authority(authority.folder).server(NAME),
    "tls-wild-mismatch": lambda authority: authority.server(x509.DNSName("*.example.org"), x509.DNSName("*.com")),
    "tls-tls10": lambda authority: legacy(authority.server(NAME)),
    "tls-sha1": lambda authority: authority.server(NAME, sha1=True),
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


# Ports that speak no TLS: what they say first, and None for nothing at all.
GREETINGS: dict[str, bytes | None] = {
    "tls-plain": b"HTTP/1.1 400 x\r\n\r\n",
    "tls-garbage": b"SSH-2.0-OpenSSH\r\n",
    "tls-stall": None,
}


@pytest.mark.parametrize("case", cases("tls", GREETINGS))
async def test_what_is_not_tls_gets_no_request(case: dict[str, Any]) -> None:
    """A port that greets in clear, or never answers the handshake, ends the attempt before anything is sent."""
    greeting = GREETINGS[case["id"]]

    async def greet(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if greeting is not None:
            writer.write(greeting)
            writer.close()

    server = await asyncio.start_server(greet, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, Http(resolve=Names([{"A": [GOOD]}]), make_socket=routed(port, []), limits=QUICK) as http:
        with pytest.raises(NotSent) as not_sent:
            await http.send(a_request(HOOK), policy=PUBLIC)
    assert not_sent.value.code == case["expect"]["attempt_code"]


def test_every_certificate_of_the_table_is_shown() -> None:
    """No case of the table is left out."""
    assert {case["id"] for case in CASES if case["group"] == "tls"} == {*SERVERS, *GREETINGS}


def test_verification_cannot_be_switched_off() -> None:
    """A TLS context that does not verify, or speaks old versions, is refused when the client is built."""
    lax = ssl.create_default_context()
    lax.check_hostname = False
    old = ssl.create_default_context()
    old.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    for context in (lax, old, ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)):
        with pytest.raises(ValueError, match="verified"):
            Http(tls=context)
