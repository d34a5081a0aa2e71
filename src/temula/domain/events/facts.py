"""What can have happened to an event."""

from typing import Annotated, Any

from msgspec import Meta

from temula.kernel.facts import Fact, Instant
from temula.kernel.ids import EventId

CHANGES = {"venue": {"from": "Hall 1", "to": "Hall 2"}}


class EventPublished(Fact, frozen=True, kw_only=True):
    """The event goes live."""

    TYPE = "event.published"
    event_id: EventId
    starts_at: Instant
    visibility: Annotated[str, Meta(description="Who sees the event", examples=["public"])]


class EventUpdated(Fact, frozen=True, kw_only=True):
    """The organizer edits; `changes` is field: {from, to}."""

    TYPE = "event.updated"
    event_id: EventId
    changes: Annotated[
        dict[str, dict[str, Any]],
        Meta(description="Each changed field with what it was and is", examples=[CHANGES]),
    ]


class EventArchived(Fact, frozen=True, kw_only=True):
    """The event is archived."""

    TYPE = "event.archived"
    event_id: EventId
    archived_at: Instant
