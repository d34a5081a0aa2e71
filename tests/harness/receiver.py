"""Where webhooks arrive: keeps every request as it came, and answers what it is told to."""

import asyncio
import base64
import hashlib
import hmac
import json
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import NamedTuple

from aiohttp import web
from standardwebhooks import Webhook


class Arrival(NamedTuple):
    """One request, as it came over the wire."""

    headers: dict[str, str]
    body: bytes
    path: str
    began: float  # by the event loop's clock

    @property
    def message(self) -> dict:
        return json.loads(self.body)

    @property
    def type(self) -> str:
        return self.message["event_type"]

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    def verified_by(self, secret: str) -> bool:
        """Both signatures fit: ours by ten lines of standard library, Standard Webhooks by its own package."""
        ours = hmac.new(secret.encode(), self.body, hashlib.sha256).hexdigest()
        Webhook(secret).verify(self.body, self.headers)
        return hmac.compare_digest(ours, self.headers["x-temula-signature"])

    def plainly_signed_by(self, secret: str) -> bool:
        """`X-Temula-Signature` fits, whatever the time of the attempt."""
        ours = hmac.new(secret.encode(), self.body, hashlib.sha256).hexdigest()
        return hmac.compare_digest(ours, self.headers["x-temula-signature"])


def secret_of(text: str) -> bytes:
    return base64.b64decode(text.removeprefix("whsec_"))


class Receiver:
    """A customer's server. `answers` are taken one by one (a status, or a whole response); then it is 200.

    Each path below `url` is an endpoint of its own: `pauses` says how long it takes to answer, `most` how many requests
    it had at the same time.
    """

    def __init__(self) -> None:
        self.arrivals: list[Arrival] = []
        self.answers: list[int | Callable[[], web.Response]] = []
        self.pauses: defaultdict[str, float] = defaultdict(float)
        self.most: Counter[str] = Counter()
        self.url = ""
        self._now: Counter[str] = Counter()

    @property
    def types(self) -> list[str]:
        return [arrival.type for arrival in self.arrivals]

    def of(self, type_: str) -> list[Arrival]:
        return [arrival for arrival in self.arrivals if arrival.type == type_]

    def at(self, path: str) -> list[Arrival]:
        return [arrival for arrival in self.arrivals if arrival.path == path]

    async def take(self, request: web.Request) -> web.Response:
        headers, path = {name.lower(): value for name, value in request.headers.items()}, request.path
        self._now[path] += 1
        self.most[path] = max(self.most[path], self._now[path])
        try:
            arrival = Arrival(headers, await request.read(), path, asyncio.get_running_loop().time())
            self.arrivals.append(arrival)
            answer = self.answers.pop(0) if self.answers else 200
            await asyncio.sleep(self.pauses[path])
        finally:
            self._now[path] -= 1
        return web.Response(status=answer) if isinstance(answer, int) else answer()


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    app = web.Application()
    app.router.add_post("/hooks", receiver.take)
    app.router.add_post("/hooks/{name}", receiver.take)
    runner = web.AppRunner(app, shutdown_timeout=0.2)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    receiver.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hooks"
    try:
        yield receiver
    finally:
        await runner.cleanup()
