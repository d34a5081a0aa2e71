"""Events and their ticket types: states and rules."""

import unicodedata
import zoneinfo
from datetime import UTC, datetime
from enum import StrEnum
from functools import cache

import msgspec

from temula.domain.events.errors import EventNotEditable, NotOnSale, SoldOut
from temula.kernel.errors import InvalidInput
from temula.kernel.ids import EventId, OrganizationId, TeamId, TicketTypeId
from temula.kernel.money import AmountOutOfRange, Money, UnknownCurrency


class EventState(StrEnum):
    """A draft is published once and archived at the end."""

    DRAFT = "draft"
    PUBLISHED = "published"
    ARCHIVED = "archived"


class Visibility(StrEnum):
    """Who finds a published event."""

    PUBLIC = "public"
    UNLISTED = "unlisted"
    PRIVATE = "private"


class Event(msgspec.Struct, frozen=True):
    """What people attend."""

    organization_id: OrganizationId
    id: EventId
    team_id: TeamId | None
    name: str
    description: str
    state: EventState
    visibility: Visibility
    starts_at: datetime
    ends_at: datetime
    timezone: str
    venue: str
    currency: str
    created_at: datetime
    updated_at: datetime

    def checked(self) -> "Event":
        """Give the event back with its times in UTC, or say which field is not acceptable."""
        require_text(self.name, "/name", 200)
        require_text(self.venue, "/venue", 300, empty=True)
        require_text(self.description, "/description", 10_000, empty=True, lines=True)
        starts_at, ends_at = require_aware(self.starts_at, "/starts_at"), require_aware(self.ends_at, "/ends_at")
        if self.ends_at < self.starts_at:
            raise InvalidInput("An event cannot end before it starts.", pointer="/ends_at")
        if self.timezone not in _zones():
            raise InvalidInput(
                "timezone must be a name of the IANA database, like Asia/Kuala_Lumpur.", pointer="/timezone"
            )
        require_money(0, self.currency)
        return msgspec.structs.replace(self, starts_at=starts_at, ends_at=ends_at)

    def editable(self) -> "Event":
        """Give the event back unless it is archived."""
        if self.state == EventState.ARCHIVED:
            raise EventNotEditable("An archived event cannot be changed.")
        return self


class TicketType(msgspec.Struct, frozen=True):
    """One kind of ticket on sale for an event; `taken` counts held and sold ones, `quota` None means no limit."""

    organization_id: OrganizationId
    id: TicketTypeId
    event_id: EventId
    name: str
    price: int
    currency: str
    quota: int | None
    taken: int
    sale_starts_at: datetime | None
    sale_ends_at: datetime | None
    created_at: datetime

    def checked(self) -> "TicketType":
        """Give the ticket type back with its times in UTC, or say which field is not acceptable."""
        require_text(self.name, "/name", 200)
        require_money(self.price, self.currency, "/price")
        if self.quota is not None and not 0 <= self.quota <= 10_000_000:
            raise InvalidInput("quota must be from 0 to 10,000,000, or null for no limit.", pointer="/quota")
        starts_at = self.sale_starts_at and require_aware(self.sale_starts_at, "/sale_starts_at")
        ends_at = self.sale_ends_at and require_aware(self.sale_ends_at, "/sale_ends_at")
        if starts_at and ends_at and ends_at <= starts_at:
            raise InvalidInput("The sale must end after it starts.", pointer="/sale_ends_at")
        return msgspec.structs.replace(self, sale_starts_at=starts_at, sale_ends_at=ends_at)

    def refusal(self, wanted: int, now: datetime) -> NotOnSale | SoldOut:
        """Say why `wanted` of these cannot be had."""
        if self.sale_starts_at is not None and now < self.sale_starts_at:
            return NotOnSale(f"{self.name} is on sale from {self.sale_starts_at.isoformat()}.", ticket_type_id=self.id)
        if self.sale_ends_at is not None and now >= self.sale_ends_at:
            return NotOnSale(f"The sale of {self.name} ended.", ticket_type_id=self.id)
        left = 0 if self.quota is None else max(self.quota - self.taken, 0)
        detail = f"{wanted} x {self.name} are not available: {left} left."
        return SoldOut(detail, ticket_type_id=self.id, available=left)


@cache
def _zones() -> set[str]:
    return zoneinfo.available_timezones()


def require_text(text: str, pointer: str, longest: int, *, empty: bool = False, lines: bool = False) -> None:
    """Refuse text that is blank (unless it may be), too long, or has control characters (line breaks it may have)."""
    if not empty and not text.strip():
        raise InvalidInput("This cannot be empty.", pointer=pointer)
    if len(text) > longest:
        raise InvalidInput(f"This is longer than {longest} characters.", pointer=pointer)
    # A name goes into headers of emails and lines of files, where a line break would begin something else.
    if any(unicodedata.category(one) == "Cc" and not (lines and one in "\r\n\t") for one in text):
        raise InvalidInput("This holds control characters.", pointer=pointer)


def require_aware(moment: datetime, pointer: str) -> datetime:
    """Give a time in UTC; refuse one without an offset, and years that other systems cannot carry."""
    if moment.tzinfo is None:
        raise InvalidInput("A time needs its offset, like 2026-11-23T10:15:00Z.", pointer=pointer)
    if not 2000 <= moment.year < 2200:
        raise InvalidInput("The year must be from 2000 to 2199.", pointer=pointer)
    return moment.astimezone(UTC)


def require_money(minor: int, currency: str, pointer: str = "/currency") -> Money:
    """Refuse an amount or a currency that is not money."""
    try:
        return Money(minor, currency)
    except UnknownCurrency as error:
        raise InvalidInput(f"{error}", pointer="/currency") from None
    except (AmountOutOfRange, ValueError, TypeError) as error:
        raise InvalidInput(f"{error}", pointer=pointer) from None
