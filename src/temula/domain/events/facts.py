"""What can have happened to an event."""

from temula.kernel.facts import Fact
from temula.kernel.ids import EventId


class EventPublished(Fact, frozen=True, kw_only=True):
    """The event goes live."""

    TYPE = "event.published"
    event_id: EventId
    starts_at: str
    visibility: str


class EventUpdated(Fact, frozen=True, kw_only=True):
    """The organizer edits; `changes` is field: {from, to}."""

    TYPE = "event.updated"
    event_id: EventId
    changes: dict[str, dict[str, object]]


class EventArchived(Fact, frozen=True, kw_only=True):
    """The event is archived."""

    TYPE = "event.archived"
    event_id: EventId
    archived_at: str
