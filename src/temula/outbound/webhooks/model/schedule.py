"""When a failed delivery is tried again, and when an endpoint is given up."""

import random
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime

# The wait before attempt 2, 3... A jitter is added, never taken away: nothing is tried earlier than promised.
WAITS = (60, 300, 1800, 7200, 86400)
JITTER = 0.1
LONGEST_RETRY_AFTER = 86400
DISABLE_AFTER = 5
DISABLE_OVER = timedelta(minutes=1)
GONE = 410


def next_wait(attempts: int, retry_after: float | None) -> float | None:
    """Give the seconds until the next attempt after `attempts` failed ones; None if that was the last."""
    if attempts > len(WAITS):
        return None
    wait = WAITS[attempts - 1] * (1 + random.uniform(0, JITTER))  # noqa: S311 - jitter
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
