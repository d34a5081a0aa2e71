"""One question and its answer, over a connection that was kept or is made now, and what belongs to one event loop."""

import asyncio
import ssl
from typing import Final, NamedTuple

from temula.kernel.addresses import AddressPolicy, CheckedUrl
from temula.kernel.http.deadlines import Deadlines
from temula.kernel.http.keeping import Kept, Place
from temula.kernel.http.model import NotSent, OutcomeUnknown, Request, Response
from temula.kernel.http.reaching import Limits, MakeSocket, Reach
from temula.kernel.http.resolving import Resolve, SystemResolver
from temula.kernel.http.wire import NEVER, Connection

_REPEATABLE: Final = frozenset({"GET", "PUT", "DELETE", "OPTIONS"})


class Target(NamedTuple):
    """A URL as it was checked, under a policy, and what each request to it begins with."""

    url: CheckedUrl
    policy: AddressPolicy | None
    origin: tuple[str, str, int]
    start: str


class Opened:
    """What belongs to one event loop."""

    def __init__(
        self, resolve: Resolve | None, make_socket: MakeSocket, tls: ssl.SSLContext, limits: Limits, max_idle: int
    ) -> None:
        self.loop = asyncio.get_running_loop()
        self.deadlines = Deadlines(self.loop)
        self.kept = Kept(self.loop, max_idle)
        self._system = SystemResolver()
        own = resolve or self._system.look_up
        self.reach = Reach(resolve or self._system.public, own, make_socket, tls, limits)
        self.tasks: set[asyncio.Task[None]] = set()

    def close(self) -> None:
        self.kept.close()
        self._system.close()


async def exchange(
    opened: Opened, request: Request, question: bytes, target: Target, place: Place | None, began: float
) -> Response:
    until = began + request.deadline
    connection = None if place is None else opened.kept.take(place)
    if connection is None:
        connection = await reached(opened, target, until)
        await ask(opened, connection, question, request.max_response_bytes, until)
        return outcome_of(opened, connection, place, began)
    await ask(opened, connection, question, request.max_response_bytes, until)
    answer = connection.answer
    may_repeat = target.policy is not None or request.method in _REPEATABLE
    if not (may_repeat and answer.silent and answer.code == "connection_closed" and opened.loop.time() < until):
        return outcome_of(opened, connection, place, began)
    try:
        connection = await reached(opened, target, until)
    except NotSent:
        raise OutcomeUnknown("connection_closed") from None  # the first try may have arrived
    await ask(opened, connection, question, request.max_response_bytes, until)
    return outcome_of(opened, connection, place, began)


async def reached(opened: Opened, target: Target, until: float) -> Connection:
    connection = await opened.reach.connection(target.url, target.policy, until)
    if connection.lost:
        raise NotSent("connect_failed")
    return connection


async def ask(opened: Opened, connection: Connection, question: bytes, cap: int, until: float) -> None:
    opened.deadlines.add(connection, until)
    try:
        await connection.answered(question, cap)
    except asyncio.CancelledError:
        connection.abort()
        raise
    finally:
        connection.due = NEVER


def outcome_of(opened: Opened, connection: Connection, place: Place | None, began: float) -> Response:
    """The answer, or what went wrong, with what came; the connection is kept if it may be."""
    answer = connection.answer
    response = connection.response(opened.loop.time() - began) if answer.status else None
    code = answer.code
    if place is not None and connection.reusable:
        opened.kept.put(connection, place)
    else:
        connection.abort()
    if code is not None or response is None:
        raise OutcomeUnknown(code or "bad_response", response)
    return response
