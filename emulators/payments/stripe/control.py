"""The doors for tests, under `/_emulator`: faults, webhooks held and released, the clock, the log of deliveries."""

import json
from typing import TYPE_CHECKING

from aiohttp import web

from emulators.payments.stripe import faults, outbox
from emulators.payments.stripe.calls import API_VERSION
from emulators.payments.stripe.errors import Json, Refusal

if TYPE_CHECKING:
    from emulators.payments.stripe.sandbox import Sandbox


def routes(sandbox: "Sandbox") -> list[web.RouteDef]:
    control = Control(sandbox)
    return [
        web.get("/_emulator/health", control.health),
        web.get("/_emulator/faults", control.faults),
        web.post("/_emulator/faults", control.order),
        web.delete("/_emulator/faults", control.withdraw),
        web.get("/_emulator/deliveries", control.deliveries),
        web.post("/_emulator/webhooks/hold", control.hold),
        web.post("/_emulator/webhooks/release", control.release),
        web.post("/_emulator/clock", control.advance),
        web.post("/_emulator/reset", control.reset),
    ]


class Control:
    """What only a stand-in can do; it has no key, for it listens where only tests are."""

    def __init__(self, sandbox: "Sandbox") -> None:
        self.sandbox = sandbox

    async def health(self, _: web.Request) -> web.Response:
        waiting = outbox.count(self.sandbox.store)
        now = self.sandbox.now()
        body = {"status": "ok", "provider": "stripe", "api_version": API_VERSION, "now": now, "pending": waiting}
        return web.json_response(body)

    async def faults(self, _: web.Request) -> web.Response:
        return web.json_response({"faults": faults.ordered(self.sandbox.store), "meanings": faults.MEANINGS})

    async def order(self, request: web.Request) -> web.Response:
        try:
            return web.json_response(faults.order(self.sandbox.store, await _body(request)), status=201)
        except Refusal as refusal:
            return web.json_response(refusal.body(), status=400)

    async def withdraw(self, _: web.Request) -> web.Response:
        faults.withdraw(self.sandbox.store)
        return web.Response(status=204)

    async def deliveries(self, request: web.Request) -> web.Response:
        key = request.query.get("key")
        limit = request.query.get("limit", "100")
        account = faults.account_of(key) if key else None
        found = outbox.log(self.sandbox.store, account, int(limit) if limit.isdigit() else 100)
        return web.json_response({"deliveries": found})

    async def hold(self, _: web.Request) -> web.Response:
        outbox.hold(self.sandbox.store)
        return web.Response(status=204)

    async def release(self, _: web.Request) -> web.Response:
        with self.sandbox.store.transaction():
            outbox.release(self.sandbox.store)
        self.sandbox.courier.wake.set()
        return web.Response(status=204)

    async def advance(self, request: web.Request) -> web.Response:
        """Moves Stripe's time on: sessions expire and retries fall due; signatures keep the true time."""
        seconds = (await _body(request)).get("advance")
        if not isinstance(seconds, int | float) or seconds < 0:
            return web.json_response({"error": {"message": "Give `advance` in seconds."}}, status=400)
        self.sandbox.advance(float(seconds))
        return web.json_response({"now": self.sandbox.now()})

    async def reset(self, _: web.Request) -> web.Response:
        self.sandbox.store.clear()
        return web.Response(status=204)


async def _body(request: web.Request) -> Json:
    try:
        body = json.loads(await request.text() or "{}")
    except ValueError as error:
        raise web.HTTPBadRequest(text="This is not JSON.") from error
    if not isinstance(body, dict):
        raise web.HTTPBadRequest(text="This is not a JSON object.")
    return body
