"""Connections that lie idle until their endpoint is asked again."""

import asyncio
from collections.abc import Hashable, Iterable
from heapq import nsmallest
from operator import itemgetter
from typing import Final
from weakref import WeakValueDictionary

from temula.kernel.addresses import AddressPolicy
from temula.kernel.http.wire import Connection

MAX_IDLE: Final = 512
SWEEP: Final = 1.0


class Place:
    """What a connection may be used for: one key, one origin, one policy that its address passed.

    `idle` are the connections that are kept for it, the one that was used last at the end.
    """

    __slots__ = ("__weakref__", "idle", "key", "origin", "over", "policy")

    def __init__(self, key: Hashable, origin: tuple[str, str, int], policy: AddressPolicy | None) -> None:
        self.key = key
        self.origin = origin
        self.policy = policy
        self.idle: list[Connection] = []
        self.over = False  # the key is used for another origin or policy now


class Kept:
    """At most `most` connections for at most thirty seconds each; the one that has waited longest goes first."""

    def __init__(self, loop: asyncio.AbstractEventLoop, most: int = MAX_IDLE) -> None:
        self._loop = loop
        self._most = most
        self._closed = False
        self._number = 0
        self._places: WeakValueDictionary[Hashable, Place] = WeakValueDictionary()  # as long as somebody uses them
        self._filled: set[Place] = set()
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return self._number

    def place(self, key: Hashable, origin: tuple[str, str, int], policy: AddressPolicy | None) -> Place:
        """Give the place of a key; what was dialled under it for another origin or policy is closed."""
        known = self._places.get(key)
        if known is not None:
            if known.policy is policy and known.origin == origin:
                return known
            known.over = True
            self._drop(known.idle, of=known)
        made = self._places[key] = Place(key, origin, policy)
        return made

    def take(self, place: Place) -> Connection | None:
        """Give the one that was used last."""
        idle = place.idle
        while idle:
            connection = idle.pop()
            self._number -= 1
            if connection.lost:
                continue
            if connection.until > self._loop.time():
                return connection
            connection.abort()
        return None

    def put(self, connection: Connection, place: Place) -> None:
        """Keep it for the next request to the same place."""
        if self._closed or place.over:
            connection.abort()
            return
        connection.until = self._loop.time() + connection.kept_for()
        place.idle.append(connection)
        self._filled.add(place)
        self._number += 1
        if self._number > self._most:
            self._make_room()
        if self._timer is None:
            self._timer = self._loop.call_later(SWEEP, self._sweep)

    def close(self) -> None:
        """Close them all, and keep none any more."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for place in self._filled:
            self._drop(place.idle, of=place)
        self._filled.clear()

    def _drop(self, connections: Iterable[Connection], *, of: Place) -> None:
        gone = set(connections)
        of.idle[:] = [one for one in of.idle if one not in gone]
        self._number -= len(gone)
        for connection in gone:
            connection.abort()

    def _make_room(self) -> None:
        """Close those that have waited longest: some more than has to be, so that it is not done each time."""
        waiting = [(one.until, n, one, place) for n, place in enumerate(self._filled) for one in place.idle]
        for _, _, connection, place in nsmallest(1 + self._most // 16, waiting, key=itemgetter(0, 1)):
            self._drop((connection,), of=place)

    def _sweep(self) -> None:
        now = self._loop.time()
        for place in list(self._filled):
            self._drop([one for one in place.idle if one.lost or one.until <= now], of=place)
            if not place.idle:
                self._filled.discard(place)
        self._timer = self._loop.call_later(SWEEP, self._sweep) if self._number else None
