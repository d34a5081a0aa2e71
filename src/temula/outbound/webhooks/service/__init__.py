"""Use cases of webhook endpoints, their deliveries and replays."""

from temula.outbound.webhooks.service.archives import Archives
from temula.outbound.webhooks.service.deliveries import (
    delivered_since,
    deliveries,
    delivery,
    latest,
    log_of,
    replay,
)
from temula.outbound.webhooks.service.endpoints import Endpoints, delete, disabled, get, listed
from temula.outbound.webhooks.service.messages import BEGINNING, LATEST, Pulled, message, pull
from temula.outbound.webhooks.service.notices import Notice, Notices, Trouble, Waits, notices, waits
from temula.outbound.webhooks.service.replays import Preview, ReplayAsked, Replays
from temula.outbound.webhooks.service.searching import Found, attempt, search, types_of
from temula.outbound.webhooks.service.stats import Chart, stats
from temula.outbound.webhooks.store import Narrowed

__all__ = [
    "BEGINNING",
    "LATEST",
    "Archives",
    "Chart",
    "Endpoints",
    "Found",
    "Narrowed",
    "Notice",
    "Notices",
    "Preview",
    "Pulled",
    "ReplayAsked",
    "Replays",
    "Trouble",
    "Waits",
    "attempt",
    "delete",
    "delivered_since",
    "deliveries",
    "delivery",
    "disabled",
    "get",
    "latest",
    "listed",
    "log_of",
    "message",
    "notices",
    "pull",
    "replay",
    "search",
    "stats",
    "types_of",
    "waits",
]
