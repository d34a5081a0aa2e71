"""What an outcome leads to: when a delivery is tried again, what its endpoint has come to. No input, no output."""

import random
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime

import msgspec

# The wait before attempt 2, 3... A jitter is added, never taken away: nothing is tried earlier than promised.
WAITS = (60, 300, 1800, 7200, 86400)
JITTER = 0.1
LONGEST_RETRY_AFTER = 86400
DISABLE_AFTER = 5
DISABLE_OVER = timedelta(minutes=1)
WARN_AT = range(2, DISABLE_AFTER)
GONE = 410
GONE_REASON = "The endpoint answered 410 Gone."


class Health(msgspec.Struct, frozen=True):
    """How many attempts in a row have failed, all deliveries of the endpoint taken together, and since when."""

    failures: int = 0
    since: datetime | None = None

    def after(self, at: datetime, *, succeeded: bool) -> "Health":
        """Count a completed attempt that began at `at`."""
        return Health() if succeeded else Health(self.failures + 1, self.since or at)

    def reason_to_disable(self, status: int | None, error: str | None, now: datetime) -> str | None:
        """Say why the endpoint is given up after a failed attempt that is counted already; None if it is not."""
        if status == GONE:
            return GONE_REASON
        long_enough = self.since is not None and now - self.since >= DISABLE_OVER
        if self.failures >= DISABLE_AFTER and long_enough:
            return f"{self.failures} attempts in a row failed; the last: {error or f'status {status}'}."
        return None


def next_wait(attempts: int, retry_after: float | None, chance: random.Random | None = None) -> float | None:
    """Give the seconds until the next attempt after `attempts` failed ones; None if that was the last."""
    if attempts > len(WAITS):
        return None
    jitter = (chance or random).uniform(0, JITTER)
    wait = WAITS[attempts - 1] * (1 + jitter)
    return max(wait, min(retry_after, LONGEST_RETRY_AFTER)) if retry_after is not None else wait


def retry_after_of(value: str | None, now: datetime) -> float | None:
    """Read a `Retry-After` header (RFC 9110, 10.2.3); None if there is none that can be read."""
    if value is None:
        return None
    if value.isascii() and value.isdigit() and len(value) < 10:
        return float(value)
    try:
        return max(0.0, (parsedate_to_datetime(value) - now).total_seconds())
    except (ValueError, TypeError):
        return None
