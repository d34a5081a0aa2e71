"""The doors of Stripe's API, and the way of each request through them: key, faults, idempotency, one transaction."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from aiohttp import web

from emulators.payments.stripe import accounts, endpoints, events, faults, idempotency, intents, refunds, sessions
from emulators.payments.stripe.calls import API_VERSION, Answer, Call, Operation
from emulators.payments.stripe.errors import Json, Refusal, unsupported
from emulators.payments.stripe.faults import Fault
from emulators.payments.stripe.forms import Fields, decode
from emulators.payments.stripe.idempotency import Attempt, Kept
from emulators.payments.stripe.ids import account_for, new_id

if TYPE_CHECKING:
    from collections.abc import Iterator

    from emulators.payments.stripe.sandbox import Sandbox

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

DOORS: tuple[tuple[str, str, Operation], ...] = (
    ("POST", "/v1/checkout/sessions", sessions.create),
    ("GET", "/v1/checkout/sessions", sessions.listing),
    ("GET", "/v1/checkout/sessions/{id}", sessions.retrieve),
    ("POST", "/v1/checkout/sessions/{id}", sessions.update),
    ("POST", "/v1/checkout/sessions/{id}/expire", sessions.expire),
    ("GET", "/v1/checkout/sessions/{id}/line_items", sessions.list_items),
    ("POST", "/v1/payment_intents", intents.create),
    ("GET", "/v1/payment_intents", intents.listing),
    ("GET", "/v1/payment_intents/{id}", intents.retrieve),
    ("POST", "/v1/payment_intents/{id}", intents.update),
    ("POST", "/v1/payment_intents/{id}/confirm", intents.confirm),
    ("POST", "/v1/payment_intents/{id}/cancel", intents.cancel),
    ("GET", "/v1/charges", intents.list_charges),
    ("GET", "/v1/charges/{id}", intents.retrieve_charge),
    ("POST", "/v1/refunds", refunds.create),
    ("GET", "/v1/refunds", refunds.listing),
    ("GET", "/v1/refunds/{id}", refunds.retrieve),
    ("POST", "/v1/refunds/{id}", refunds.update),
    ("GET", "/v1/events", events.listing),
    ("GET", "/v1/events/{id}", events.retrieve),
    ("POST", "/v1/webhook_endpoints", endpoints.create),
    ("GET", "/v1/webhook_endpoints", endpoints.listing),
    ("GET", "/v1/webhook_endpoints/{id}", endpoints.retrieve),
    ("POST", "/v1/webhook_endpoints/{id}", endpoints.update),
    ("DELETE", "/v1/webhook_endpoints/{id}", endpoints.delete),
    ("GET", "/v1/balance", accounts.balance),
    ("GET", "/v1/balance_transactions", accounts.list_transactions),
    ("GET", "/v1/balance_transactions/{id}", accounts.retrieve_transaction),
    ("GET", "/v1/account", accounts.retrieve),
    ("POST", "/v1/customers", accounts.create_customer),
    ("GET", "/v1/customers", accounts.list_customers),
    ("GET", "/v1/customers/{id}", accounts.retrieve_customer),
)


def routes(sandbox: "Sandbox") -> list[web.RouteDef]:
    doors = Doors(sandbox)
    served = [web.route(method, path, doors.serving(operation)) for method, path, operation in DOORS]
    return [*served, web.route("*", "/v1/{rest:.*}", doors.nowhere)]


class Doors:
    """Serves the operations; keys in use live in memory, for they end with the process that holds them."""

    def __init__(self, sandbox: "Sandbox") -> None:
        self.sandbox = sandbox
        self.keys_in_use: set[tuple[str, str]] = set()

    def serving(self, operation: Operation) -> Handler:
        async def serve(request: web.Request) -> web.StreamResponse:
            request_id = new_id("req_")
            try:
                answer = await self._answer(request, operation, request_id)
            except Refusal as refusal:
                answer = _response(refusal.status, _encoded(refusal.body()))
            answer.headers["Request-Id"] = request_id
            answer.headers["Stripe-Version"] = API_VERSION
            if (key := request.headers.get("Idempotency-Key")) is not None and "\n" not in key:
                answer.headers["Idempotency-Key"] = key
            return answer

        return serve

    async def nowhere(self, request: web.Request) -> web.StreamResponse:
        message = f"Unrecognized request URL ({request.method}: {request.path})."
        try:
            account_for(request.headers.get("Authorization", ""))
        except Refusal as refusal:
            return _response(refusal.status, _encoded(refusal.body()))
        return _response(404, _encoded(Refusal(message, status=404).body()))

    async def _answer(self, request: web.Request, operation: Operation, request_id: str) -> web.Response:
        account = account_for(request.headers.get("Authorization", ""))
        _check_headers(request)
        given = request.query.items() if request.method != "POST" else _form(await request.read())
        parameters = decode(given)
        busy = self._take(Fault.BUSY, account, request)
        if busy is not None:
            return _busy(int(busy.get("status") or 429))
        key = request.headers.get("Idempotency-Key") if request.method == "POST" else None
        attempt = idempotency.attempt(account, key, request.path, parameters) if key else None
        call = Call(
            store=self.sandbox.store,
            account=account,
            now=int(self.sandbox.now()),
            base_url=self.sandbox.base_url,
            fields=Fields(parameters),
            id=request.match_info.get("id", ""),
            request_id=request_id,
            key=key,
        )
        with self._using(attempt) if attempt else nullcontext():
            broken = self._take(Fault.SERVER_ERROR, account, request) is not None
            answer = self._execute(call, _broken if broken else operation, attempt)
            return await self._spoil(answer, account, request)

    def _take(self, fault: Fault, account: str, request: web.Request) -> Json | None:
        taken = faults.take(self.sandbox.store, fault, account, path=request.path, method=request.method)
        return None if taken is None else taken.options

    @contextmanager
    def _using(self, attempt: Attempt) -> "Iterator[None]":
        held = (attempt.account, attempt.key)
        if held in self.keys_in_use:
            raise idempotency.in_use(attempt.key)
        self.keys_in_use.add(held)
        try:
            yield
        finally:
            self.keys_in_use.discard(held)

    def _execute(self, call: Call, operation: Operation, attempt: Attempt | None) -> web.Response:
        """Executes and keeps the answer under its key, both in one transaction, before anyone hears of it."""
        self.sandbox.expire_sessions()
        store = call.store
        if attempt is not None and (kept := idempotency.recall(store, attempt, call.now)) is not None:
            answer = _response(kept.status, kept.body)
            answer.headers["Idempotent-Replayed"] = "true"
            return answer
        try:
            with store.transaction():
                done = operation(call)
                first = Kept(done.status, _encoded(done.body))
                if attempt is not None:
                    idempotency.keep(store, attempt, call.now, first)
        except Refusal as refusal:
            first = Kept(refusal.status, _encoded(refusal.body()))
            if attempt is not None and refusal.kept:
                idempotency.keep(store, attempt, call.now, first)
        self.sandbox.courier.wake.set()
        answer = _response(first.status, first.body)
        if first.status >= 500:
            answer.headers["Stripe-Should-Retry"] = "false"
        return answer

    async def _spoil(self, answer: web.Response, account: str, request: web.Request) -> web.Response:
        slow = self._take(Fault.SLOW, account, request)
        lost = self._take(Fault.LOSE_ANSWER, account, request)
        garbled = self._take(Fault.GARBAGE, account, request)
        if slow is not None:
            await asyncio.sleep(slow["seconds"])
        if lost is not None and request.transport is not None:
            request.transport.abort()
        if garbled is not None:
            return web.Response(text="<html><body>upstream said nothing</body></html>", content_type="text/html")
        return answer


def _check_headers(request: web.Request) -> None:
    """Refuses other API versions, whose shapes are not spoken here, and Connect."""
    version = request.headers.get("Stripe-Version", API_VERSION)
    if version != API_VERSION:
        raise unsupported("Stripe-Version", f"API version {version}, only {API_VERSION}")
    if "Stripe-Account" in request.headers:
        raise unsupported("Stripe-Account", "Connect")


def _form(body: bytes) -> list[tuple[str, str]]:
    return parse_qsl(body.decode(errors="replace"), keep_blank_values=True)


def _encoded(body: Json) -> bytes:
    return json.dumps(body, indent=2).encode()


def _response(status: int, body: bytes) -> web.Response:
    return web.Response(status=status, body=body, content_type="application/json")


def _busy(status: int) -> web.Response:
    if status == 429:
        message = "Request rate limit exceeded. Learn more about rate limits here https://docs.stripe.com/rate-limits."
        refusal = Refusal(message, status=429, code="rate_limit")
    else:
        refusal = Refusal("Stripe is unavailable for a moment.", status=status, type="api_error")
    answer = _response(status, _encoded(refusal.body()))
    answer.headers["Stripe-Rate-Limited-Reason"] = "global-rate"
    return answer


def _broken(_: Call) -> Answer:
    message = "Something went wrong on Stripe's end."
    raise Refusal(message, status=500, type="api_error", kept=True)
