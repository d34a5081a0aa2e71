"""What dashboards count of attempts, by endpoint and hour."""

import math
from collections.abc import Iterable
from datetime import datetime

from temula.outbound.webhooks.model.delivery import Attempt, Outcome

# Bucket n counts durations below 1.25 ** n milliseconds that fit into none before it; the last takes the rest. Read
# back, a percentile is wrong by an eighth at most.
STEP = 1.25
BUCKETS = 48
_OUTCOMES = (Outcome.DELIVERED, Outcome.RETRIED, Outcome.EXHAUSTED, Outcome.GONE)


class Hour:
    """The counts of one endpoint and hour, to be added to what is counted already."""

    __slots__ = ("duration_ms", "endpoint_id", "failures", "hour", "latency", "organization_id", "outcomes")

    def __init__(self, organization_id: str, endpoint_id: str, hour: datetime) -> None:
        self.organization_id = organization_id
        self.endpoint_id = endpoint_id
        self.hour = hour
        self.outcomes = dict.fromkeys(_OUTCOMES, 0)
        self.failures = 0
        self.duration_ms = 0
        self.latency = [0] * BUCKETS

    def add(self, attempt: Attempt) -> None:
        """Count an attempt."""
        self.outcomes[attempt.outcome] += 1
        self.failures += not attempt.succeeded
        self.duration_ms += attempt.duration_ms
        self.latency[bucket_of(attempt.duration_ms)] += 1

    def row(self) -> tuple[object, ...]:
        """Give the values of a row; `latency` as PostgreSQL writes an array."""
        counts = [self.outcomes[one] for one in _OUTCOMES]
        latency = "{" + ",".join(map(str, self.latency)) + "}"
        return (
            self.organization_id, self.endpoint_id, self.hour, sum(counts), *counts, self.failures, self.duration_ms,
            latency,
        )  # fmt: skip


def bucket_of(duration_ms: int) -> int:
    """Give the bucket in which a duration is counted."""
    if duration_ms < 1:
        return 0
    return min(BUCKETS - 1, math.floor(math.log(duration_ms, STEP) + 1e-9) + 1)


def counted(attempts: Iterable[Attempt]) -> list[Hour]:
    """Count attempts by endpoint and hour."""
    hours: dict[tuple[str, datetime], Hour] = {}
    for attempt in attempts:
        at = attempt.at.replace(minute=0, second=0, microsecond=0)
        key = attempt.endpoint_id, at
        if key not in hours:
            hours[key] = Hour(attempt.organization_id, attempt.endpoint_id, at)
        hours[key].add(attempt)
    return list(hours.values())
