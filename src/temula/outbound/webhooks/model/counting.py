"""What dashboards count of attempts, by endpoint and hour."""

import math
from bisect import bisect_right
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from temula.outbound.webhooks.model.delivery import Attempt, Outcome

# Bucket n counts durations below 1.25 ** n milliseconds that fit into none before it; the last takes the rest. Read
# back, a percentile is wrong by an eighth at most.
STEP = 1.25
BUCKETS = 48
_HOUR = timedelta(hours=1)
_OUTCOMES = (Outcome.DELIVERED, Outcome.RETRIED, Outcome.EXHAUSTED, Outcome.GONE)


_FIRST_OF = [math.ceil(STEP**n) for n in range(BUCKETS - 1)]  # the shortest duration that is counted in bucket n + 1


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
    return bisect_right(_FIRST_OF, duration_ms)


def counted(attempts: Iterable[Attempt]) -> list[Hour]:
    """Count attempts by endpoint and hour."""
    hours: dict[tuple[str, datetime], Hour] = {}
    hour = datetime.min.replace(tzinfo=UTC)
    for attempt in attempts:
        if not hour <= attempt.at < hour + _HOUR:
            hour = attempt.at.replace(minute=0, second=0, microsecond=0)
        one = hours.get((attempt.endpoint_id, hour))
        if one is None:
            one = Hour(attempt.organization_id, attempt.endpoint_id, hour)
            hours[attempt.endpoint_id, hour] = one
        one.outcomes[attempt.outcome] += 1
        one.failures += attempt.outcome != Outcome.DELIVERED
        one.duration_ms += attempt.duration_ms
        one.latency[bisect_right(_FIRST_OF, attempt.duration_ms)] += 1
    return list(hours.values())
