"""Use cases of webhook endpoints, their deliveries and replays."""

from temula.outbound.webhooks.service.deliveries import (
    delivered_since,
    deliveries,
    delivery,
    latest,
    log_of,
    replay,
)
from temula.outbound.webhooks.service.endpoints import MOST_TYPES, Endpoints, delete, disabled, get, listed

__all__ = [
    "MOST_TYPES",
    "Endpoints",
    "delete",
    "delivered_since",
    "deliveries",
    "delivery",
    "disabled",
    "get",
    "latest",
    "listed",
    "log_of",
    "replay",
]
