"""Connections that lie idle until their endpoint is asked again."""

import asyncio
from collections.abc import Hashable
from typing import Final

from temula.kernel.addresses import AddressPolicy
from temula.kernel.http.wire import Connection

MAX_IDLE: Final = 512
SWEEP: Final = 1.0


class Place:
    """What a connection may be used for: one key, one origin, one policy that its address passed."""

    __slots__ = ("key", "origin", "policy")

    def __init__(self, key: Hashable, origin: tuple[str, str, int], policy: AddressPolicy | None) -> None:
        self.key = key
        self.origin = origin
        self.policy = policy

    def same(self, other: "Place") -> bool:
        """Whether a connection of the other may be used here."""
        return self.policy is other.policy and self.origin == other.origin


class Kept:
    """At most `most` connections for at most thirty seconds each; the one that has waited longest goes first."""

    def __init__(self, loop: asyncio.AbstractEventLoop, most: int = MAX_IDLE) -> None:
        self._loop = loop
        self._most = most
        self._closed = False
        self._idle: dict[Connection, Place] = {}
        self._by_key: dict[Hashable, list[Connection]] = {}
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._idle)

    def take(self, place: Place) -> Connection | None:
        """The one that was used last; those that were dialled for another origin or policy are closed."""
        waiting = self._by_key.get(place.key)
        while waiting:
            connection = waiting.pop()
            was = self._idle.pop(connection)
            if not waiting:
                del self._by_key[place.key]
            if connection.lost:
                continue
            if was.same(place) and connection.until > self._loop.time():
                return connection
            connection.abort()
        return None

    def put(self, connection: Connection, place: Place) -> None:
        """Keep it for the next request to the same place."""
        if self._closed:
            connection.abort()
            return
        connection.until = self._loop.time() + connection.kept_for()
        self._idle[connection] = place
        self._by_key.setdefault(place.key, []).append(connection)
        if len(self._idle) > self._most:
            self._drop(next(iter(self._idle)))
        if self._timer is None:
            self._timer = self._loop.call_later(SWEEP, self._sweep)

    def close(self) -> None:
        """Close them all, and keep none any more."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for connection in list(self._idle):
            self._drop(connection)

    def _drop(self, connection: Connection) -> None:
        place = self._idle.pop(connection)
        waiting = self._by_key[place.key]
        waiting.remove(connection)
        if not waiting:
            del self._by_key[place.key]
        connection.abort()

    def _sweep(self) -> None:
        now = self._loop.time()
        for connection in [one for one in self._idle if one.lost or one.until <= now]:
            self._drop(connection)
        self._timer = self._loop.call_later(SWEEP, self._sweep) if self._idle else None
