"""What dashboards count of attempts, by endpoint and hour."""

import math
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum

import msgspec

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

    __slots__ = ("duration_ms", "endpoint_id", "hour", "latency", "organization_id", "outcomes")

    def __init__(self, organization_id: str, endpoint_id: str, hour: datetime) -> None:
        self.organization_id = organization_id
        self.endpoint_id = endpoint_id
        self.hour = hour
        self.outcomes = dict.fromkeys(_OUTCOMES, 0)
        self.duration_ms = 0
        self.latency = [0] * BUCKETS

    def row(self) -> tuple[object, ...]:
        """Give the values of a row; `latency` as PostgreSQL writes an array."""
        counts = [self.outcomes[one] for one in _OUTCOMES]
        attempts, latency = sum(counts), "{" + ",".join(map(str, self.latency)) + "}"
        return (
            self.organization_id, self.endpoint_id, self.hour, attempts, *counts, attempts - counts[0],
            self.duration_ms, latency,
        )  # fmt: skip


def bucket_of(duration_ms: int) -> int:
    """Give the bucket in which a duration is counted."""
    return bisect_right(_FIRST_OF, duration_ms)


def counted(attempts: Iterable[Attempt]) -> list[Hour]:
    """Count attempts by endpoint and hour."""
    hours: dict[tuple[str, datetime], Hour] = {}
    hour = end = datetime.min.replace(tzinfo=UTC)
    for attempt in attempts:
        if not hour <= attempt.at < end:
            hour = attempt.at.replace(minute=0, second=0, microsecond=0)
            end = hour + _HOUR
        one = hours.get((attempt.endpoint_id, hour))
        if one is None:
            one = Hour(attempt.organization_id, attempt.endpoint_id, hour)
            hours[attempt.endpoint_id, hour] = one
        duration = attempt.duration_ms
        one.outcomes[attempt.outcome] += 1
        one.duration_ms += duration
        one.latency[bisect_right(_FIRST_OF, duration)] += 1
    return list(hours.values())


class Step(StrEnum):
    """How long each part of a chart is; days are those of UTC."""

    HOUR = "hour"
    DAY = "day"

    @property
    def length(self) -> timedelta:
        """The time that it takes."""
        return timedelta(hours=1) if self is Step.HOUR else timedelta(days=1)

    def start(self, at: datetime) -> datetime:
        """Give the start of the part that a time in UTC is in."""
        hour = at.replace(minute=0, second=0, microsecond=0)
        return hour if self is Step.HOUR else hour.replace(hour=0)


class Counted(msgspec.Struct, frozen=True):
    """What was counted from `start` on, for one endpoint or for all; `latency` as in `Hour`."""

    start: datetime
    attempts: int = 0
    delivered: int = 0
    failures: int = 0
    retries: int = 0
    latency: list[int] = []

    @property
    def success_rate(self) -> float | None:
        """The share of attempts that were answered with 2xx; None if there were none."""
        return round(self.delivered / self.attempts, 4) if self.attempts else None

    def percentile(self, share: float) -> float | None:
        """Give the duration that this share of attempts did not exceed, in milliseconds; wrong by an eighth at most."""
        rank, passed = share * sum(self.latency), 0
        for n, number in enumerate(self.latency):
            passed += number
            if number and passed >= rank:
                return 0.5 if n == 0 else round(STEP ** (n - 0.5), 1)
        return None


def together(start: datetime, counted_: Sequence[Counted]) -> Counted:
    """Give the sum of counts."""
    latency = [sum(column) for column in zip(*(one.latency for one in counted_ if one.latency), strict=True)]
    return Counted(
        start, sum(one.attempts for one in counted_), sum(one.delivered for one in counted_),
        sum(one.failures for one in counted_), sum(one.retries for one in counted_), latency,
    )  # fmt: skip
