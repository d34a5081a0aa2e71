"""Many deadlines on one timer: one for each of ten thousand requests a second would cost more than their answers."""

import asyncio
from typing import Final

from temula.kernel.http.wire import NEVER, Connection

TICK: Final = 0.05


class Deadlines:
    """Ends what has not answered by its time, at most two ticks late. The timer runs only while something waits.

    A connection is looked at from its first question on, until it is lost; whether it waits now says its `due`.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._watched: set[Connection] = set()
        self._timer: asyncio.TimerHandle | None = None

    def add(self, connection: Connection, at: float) -> None:
        """Expire the connection at this time of the loop's clock, unless its `due` is put off before."""
        connection.due = at
        if not connection.watched:
            connection.watched = True
            self._watched.add(connection)
        if self._timer is None:
            self._timer = self._loop.call_later(TICK, self._turn)

    def _turn(self) -> None:
        now, waits = self._loop.time(), False
        for connection in list(self._watched):
            if connection.lost:
                self._watched.discard(connection)
            elif connection.due <= now:
                connection.expire()
            elif connection.due != NEVER:
                waits = True
        self._timer = self._loop.call_later(TICK, self._turn) if waits else None
