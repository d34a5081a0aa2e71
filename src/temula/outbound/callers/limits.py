"""How often a token may call: at most its plan's requests in any 60 seconds, counted in this process.

The times of a token's last requests are kept, so the count is exact and `Retry-After` is the second in which the next
request passes. A token costs 32 bytes for each request it may send a minute, and nothing a minute after its last one.
"""

from collections import OrderedDict, deque
from math import ceil
from typing import NamedTuple

from temula.kernel.clock import Clock
from temula.outbound.callers.errors import RateLimited
from temula.outbound.callers.model import Caller

WINDOW = 60
MICRO = 1_000_000


class Standing(NamedTuple):
    """Where a token stands: its rate, what is left of it, and the seconds until one more is given back."""

    rate: int
    remaining: int
    reset: int

    def headers(self) -> dict[str, str]:
        """Give the fields of draft-ietf-httpapi-ratelimit-headers-10."""
        return {
            "ratelimit-policy": f'"plan";q={self.rate};w={WINDOW}',
            "ratelimit": f'"plan";r={self.remaining};t={self.reset}',
        }


class Limiter:
    """Requests a minute for each token."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        # The token that was busy last stands last, so that those to forget stand first.
        self._passed: OrderedDict[str, deque[int]] = OrderedDict()

    def pass_or_raise(self, caller: Caller) -> Standing:
        """Count a request, or raise `RateLimited` with how long to wait; a refused one is not counted."""
        # In whole microseconds, so that who waits as long as was said is not refused for a rounding.
        now, rate = round(self._clock.monotonic() * MICRO), caller.organization.rate
        self._forget(now)
        passed = self._passed.setdefault(caller.token.id, deque())
        while passed and now - passed[0] >= WINDOW * MICRO:
            passed.popleft()
        if len(passed) >= rate:
            # The plan may have shrunk: then more than one request has to grow old first.
            wait = _seconds_until_old(passed[len(passed) - rate], now)
            raise RateLimited(
                f"This token may send {rate} requests a minute; wait {wait} seconds.",
                retry_after=wait, headers=Standing(rate, 0, wait).headers(), limit=rate,
            )  # fmt: skip
        passed.append(now)
        self._passed.move_to_end(caller.token.id)
        return Standing(rate, rate - len(passed), _seconds_until_old(passed[0], now))

    def _forget(self, now: int) -> None:
        while self._passed:
            token_id, passed = next(iter(self._passed.items()))
            if passed and now - passed[-1] < WINDOW * MICRO:
                return
            del self._passed[token_id]


def _seconds_until_old(passed: int, now: int) -> int:
    return max(1, ceil((passed + WINDOW * MICRO - now) / MICRO))
