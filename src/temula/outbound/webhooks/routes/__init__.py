"""Webhook endpoints, messages, deliveries and replay, through the API."""

from temula.outbound.webhooks.routes.deliveries import Deliveries
from temula.outbound.webhooks.routes.endpoints import Endpoints
from temula.outbound.webhooks.routes.messages import Messages

CONTROLLERS = (Endpoints, Messages, Deliveries)

__all__ = ["CONTROLLERS"]
