"""The API process: every route, what stands before them, and how errors are answered."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from typing import Any

import asyncpg
import structlog
import uvicorn
from litestar import Litestar, Request, Response, Router, get
from litestar.di import Provide
from litestar.enums import ScopeType
from litestar.handlers import HTTPRouteHandler
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from temula.domain.tickets.service import PublicKeys
from temula.inbound.door.routes import routes as door_routes
from temula.kernel.errors import TemulaError
from temula.operations import asyncapi, catalogue
from temula.operations.showing import Webhooks
from temula.operations.wiring import PLATFORM_ACTOR, House
from temula.outbound.api import documentation
from temula.outbound.api.checkout import Checkout
from temula.outbound.api.v1 import CONTROLLERS
from temula.outbound.callers.acts import Act
from temula.outbound.callers.limits import Limiter
from temula.outbound.callers.problems import HANDLERS, new_request_id
from temula.outbound.callers.routes import CallerSettings, Gate, JsonRequest, caller_of
from temula.outbound.console.routes import Console
from temula.outbound.console.routes import routes as console_routes
from temula.outbound.schemas.webhooks import EventTypeList
from temula.outbound.webhooks.routes import CONTROLLERS as WEBHOOKS
from temula.outbound.webhooks.service import Endpoints, Replays

LARGEST_BODY = 1024 * 1024
log = structlog.get_logger()


class RequestIds:
    """Gives each request an id, in the answer's headers and in problems, to name when asking for help."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on under its id."""
        if scope["type"] != ScopeType.HTTP:
            await self._app(scope, receive, send)
            return
        request_id = new_request_id()
        scope.setdefault("state", {})["request_id"] = request_id

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start" and b"x-request-id" not in dict(message["headers"]):
                message["headers"] = [*message["headers"], (b"x-request-id", request_id.encode())]
            await send(message)

        await self._app(scope, receive, send_with_id)


def build(house: House) -> Litestar:
    """Build the application over an opened house."""
    server = house.configuration.server
    console = Console(house.database, Webhooks(house.endpoints), https_only=server.production)
    limiter, settings = Limiter(house.database.clock), CallerSettings(https_only=server.production)

    def gate(app: ASGIApp) -> ASGIApp:  # a function, because Litestar copies what it is given, deeply
        return Gate(app, callers=house.callers, limiter=limiter, settings=settings)

    api = Router(
        "/api/v1", route_handlers=[*CONTROLLERS, *WEBHOOKS], middleware=[gate], dependencies=_dependencies(house),
        request_class=JsonRequest,
    )  # fmt: skip
    handlers: list[Any] = [
        api,
        *documentation.routes(asyncapi.document()),
        *door_routes(house.door),
        *console_routes(console),
        *_health(house),
    ]
    return Litestar(
        handlers, middleware=[RequestIds], exception_handlers=HANDLERS, openapi_config=documentation.CONFIG,
        request_max_body_size=LARGEST_BODY, lifespan=[_noting_use(house)], debug=False, logging_config=None,
    )  # fmt: skip


def server(house: House) -> uvicorn.Server:
    """Give the HTTP server of the application."""
    settings = house.configuration.server
    config = uvicorn.Config(
        build(house), host=settings.host, port=settings.port, loop="none", http="httptools", log_config=None,
        access_log=False, server_header=False, date_header=True, timeout_graceful_shutdown=10,
        proxy_headers=False, ws="none", lifespan="on", backlog=2048,
    )  # fmt: skip
    return _Server(config)


class _Server(uvicorn.Server):
    """Leaves signals to us, so that all processes stop in the same way."""

    def capture_signals(self) -> Any:
        return nullcontext()


def _dependencies(house: House) -> dict[str, Provide]:
    checkout = Checkout(house.database, house.gateways, house.ring, house.configuration.server.base_url)
    types = catalogue.event_types()

    def act(request: Request[Any, Any, Any]) -> Act:
        return Act(request, caller_of(request), house.database, house.ring)

    def give_checkout() -> Checkout:
        return checkout

    def give_keys() -> PublicKeys:
        return house.ticket_keys

    def give_endpoints() -> Endpoints:
        return house.endpoints

    def give_replays() -> Replays:
        return house.replays

    def give_catalogue() -> EventTypeList:
        return types

    given: dict[str, Any] = {
        "act": act, "checkout": give_checkout, "keys": give_keys, "endpoints": give_endpoints,
        "replays": give_replays, "catalogue": give_catalogue,
    }  # fmt: skip
    return {name: Provide(give, sync_to_thread=False) for name, give in given.items()}


def _health(house: House) -> list[HTTPRouteHandler]:
    @get("/livez", include_in_schema=False)
    async def live() -> dict[str, str]:
        return {"status": "live"}

    @get("/readyz", include_in_schema=False)
    async def ready() -> Response[dict[str, str]]:
        try:
            async with house.database.reading(PLATFORM_ACTOR):
                return Response({"status": "ready"})
        except (TemulaError, asyncpg.PostgresError, OSError) as error:
            return Response({"status": "not ready", "why": type(error).__name__}, status_code=503)

    return [live, ready]


def _noting_use(house: House) -> Any:
    @asynccontextmanager
    async def noting(_app: Litestar) -> AsyncIterator[None]:
        async def loop() -> None:
            while True:
                await house.database.clock.sleep(60)
                await _note_use(house)

        task = asyncio.create_task(loop())
        try:
            yield
        finally:
            task.cancel()
            await _note_use(house)

    return noting


async def _note_use(house: House) -> None:
    try:
        await house.callers.note_used()
    except (TemulaError, asyncpg.PostgresError) as error:
        log.warning("tokens.not_noted", error=type(error).__name__)
