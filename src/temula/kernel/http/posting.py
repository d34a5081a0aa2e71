"""POSTs to one receiver after another: what does not change between them is checked and written once.

The same checks, bounds and deadlines as `Http.send`, but neither a task nor a future for each request while a kept
connection lies idle: at ten thousand a second these cost as much as the request itself.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple, cast

import structlog

from temula.kernel.http.exchanging import Opened, Target, ask, reached
from temula.kernel.http.headers import MAX_VALUE, check_names
from temula.kernel.http.model import NotSent, TransactionOpen
from temula.kernel.http.wire import NEVER, Connection
from temula.kernel.waiting import open_unit

log = structlog.get_logger()

_PRINTABLE = bytes(range(0x20, 0x7F))  # to be deleted from what is looked at: half the time of `isprintable`


class Posted(NamedTuple):
    """What came of a POST. `status` is 0 if no final answer began; `code` says what went wrong, if anything did.

    `headers` are the answer's, as they came, and `body` is its beginning. `seconds` count from the call on.
    """

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes
    truncated: bool
    seconds: float
    address: str | None
    code: str | None


# Called once for each POST, and never from within `Poster.post`; None is an error of our own: nothing is known.
Done = Callable[[Posted | None], None]


class Fields:
    """The names of headers whose values change with each POST; checked once."""

    __slots__ = ("template",)

    def __init__(self, names: Sequence[str]) -> None:
        check_names(names)
        self.template = "".join(f"{name}: %s\r\n" for name in names)


class Poster:
    """One receiver: its URL is checked, and the headers that all POSTs have are written."""

    __slots__ = ("cap", "deadline", "opened", "place", "start", "target")

    def __init__(self, opened: Opened, target: Target, start: str, reuse: str, *, deadline: float, cap: int) -> None:
        self.opened = opened
        self.target = target
        self.place = opened.kept.place(reuse, target.origin, target.policy)
        self.start = start
        self.deadline = deadline
        self.cap = cap

    def post(self, fields: Fields, values: tuple[str, ...], body: bytes, done: Done) -> None:
        """Send once. A kept connection that turns out to have been closed before a byte came is replaced once."""
        unit = open_unit.get()
        if unit is not None:
            raise TransactionOpen(f"end the unit of work ({unit}) before sending: prepare, send, record")
        opened = self.opened
        joined = "".join(values)
        if not joined.isascii() or len(joined) > MAX_VALUE or joined.encode().translate(None, _PRINTABLE):
            opened.loop.call_soon(done, failed("request_invalid"))
            return
        head = f"{self.start}{fields.template % values}Content-Length: {len(body)}\r\n\r\n"
        sent = _Sent(self, head.encode() + body, done)
        connection = opened.kept.take(self.place)
        if connection is None:
            sent.go_afresh()
        else:
            sent.ask(connection)


class _Sent:
    """A POST that is under way."""

    __slots__ = ("began", "connection", "done", "poster", "question")

    def __init__(self, poster: Poster, question: bytes, done: Done) -> None:
        self.poster = poster
        self.question = question
        self.done = done
        self.began = poster.opened.loop.time()
        self.connection: Connection | None = None

    def ask(self, connection: Connection) -> None:
        """Ask over a connection that was kept."""
        poster = self.poster
        self.connection = connection
        poster.opened.deadlines.add(connection, self.began + poster.deadline)
        connection.ask(self.question, poster.cap, self._answered)

    def go_afresh(self) -> None:
        """Ask over a connection that is made now."""
        opened = self.poster.opened
        task = opened.loop.create_task(self._reach())
        opened.tasks.add(task)
        task.add_done_callback(opened.tasks.discard)

    def _answered(self) -> None:
        connection = cast("Connection", self.connection)
        connection.due = NEVER
        answer = connection.answer
        if answer.code == "connection_closed" and answer.silent and self.poster.opened.loop.time() < self._until:
            self.go_afresh()
        else:
            self._conclude(connection)

    async def _reach(self) -> None:
        poster = self.poster
        opened = poster.opened
        try:
            connection = await reached(opened, poster.target, self._until)
            await ask(opened, connection, self.question, poster.cap, self._until)
        except NotSent as error:
            # A first try, over a kept connection, may have arrived.
            code = error.code if self.connection is None else "connection_closed"
            self._warn(code)
            self.done(failed(code, opened.loop.time() - self.began))
        except Exception:
            log.exception("http.failed", host=poster.target.url.host)
            self.done(None)
        else:
            self._conclude(connection)

    @property
    def _until(self) -> float:
        return self.began + self.poster.deadline

    def _conclude(self, connection: Connection) -> None:
        """Keep the connection if it may be kept, and tell what came."""
        opened, answer = self.poster.opened, connection.answer
        posted = Posted(
            answer.status, answer.headers, answer.body, answer.truncated, opened.loop.time() - self.began,
            connection.address, answer.code or (None if answer.status else "bad_response"),
        )  # fmt: skip
        if connection.reusable:
            opened.kept.put(connection, self.poster.place)
        else:
            connection.abort()
        if posted.code is not None:
            self._warn(posted.code)
        self.done(posted)

    def _warn(self, code: str) -> None:
        # A customer's path may hold a secret of theirs: only the host is told.
        ms = round((self.poster.opened.loop.time() - self.began) * 1000)
        log.warning("http.sent", method="POST", host=self.poster.target.url.host, error=code, ms=ms)


def failed(code: str, seconds: float = 0.0) -> Posted:
    """Give what comes of a POST that nothing came of."""
    return Posted(0, [], b"", truncated=True, seconds=seconds, address=None, code=code)
