"""What the one door out promises for every input: found by generating scripts of names, headers and echoes."""

import asyncio
import contextlib
import json
import random
import socket
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address
from typing import Any
from urllib.parse import quote

import h11
from hypothesis import given, settings
from hypothesis import strategies as st

from temula.kernel.addresses import MAX_DIALLED, classify
from temula.kernel.http import Http, NotSent, Request, Response, scrubbed
from tests.kernel.http.farm import CASES, HERE, OK, PUBLIC, a_request

LISTED = [case["ip"] for case in CASES if case["group"] == "address"]
GOOD_ONES = ["93.184.216.34", "1.1.1.1", "8.8.8.8", "2606:4700::1111", "2a00:1450:4001::1"]
# A hundred seeds, a hundred scripts each: an event loop for each script alone would be most of the work.
SEEDS = st.integers(0, 2**64 - 1)
MANY = settings(max_examples=100)


def answers(chance: random.Random) -> list[str]:
    """What a name server may say: nothing, good ones, bad ones, any."""
    kinds = chance.choice([[0], [0], [0, 1], [0, 2], [1, 2, 3], [0, 1, 2, 3]])
    makers: list[Callable[[], str]] = [
        lambda: chance.choice(GOOD_ONES),
        lambda: chance.choice(LISTED),
        lambda: str(IPv4Address(chance.getrandbits(32))),
        lambda: str(IPv6Address(chance.getrandbits(128))),
    ]
    return [makers[chance.choice(kinds)]() for _ in range(chance.randrange(6))]


@MANY
@given(seed=SEEDS)
def test_each_attempt_resolves_once_and_dials_only_what_was_checked(seed: int) -> None:
    """10,000 scripts of answers: one question to the name server, and no socket for an address that is not public."""
    chance = random.Random(seed)
    for script, asked, dialled, code in asyncio.run(_attempts([answers(chance) for _ in range(100)])):
        assert asked == 1
        if not script:
            assert (dialled, code) == ([], "dns_error")
        elif all(classify(answer).public for answer in script):
            assert dialled == list(dict.fromkeys(script))[:MAX_DIALLED]
            assert code == "connect_failed"
        else:
            assert (dialled, code) == ([], "address_not_allowed")


async def _attempts(scripts: list[list[str]]) -> list[tuple[list[str], int, list[str], str]]:
    questions: list[str] = []
    dialled: list[str] = []
    script: list[str] = []

    async def resolve(host: str) -> list[str]:
        questions.append(host)
        return script

    def make(address: str) -> socket.socket:
        dialled.append(address)
        raise OSError("no socket is needed to see where it would have gone")

    found = []
    async with Http(resolve=resolve, make_socket=make) as http:
        for script in scripts:
            questions.clear()
            dialled.clear()
            try:
                await http.send(a_request("https://hooks.example.com/"), policy=PUBLIC, reuse="whe_1")
            except NotSent as not_sent:
                found.append((script, len(questions), list(dialled), not_sent.code))
    assert len(found) == len(scripts)
    return found


NASTY_NAMES = ["Content-Length", "Transfer-Encoding", "transfer_encoding", "Host", "Expect", "User-Agent", "X:", ""]
NASTY_VALUES = ["chunked", "0", "a\r\nX: y", "a\nb", "\0", " a ", "\x7f", "\t", "é", "\u2028", "a\r", "\x85"]


def headers_and_body(chance: random.Random) -> tuple[dict[str, str], bytes]:
    """Headers as a customer may give them, most of them good, some of them nasty."""

    def text(most: int, letters: str) -> str:
        return "".join(chance.choice(letters) for _ in range(chance.randrange(1, most)))

    def any_text() -> str:
        return "".join(chr(chance.choice([chance.randrange(128), chance.randrange(0xD800)])) for _ in range(4))

    names: list[Callable[[], str]] = [lambda: text(12, "abcXYZ-_0"), lambda: chance.choice(NASTY_NAMES), any_text]
    values: list[Callable[[], str]] = [
        lambda: text(20, "ab 0\t:,;=\"/"), lambda: chance.choice(NASTY_VALUES), any_text
    ]  # fmt: skip
    weights = chance.choice([[1, 0, 0], [20, 1, 0], [20, 0, 1], [3, 1, 1]])
    headers = {
        chance.choices(names, weights)[0](): chance.choices(values, weights)[0]() for _ in range(chance.randrange(7))
    }
    return headers, chance.randbytes(chance.randrange(64))


class Reader(asyncio.Protocol):
    """Reads with h11, which shares nothing with what wrote, and answers each request that it finds."""

    def __init__(self) -> None:
        self.requests: list[tuple[h11.Request, bytes]] = []
        self._transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._reading = h11.Connection(h11.SERVER)
        self._transport = transport
        self._body = b""

    def data_received(self, data: bytes) -> None:
        self._reading.receive_data(data)
        while True:
            event = self._reading.next_event()
            if event is h11.NEED_DATA or event is h11.PAUSED:
                return
            if isinstance(event, h11.Request):
                self._request, self._body = event, b""
            elif isinstance(event, h11.Data):
                self._body += event.data
            elif isinstance(event, h11.EndOfMessage):
                self.requests.append((self._request, self._body))
                assert self._reading.trailing_data == (b"", False)
                answer = self._reading.send(h11.Response(status_code=200, headers=[("Content-Length", "0")]))
                self._transport.write(answer + self._reading.send(h11.EndOfMessage()))
                self._reading.start_next_cycle()


@MANY
@given(seed=SEEDS)
def test_whatever_headers_are_given_one_request_leaves(seed: int) -> None:
    """10,000 sets of headers: each is refused, or an independent parser reads one request with one framing header."""
    chance = random.Random(seed)
    arrived, accepted = asyncio.run(_sent([headers_and_body(chance) for _ in range(100)]))
    assert accepted
    assert len(arrived) == len(accepted)
    for (request, body), (headers, given_body) in zip(arrived, accepted, strict=True):
        names = [name for name, _ in request.headers]
        assert [name for name in names if name in {b"content-length", b"transfer-encoding"}] == [b"content-length"]
        assert names.count(b"host") == names.count(b"user-agent") == 1
        assert body == given_body
        assert request.target == b"/hook"
        wanted = {name.lower().encode(): value.strip(" \t").encode() for name, value in headers.items()}
        assert wanted.items() <= dict(request.headers).items()


async def _sent(
    sent: list[tuple[dict[str, str], bytes]],
) -> tuple[list[tuple[h11.Request, bytes]], list[tuple[dict[str, str], bytes]]]:
    reader = Reader()
    server = await asyncio.get_running_loop().create_server(lambda: reader, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook"
    accepted = []
    async with server, Http() as http:
        for headers, body in sent:
            with contextlib.suppress(NotSent):
                await http.send(Request("POST", url, headers, body), policy=HERE, reuse="whe_1")
                accepted.append((headers, body))
    return reader.requests, accepted


SECRETS = st.lists(st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=4, max_size=40), max_size=3)


@settings(max_examples=2000)
@given(secrets=SECRETS, around=st.text(max_size=30), noise=st.binary(max_size=30), cut=st.integers(0, 400))
def test_nothing_secret_is_stored(secrets: list[str], around: str, noise: bytes, cut: int) -> None:
    """A receiver repeats what it was sent, in any of the usual spellings, whole or cut: none of it is kept."""
    echoes = [each for secret in secrets for each in (secret, json.dumps(secret)[1:-1], quote(secret, safe=""))]
    body = b"\0".join([around.encode("utf-8", "replace"), noise, *(echo.encode() for echo in echoes)])
    answer = Response(200, [("X-Echo", "\0".join(echoes))], body[:cut] if cut else body, bool(cut), 0.1, "1.1.1.1")
    stored = scrubbed(answer, secrets)
    for secret in secrets:
        if secret not in "[redacted]":
            assert secret.encode() not in stored.body.replace(b"[redacted]", b"\0")
            assert all(secret not in value.replace("[redacted]", "\0") for _, value in stored.headers)
    assert b"\0" not in stored.body
    assert "\0" not in stored.headers[0][1]


async def test_an_echo_of_the_whole_request_is_stored_without_our_secrets() -> None:
    """The signature and the customer's own header do not come back to where people read answers."""
    signature, own = "9f" * 32, "Bearer s3cr3t/+token=="
    headers = {"X-Temula-Signature": signature, "Authorization": own}

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        said = json.dumps({"you_sent": head.decode()}).replace("/", "\\/").encode() + head + b"\0" + head.upper()
        writer.write(OK + b"X-Sent: %s\r\nContent-Length: %d\r\n\r\n" % (signature.encode(), len(said)) + said)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    async with server, Http() as http:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        answer = await http.send(a_request(url, headers=headers), policy=HERE)
    stored = scrubbed(answer, (signature, own))
    assert signature.encode() in answer.body
    assert stored.headers[0] == ("X-Sent", "[redacted]")
    for secret in (signature, own):
        assert secret.encode() not in stored.body
        assert secret.replace("/", "\\/").encode() not in stored.body
    assert signature.upper().encode() not in stored.body
    assert b"\0" not in stored.body


def test_stored_is_the_beginning() -> None:
    """16 KiB are kept, and of a secret that the end of what was read has cut no beginning."""
    secret = "abcdefghijklmnop"
    assert scrubbed(Response(200, [], b"a" * 20000, False, 0.1, "1.1.1.1"), ()).body == b"a" * 16384
    for length in range(4, 16):
        cut = Response(200, [], b"tail " + secret[:length].encode(), True, 0.1, "1.1.1.1")
        assert scrubbed(cut, (secret,)).body == b"tail [redacted]"


def test_one_signature_of_two_is_a_secret_too() -> None:
    """While a secret is rotated the header has two; a receiver may repeat the one that it used."""
    first, second = "K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4=", "9kSGGSIW1wrXkVvMmSZEYsBcpqTwsVmZZqYMw2XrAzI="
    body = f"I computed {second}, you sent v1,{second}; Bearer is no secret".encode()
    stored = scrubbed(Response(401, [], body, False, 0.1, "1.1.1.1"), (f"v1,{first} v1,{second}", "Bearer x"))
    assert stored.body == b"I computed [redacted], you sent v1,[redacted]; Bearer is no secret"
