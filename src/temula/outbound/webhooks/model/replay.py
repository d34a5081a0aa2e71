"""Replays: what is asked to be sent again, how far that is, and how much of it may go now."""

import math
from datetime import UTC, datetime
from enum import StrEnum
from typing import NamedTuple

import msgspec

from temula.kernel.ids import EndpointId, MessageId, OrganizationId, ReplayId
from temula.outbound.webhooks.model.endpoint import covers

REPLAYS_TOPIC = "replays"
RATE, FASTEST = 100, 10_000
STATUSES = ("2xx", "3xx", "4xx", "5xx", "none")
# How many are added by one step, and how many may be due at an endpoint at a time: enough to keep a worker busy between
# two steps, and few enough to be taken out again when somebody changes their mind.
PAGE, WINDOW = 1000, 10_000
TICK = 0.1
EARLIEST, NEVER = datetime(1970, 1, 1, tzinfo=UTC), datetime.max.replace(tzinfo=UTC)


class ReplayKind(StrEnum):
    """What is sent again: what the log has of a kind, what failed, or what an endpoint has had nothing of."""

    FILTER = "filter"
    FAILED = "failed"
    MISSING = "missing"


class ReplayState(StrEnum):
    """Whether it goes on; a cancelled one sends nothing more, and what it sent stays."""

    RUNNING = "running"
    DONE = "done"
    CANCELLED = "cancelled"


class PartState(StrEnum):
    """What the next step at one endpoint does."""

    COUNTING = "counting"
    SENDING = "sending"
    DRAINING = "draining"
    REMOVING = "removing"
    OVER = "over"


class Criteria(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is asked of a message. None asks nothing; `outcomes` and `statuses` are of one and the same attempt."""

    types: list[str] | None = None
    event_id: str | None = None
    outcomes: list[str] | None = None
    statuses: list[str] | None = None
    since: datetime | None = None
    until: datetime | None = None

    def covers(self, type_: str, event_id: str | None) -> bool:
        """Tell whether a message is of what is asked for, by what it is and not by what became of it."""
        if self.event_id is not None and event_id != self.event_id:
            return False
        return self.types is None or covers(self.types, type_)


class Replay(msgspec.Struct, frozen=True):
    """An act of sending again, as it was asked for."""

    organization_id: OrganizationId
    id: ReplayId
    kind: ReplayKind
    endpoint_id: EndpointId | None
    criteria: bytes
    rate: int | None
    state: ReplayState
    horizon: int
    created_at: datetime

    @property
    def asked(self) -> Criteria:
        """What is asked of a message."""
        return msgspec.json.decode(self.criteria, type=Criteria)


class Progress(msgspec.Struct, frozen=True):
    """How far a replay is; `matched` is final once it counts no more, and `held` are endpoints that take nothing."""

    organization_id: OrganizationId
    id: ReplayId
    kind: ReplayKind
    endpoint_id: EndpointId | None
    criteria: bytes
    rate: int | None
    state: ReplayState
    counting: bool
    matched: int
    added: int
    waiting: int
    delivered: int
    failed: int
    held: list[str]
    created_at: datetime
    finished_at: datetime | None


class Part(msgspec.Struct, frozen=True):
    """A replay at one endpoint: where its next step goes on."""

    organization_id: OrganizationId
    replay_id: ReplayId
    endpoint_id: EndpointId
    state: PartState
    matched: int
    added: int
    looked_to: str
    allowance: float
    fed_at: datetime
    step_at: datetime


class Standing(msgspec.Struct, frozen=True):
    """What waits of a replay at one endpoint: due, due within the next tick, and when the first is due."""

    due: int
    coming: int
    waiting: int
    first: datetime | None


class Had(msgspec.Struct, frozen=True):
    """A message as the log knows it at one endpoint, and the delivery of it that waits and is due first, if any does.

    `data` only for an endpoint that wants its order.
    """

    id: MessageId
    type: str
    event_id: str | None
    fits: bool
    last: str
    public: bool
    data: bytes | None
    waits: str | None
    waits_until: datetime | None


class Chosen(NamedTuple):
    """A message that goes again. `waits` is its delivery that waits for a later time, and goes now instead."""

    message_id: str
    type: str
    order_key: str | None
    waits: str | None


class Found(NamedTuple):
    """What one look found, where the next begins, and whether there is anything behind."""

    chosen: list[Chosen]
    looked_to: str
    ended: bool


class Feed(NamedTuple):
    """How many may be added now, and what is then left of the allowance."""

    number: int
    allowance: float


def feed(rate: int | None, allowance: float, seconds: float, standing: Standing) -> Feed:
    """Say how many may be added, `seconds` after the allowance was written, so that no second sees more than `rate`.

    The allowance is a bucket of a tenth of a second's worth, filled with what is left of the rate. What is due already
    and not sent stands in it, and retries that fall due take from it.
    """
    if rate is None:
        return Feed(PAGE if standing.due <= WINDOW - PAGE else 0, 0.0)
    burst = max(1.0, rate / 10)
    left = min(burst - standing.due, allowance + seconds * refill(rate)) - standing.coming
    return Feed(min(PAGE, math.floor(left + 1e-9)), left)


def refill(rate: int) -> float:
    """Give how fast the allowance grows."""
    burst = max(1.0, rate / 10)
    return float(rate) if burst <= 1.0 else rate - burst
