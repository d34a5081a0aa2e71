"""Deliveries and attempts as values."""

from datetime import MAXYEAR, datetime
from enum import StrEnum

import msgspec

from temula.kernel.ids import DeliveryAttemptId, DeliveryId, EndpointId, MessageId, OrganizationId
from temula.outbound.webhooks.model.signing import sent_headers

TOPIC = "deliveries"
CLOSED_TOPIC = "queues-closed"
# What workers have loaded is not true any more: a person was erased, or a replay taken back.
STALE_TOPIC = "deliveries-stale"
DEADLINE = 15.0
READ_CAP, STORED_CAP = 65536, 16384
# `GATE` may not be held up by an on-sale burst, and `BULK` holds up nobody.
GATE, USUAL, BULK = 0, 1, 2
AT_THE_GATE = frozenset({"check_in.completed", "attendee.checked_in"})


class DeliveryState(StrEnum):
    """Whether a message is still on its way."""

    PENDING = "pending"
    DELIVERED = "delivered"
    EXHAUSTED = "exhausted"
    GONE = "gone"


class Outcome(StrEnum):
    """What an attempt came to; all but `RETRIED` end the delivery."""

    DELIVERED = "delivered"
    RETRIED = "retried"
    EXHAUSTED = "exhausted"
    GONE = "gone"


class Delivery(msgspec.Struct, frozen=True):
    """One message for one endpoint; `replay_id` names the replay that asked for it again."""

    organization_id: OrganizationId
    id: DeliveryId
    endpoint_id: EndpointId
    message_id: MessageId
    type: str
    state: DeliveryState
    attempts: int
    replay_id: str | None
    next_at: datetime
    created_at: datetime
    finished_at: datetime | None

    @property
    def next_attempt_at(self) -> datetime | None:
        """When it is tried next, if a time is set: not once it is over, and not while its endpoint takes nothing."""
        waits = self.state != DeliveryState.PENDING or self.next_at.year == MAXYEAR
        return None if waits else self.next_at


class Latest(msgspec.Struct, frozen=True):
    """A delivery and where it goes, for those who watch."""

    id: DeliveryId
    type: str
    url: str
    state: DeliveryState
    attempts: int
    created_at: datetime


class Held(msgspec.Struct, frozen=True):
    """An endpoint whose queue this worker holds by lease; the fence tells its outcomes from a later holder's."""

    organization_id: OrganizationId
    endpoint_id: EndpointId
    fence: int


class Waiting(msgspec.Struct, frozen=True):
    """A delivery that is due, as a worker loads it; `version` changes with its endpoint."""

    organization_id: OrganizationId
    id: DeliveryId
    endpoint_id: EndpointId
    message_id: MessageId
    type: str
    lane: int
    attempts: int
    created_at: datetime
    replay_id: str | None
    order_key: str | None
    version: str


class Target(msgspec.Struct, frozen=True):
    """What a worker needs of an endpoint; secrets and headers are sealed."""

    organization_id: OrganizationId
    id: EndpointId
    url: str
    secret: bytes
    previous_secret: bytes | None
    previous_until: datetime | None
    headers: bytes | None
    payload: str
    mask: list[str]
    rate_limit: int | None
    max_concurrency: int | None
    failures: int
    version: str


class Message(msgspec.Struct, frozen=True):
    """What is said."""

    id: MessageId
    organization_id: OrganizationId
    type: str
    team_id: str | None
    event_id: str | None
    occurred_at: datetime
    data: bytes


class Attempt(msgspec.Struct, frozen=True):
    """One try, as logged; bodies of answers are cut at 16 KiB.

    Of the request's headers the log keeps what cannot be told otherwise: the signatures. The answer's are kept as they
    came, a line each. `request_body` is there only if the endpoint reshapes messages.
    """

    organization_id: OrganizationId
    at: datetime
    id: DeliveryAttemptId
    delivery_id: DeliveryId
    endpoint_id: EndpointId
    message_id: MessageId
    type: str
    event_id: str | None
    number: int
    outcome: Outcome
    duration_ms: int
    address: str | None
    signatures: str
    request_body: bytes | None
    status: int | None
    response_headers: bytes | None
    response_body: bytes | None
    error: str | None
    replay_id: str | None
    delivery_created_at: datetime

    def request_headers(self) -> dict[str, str]:
        """Give the headers that were sent, without the customer's own."""
        return sent_headers(self.message_id, self.at, self.signatures.split("\n"))

    def answered_headers(self) -> list[list[str]] | None:
        """Give the headers that were answered, in their order; None if no answer began."""
        if self.response_headers is None:
            return None
        lines = self.response_headers.decode(errors="replace").split("\r\n")
        return [list(line.partition(": ")[::2]) for line in lines if line]

    @property
    def succeeded(self) -> bool:
        """Only 2xx is a success, whatever became of the answer's body; redirects are not followed."""
        return self.status is not None and 200 <= self.status < 300


class Logged(msgspec.Struct, frozen=True):
    """One try as the log lists it."""

    at: datetime
    id: DeliveryAttemptId
    delivery_id: DeliveryId
    endpoint_id: EndpointId
    message_id: MessageId
    type: str
    event_id: str | None
    number: int
    outcome: Outcome
    duration_ms: int
    address: str | None
    status: int | None
    error: str | None
    replay_id: str | None
