"""What the routes of webhooks share: abilities, and how endpoints and messages are shown."""

import msgspec

from temula.kernel.clock import rfc3339
from temula.kernel.facts import StoredFact
from temula.outbound.schemas.webhooks import EndpointView, EndpointWithSecret, MessageView, PartnerGrant
from temula.outbound.webhooks.model import Endpoint
from temula.outbound.webhooks.service import Endpoints

READ, WRITE = {"ability": "webhooks:read"}, {"ability": "webhooks:write"}


def endpoint_view(endpoints: Endpoints, e: Endpoint) -> EndpointView:
    """Show an endpoint."""
    partner = None
    if e.partner_id is not None:
        partner = PartnerGrant(reference=e.partner_id, types=e.granted_types or [], event_ids=e.granted_event_ids)
    return EndpointView(
        e.id, e.url, e.description, e.state, e.state_reason, e.types, e.event_ids, e.team_id,
        msgspec.json.decode(e.filter) if e.filter else None, e.payload, e.mask, endpoints.shown_headers(e),
        e.rate_limit, e.max_concurrency, e.order_by, msgspec.json.decode(e.metadata), partner, e.previous_until,
        e.created_at, e.updated_at,
    )  # fmt: skip


def with_secret(view: EndpointView, secret: str) -> EndpointWithSecret:
    """Show an endpoint with its new secret."""
    return EndpointWithSecret(**msgspec.structs.asdict(view), secret=secret)


def message_view(fact: StoredFact) -> MessageView:
    """Show a message, whole."""
    return MessageView(
        fact.id, fact.type, rfc3339(fact.occurred_at), fact.organization_id, fact.team_id,
        msgspec.json.decode(fact.data),
    )  # fmt: skip
