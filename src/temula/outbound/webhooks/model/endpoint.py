"""Where an organization wants messages, and which."""

import base64
import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated

import msgspec

from temula.kernel.facts import Fact, StoredFact
from temula.kernel.http import check_customer_headers
from temula.kernel.ids import EndpointId, OrganizationId
from temula.outbound.webhooks.model.filter import compiled
from temula.outbound.webhooks.model.shaping import Payload, envelope

OVERLAP = timedelta(hours=24)


class EndpointState(StrEnum):
    """Whether messages go out; those of a paused or disabled endpoint are kept for when it is enabled again."""

    ENABLED = "enabled"
    PAUSED = "paused"
    DISABLED = "disabled"


class OrderBy(StrEnum):
    """What keeps its order on the way to the endpoint: nothing, or the messages of one registration or one ticket."""

    NONE = "none"
    REGISTRATION = "registration"
    TICKET = "ticket"


class Endpoint(msgspec.Struct, frozen=True):
    """Where an organization wants messages. Empty `event_ids` means all events; secrets are sealed."""

    organization_id: OrganizationId
    id: EndpointId
    url: str
    description: str
    state: EndpointState
    state_reason: str | None
    types: list[str]
    event_ids: list[str]
    team_id: str | None
    filter: bytes | None
    payload: Payload
    mask: list[str]
    headers: bytes | None
    rate_limit: int | None
    max_concurrency: int | None
    order_by: OrderBy
    metadata: bytes
    partner_id: str | None
    granted_types: list[str] | None
    granted_event_ids: list[str] | None
    secret: bytes
    previous_secret: bytes | None
    previous_until: datetime | None
    failures: int
    failing_since: datetime | None
    created_at: datetime
    updated_at: datetime

    def context(self, field: str) -> str:
        """Where a sealed value of the endpoint belongs."""
        return secret_context(self.organization_id, self.id, field)


class Subscription(msgspec.Struct, frozen=True):
    """What an endpoint wants to hear of; `since` is the transaction that made it."""

    organization_id: OrganizationId
    id: EndpointId
    state: EndpointState
    types: list[str]
    event_ids: list[str]
    team_id: str | None
    filter: bytes | None
    order_by: OrderBy
    partner_id: str | None
    granted_types: list[str] | None
    granted_event_ids: list[str] | None
    since: int

    def wants(self, fact: StoredFact) -> bool:
        """Tell whether a fact goes to the endpoint: not one that was there before it."""
        return fact.transaction >= self.since and self.matches(fact)

    def matches(self, fact: StoredFact) -> bool:
        """Tell whether the endpoint asks for a fact and may have it, whenever it happened."""
        if fact.organization_id != self.organization_id or not fact.public:
            return False
        if not covers(self.types, fact.type) or not self.may_have(fact.type, fact.event_id):
            return False
        if fact.type in OPERATIONAL:
            # Of the organization's endpoints, not of its events: narrowing by event or team is not about them. Nobody
            # is told of themselves.
            return self.team_id is None and self.id.encode() not in fact.data
        if self.event_ids and fact.event_id not in self.event_ids:
            return False
        if self.team_id is not None and fact.team_id != self.team_id:
            return False
        return self.filter is None or compiled(self.filter).holds(_message(fact))

    def may_have(self, type_: str, event_id: str | None) -> bool:
        """Tell whether a message may go to the endpoint at all: one of a partner has only what it was granted."""
        if self.partner_id is None:
            return True
        if not covers(self.granted_types or (), type_):
            return False
        return self.granted_event_ids is None or event_id in self.granted_event_ids

    def order_key(self, fact: StoredFact) -> str | None:
        """Give what the fact stands in order with on its way to the endpoint; None if with nothing."""
        return self.key_in(fact.data)

    def key_in(self, data: bytes) -> str | None:
        """Give what a message's data stands in order with."""
        if self.order_by == OrderBy.NONE:
            return None
        said = msgspec.json.decode(data)
        names = ORDERED_BY[self.order_by]
        return next((said[name] for name in names if isinstance(said.get(name), str)), None)


# In which field of `data` the key stands; a check-in names its ticket otherwise than the ticket itself does.
ORDERED_BY: dict[OrderBy, tuple[str, ...]] = {
    OrderBy.REGISTRATION: ("registration_id",),
    OrderBy.TICKET: ("ticket_instance_id", "ticket_id"),
}


def covers(patterns: Sequence[str], type_: str) -> bool:
    """Tell whether one of the patterns is for a type: exact, `registration.*`, or `*`.

    `*` is everything that happens in the organization; what Temula tells of its own work (`endpoint.disabled`) has to
    be named.
    """
    if type_ in patterns or ("*" in patterns and type_ not in OPERATIONAL):
        return True
    return any(pattern.endswith(".*") and type_.startswith(pattern[:-1]) for pattern in patterns)


def _message(fact: StoredFact) -> object:
    return msgspec.json.decode(
        envelope(fact.id, fact.type, fact.occurred_at, fact.organization_id, fact.team_id, fact.data)
    )


class EndpointDisabled(Fact, frozen=True, kw_only=True):
    """An endpoint was disabled because it kept failing, or said 410; what was for it is kept."""

    TYPE = "endpoint.disabled"
    endpoint_id: EndpointId
    reason: Annotated[str, msgspec.Meta(examples=["The endpoint answered 410 Gone."])]


class EndpointFailing(Fact, frozen=True, kw_only=True):
    """Attempts in a row have failed at an endpoint; after five over at least a minute it is disabled."""

    TYPE = "endpoint.failing"
    endpoint_id: EndpointId
    failures: Annotated[int, msgspec.Meta(description="How many attempts in a row failed", examples=[2])]
    last: Annotated[str, msgspec.Meta(description="What the last one came to", examples=["status 500"])]


# What Temula tells of its own work; an endpoint has to name it.
OPERATIONAL_FACTS: tuple[type[Fact], ...] = (EndpointDisabled, EndpointFailing)
OPERATIONAL = frozenset(kind.TYPE for kind in OPERATIONAL_FACTS)


def new_secret() -> str:
    """Make a signing secret in the form of Standard Webhooks: `whsec_` and base64 of 32 random bytes."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()


def customer_headers(opened: bytes) -> list[tuple[str, str]]:
    """Read an endpoint's own headers, checked as when they were saved; raises `HeaderRefused`."""
    return check_customer_headers(msgspec.json.decode(opened, type=list[tuple[str, str]]))


def secret_context(organization_id: str, endpoint_id: str, field: str) -> str:
    """Name the place of a sealed secret."""
    return f"{organization_id}|webhook_endpoints|{endpoint_id}|{field}"
