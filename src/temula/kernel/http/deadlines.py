"""Many deadlines on one timer: one for each of ten thousand requests a second would cost more than their answers."""

import asyncio
from typing import Final

from temula.kernel.http.wire import Connection

TICK: Final = 0.05


class Deadlines:
    """Ends what has not answered by its time, at most two ticks late. The timer runs only while something waits."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._slots: dict[int, set[Connection]] = {}
        self._timer: asyncio.TimerHandle | None = None

    def add(self, connection: Connection, at: float) -> None:
        """Expire the connection at this time of the loop's clock, unless it is discarded before."""
        connection.slot = slot = int(at / TICK) + 1
        waiting = self._slots.get(slot)
        if waiting is None:
            waiting = self._slots[slot] = set()
            if self._timer is None:
                self._timer = self._loop.call_later(TICK, self._turn)
        waiting.add(connection)

    def discard(self, connection: Connection) -> None:
        """It has answered."""
        waiting = self._slots.get(connection.slot)
        if waiting is not None:
            waiting.discard(connection)

    def _turn(self) -> None:
        now = int(self._loop.time() / TICK)
        for slot in [slot for slot in self._slots if slot <= now]:
            for connection in self._slots.pop(slot):
                connection.expire()
        self._timer = self._loop.call_later(TICK, self._turn) if self._slots else None
