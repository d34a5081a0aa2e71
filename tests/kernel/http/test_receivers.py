"""The one door out against hostile receivers: each gets its verdict, in time and in bounds."""

import asyncio
import os
import re
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from temula.kernel.addresses import AddressPolicy
from temula.kernel.http import (
    Http,
    NotSent,
    OutcomeUnknown,
    Request,
)
from tests.kernel.http.farm import (
    CAP,
    CASES,
    CHUNKED,
    EMPTY,
    HERE,
    MIB,
    OK,
    QUICK,
    Play,
    a_request,
    black_hole,
    cases,
    drips,
    endless,
    receiver,
    resets,
    silent,
    status,
    verdict,
)

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
    "rx-hdr-space-colon": OK + b"Content-Length : 5\r\n\r\nhello",
    "rx-cl-dup": OK + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef",
    "rx-cl-neg": OK + b"Content-Length: -1\r\n\r\nabcdef",
    "rx-cl-huge": OK + b"Content-Length: 99999999999999999999\r\n\r\nabcdef",
    "rx-cl-short": OK + b"Content-Length: 100\r\n\r\n0123456789",
    "rx-chunk-huge": CHUNKED + b"ffffffffffffffff\r\nabc",
    "rx-chunk-ext": CHUNKED + b"3;" + b"a" * MIB + b"\r\nabc\r\n0\r\n\r\n",
    "rx-chunk-trailers": endless(CHUNKED + b"5\r\nhello\r\n0\r\n", b"X-Trailer: a\r\n" * 512),
    "rx-100-flood": endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 512),
    "rx-103-flood": endless(b"", b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * 512),
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


@pytest.mark.parametrize("case", cases("receiver", PLAYS))
async def test_hostile_receiver_gets_its_verdict(case: dict[str, Any]) -> None:
    """Each receiver of the table ends in its verdict and code, in time, in 64 KiB of 8 MiB, and is asked once."""
    async with receiver(PLAYS[case["id"]]) as there, Http() as http:
        began, peak = time.monotonic(), Peak()
        found, code, answer = await verdict(http, a_request(there.url, deadline=1.0), HERE)
        grown = peak.growth()
    expected = case["expect"]
    assert time.monotonic() - began < min(expected["max_seconds"], 2.0)
    assert grown < expected["max_rss_growth_mib"] * MIB
    if expected["verdict"] != "delivered_or_failed":
        assert (found, code) == (expected["verdict"], expected.get("attempt_code"))
    if "body_truncated" in expected:
        assert answer is not None
        assert answer.truncated is expected["body_truncated"]
    assert answer is None or len(answer.body) <= CAP
    assert len(there.requests) == there.connections == 1


async def drops_what_knocks() -> None:
    """SYN black hole: the attempt ends at the connect limit."""
    with black_hole() as url:
        async with Http(limits=QUICK) as http:
            assert (await verdict(http, a_request(url), HERE))[:2] == ("attempt_failed", "connect_timeout")


async def two_tenants_on_one_host() -> None:
    """Both keep their connections alive, and neither is ever given the other's."""
    async with receiver(OK + EMPTY) as there, Http() as http:
        for _ in range(3):
            for endpoint in (("org_1", "whe_1"), ("org_2", "whe_2")):
                await http.send(a_request(there.url, headers={"X-Who": endpoint[1]}), policy=HERE, reuse=endpoint)
    heard = {number: {head.partition(b"X-Who: ")[2][:5] for head in heads} for number, heads in there.heard.items()}
    assert heard == {1: {b"whe_1"}, 2: {b"whe_2"}}
    assert [len(heads) for heads in there.heard.values()] == [3, 3]


async def one_that_forwards_back_to_us() -> None:
    """It tells what it was told to another Temula: the third hop is the last."""
    codes: list[str] = []

    async def forward(writer: asyncio.StreamWriter) -> None:
        hops = int(re.findall(rb"Temula-Hops: (\d+)", there.requests[-1])[0])
        try:
            await http.send(Request("POST", there.url, hops=hops, deadline=2.0), policy=HERE)
        except NotSent as refused:
            codes.append(refused.code)
        writer.write(OK + EMPTY)

    async with receiver(forward) as there, Http() as http:
        await http.send(a_request(there.url), policy=HERE)
    assert codes == ["loop_detected"]
    assert len(there.requests) == 3


OF_THEIR_OWN: dict[str, Callable[[], Awaitable[None]]] = {
    "rx-syn-drop": drops_what_knocks,
    "rx-reuse-tenants": two_tenants_on_one_host,
    "rx-hop-loop": one_that_forwards_back_to_us,
}


@pytest.mark.parametrize("case", cases("receiver", OF_THEIR_OWN))
async def test_receiver_that_takes_more_than_one_reply(case: dict[str, Any]) -> None:
    """Those of the table that are not played by one answer."""
    await OF_THEIR_OWN[case["id"]]()


def test_every_receiver_of_the_table_is_played() -> None:
    """No case of the table is left out."""
    assert {case["id"] for case in CASES if case["group"] == "receiver"} == {*PLAYS, *OF_THEIR_OWN}


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
        peak = Peak()
        answer = await http.send(a_request(there.url), policy=policy)
        grown = peak.growth()
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


class Peak:
    """How far the memory of this process has grown at most since this was made, in bytes."""

    def __init__(self) -> None:
        Path("/proc/self/clear_refs").write_text("5")  # the kernel begins to count anew
        self._before = self._highest()

    def growth(self) -> int:
        return self._highest() - self._before

    def _highest(self) -> int:
        found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
        assert found
        return int(found[1]) * 1024


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


async def test_connections_are_kept_for_providers_and_within_one_endpoint() -> None:
    """A provider's connection serves the next request; a customer's only under the same name, and never another's."""
    async with receiver(OK + EMPTY) as there, Http() as http:
        for connections, policy, name in (
            *((1, None, None), (1, None, None)),
            *((2, HERE, None), (3, HERE, None)),
            *((4, HERE, "whe_1"), (4, HERE, "whe_1"), (5, HERE, "whe_2"), (5, HERE, "whe_1"), (5, HERE, "whe_2")),
        ):
            answer = await http.send(a_request(there.url), policy=policy, reuse=name)
            assert there.connections == connections
            assert answer.address == "127.0.0.1"
