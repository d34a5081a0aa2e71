"""Due deliveries are claimed, signed, sent and recorded."""

import asyncio
from collections import Counter
from datetime import timedelta

import msgspec
import structlog

from temula.kernel.addresses import AddressPolicy
from temula.kernel.bell import wait
from temula.kernel.crypto import KeyRing
from temula.kernel.database import Database, UnitOfWork
from temula.kernel.errors import TemulaError
from temula.kernel.http import Http, HttpError, OutcomeUnknown, Request, Response
from temula.kernel.ids import DELIVERY_ATTEMPT
from temula.kernel.tenancy import system
from temula.outbound.webhooks import store
from temula.outbound.webhooks.model import (
    DEADLINE,
    DISABLE_AFTER,
    DISABLE_OVER,
    GONE,
    READ_CAP,
    STORED_CAP,
    TOPIC,
    Attempt,
    DeliveryState,
    Due,
    Endpoint,
    EndpointDisabled,
    EndpointState,
    body_of,
    next_wait,
    retry_after_of,
    secret_context,
    signed_headers,
)

log = structlog.get_logger()
# An endpoint that holds this many of a worker's deliveries gets no more until one ends, so that one that hangs leaves
# room for the others.
SHARE = 16
LEASE = 30.0  # longer than DEADLINE and what records it, so a living worker never loses what it is sending


class Deliverer:
    """One worker's loop over due deliveries: prepare (a transaction), send (none), record (a transaction)."""

    def __init__(
        self, database: Database, http: Http, ring: KeyRing, policy: AddressPolicy, *, at_once: int = 64
    ) -> None:
        self._database = database
        self._http = http
        self._ring = ring
        self._policy = policy
        self._at_once = at_once
        self._running: set[asyncio.Task[None]] = set()
        self._in_flight: Counter[str] = Counter()

    async def serve(self, stop: asyncio.Event, *, poll: float = 1.0) -> None:
        """Deliver until `stop` is set, then let what is being sent end."""
        bell = self._database.bell.subscribe(TOPIC)
        try:
            while not stop.is_set():
                try:
                    more = await self._claim_some()
                except TemulaError as error:
                    log.warning("deliveries.claim_failed", code=error.code)
                    more = False
                if not more:
                    await wait(bell, poll)
        finally:
            self._database.bell.unsubscribe(TOPIC, bell)
            if self._running:
                await asyncio.wait(self._running, timeout=DEADLINE + 5)

    async def _claim_some(self) -> bool:
        room = self._at_once - len(self._running)
        if room <= 0:
            await asyncio.wait(self._running, return_when=asyncio.FIRST_COMPLETED)
            return True
        async with self._database.crossing("claiming due deliveries") as uow:
            busy = [endpoint_id for endpoint_id, number in self._in_flight.items() if number >= SHARE]
            claimed = await store.claim(uow, min(room, SHARE), LEASE, busy)
        for due in claimed:
            self._in_flight[due.endpoint_id] += 1
            task = asyncio.create_task(self._deliver(due), name=f"delivery {due.id}")
            self._running.add(task)
            task.add_done_callback(self._running.discard)
        return bool(claimed)

    async def _deliver(self, due: Due) -> None:
        # If this fails, the lease runs out and the delivery is claimed again: late, but not lost.
        try:
            attempt, retry_after = await self._send(due)
            await self._record(due, attempt, retry_after)
        except Exception:
            log.exception("delivery.failed", delivery=due.id)
        finally:
            self._in_flight[due.endpoint_id] -= 1
            if not self._in_flight[due.endpoint_id]:
                del self._in_flight[due.endpoint_id]

    async def _send(self, due: Due) -> tuple[Attempt, float | None]:
        now, body = self._database.clock.now(), body_of(due)
        headers = signed_headers(due.message_id, body, now, self._secrets(due))
        request = Request(
            method="POST", url=due.url, headers=headers, body=body, deadline=DEADLINE, max_response_bytes=READ_CAP
        )
        began = self._database.clock.monotonic()
        answer: Response | None = None
        error: str | None = None
        try:
            answer = await self._http.send(request, policy=self._policy, secrets=(due.url,))
        except HttpError as failed:
            error = failed.code
            answer = failed.answer if isinstance(failed, OutcomeUnknown) else None
        took = round((self._database.clock.monotonic() - began) * 1000)
        attempt = Attempt(
            due.organization_id, DELIVERY_ATTEMPT.new(now), due.id, due.attempts + 1, now, took,
            answer.address if answer else None, msgspec.json.encode(headers), answer.status if answer else None,
            msgspec.json.encode(answer.headers) if answer else None, answer.body[:STORED_CAP] if answer else None,
            error,
        )  # fmt: skip
        return attempt, retry_after_of(answer.header("retry-after") if answer else None, now)

    def _secrets(self, due: Due) -> list[str]:
        def opened(sealed: bytes, field: str) -> str:
            return self._ring.open(sealed, secret_context(due.organization_id, due.endpoint_id, field)).decode()

        secrets = [opened(due.secret, "secret")]
        still = due.previous_until is not None and self._database.clock.now() < due.previous_until
        if due.previous_secret is not None and still:
            secrets.append(opened(due.previous_secret, "previous_secret"))
        return secrets

    async def _record(self, due: Due, attempt: Attempt, retry_after: float | None) -> None:
        async def work(uow: UnitOfWork) -> bool:
            # The endpoint first, as whoever pauses or deletes it does, so that no two wait for each other.
            if attempt.succeeded:
                await store.clear_failures(uow, due.endpoint_id)
                kept = await store.finish(uow, due, DeliveryState.DELIVERED, uow.now, uow.now)
            else:
                kept = await _fail(uow, due, attempt, retry_after)
            if kept:
                await store.add_attempt(uow, attempt)
            return kept

        kept = await self._database.run(system("webhooks", due.organization_id), work)
        log.info(
            "delivery.attempted", delivery=due.id, endpoint=due.endpoint_id, message=due.message_id, type=due.type,
            number=attempt.number, status=attempt.status, error=attempt.error, ms=attempt.duration_ms, kept=kept,
        )  # fmt: skip


async def _fail(uow: UnitOfWork, due: Due, attempt: Attempt, retry_after: float | None) -> bool:
    """Write when a failed delivery is tried again, and what its endpoint has come to."""
    if (endpoint := await store.lock(uow, due.endpoint_id)) is None:
        return False
    wait_ = next_wait(attempt.number, retry_after)
    if wait_ is None:
        kept = await store.finish(uow, due, DeliveryState.EXHAUSTED, uow.now, uow.now)
    else:
        enabled = endpoint.state == EndpointState.ENABLED
        next_at = uow.now + timedelta(seconds=wait_) if enabled else None
        kept = await store.finish(uow, due, DeliveryState.PENDING, next_at, None)
    if kept and endpoint.state == EndpointState.ENABLED:
        await _count_failure(uow, endpoint, attempt)
    return kept


async def _count_failure(uow: UnitOfWork, endpoint: Endpoint, attempt: Attempt) -> None:
    """Count a failed attempt against its endpoint, and disable one that fails for good."""
    since = endpoint.failing_since or attempt.at
    failures = endpoint.failures + 1
    reason = None
    if attempt.status == GONE:
        reason = "The endpoint answered 410 Gone."
    elif failures >= DISABLE_AFTER and uow.now - since >= DISABLE_OVER:
        reason = f"{failures} attempts in a row failed; the last: {attempt.error or f'status {attempt.status}'}."
    endpoint = msgspec.structs.replace(endpoint, failures=failures, failing_since=since)
    if reason is not None:
        endpoint = msgspec.structs.replace(endpoint, state=EndpointState.DISABLED, state_reason=reason)
        await store.sleep(uow, endpoint.id)
        uow.tell(EndpointDisabled(endpoint_id=endpoint.id, reason=reason))
        uow.audit("webhook_endpoint.disable", endpoint.id, {"reason": reason})
    await store.update(uow, endpoint)
