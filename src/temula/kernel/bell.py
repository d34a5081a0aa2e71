"""Wake-ups between processes over LISTEN/NOTIFY: a hint only. A lost one costs a reader its poll interval, no data.

Rung outside the transaction on purpose: NOTIFY inside it would serialize all commits on one lock in PostgreSQL.
The same connection shows that the process lives: it holds an advisory lock, which ends with it, however it ends. On it
the server is asked for its time as well.
"""

import asyncio
import secrets
import time
from collections import defaultdict
from contextlib import suppress

import asyncpg
import structlog

from temula.kernel.clock import Clock, SharedClock

CHANNEL = "temula"
ASK_EVERY = 5.0
PAUSE = 0.5  # between tries to connect
HEARD_WITHIN = 5.0  # a connection on which nothing comes back any more is given up after it
log = structlog.get_logger()


class Bell:
    """One connection a process that rings topics (coalesced while it is busy) and wakes those who wait for them."""

    def __init__(self, dsn: str, clock: Clock) -> None:
        self._dsn = dsn
        self._clock = clock
        self._waiting: defaultdict[str, set[asyncio.Event]] = defaultdict(set)
        self._to_ring: set[str] = set()
        self._rung = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._tried = asyncio.Event()
        self.presence = secrets.randbits(63)

    async def open(self) -> None:
        """Start listening, and be seen to live; connection trouble heals by itself."""
        self._task = asyncio.create_task(self._serve(), name="bell")
        await self._tried.wait()

    async def close(self) -> None:
        """Stop listening."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    def ring(self, topic: str) -> None:
        """Wake everybody who waits for `topic`, here at once and in other processes soon."""
        self._wake(topic)
        self._to_ring.add(topic)
        self._rung.set()

    def subscribe(self, topic: str) -> asyncio.Event:
        """Give an event that is set each time the topic rings; the waiter clears it before it looks for work."""
        event = asyncio.Event()
        self._waiting[topic].add(event)
        return event

    def unsubscribe(self, topic: str, event: asyncio.Event) -> None:
        """Stop waking `event`."""
        self._waiting[topic].discard(event)

    def _wake(self, topic: str) -> None:
        for event in self._waiting[topic]:
            event.set()

    async def _serve(self) -> None:
        while True:
            began = time.monotonic()
            try:
                await self._listen()
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError) as error:
                self._tried.set()
                log.warning("bell.lost", error=type(error).__name__)
                # One that lasted is made anew at once: until then the others take this process for dead.
                if time.monotonic() - began < PAUSE:
                    await asyncio.sleep(PAUSE)

    async def _listen(self) -> None:
        connection = await asyncpg.connect(
            self._dsn, server_settings={"application_name": "temula-bell"}, timeout=10, command_timeout=HEARD_WITHIN
        )
        try:
            # Shared, so that the session of a connection that we lost does not keep us waiting.
            await connection.execute("SELECT pg_advisory_lock_shared($1)", self.presence)
            await connection.add_listener(CHANNEL, lambda _c, _pid, _channel, topic: self._wake(str(topic)))
            # A connection that ends is noticed at once: the next statement fails, and we listen anew.
            connection.add_termination_listener(lambda _connection: self._rung.set())
            await self._ask(connection)
            self._tried.set()
            asked = time.monotonic()
            while True:
                with suppress(TimeoutError):
                    async with asyncio.timeout(ASK_EVERY):
                        await self._rung.wait()
                self._rung.clear()
                topics, self._to_ring = sorted(self._to_ring), set()
                if topics:
                    await connection.execute(
                        "SELECT pg_notify($1, topic) FROM unnest($2::text[]) AS topic", CHANNEL, topics
                    )
                if time.monotonic() - asked >= ASK_EVERY or connection.is_closed():
                    await self._ask(connection)
                    asked = time.monotonic()
        finally:
            with suppress(
                OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError
            ):
                await connection.close(timeout=1)

    async def _ask(self, connection: "asyncpg.Connection") -> None:
        """Set the clock to the server's, if it is one that can be set; a connection that is gone shows here."""
        began = time.monotonic()
        told = await connection.fetchval("SELECT clock_timestamp()")
        if isinstance(self._clock, SharedClock):
            self._clock.set(told, time.monotonic() - began)


async def wait(event: asyncio.Event, timeout: float) -> None:  # noqa: ASYNC109 - the poll interval, not a deadline
    """Wait until `event` is set or `timeout` seconds have passed, then clear it."""
    with suppress(TimeoutError):
        async with asyncio.timeout(timeout):
            await event.wait()
    event.clear()
