"""Webhook endpoints, messages, deliveries, replay and the log, through the API."""

from temula.outbound.webhooks.routes.deliveries import Deliveries
from temula.outbound.webhooks.routes.endpoints import Endpoints
from temula.outbound.webhooks.routes.log import Log
from temula.outbound.webhooks.routes.messages import Messages

CONTROLLERS = (Endpoints, Messages, Deliveries, Log)

__all__ = ["CONTROLLERS"]
