"""One attempt: what goes out is made and signed, posted, and what came of it is told. No transaction is open."""

import asyncio
import math
from collections.abc import Callable
from datetime import datetime
from operator import itemgetter
from typing import Protocol

import msgspec
import structlog

from temula.kernel.addresses import AddressPolicy
from temula.kernel.crypto import KeyRing
from temula.kernel.http import Done, Fields, NotSent, Posted, Response, failed, scrubbed
from temula.kernel.ids import DeliveryAttemptId
from temula.outbound.webhooks.model import (
    ALWAYS,
    BULK,
    DEADLINE,
    GONE,
    READ_CAP,
    SIGNED,
    SIGNED_BY_TWO,
    STORED_CAP,
    Attempt,
    Message,
    Outcome,
    Signer,
    Target,
    Waiting,
    customer_headers,
    envelope,
    reshapes,
    retry_after_of,
    secret_context,
    shaped,
)

log = structlog.get_logger()
OVERLOADED = frozenset({429, 502, 503, 504})
SHORTEST_SIGNATURE = 44  # base64 of a SHA-256
_VALUE = itemgetter(1)
_FIELDS = {names: Fields(names) for names in (SIGNED, SIGNED_BY_TWO)}


class Sends(Protocol):
    """What POSTs to one receiver."""

    def post(self, fields: Fields, values: tuple[str, ...], body: bytes, done: Done) -> None:
        """Send once; `done` is called later, exactly once."""


class Transport(Protocol):
    """The door out. `reuse` names the endpoint: no connection is shared by two."""

    def poster(
        self, url: str, headers: dict[str, str], *, policy: AddressPolicy, reuse: str, deadline: float, cap: int
    ) -> Sends:
        """Give what POSTs to an endpoint; raises `NotSent` if nothing may be sent there."""


class Opened:
    """An endpoint as a worker uses it, opened once for each change of it."""

    __slots__ = ("own_values", "poster", "previous_until", "refused", "reshaped", "signer", "signer_after", "target")

    def __init__(self, target: Target, ring: KeyRing, transport: Transport, policy: AddressPolicy) -> None:
        def opened(sealed: bytes, field: str) -> bytes:
            return ring.open(sealed, secret_context(target.organization_id, target.id, field))

        secret = opened(target.secret, "secret").decode()
        self.target = target
        self.signer = self.signer_after = Signer([secret])
        self.previous_until = target.previous_until
        if target.previous_secret is not None and target.previous_until is not None:
            self.signer = Signer([secret, opened(target.previous_secret, "previous_secret").decode()])
        own = dict(customer_headers(opened(target.headers, "headers"))) if target.headers is not None else {}
        self.own_values = tuple(own.values())
        self.reshaped = reshapes(target)
        self.poster: Sends | None = None
        self.refused = ""
        try:
            self.poster = transport.poster(
                target.url, {**own, **ALWAYS}, policy=policy, reuse=target.id, deadline=DEADLINE, cap=READ_CAP
            )
        except NotSent as refused:
            self.refused = refused.code


class Said:
    """A message as it is sent to many: its bytes are made once for all endpoints that do not reshape it."""

    __slots__ = ("body", "message")

    def __init__(self, message: Message) -> None:
        self.message = message
        self.body = envelope(
            message.id, message.type, message.occurred_at, message.organization_id, message.team_id, message.data
        )

    def body_for(self, target: Target) -> bytes:
        """Give the bytes for an endpoint that reshapes it."""
        m = self.message
        return shaped(target, m.id, m.type, m.occurred_at, m.organization_id, m.team_id, m.data)


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
    succeeded: bool
    retry_after: float | None
    seconds: float

    @property
    def asked(self) -> float | None:
        """How long a receiver that says it is overloaded, or gone, is left alone."""
        if self.attempt.status == GONE:
            return math.inf
        return self.retry_after if self.attempt.status in OVERLOADED else None


class Trying:
    """An attempt that is under way; `ended` is called once, with None if an error of ours keeps it from being told."""

    __slots__ = ("_at", "_body", "_ended", "_id", "_opened", "_values", "fence", "ready")

    def __init__(
        self, identifier: DeliveryAttemptId, ready: Ready, fence: int, opened: Opened, at: datetime, ended: "Ended"
    ) -> None:
        self._id = identifier
        self.ready = ready
        self.fence = fence
        self._opened = opened
        self._at = at
        self._ended = ended
        self._body = body = ready.said.body_for(opened.target) if opened.reshaped else ready.said.body
        until = opened.previous_until
        signer = opened.signer if until is not None and at < until else opened.signer_after
        self._values = values = signer.values(ready.delivery.message_id, body, at)
        if opened.poster is None:
            asyncio.get_running_loop().call_soon(self._answered, failed(opened.refused))
        else:
            opened.poster.post(_FIELDS[signer.names], values, body, self._answered)

    def _answered(self, posted: Posted | None) -> None:
        tried = None
        try:
            if posted is not None:
                tried = self._tried(posted)
        except Exception:
            log.exception("delivery.failed", delivery=self.ready.id)
        self._ended(self.ready, tried)

    def _tried(self, posted: Posted) -> Tried:
        delivery, opened, values = self.ready.delivery, self._opened, self._values
        status = stored_headers = stored_body = None
        if posted.status:
            status = posted.status
            if opened.own_values or _may_tell(posted):
                stored_headers, stored_body = _scrubbed(posted, (*values[2:], *opened.own_values))
            else:
                stored_headers = b"\r\n".join(map(b": ".join, posted.headers))
                stored_body = posted.body[:STORED_CAP]
        succeeded = 200 <= posted.status < 300
        attempt = Attempt(
            delivery.organization_id, self._at, self._id, delivery.id, delivery.endpoint_id,
            delivery.message_id, delivery.type, self.ready.said.message.event_id, delivery.attempts + 1,
            Outcome.DELIVERED if succeeded else Outcome.RETRIED, round(posted.seconds * 1000),
            posted.address if posted.status else None, "\n".join(values[2:]), self._body if opened.reshaped else None,
            status, stored_headers, stored_body, posted.code, delivery.replay_id, delivery.created_at,
        )  # fmt: skip
        wait = None if succeeded else retry_after_of(_header(posted, b"retry-after"), self._at)
        return Tried(delivery, self.fence, attempt, succeeded, wait, posted.seconds)


Ended = Callable[[Ready, Tried | None], None]


def _header(posted: Posted, wanted: bytes) -> str | None:
    return next((value.decode("latin-1") for name, value in posted.headers if name.lower() == wanted), None)


def _may_tell(posted: Posted) -> bool:
    """Whether there is room for one of our signatures in an answer."""
    longest = max(map(len, map(_VALUE, posted.headers)), default=0)
    return longest >= SHORTEST_SIGNATURE or len(posted.body) >= SHORTEST_SIGNATURE


def _scrubbed(posted: Posted, secrets: tuple[str, ...]) -> tuple[bytes, bytes]:
    """Give the answer's headers and body without what must not be stored of it."""
    headers = [(name.decode("utf-8", "replace"), value.decode("utf-8", "replace")) for name, value in posted.headers]
    answer = Response(posted.status, headers, posted.body, posted.truncated, posted.seconds, posted.address or "")
    kept = scrubbed(answer, secrets, most=STORED_CAP)
    return "\r\n".join(f"{name}: {value}" for name, value in kept.headers).encode(), kept.body
