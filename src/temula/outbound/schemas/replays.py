"""Replays of webhooks as the world sees them."""

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from temula.outbound.schemas.common import Id

Types = Annotated[
    list[str], Meta(min_length=1, max_length=100, description="Exact, `registration.*` or `*`; `null` is all")
]
Outcomes = Annotated[
    list[Literal["delivered", "retried", "exhausted", "gone"]],
    Meta(min_length=1, description="Only of kind `filter`: what an attempt came to"),
]
Statuses = Annotated[
    list[Literal["2xx", "3xx", "4xx", "5xx", "none"]],
    Meta(min_length=1, description="Only of kind `filter`: what an attempt was answered; `none` is no answer"),
]
Rate = Annotated[
    int, Meta(ge=1, le=10_000, description="Messages a second at each endpoint; `null` is as fast as it takes them")
]
At = Annotated[datetime, Meta(tz=True)]


class ReplayCreate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to send again.

    `filter`: what the log has of attempts between `since` and `until`. `failed`: what was tried since then and whose
    last attempt did not succeed. `missing`: what happened since then, that the endpoint would get now, and has had
    nothing of.
    """

    kind: Literal["filter", "failed", "missing"]
    endpoint_id: Id | None = None
    types: Types | None = None
    event_id: Id | None = None
    outcomes: Outcomes | None = None
    statuses: Statuses | None = None
    since: At | None = None
    until: At | None = None
    rate: Rate | None = 100
    dry_run: bool = False


class ReplayView(msgspec.Struct, frozen=True):
    """A replay and how far it is.

    While `counting`, `matched` still grows. `added` are in the queue or out of it; of these `waiting` are not over.
    `held_endpoint_ids` take nothing now: what is for them goes out once they are enabled.
    """

    id: str
    kind: str
    endpoint_id: str | None
    types: list[str] | None
    event_id: str | None
    outcomes: list[str] | None
    statuses: list[str] | None
    since: datetime | None
    until: datetime | None
    rate: int | None
    state: str
    counting: bool
    matched: int
    added: int
    waiting: int
    delivered: int
    failed: int
    held_endpoint_ids: list[str]
    created_at: datetime
    finished_at: datetime | None


class ReplayPage(msgspec.Struct, frozen=True):
    """A page of replays, newest first."""

    data: list[ReplayView]
    next_cursor: str | None


class ReplaySample(msgspec.Struct, frozen=True):
    """One of the messages that would be sent."""

    endpoint_id: str
    message_id: str
    type: str


class ReplayPreview(msgspec.Struct, frozen=True):
    """What a replay would send; if not `complete`, there are more than were counted within ten seconds."""

    matched: int
    complete: bool
    sample: list[ReplaySample]
