"""The stand-in as a whole: one store, one clock, one courier, and the server in front of them."""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress

from aiohttp import web

from emulators.payments.stripe import api, buyers, control, outbox, paying
from emulators.payments.stripe.calls import Call
from emulators.payments.stripe.delivery import Courier, Retries
from emulators.payments.stripe.store import Store

LONGEST_NAP = 1.0
AHEAD = "seconds ahead"


class Sandbox:
    """State and time, shared by the doors; time may be ahead of the clock by order."""

    def __init__(self, state: str, clock: Callable[[], float], retries: Retries) -> None:
        self.store = Store(state)
        self.clock = clock
        self.base_url = ""
        self.courier = Courier(self.store, self.now, clock, retries)

    def now(self) -> float:
        return self.clock() + float(self.store.setting(AHEAD, "0"))

    def advance(self, seconds: float) -> None:
        self.store.set(AHEAD, str(float(self.store.setting(AHEAD, "0")) + seconds))
        self.courier.wake.set()

    def expire_sessions(self) -> None:
        now = self.now()
        due = self.store.expired_sessions(now)
        if not due:
            return
        with self.store.transaction():
            for row in due:
                paying.expire(Call(self.store, row.account, int(now), self.base_url), row.body)
        self.courier.wake.set()

    async def work(self) -> None:
        """Expires sessions and sends webhooks as they fall due, until cancelled."""
        while True:
            self.courier.wake.clear()
            self.expire_sessions()
            self.courier.start_due()
            with suppress(TimeoutError):
                async with asyncio.timeout(self._nap()):
                    await self.courier.wake.wait()

    def _nap(self) -> float:
        due = outbox.next_due(self.store)
        if due is None:
            return LONGEST_NAP
        # A lane that is at work wakes us when it ends, so what is due already need not be polled for.
        wait = due - self.now()
        return LONGEST_NAP if wait <= 0 else min(LONGEST_NAP, wait)


class StripeEmulator:
    """Stripe in one process, for tests: `await start()`, talk to `base_url`, `await stop()`."""

    def __init__(
        self,
        state: str = ":memory:",
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        clock: Callable[[], float] = time.time,
        retries: Retries | None = None,
        public_url: str | None = None,
    ) -> None:
        self.state = state
        self.host = host
        self.port = port
        self.clock = clock
        self.retries = retries or Retries()
        self.public_url = public_url
        self.sandbox: Sandbox | None = None
        self._runner: web.AppRunner | None = None
        self._work: asyncio.Task[None] | None = None

    @property
    def base_url(self) -> str:
        return self.public_url or f"http://{self.host}:{self.port}"

    async def start(self) -> None:
        sandbox = self.sandbox = Sandbox(self.state, self.clock, self.retries)
        app = web.Application(client_max_size=1024 * 1024)
        for part in (api, buyers, control):
            app.add_routes(part.routes(sandbox))
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
        await self._runner.setup()
        site = web.TCPSite(self._runner, self.host, self.port)
        await site.start()
        self.port = self._runner.addresses[0][1]
        sandbox.base_url = self.base_url
        self._work = asyncio.create_task(sandbox.work())

    async def tick(self) -> None:
        """Does at once all that is due: for tests whose clock only they move."""
        if self.sandbox is not None:
            self.sandbox.expire_sessions()
            await self.sandbox.courier.drain()

    async def stop(self) -> None:
        if self._work is not None:
            self._work.cancel()
            with suppress(asyncio.CancelledError):
                await self._work
        if self._runner is not None:
            await self._runner.cleanup()
        if self.sandbox is not None:
            await self.sandbox.courier.stop()
            self.sandbox.store.close()
        self._work = self._runner = self.sandbox = None
