"""What every API request passes, in this order: HTTPS, origin, token, ability, plan, limit."""

from collections.abc import Mapping
from typing import Any

import msgspec
from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter
from litestar import Request
from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from temula.kernel.clock import Clock
from temula.outbound.callers.errors import (
    CrossOrigin,
    HttpsRequired,
    MissingAbility,
    NoToken,
    PlanWithoutApi,
    RateLimited,
)
from temula.outbound.callers.model import Caller
from temula.outbound.callers.service import Callers


class CallerSettings(msgspec.Struct, frozen=True):
    """How strict the door is: `https_only` in production, behind a proxy that says how the caller came."""

    https_only: bool = False


class Limiter:
    """Requests a minute for each token, counted in this process (a sliding window)."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._windows = SlidingWindowCounterRateLimiter(MemoryStorage())
        self._items: dict[int, RateLimitItemPerMinute] = {}

    def pass_or_raise(self, caller: Caller) -> Mapping[bytes, bytes]:
        """Count a request; give the RateLimit headers, or raise `RateLimited` with how long to wait."""
        rate = caller.organization.rate
        item = self._items.setdefault(rate, RateLimitItemPerMinute(rate))
        allowed = self._windows.hit(item, caller.token.id)
        stats = self._windows.get_window_stats(item, caller.token.id)
        reset = max(1, round(stats.reset_time - self._clock.now().timestamp()))
        if not allowed:
            raise RateLimited(
                f"This token may send {rate} requests a minute; wait {reset} seconds.", retry_after=reset, limit=rate
            )
        return {
            b"ratelimit-policy": b'"plan";q=%d;w=60' % rate,
            b"ratelimit": b'"plan";r=%d;t=%d' % (stats.remaining, reset),
        }


class Gate:
    """ASGI middleware of the API's routes; leaves the `Caller` in the request's state."""

    def __init__(self, app: ASGIApp, *, callers: Callers, limiter: Limiter, settings: CallerSettings) -> None:
        self._app = app
        self._callers = callers
        self._limiter = limiter
        self._settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the request through, or raise what turns it away."""
        ability = scope["route_handler"].opt.get("ability") if scope["type"] == ScopeType.HTTP else None
        if ability is None:
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        self._require_https(scope, headers)
        refuse_cross_origin(headers)
        caller = await self._callers.find(_bearer(headers))
        if not caller.actor.may(ability):
            raise MissingAbility(f"The token needs the ability {ability}.", ability=ability)
        if not caller.organization.has_api:
            raise PlanWithoutApi(
                "API access comes with the plans Starter, Pro and Enterprise; this organization is on Free.",
                plan="free", plans=["starter", "pro", "enterprise"],
            )  # fmt: skip
        limits = self._limiter.pass_or_raise(caller)
        scope["state"]["caller"] = caller

        async def send_with_limits(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *limits.items()]
            await send(message)

        await self._app(scope, receive, send_with_limits)

    def _require_https(self, scope: Scope, headers: Mapping[bytes, bytes]) -> None:
        # The proxy in front of a production server must set X-Forwarded-Proto and overwrite what callers send.
        came_by = headers.get(b"x-forwarded-proto", scope["scheme"].encode())
        if self._settings.https_only and came_by != b"https":
            raise HttpsRequired("Use https: in production the API answers nothing else.")


def refuse_cross_origin(headers: Mapping[bytes, bytes]) -> None:
    """Refuse what a browser sends from another origin's page; servers and same-origin pages are not concerned."""
    origin, host = headers.get(b"origin"), headers.get(b"host", b"")
    site = headers.get(b"sec-fetch-site", b"none")
    foreign = origin is not None and origin.partition(b"://")[2] != host
    if foreign or site in (b"cross-site", b"same-site"):
        raise CrossOrigin("Requests of pages of another origin are refused; call the API from your server.")


def caller_of(request: Request[Any, Any, Any]) -> Caller:
    """Give the caller that the gate has found."""
    caller: Caller = request.scope["state"]["caller"]
    return caller


def _bearer(headers: Mapping[bytes, bytes]) -> str:
    scheme, _, token = headers.get(b"authorization", b"").partition(b" ")
    if scheme.lower() != b"bearer" or not token.isascii():
        raise NoToken("Send an API token: Authorization: Bearer tml_...")
    return token.strip().decode()
