"""Webhook endpoints and deliveries as the world sees them."""

from datetime import datetime
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType, field

from temula.outbound.schemas.common import Id

Types = Annotated[list[str], Meta(min_length=1, max_length=100)]


class PartnerGrant(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whose endpoint it is, if not the organization's own: it gets no more than this, whatever it subscribes to."""

    reference: Annotated[str, Meta(min_length=1, max_length=64, description="The vendor or app, in your own words")]
    types: Types
    event_ids: Annotated[list[Id], Meta(max_length=1000)] | None
    """`null` is every event; an empty list is none."""


Url = Annotated[str, Meta(min_length=1, max_length=2048)]
Events = Annotated[list[Id], Meta(max_length=1000)]
Description = Annotated[str, Meta(max_length=500)]
Kind = Annotated[str, Meta(pattern="^(fat|thin)$", description="`thin` messages hold ids only")]
Mask = Annotated[list[Annotated[str, Meta(max_length=200)]], Meta(max_length=50, description="Paths to leave out")]
Headers = Annotated[
    dict[str, str], Meta(max_length=50, description="Sent with each message; values are not shown again")
]
Rate = Annotated[int, Meta(ge=1, le=10_000, description="Messages a second at most")]
AtOnce = Annotated[int, Meta(ge=1, le=1000, description="Messages on the way at the same time at most")]
Order = Annotated[str, Meta(pattern="^(none|registration|ticket)$", description="What keeps its order")]
Metadata = Annotated[dict[str, Annotated[str, Meta(max_length=500)]], Meta(max_length=50)]
Filter = Annotated[dict[str, Any], Meta(description="A condition on the message; see webhook-filters")]


class EndpointCreate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An endpoint to add; types are exact, `registration.*`, or `*`; empty `event_ids` means all events."""

    url: Url
    types: Types = field(default_factory=lambda: ["*"])
    event_ids: Events = []
    team_id: Id | None = None
    filter: Filter | None = None
    payload: Kind = "fat"
    mask: Mask = []
    headers: Headers = {}
    rate_limit: Rate | None = None
    max_concurrency: AtOnce | None = None
    order_by: Order = "none"
    metadata: Metadata = {}
    partner: PartnerGrant | None = None
    description: Description = ""


class EndpointPatch(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Fields to change; `state` enabled sends what was kept, paused keeps what comes."""

    url: Url | UnsetType = UNSET
    types: Types | UnsetType = UNSET
    event_ids: Events | UnsetType = UNSET
    team_id: Id | UnsetType | None = UNSET
    filter: Filter | UnsetType | None = UNSET
    payload: Kind | UnsetType = UNSET
    mask: Mask | UnsetType = UNSET
    headers: Headers | UnsetType = UNSET
    rate_limit: Rate | UnsetType | None = UNSET
    max_concurrency: AtOnce | UnsetType | None = UNSET
    order_by: Order | UnsetType = UNSET
    metadata: Metadata | UnsetType = UNSET
    partner: PartnerGrant | UnsetType | None = UNSET
    description: Description | UnsetType = UNSET
    state: Annotated[str, Meta(pattern="^(enabled|paused)$")] | UnsetType = UNSET


class PauseInput(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why the endpoint is paused, for who looks at it later."""

    reason: Annotated[str, Meta(max_length=500)] | None = None


class RotateInput(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """For how many hours the previous secret signs too."""

    overlap_hours: Annotated[int, Meta(ge=0, le=168)] = 24


class TestInput(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Of which type an example is sent; the endpoint need not subscribe to it."""

    type: Annotated[str, Meta(min_length=1, max_length=100)]


class EndpointView(msgspec.Struct, frozen=True):
    """An endpoint; its secret and the values of its headers are not shown again."""

    id: str
    url: str
    description: str
    state: str
    state_reason: str | None
    types: list[str]
    event_ids: list[str]
    team_id: str | None
    filter: dict[str, Any] | None
    payload: str
    mask: list[str]
    headers: dict[str, str]
    rate_limit: int | None
    max_concurrency: int | None
    order_by: str
    metadata: dict[str, str]
    partner: PartnerGrant | None
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
    replay_id: str | None
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


class LoggedAttempt(msgspec.Struct, frozen=True):
    """One try as the log lists it; `error` is a stable code if no complete answer came."""

    id: str
    at: datetime
    endpoint_id: str
    delivery_id: str
    message_id: str
    type: str
    event_id: str | None
    number: int
    outcome: str
    status: int | None
    error: str | None
    duration_ms: int
    address: str | None
    replay_id: str | None


class AttemptPage(msgspec.Struct, frozen=True):
    """A page of attempts, newest first; it holds all that fits between its beginning and `searched_to`.

    While there is a `next_cursor` there may be more, though this page is short or empty. `searched_to` is null once the
    log is searched to its beginning.
    """

    data: list[LoggedAttempt]
    next_cursor: str | None
    searched_to: datetime | None


class WholeAttempt(LoggedAttempt, frozen=True):
    """One try with all that was sent and what came back, of which the first 16 KiB are kept.

    An endpoint's own headers are left out of `request_headers`: their values are secret.
    """

    signature: str | None
    request_headers: dict[str, str]
    request_body: str | None
    response_headers: list[list[str]] | None
    response_body: str | None


class StatsView(msgspec.Struct, frozen=True):
    """What was counted of attempts from `start` on; latencies are wrong by an eighth at most.

    `failures` are attempts that were not answered with 2xx; `retries` are those of them after which another was made.
    """

    start: datetime
    attempts: int
    delivered: int
    failures: int
    retries: int
    success_rate: float | None
    p50_ms: float | None
    p95_ms: float | None


class StatsChart(msgspec.Struct, frozen=True):
    """Counts by hour or day of UTC, oldest first, with those in which nothing was tried, and their total."""

    by: str
    since: datetime = field(name="from")
    until: datetime
    endpoint_id: str | None
    total: StatsView
    data: list[StatsView]


class DeliveryLog(msgspec.Struct, frozen=True):
    """A delivery, the message that is sent, and every attempt."""

    delivery: DeliveryView
    message: dict[str, Any]
    attempts: list[AttemptView]


class EventType(msgspec.Struct, frozen=True):
    """A type of message: `schema` (JSON Schema 2020-12) is of the whole message; `operational` ones `*` leaves out."""

    type: str
    version: int
    description: str
    operational: bool
    schema: dict[str, Any]
    example: dict[str, Any]


class EventTypeList(msgspec.Struct, frozen=True):
    """Every type of message."""

    data: list[EventType]


class MessageView(msgspec.Struct, frozen=True):
    """A message, whole: what an endpoint with a fat payload and no mask is sent."""

    event_id: str
    event_type: str
    timestamp: str
    organization_id: str
    team_id: str | None
    data: dict[str, Any]


class MessagePage(msgspec.Struct, frozen=True):
    """Messages in the order in which they happened; `next_cursor` is always there, for now or for later."""

    data: list[MessageView]
    next_cursor: str
    has_more: bool
