"""Connections that are kept: for whom, for how long, how many, and when not."""

import asyncio

import pytest

from temula.kernel.addresses import AddressPolicy
from temula.kernel.http import Http, NotSent, OutcomeUnknown, Request
from temula.kernel.http.answer import Answer
from temula.kernel.http.keeping import Kept, Place
from temula.kernel.http.wire import KEEP_ALIVE_SECONDS, Connection
from tests.harness.house import until
from tests.kernel.http.farm import CHUNKED, EMPTY, HERE, OK, a_request, receiver

ORIGIN = ("https", "hooks.example.com", 443)


@pytest.mark.parametrize(
    ("pieces", "kept"),
    [
        ([OK + EMPTY], True),
        ([OK + b"Content-Length: 2\r\n\r\nok"], True),
        ([OK + b"Content-Length: 2\r\n\r\n", b"ok"], True),
        ([CHUNKED + b"2\r\nok\r\n0\r\n\r\n"], True),
        ([CHUNKED + b"2\r\nok\r\n0\r\nX-T: y\r\n\r\n"], True),
        ([b"HTTP/1.1 204 No Content\r\n\r\n"], True),
        ([b"HTTP/1.1 304 x\r\nContent-Length: 5\r\n\r\n"], True),
        ([OK + EMPTY + b"\r\n"], False),
        ([OK + EMPTY + b"\n"], False),
        ([OK + EMPTY + OK + EMPTY], False),
        ([OK + b"Content-Length: 2\r\n\r\nok!"], False),
        ([CHUNKED + b"2\r\nok\r\n0\r\n\r\n\r\n"], False),
        ([CHUNKED + b"2\r\nok\r\n0\r\n\r\nHTTP"], False),
        ([b"HTTP/1.1 100 Continue\r\n\r\n" + OK + EMPTY], False),
        ([OK + b"Connection: close\r\n" + EMPTY], False),
        ([OK + b"Connection: close\r\n" + EMPTY + b"x"], False),
        ([b"HTTP/1.0 200 OK\r\n" + EMPTY], False),
    ],
)
def test_what_leaves_a_connection_as_it_was(pieces: list[bytes], kept: bool) -> None:
    """An answer that ends exactly where it says does; one byte more does not, though the answer itself is good."""
    answer = Answer()
    answer.start(65536)
    for piece in pieces:
        ended = answer.feed(piece)
    assert ended
    assert (answer.code, answer.truncated) == (None, False)
    assert answer.reusable is kept


def test_a_body_without_a_length_ends_with_the_connection() -> None:
    """It is whole if the connection was closed, and of unknown end if it broke."""
    for cleanly, code in ((True, None), (False, "connection_closed")):
        answer = Answer()
        answer.start(65536)
        assert not answer.feed(OK + b"\r\nabc")
        answer.close(cleanly=cleanly)
        assert (answer.body, answer.code, answer.truncated, answer.reusable) == (b"abc", code, not cleanly, False)


async def test_bytes_that_nobody_asked_for_close_the_connection() -> None:
    """A second answer, sent later, does not wait for the next question."""
    writers: list[asyncio.StreamWriter] = []

    async def play(writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        writer.write(OK + EMPTY)

    async with receiver(play) as there, Http() as http:
        await http.send(a_request(there.url), policy=HERE, reuse="whe_1")
        writers[0].write(b"HTTP/1.1 500 x\r\n" + EMPTY)

        async def closed() -> bool:
            return writers[0].transport.is_closing()

        await until(closed)
        answer = await http.send(a_request(there.url), policy=HERE, reuse="whe_1")
    assert (answer.status, there.connections) == (200, 2)


async def test_another_policy_or_origin_dials_anew() -> None:
    """A connection's address passed one policy, for one origin; under another it proves nothing."""
    other = AddressPolicy(allow_loopback=True, own_hosts=frozenset({"x.example.com"}))
    async with receiver(OK + EMPTY) as first, receiver(OK + EMPTY) as second, Http() as http:
        for there, policy in ((first, HERE), (second, HERE), (second, other), (second, other)):
            await http.send(a_request(there.url), policy=policy, reuse="whe_1")
    assert (first.connections, second.connections) == (1, 2)


@pytest.mark.parametrize(("policy", "method"), [(HERE, "POST"), (None, "PUT"), (None, "POST")])
async def test_a_kept_connection_that_was_closed_is_replaced_once(policy: AddressPolicy | None, method: str) -> None:
    """The receiver hung up just as we asked: who may be asked twice is, who may not is told that it is not known."""

    async def once(writer: asyncio.StreamWriter) -> None:
        if len(there.requests) == 2:
            writer.transport.abort()
        writer.write(OK + EMPTY)

    async with receiver(once) as there, Http() as http:
        request = Request(method, there.url, deadline=2.0)
        await http.send(request, policy=policy, reuse="whe_1")
        if (policy, method) == (None, "POST"):
            with pytest.raises(OutcomeUnknown, match="connection_closed"):
                await http.send(request, policy=policy, reuse="whe_1")
        else:
            assert (await http.send(request, policy=policy, reuse="whe_1")).status == 200
    assert len(there.requests) == (2 if (policy, method) == (None, "POST") else 3)


async def test_cancelling_closes_the_connection() -> None:
    """Who stops waiting leaves no question open for the next to be answered by."""

    async def silent(_writer: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    async with receiver(silent) as there, Http() as http:
        sending = asyncio.create_task(http.send(a_request(there.url), policy=HERE, reuse="whe_1"))

        async def asked() -> bool:
            return bool(there.requests)

        await until(asked)
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        assert not len(http._opened.kept)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (b"", 30.0),
        (b"Keep-Alive: timeout=5, max=9\r\n", 4.0),
        (b"Keep-Alive: timeout=900\r\n", 30.0),
        (b"keep-alive: timeout=x\r\n", 30.0),
        (b"Keep-Alive: timeout=0\r\n", -1.0),
    ],
)
async def test_a_connection_is_kept_no_longer_than_the_receiver_keeps_it(header: bytes, seconds: float) -> None:
    """Thirty seconds, or a second less than the receiver says."""
    connection = Connection(asyncio.get_running_loop(), "1.1.1.1")
    connection.answer.start(0)
    connection.answer.feed(OK + header + EMPTY)
    assert connection.kept_for() == seconds
    assert KEEP_ALIVE_SECONDS == 30.0


async def test_so_many_are_kept_and_no_more() -> None:
    """The one that has waited longest goes first; what has waited too long is not given out."""
    loop = asyncio.get_running_loop()
    kept = Kept(loop, most=2)
    places = [Place(number, ORIGIN, HERE) for number in range(3)]
    connections = [Connection(loop, "1.1.1.1") for _ in places]
    for connection, place in zip(connections, places, strict=True):
        connection.answer.start(0)
        connection.answer.feed(OK + EMPTY)
        kept.put(connection, place)
    assert len(kept) == 2
    assert connections[0].lost
    assert kept.take(places[0]) is None
    assert kept.take(places[1]) is connections[1]
    connections[2].until = loop.time() - 0.1
    assert kept.take(places[2]) is None
    assert connections[2].lost
    kept.close()


async def test_only_readable_methods_are_sent() -> None:
    """HEAD's answer has a length and no body: read as another's it would swallow the next."""
    async with Http() as http:
        for method in ("HEAD", "CONNECT", "post", "X Y"):
            with pytest.raises(NotSent, match="request_invalid"):
                await http.send(Request(method, "http://127.0.0.1/"), policy=HERE)


async def test_what_is_being_sent_at_the_end_ends_by_itself() -> None:
    """Closing the client lets a request that is under way have its answer or its deadline, and keeps no connection."""
    go = asyncio.Event()

    async def when_told(writer: asyncio.StreamWriter) -> None:
        if len(there.requests) == 1:
            await go.wait()
            writer.write(OK + EMPTY)

    async def asked() -> bool:
        return len(there.requests) == 2

    async with receiver(when_told) as there:
        async with Http() as http:
            kept = http._opened.kept
            sending = [
                asyncio.create_task(http.send(a_request(there.url, deadline=0.5), policy=HERE, reuse="whe_1"))
                for _ in range(2)
            ]
            await until(asked)
        go.set()
        answers = await asyncio.gather(*sending, return_exceptions=True)
    assert sorted(str(getattr(one, "status", one)).partition(":")[0] for one in answers) == ["200", "timeout"]
    assert not len(kept)
