"""Webhook endpoints and deliveries as the world sees them."""

from datetime import datetime
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType, field

from temula.outbound.schemas.common import Id

Types = Annotated[list[str], Meta(min_length=1, max_length=100)]


class EndpointCreate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An endpoint to add; types are exact, `registration.*`, or `*`; empty `event_ids` means all events."""

    url: Annotated[str, Meta(min_length=1, max_length=2048)]
    types: Types = field(default_factory=lambda: ["*"])
    event_ids: Annotated[list[Id], Meta(max_length=1000)] = []
    description: Annotated[str, Meta(max_length=500)] = ""


class EndpointPatch(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Fields to change; `state` enabled sends what was kept, paused keeps what comes."""

    url: Annotated[str, Meta(min_length=1, max_length=2048)] | UnsetType = UNSET
    types: Types | UnsetType = UNSET
    event_ids: Annotated[list[Id], Meta(max_length=1000)] | UnsetType = UNSET
    description: Annotated[str, Meta(max_length=500)] | UnsetType = UNSET
    state: Annotated[str, Meta(pattern="^(enabled|paused)$")] | UnsetType = UNSET


class RotateInput(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """For how many hours the previous secret signs too."""

    overlap_hours: Annotated[int, Meta(ge=0, le=168)] = 24


class EndpointView(msgspec.Struct, frozen=True):
    """An endpoint; its secret is not shown again."""

    id: str
    url: str
    description: str
    state: str
    disabled_reason: str | None
    types: list[str]
    event_ids: list[str]
    previous_secret_until: datetime | None
    created_at: datetime
    updated_at: datetime


class EndpointWithSecret(EndpointView, frozen=True):
    """An endpoint with its new signing secret, shown this once."""

    secret: str


class EndpointPage(msgspec.Struct, frozen=True):
    """A page of endpoints, newest first."""

    data: list[EndpointView]
    next_cursor: str | None


class DeliveryView(msgspec.Struct, frozen=True):
    """One message for one endpoint; `next_attempt_at` is null once it is over and while its endpoint takes nothing."""

    id: str
    endpoint_id: str
    message_id: str
    type: str
    state: str
    attempts: int
    replay: int
    next_attempt_at: datetime | None
    created_at: datetime
    finished_at: datetime | None


class DeliveryPage(msgspec.Struct, frozen=True):
    """A page of deliveries, newest first."""

    data: list[DeliveryView]
    next_cursor: str | None


class AttemptView(msgspec.Struct, frozen=True):
    """One try; `error` is a stable code if no complete answer came."""

    id: str
    number: int
    at: datetime
    duration_ms: int
    address: str | None
    request_headers: dict[str, str]
    status: int | None
    response_headers: list[list[str]] | None
    response_body: str | None
    error: str | None


class DeliveryLog(msgspec.Struct, frozen=True):
    """A delivery, the message that is sent, and every attempt."""

    delivery: DeliveryView
    message: dict[str, Any]
    attempts: list[AttemptView]


class EventType(msgspec.Struct, frozen=True):
    """A type of message and what it says."""

    type: str
    description: str
    fields: dict[str, str]


class EventTypeList(msgspec.Struct, frozen=True):
    """Every type of message."""

    data: list[EventType]
