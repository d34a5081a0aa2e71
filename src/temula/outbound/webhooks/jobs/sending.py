"""One attempt: what goes out is made and signed, sent, and what came of it is told. No transaction is open."""

import math
import re
from collections.abc import Awaitable
from datetime import datetime
from typing import Protocol

import msgspec

from temula.kernel.addresses import AddressPolicy
from temula.kernel.clock import Clock
from temula.kernel.crypto import KeyRing
from temula.kernel.http import HttpError, OutcomeUnknown, Request, Response, Stored, scrubbed
from temula.kernel.ids import DELIVERY_ATTEMPT
from temula.outbound.webhooks.model import (
    BULK,
    DEADLINE,
    GONE,
    READ_CAP,
    STORED_CAP,
    Attempt,
    Message,
    Outcome,
    Signer,
    Target,
    Waiting,
    customer_headers,
    reshapes,
    retry_after_of,
    secret_context,
    shaped,
)

OVERLOADED = frozenset({429, 502, 503, 504})
_ID = re.compile(rb'"([a-z]{2,4}_[0-7][0-9a-hjkmnp-tv-z]{25})"')
_HEADERS = msgspec.json.Encoder()
SHORTEST_SIGNATURE = 44  # base64 of a SHA-256


class Transport(Protocol):
    """The door out. `reuse` names the endpoint: no connection is shared by two."""

    def send(
        self, request: Request, *, policy: AddressPolicy, secrets: tuple[str, ...], reuse: str
    ) -> Awaitable[Response]:
        """Give any answer; raises `NotSent` or `OutcomeUnknown`."""


class Opened:
    """An endpoint as a worker uses it, opened once for each change of it."""

    __slots__ = ("own", "own_values", "previous_until", "reshaped", "signer", "signer_after", "target")

    def __init__(self, target: Target, ring: KeyRing) -> None:
        def opened(sealed: bytes, field: str) -> bytes:
            return ring.open(sealed, secret_context(target.organization_id, target.id, field))

        secret = opened(target.secret, "secret").decode()
        self.target = target
        self.signer = self.signer_after = Signer([secret])
        self.previous_until = target.previous_until
        if target.previous_secret is not None and target.previous_until is not None:
            self.signer = Signer([secret, opened(target.previous_secret, "previous_secret").decode()])
        own = customer_headers(opened(target.headers, "headers")) if target.headers is not None else []
        self.own = dict(own)
        self.own_values = tuple(self.own.values())
        self.reshaped = reshapes(target)

    def signed(self, message_id: str, body: bytes, at: datetime) -> dict[str, str]:
        """Give the signed headers of an attempt, under the previous secret too as long as it counts."""
        still = self.previous_until is not None and at < self.previous_until
        return (self.signer if still else self.signer_after).headers(message_id, body, at)


class Said:
    """A message as it is sent to many: its bytes are made once for all endpoints that do not reshape it."""

    __slots__ = ("body", "message", "object_ids")

    def __init__(self, message: Message) -> None:
        self.message = message
        self.body = self.body_for(_WHOLE)
        self.object_ids = list(dict.fromkeys(one.decode() for one in _ID.findall(message.data)))

    def body_for(self, target: "Target | _Whole") -> bytes:
        """Give the bytes for an endpoint."""
        m = self.message
        return shaped(target, m.id, m.type, m.occurred_at, m.organization_id, m.team_id, m.data)


class _Whole(msgspec.Struct, frozen=True):
    payload: str = "fat"
    mask: tuple[str, ...] = ()


_WHOLE = _Whole()


class Ready:
    """A delivery that is loaded, with what it says."""

    __slots__ = ("delivery", "id", "kept", "lane", "said")

    def __init__(self, delivery: Waiting, said: Said) -> None:
        self.delivery = delivery
        self.said = said
        self.id: str = delivery.id
        self.lane = delivery.lane
        self.kept = delivery.lane == BULK and delivery.replay_id is None


class Tried(msgspec.Struct):
    """An attempt that is over and not recorded yet. `outcome` of `attempt` is what it is if nothing else is known."""

    delivery: Waiting
    fence: int
    attempt: Attempt
    retry_after: float | None
    seconds: float

    @property
    def asked(self) -> float | None:
        """How long a receiver that says it is overloaded, or gone, is left alone."""
        if self.attempt.status == GONE:
            return math.inf
        return self.retry_after if self.attempt.status in OVERLOADED else None


def _may_tell(answer: Response) -> bool:
    """Whether there is room for one of our signatures in an answer, or something that has to be taken out of it."""
    return (
        len(answer.body) >= SHORTEST_SIGNATURE
        or b"\0" in answer.body
        or any(len(value) >= SHORTEST_SIGNATURE or "\0" in value for _, value in answer.headers)
    )


class Attempts:
    """Makes attempts, over one door out and under one address policy."""

    def __init__(self, transport: Transport, policy: AddressPolicy, clock: Clock) -> None:
        self._transport = transport
        self._policy = policy
        self._clock = clock

    async def make(self, ready: Ready, fence: int, opened: Opened) -> Tried:
        """Try a delivery once; whatever the receiver does is told, and not raised."""
        at, delivery, said = self._clock.now(), ready.delivery, ready.said
        target = opened.target
        body = said.body_for(target) if opened.reshaped else said.body
        headers = opened.signed(delivery.message_id, body, at)
        request = Request(
            "POST", target.url, {**opened.own, **headers} if opened.own else headers, body, DEADLINE, READ_CAP
        )
        began = self._clock.monotonic()
        answer: Response | None = None
        error: str | None = None
        try:
            answer = await self._transport.send(request, policy=self._policy, secrets=(target.url,), reuse=target.id)
        except HttpError as failed:
            error = failed.code
            answer = failed.answer if isinstance(failed, OutcomeUnknown) else None
        seconds = self._clock.monotonic() - began
        attempt = self._logged(delivery, said, at, seconds, headers, opened, answer, error, body)
        return Tried(
            delivery, fence, attempt, retry_after_of(answer.header("retry-after"), at) if answer else None, seconds
        )

    def _logged(
        self, delivery: Waiting, said: Said, at: datetime, seconds: float, headers: dict[str, str], opened: Opened,
        answer: Response | None, error: str | None, body: bytes,
    ) -> Attempt:  # fmt: skip
        status = stored_headers = stored_body = None
        if answer is not None:
            status = answer.status
            kept: Stored | Response = answer
            if opened.own or _may_tell(answer):
                secrets = (headers["X-Temula-Signature"], headers["webhook-signature"], *opened.own_values)
                kept = scrubbed(answer, secrets, most=STORED_CAP)
            stored_headers, stored_body = _HEADERS.encode(kept.headers), kept.body
        succeeded = status is not None and 200 <= status < 300
        return Attempt(
            delivery.organization_id, at, DELIVERY_ATTEMPT.new(at), delivery.id, delivery.endpoint_id,
            delivery.message_id, delivery.type, said.message.event_id, said.object_ids, delivery.attempts + 1,
            Outcome.DELIVERED if succeeded else Outcome.RETRIED, round(seconds * 1000),
            answer.address if answer is not None else None, _HEADERS.encode(headers),
            body if opened.reshaped else None, status, stored_headers, stored_body, error, delivery.replay_id,
            delivery.created_at,
        )  # fmt: skip
