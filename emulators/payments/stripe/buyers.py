"""The buyer's doors: the hosted page of a Checkout Session, for browsers and for tests that buy by JSON."""

import json
from typing import TYPE_CHECKING

from aiohttp import web

from emulators.payments.stripe import paying
from emulators.payments.stripe.calls import Call
from emulators.payments.stripe.cards import BY_NUMBER, DECLINED, GOOD, Card
from emulators.payments.stripe.currencies import shown
from emulators.payments.stripe.errors import Json
from emulators.payments.stripe.pages import checkout, notice
from emulators.payments.stripe.store import Row

if TYPE_CHECKING:
    from emulators.payments.stripe.sandbox import Sandbox

OUTCOMES: dict[str, Card] = {"succeed": GOOD, "decline": DECLINED, "declined": DECLINED, **BY_NUMBER}
DELAYED = "processing"


def routes(sandbox: "Sandbox") -> list[web.RouteDef]:
    buyers = Buyers(sandbox)
    return [
        web.get("/checkout/{id}", buyers.look),
        web.post("/checkout/{id}/pay", buyers.pay),
        web.post("/checkout/{id}/settle", buyers.settle),
        web.get("/receipts/{id}", buyers.receipt),
    ]


class Buyers:
    """Stands in for the person at the page; needs no key, as the link is the secret."""

    def __init__(self, sandbox: "Sandbox") -> None:
        self.sandbox = sandbox

    async def look(self, request: web.Request) -> web.StreamResponse:
        row = self._row(request)
        if row.body["status"] != "open":
            return _closed(row.body, request)
        return _html(checkout(row.body, row.hidden["line_items"], None))

    async def pay(self, request: web.Request) -> web.StreamResponse:
        outcome = await _chosen(request)
        if outcome != DELAYED and outcome not in OUTCOMES:
            raise web.HTTPBadRequest(text=f"Choose one of {', '.join([*OUTCOMES, DELAYED])}, all of them test cards.")
        row = self._row(request)
        if row.body["status"] != "open":
            return _closed(row.body, request)
        error = self._pay(row, outcome)
        if error is None:
            return _done(row.body, request)
        if _wants_json(request):
            return _json({"status": "declined", "session": row.body["id"], "error": error}, 402)
        return _html(checkout(row.body, row.hidden["line_items"], error["message"]), 402)

    def _pay(self, row: Row, outcome: str) -> Json | None:
        store = self.sandbox.store
        call = self._call(row)
        with store.transaction():
            if outcome == DELAYED:
                paying.pay_later(call, row.body)
                error = None
            else:
                error = paying.pay(call, row.body, OUTCOMES[outcome])
        self.sandbox.courier.wake.set()
        return error

    async def settle(self, request: web.Request) -> web.StreamResponse:
        outcome = await _chosen(request)
        row = self._row(request)
        if (row.body["status"], row.body["payment_status"]) != ("complete", "unpaid"):
            raise web.HTTPConflict(text="Only a session that was paid by a delayed method can be settled.")
        with self.sandbox.store.transaction():
            paying.settle(self._call(row), row.body, succeed=outcome == "succeed")
        self.sandbox.courier.wake.set()
        return _json({"status": row.body["status"], "payment_status": row.body["payment_status"]})

    async def receipt(self, request: web.Request) -> web.StreamResponse:
        row = self.sandbox.store.row("charge", request.match_info["id"])
        if row is None or not row.body["paid"]:
            raise web.HTTPNotFound(text=notice("Nothing here", "There is no such receipt."), content_type="text/html")
        card = row.body["payment_method_details"]["card"]
        paid, back = (shown(row.body[name], row.body["currency"]) for name in ("amount", "amount_refunded"))
        return _html(notice(f"{paid} paid", f"{card['brand'].title()} ending in {card['last4']}. Refunded: {back}."))

    def _call(self, row: Row) -> Call:
        sandbox = self.sandbox
        return Call(store=sandbox.store, account=row.account, now=int(sandbox.now()), base_url=sandbox.base_url)

    def _row(self, request: web.Request) -> Row:
        self.sandbox.expire_sessions()
        row = self.sandbox.store.row("checkout.session", request.match_info["id"])
        if row is None:
            raise web.HTTPNotFound(
                text=notice("Nothing here", "This link leads to no payment."), content_type="text/html"
            )
        return row


async def _chosen(request: web.Request) -> str:
    if request.content_type == "application/json":
        try:
            given = json.loads(await request.text() or "{}")
        except ValueError as error:
            raise web.HTTPBadRequest(text="This is not JSON.") from error
        return str(given.get("outcome") or given.get("card") or "") if isinstance(given, dict) else ""
    return str((await request.post()).get("card", "")).replace(" ", "")


def _wants_json(request: web.Request) -> bool:
    return "application/json" in request.headers.get("Accept", "")


def _success_url(session: Json) -> str:
    return str(session["success_url"]).replace("{CHECKOUT_SESSION_ID}", session["id"])


def _done(session: Json, request: web.Request) -> web.StreamResponse:
    onward = _success_url(session)
    if not _wants_json(request):
        # Sent as it was given: a location must not be quoted a second time.
        return web.Response(status=303, headers={"Location": onward})
    return _json({
        "status": session["status"],
        "payment_status": session["payment_status"],
        "session": session["id"],
        "payment_intent": session["payment_intent"],
        "redirect": onward,
    })  # fmt: skip


def _closed(session: Json, request: web.Request) -> web.StreamResponse:
    """A page that was used or ran out says so; see https://docs.stripe.com/api/checkout/sessions/expire."""
    if _wants_json(request):
        return _json({"status": session["status"], "session": session["id"], "error": {"code": "session_closed"}}, 409)
    if session["status"] == "complete":
        return _html(notice("You're all done here", "This payment is complete.", _success_url(session)))
    return _html(notice("This link has expired", "Go back to the shop and begin again.", session["cancel_url"]), 410)


def _html(text: str, status: int = 200) -> web.StreamResponse:
    return web.Response(text=text, status=status, content_type="text/html", headers={"Cache-Control": "no-store"})


def _json(body: Json, status: int = 200) -> web.StreamResponse:
    return web.json_response(body, status=status)
