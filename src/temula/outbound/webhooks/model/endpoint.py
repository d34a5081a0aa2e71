"""Where an organization wants messages, and which."""

import base64
import secrets
from datetime import datetime, timedelta
from enum import StrEnum

import msgspec

from temula.kernel.facts import Fact, StoredFact
from temula.kernel.ids import EndpointId, OrganizationId

OVERLAP = timedelta(hours=24)


class EndpointState(StrEnum):
    """Whether messages go out; those of a paused or disabled endpoint are kept for when it is enabled again."""

    ENABLED = "enabled"
    PAUSED = "paused"
    DISABLED = "disabled"


class Endpoint(msgspec.Struct, frozen=True):
    """Where an organization wants messages. Empty `event_ids` means all events; secrets are sealed."""

    organization_id: OrganizationId
    id: EndpointId
    url: str
    description: str
    state: EndpointState
    disabled_reason: str | None
    types: list[str]
    event_ids: list[str]
    secret: bytes
    previous_secret: bytes | None
    previous_until: datetime | None
    failures: int
    failing_since: datetime | None
    created_at: datetime
    updated_at: datetime

    def context(self, field: str) -> str:
        """Where a sealed secret of the endpoint belongs."""
        return secret_context(self.organization_id, self.id, field)


class Subscription(msgspec.Struct, frozen=True):
    """What an endpoint wants to hear of; `since` is the transaction that made it."""

    organization_id: OrganizationId
    id: EndpointId
    state: EndpointState
    types: list[str]
    event_ids: list[str]
    since: int

    def wants(self, fact: StoredFact) -> bool:
        """Tell whether a fact goes to the endpoint: not one that was there before it."""
        if fact.organization_id != self.organization_id or fact.transaction < self.since:
            return False
        if self.event_ids and fact.event_id not in self.event_ids:
            return False
        return any(
            pattern in ("*", fact.type) or (pattern.endswith(".*") and fact.type.startswith(pattern[:-1]))
            for pattern in self.types
        )


class EndpointDisabled(Fact, frozen=True, kw_only=True):
    """An endpoint was disabled because it kept failing, or said 410."""

    TYPE = "endpoint.disabled"
    PUBLIC = False
    endpoint_id: EndpointId
    reason: str


def new_secret() -> str:
    """Make a signing secret in the form of Standard Webhooks: `whsec_` and base64 of 32 random bytes."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()


def secret_context(organization_id: str, endpoint_id: str, field: str) -> str:
    """Name the place of a sealed secret."""
    return f"{organization_id}|webhook_endpoints|{endpoint_id}|{field}"
