"""What every API request passes, in this order: HTTPS, origin, token, ability, plan, limit."""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from litestar import Request
from litestar.enums import ScopeType
from litestar.exceptions import SerializationException
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from temula.outbound.callers.errors import (
    CrossOrigin,
    HttpsRequired,
    MalformedJson,
    MissingAbility,
    NoToken,
    PlanWithoutApi,
    UnsupportedType,
)
from temula.outbound.callers.limits import Limiter
from temula.outbound.callers.model import Caller
from temula.outbound.callers.service import Callers

# What the API says is for its caller alone, and never a page.
PRIVATE = ((b"cache-control", b"private, no-store"), (b"x-content-type-options", b"nosniff"))


class CallerSettings(msgspec.Struct, frozen=True):
    """How strict the door is: `https_only` in production, behind a proxy that says how the caller came."""

    https_only: bool = False


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
        if self._settings.https_only:
            require_https(scope, headers)
        refuse_cross_origin(headers)
        caller = await self._callers.find(_bearer(headers))
        if not caller.actor.may(ability):
            raise MissingAbility(f"The token needs the ability {ability}.", ability=ability)
        if not caller.organization.has_api:
            raise PlanWithoutApi(
                "API access comes with the plans Starter, Pro and Enterprise; this organization is on Free.",
                plan="free", plans=["starter", "pro", "enterprise"],
            )  # fmt: skip
        limits = self._limiter.pass_or_raise(caller).headers()
        added = [(name.encode(), value.encode()) for name, value in limits.items()]
        scope["state"]["caller"] = caller

        async def send_with_limits(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*_said_once(message["headers"]), *added, *PRIVATE]
            await send(message)

        await self._app(scope, receive, send_with_limits)


class JsonRequest(Request[Any, Any, Any]):
    """A request of the API: its body is JSON and says so."""

    async def json(self) -> Any:
        """Give the body; raises `UnsupportedType` or `MalformedJson`."""
        if self.content_type[0] != "application/json":
            raise UnsupportedType("Send the body as JSON, with Content-Type: application/json.")
        try:
            return await super().json()
        except (SerializationException, UnicodeDecodeError, RecursionError) as error:
            raise MalformedJson(f"The body is not JSON: {str(error)[:200]}") from None


def require_https(scope: Scope, headers: Mapping[bytes, bytes]) -> None:
    """Refuse what came in clear; called in production only."""
    # The proxy in front of a production server must set X-Forwarded-Proto and overwrite what callers send.
    if headers.get(b"x-forwarded-proto", scope["scheme"].encode()) != b"https":
        raise HttpsRequired("Use https: in production nothing else is answered.")


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


def _said_once(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    return [one for one in headers if one[0] != b"cache-control"]


def _bearer(headers: Mapping[bytes, bytes]) -> str:
    scheme, _, token = headers.get(b"authorization", b"").partition(b" ")
    if scheme.lower() != b"bearer" or not token.isascii():
        raise NoToken("Send an API token: Authorization: Bearer tml_...")
    return token.strip().decode()
