"""Deliveries and attempts as values."""

from datetime import MAXYEAR, datetime
from enum import StrEnum

import msgspec

from temula.kernel.ids import DeliveryAttemptId, DeliveryId, EndpointId, MessageId, OrganizationId

TOPIC = "deliveries"
DEADLINE = 15.0
READ_CAP, STORED_CAP = 65536, 16384


class DeliveryState(StrEnum):
    """Whether a message is still on its way."""

    PENDING = "pending"
    DELIVERED = "delivered"
    EXHAUSTED = "exhausted"


class Delivery(msgspec.Struct, frozen=True):
    """One message for one endpoint; `replay` counts the times it was asked for again."""

    organization_id: OrganizationId
    id: DeliveryId
    endpoint_id: EndpointId
    message_id: MessageId
    type: str
    state: DeliveryState
    attempts: int
    replay: int
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


class Claim(msgspec.Struct, frozen=True):
    """A delivery this worker holds by lease; the fence tells its outcome from a later holder's."""

    organization_id: OrganizationId
    id: DeliveryId
    endpoint_id: EndpointId
    message_id: MessageId
    attempts: int
    fence: int


class Target(msgspec.Struct, frozen=True):
    """Where it goes, and the sealed secrets that sign it."""

    url: str
    secret: bytes
    previous_secret: bytes | None
    previous_until: datetime | None


class Message(msgspec.Struct, frozen=True):
    """What it says."""

    type: str
    team_id: str | None
    occurred_at: datetime
    data: bytes


class Due(msgspec.Struct, frozen=True):
    """A claimed delivery with all that is needed to send it: the fields of `Claim`, `Target` and `Message`."""

    organization_id: OrganizationId
    id: DeliveryId
    endpoint_id: EndpointId
    message_id: MessageId
    attempts: int
    fence: int
    url: str
    secret: bytes
    previous_secret: bytes | None
    previous_until: datetime | None
    type: str
    team_id: str | None
    occurred_at: datetime
    data: bytes


class Attempt(msgspec.Struct, frozen=True):
    """One try, as logged; bodies of answers are cut at 16 KiB."""

    organization_id: OrganizationId
    id: DeliveryAttemptId
    delivery_id: DeliveryId
    number: int
    at: datetime
    duration_ms: int
    address: str | None
    request_headers: bytes
    status: int | None
    response_headers: bytes | None
    response_body: bytes | None
    error: str | None

    @property
    def succeeded(self) -> bool:
        """Only 2xx is a success, whatever became of the answer's body; redirects are not followed."""
        return self.status is not None and 200 <= self.status < 300
