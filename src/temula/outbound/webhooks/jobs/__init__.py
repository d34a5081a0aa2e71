"""What runs in the background: fan-out, delivery, replays, forgetting."""

from temula.outbound.webhooks.jobs.delivering import LEASE, PLACES, Deliverer
from temula.outbound.webhooks.jobs.fan_out import fan_out
from temula.outbound.webhooks.jobs.forgetting import forget
from temula.outbound.webhooks.jobs.replaying import Replayer, forget_replays, settle_replays

__all__ = ["LEASE", "PLACES", "Deliverer", "Replayer", "fan_out", "forget", "forget_replays", "settle_replays"]
