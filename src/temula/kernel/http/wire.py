"""One connection to a customer's receiver: a question in one write, and the answer to it alone."""

import asyncio
import math
from collections.abc import Callable
from typing import Final, cast

from temula.kernel.http.answer import Answer
from temula.kernel.http.model import Response, UnknownCode

KEEP_ALIVE_SECONDS: Final = 30.0
NEVER: Final = math.inf


class Connection(asyncio.Protocol):
    """Dialled to a checked `address`. At most one question is open; whatever comes unasked closes it."""

    __slots__ = ("_done", "_loop", "_transport", "address", "answer", "due", "lost", "until", "watched")

    def __init__(self, loop: asyncio.AbstractEventLoop, address: str) -> None:
        self._loop = loop
        self._transport: asyncio.Transport | None = None
        self._done: Callable[[], None] | None = None
        self.address = address
        self.answer = Answer()
        self.lost = False
        self.due = NEVER  # when the question that is open must have been answered
        self.watched = False
        self.until = 0.0

    def ask(self, request: bytes, cap: int, done: Callable[[], None]) -> None:
        """Write the request at once; `done` is called when its answer has ended, well or not: never from in here."""
        self.answer.start(cap)
        self._done = done
        if self._transport is None:
            self._loop.call_soon(self._end, "connection_closed")
        else:
            self._transport.write(request)

    async def answered(self, request: bytes, cap: int) -> None:
        """Write the request and wait until its answer has ended, well or not."""
        waiter = self._loop.create_future()
        self.ask(request, cap, lambda: None if waiter.done() else waiter.set_result(None))
        await waiter

    @property
    def reusable(self) -> bool:
        """Whether it is as it was before the question: nothing is left to read or to write."""
        transport = self._transport
        return (
            transport is not None
            and not self.lost
            and self.answer.reusable
            and not transport.is_closing()
            and transport.get_write_buffer_size() == 0
        )

    def expire(self) -> None:
        """The deadline has passed."""
        self._end("timeout")

    def abort(self) -> None:
        """Close at once, whatever is still to be read or written."""
        self.lost = True
        if self._transport is not None:
            self._transport.abort()

    def response(self, duration: float) -> Response:
        """What has come of the answer."""
        answer = self.answer
        headers = [
            (name.decode("utf-8", "replace"), value.decode("utf-8", "replace")) for name, value in answer.headers
        ]
        return Response(answer.status, headers, answer.body, answer.truncated, duration, self.address)

    def kept_for(self) -> float:
        """Seconds that it may lie idle: ours, or a second less than the receiver says, if that is sooner."""
        if told := self.answer.keep_alive:
            _, said, rest = told.partition(b"timeout=")
            seconds = rest.partition(b",")[0].strip()
            if said and seconds.isdigit() and len(seconds) < 6:
                return min(KEEP_ALIVE_SECONDS, int(seconds) - 1.0)
        return KEEP_ALIVE_SECONDS

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        done = self._done
        if done is None:
            self.abort()  # nobody asked: it would be taken for the answer to the next question
        elif self.answer.feed(data):
            self._done = None
            done()

    def connection_lost(self, error: Exception | None) -> None:
        self.lost = True
        self._transport = None
        self.answer.close(cleanly=error is None)
        self._wake()

    def _end(self, code: UnknownCode) -> None:
        self.answer.fail(code)
        self._wake()

    def _wake(self) -> None:
        done, self._done = self._done, None
        if done is not None:
            done()
