"""What was sent and what was not, and what is never told: headers, logs, secrets."""

import asyncio
import socket
import time
from typing import Any

import pytest
from structlog.testing import capture_logs

from temula.kernel.addresses import AddressPolicy
from temula.kernel.http import (
    HeaderRefused,
    Http,
    HttpError,
    NotSent,
    OutcomeUnknown,
    Request,
    TransactionOpen,
    check_customer_headers,
    redact,
)
from temula.kernel.waiting import open_unit
from tests.kernel.http.farm import EMPTY, GOOD, HERE, OK, QUICK, Names, a_request, cases, receiver


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
    # What the run's Temula sends meanwhile is logged too.
    logs, failed = ([line for line in lines if "[redacted]" in str(line.get("path"))] for lines in (logs, failed))
    assert [line.pop("ms") >= 0 for line in logs + failed] == [True, True]
    common = {"event": "http.sent", "method": "POST", "host": "127.0.0.1", "path": "/hooks/[redacted]/x"}
    assert logs == [common | {"status": 200, "bytes": 14, "log_level": "info"}]
    assert failed == [common | {"error": "connect_refused", "bytes": 0, "log_level": "warning"}]
    assert error.value.__context__ is None
    assert secret not in repr([request, answer, error.value, logs, failed])


def test_redaction_leaves_no_tail() -> None:
    """A secret that begins with another one is taken out whole."""
    assert redact("abcdef abc", ["abc", "", "abcdef"]) == "[redacted] [redacted]"
