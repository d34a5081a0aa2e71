"""Webhook endpoints, messages, deliveries, replays and the log, through the API."""

from temula.outbound.webhooks.routes.deliveries import Deliveries
from temula.outbound.webhooks.routes.endpoints import Endpoints
from temula.outbound.webhooks.routes.log import Log
from temula.outbound.webhooks.routes.messages import Messages
from temula.outbound.webhooks.routes.replays import ReplayActs

CONTROLLERS = (Endpoints, Messages, Deliveries, ReplayActs, Log)

__all__ = ["CONTROLLERS"]
