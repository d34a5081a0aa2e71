"""Sends signed webhooks in order, one lane an endpoint, and retries with backoff; see https://docs.stripe.com/webhooks."""

import asyncio
import hashlib
import hmac
import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import aiohttp

from emulators.payments.stripe import faults, outbox
from emulators.payments.stripe.errors import Json
from emulators.payments.stripe.faults import Fault
from emulators.payments.stripe.outbox import Delivery
from emulators.payments.stripe.store import Store

HEADERS = {
    "Content-Type": "application/json; charset=utf-8",
    "Accept": "*/*; q=0.5, application/xml",
    "Cache-Control": "no-cache",
    "User-Agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
}


@dataclass(frozen=True)
class Retries:
    """Waits `first`, then twice as long each time up to `cap`, for at most `tries` attempts in all."""

    first: float = 1.0
    cap: float = 60.0
    tries: int = 50
    timeout: float = 10.0

    def wait(self, failures: int) -> float:
        return float(min(self.cap, self.first * 2 ** min(failures - 1, 30)))


def signature(body: bytes, secret: str, at: int) -> str:
    """https://docs.stripe.com/webhooks#verify-manually; sandboxes also send a `v0` that nobody may trust."""
    signed = str(at).encode() + b"." + body
    right = hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
    fake = hashlib.sha256(signed).hexdigest()
    return f"t={at},v1={right},v0={fake}"


class Courier:
    """Sends what is due; `clock` says what is due, `signing_clock` stamps it."""

    def __init__(
        self,
        store: Store,
        clock: Callable[[], float],
        signing_clock: Callable[[], float],
        retries: Retries,
    ) -> None:
        self.store = store
        self.clock = clock
        self.signing_clock = signing_clock
        self.retries = retries
        self.timeout = aiohttp.ClientTimeout(total=retries.timeout)
        self.wake = asyncio.Event()
        self.lanes: dict[str, asyncio.Task[None]] = {}
        self.session: aiohttp.ClientSession | None = None

    def start_due(self) -> bool:
        """Starts a lane for each endpoint that has due webhooks and none running; says whether any lane runs."""
        now = self.clock()
        for endpoint in outbox.waiting_endpoints(self.store, now):
            if endpoint not in self.lanes:
                deliveries = outbox.due(self.store, endpoint, now)
                self.lanes[endpoint] = asyncio.create_task(self._lane(endpoint, deliveries))
        return bool(self.lanes)

    async def drain(self) -> None:
        """Sends all that is due now, and what becomes due by sending it."""
        while self.start_due():
            await asyncio.wait(list(self.lanes.values()))

    async def stop(self) -> None:
        lanes = list(self.lanes.values())
        for lane in lanes:
            lane.cancel()
        await asyncio.gather(*lanes, return_exceptions=True)
        if self.session is not None:
            await self.session.close()

    async def _lane(self, endpoint: str, deliveries: list[Delivery]) -> None:
        try:
            for delivery in deliveries:
                if self.store.setting(outbox.HOLD):
                    break
                await self._attempt(delivery)
        finally:
            self.lanes.pop(endpoint, None)
            self.wake.set()

    async def _attempt(self, delivery: Delivery) -> None:
        endpoint = self.store.row("webhook_endpoint", delivery.endpoint)
        event = self.store.get(delivery.account, "event", delivery.event)
        if endpoint is None or event is None or endpoint.body["status"] != "enabled":
            with self.store.transaction():
                outbox.give_up(self.store, delivery)
            return
        event["pending_webhooks"] = outbox.pending(self.store, delivery.event)
        body = json.dumps(event, indent=2, ensure_ascii=False).encode()
        spoiled = faults.take(self.store, Fault.BAD_SIGNATURE, delivery.account) is not None
        secret = "whsec_of_a_stranger" if spoiled else endpoint.hidden["secret"]
        stamp = signature(body, secret, int(self.signing_clock()))
        status, error = await self._post(endpoint.body, body, stamp)
        with self.store.transaction():
            signed = "bad" if spoiled else "good"
            outbox.record(self.store, delivery, at=self.clock(), status=status, error=error, signature=signed)
            self._settle(delivery, accepted=status is not None and 200 <= status < 300 and not spoiled)

    def _settle(self, delivery: Delivery, *, accepted: bool) -> None:
        if accepted:
            outbox.succeed(self.store, delivery)
        elif delivery.tries + 1 >= self.retries.tries:
            outbox.give_up(self.store, delivery)
        else:
            outbox.postpone(self.store, delivery, self.clock() + self.retries.wait(delivery.tries + 1))

    async def _post(self, endpoint: Json, body: bytes, stamp: str) -> tuple[int | None, str | None]:
        if self.session is None:
            self.session = aiohttp.ClientSession(timeout=self.timeout)
        headers = {**HEADERS, "Stripe-Signature": stamp}
        try:
            async with self.session.post(endpoint["url"], data=body, headers=headers, allow_redirects=False) as answer:
                with suppress(aiohttp.ClientError, TimeoutError):
                    await answer.content.read(65_536)
                return answer.status, None
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as failure:
            return None, f"{type(failure).__name__}: {failure}"
