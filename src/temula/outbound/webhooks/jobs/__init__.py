"""What runs in the background: fan-out, delivery, forgetting."""

from temula.outbound.webhooks.jobs.delivering import LEASE, PLACES, Deliverer
from temula.outbound.webhooks.jobs.fan_out import fan_out
from temula.outbound.webhooks.jobs.forgetting import forget

__all__ = ["LEASE", "PLACES", "Deliverer", "fan_out", "forget"]
