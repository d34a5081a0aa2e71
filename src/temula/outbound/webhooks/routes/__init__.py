"""Webhook endpoints, messages, deliveries and replays, through the API."""

from temula.outbound.webhooks.routes.deliveries import Deliveries
from temula.outbound.webhooks.routes.endpoints import Endpoints
from temula.outbound.webhooks.routes.messages import Messages
from temula.outbound.webhooks.routes.replays import ReplayActs

CONTROLLERS = (Endpoints, Messages, Deliveries, ReplayActs)

__all__ = ["CONTROLLERS"]
