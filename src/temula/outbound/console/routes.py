"""The home page, signing in and out, and the live numbers as server-sent events."""

from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import msgspec
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from litestar import MediaType, Request, Response, get, post
from litestar.enums import RequestEncodingType
from litestar.exceptions import NotFoundException
from litestar.handlers import HTTPRouteHandler
from litestar.params import Body, FromPath
from litestar.response import Redirect, ServerSentEvent, ServerSentEventMessage

from temula.domain.organizations import service as organizations
from temula.kernel import facts
from temula.kernel.bell import wait
from temula.kernel.database import Database, UnitOfWork
from temula.kernel.errors import NotFound, TooMany, Unauthenticated, Unavailable
from temula.kernel.tenancy import Actor
from temula.outbound.callers import service as callers
from temula.outbound.callers.routes import refuse_cross_origin, require_https
from temula.outbound.console import service
from temula.outbound.console.model import Live
from temula.outbound.console.ports import Webhooks

PAGES = Path(__file__).parent / "pages"
COOKIE = "temula_session"
POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; form-action 'self'; " \
    "img-src data:; base-uri 'none'; frame-ancestors 'none'"  # fmt: skip
FILES = {"live.js": "text/javascript", "console.css": "text/css"}
LOOK_EVERY, REST = 1.0, 0.2
SIGN_INS_A_MINUTE = 20

Http = Request[Any, Any, Any]


class SignIn(msgspec.Struct, frozen=True):
    """What the form sends."""

    email: str
    password: str


class Console:
    """The pages, over one database, beside webhooks."""

    def __init__(self, database: Database, webhooks: Webhooks, *, https_only: bool) -> None:
        self._database = database
        self._webhooks = webhooks
        self._https_only = https_only
        self._pages = Environment(loader=FileSystemLoader(PAGES), autoescape=True, undefined=StrictUndefined)
        self._tries: dict[str, list[float]] = {}

    async def home(self, request: Http, *, failed: bool = False) -> Response[str]:
        """Show the organization's numbers to who is signed in, and the way in to others."""
        actor = None if failed else await callers.signed_in(self._database, request.cookies.get(COOKIE))
        values: dict[str, object] = {"organization": None, "failed": failed}
        if actor is not None:
            async with self._database.reading(actor) as uow:
                values = {"organization": await organizations.current(uow), "live": await self._look(uow)}
        page = self._pages.get_template("home.html").render(values)
        headers = {
            "Content-Security-Policy": POLICY, "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "same-origin",
        }  # fmt: skip
        return Response(page, media_type=MediaType.HTML, headers=headers, status_code=401 if failed else 200)

    async def sign_in(self, request: Http, form: SignIn) -> Response[Any]:
        """Open a session, or show the form again."""
        self._check(request)
        self._count_try(request.client.host if request.client else "?")
        secret = await callers.sign_in(self._database, form.email, form.password)
        if secret is None:
            return await self.home(request, failed=True)
        response: Response[Any] = Redirect("/", status_code=303)
        response.set_cookie(
            COOKIE, secret, httponly=True, secure=self._https_only, samesite="lax", path="/",
            max_age=int(callers.SESSION_LENGTH.total_seconds()),
        )  # fmt: skip
        return response

    async def sign_out(self, request: Http) -> Response[Any]:
        """End the session."""
        self._check(request)
        if secret := request.cookies.get(COOKIE):
            await callers.sign_out(self._database, secret)
        response: Response[Any] = Redirect("/", status_code=303)
        response.delete_cookie(COOKIE)
        return response

    async def enable(self, request: Http, endpoint_id: str) -> Response[Any]:
        """Enable a disabled endpoint again and show the home page; to who is not signed in, the way in."""
        self._check(request)
        actor = await callers.signed_in(self._database, request.cookies.get(COOKIE))
        if actor is not None:
            with suppress(NotFound):  # it was deleted meanwhile: the page says how things stand
                await self._database.run(actor, lambda uow: service.enable(uow, self._webhooks, endpoint_id))
        return Redirect("/", status_code=303)

    async def live(self, request: Http) -> ServerSentEvent:
        """Stream what the home page shows: at once, and whenever it changes, until the session ends."""
        session = request.cookies.get(COOKIE)
        actor = await callers.signed_in(self._database, session)
        if actor is None or session is None:
            raise Unauthenticated("Sign in first.")
        return ServerSentEvent(self._stream(actor, session))

    async def _stream(self, actor: Actor, session: str) -> AsyncIterator[ServerSentEventMessage]:
        before: Live | None = None
        quiet = 0
        bell = self._database.bell.subscribe(facts.TOPIC)
        try:
            while await callers.session_counts(self._database, session):
                async with self._database.reading(actor) as uow:
                    now = await self._look(uow)
                quiet = 0 if now != before else quiet + 1
                if now != before:
                    yield ServerSentEventMessage(msgspec.json.encode(now).decode(), event="live")
                elif quiet % 15 == 0:
                    yield ServerSentEventMessage(comment="still here")
                before = now
                # A fact is shown at once, but a burst of them no more often than an eye can follow.
                await self._database.clock.sleep(REST)
                await wait(bell, LOOK_EVERY - REST)
        except Unavailable:
            return  # the browser connects again by itself
        finally:
            self._database.bell.unsubscribe(facts.TOPIC, bell)

    async def _look(self, uow: UnitOfWork) -> Live:
        return await service.live(uow, self._webhooks)

    def _check(self, request: Http) -> None:
        headers = dict(request.scope["headers"])
        if self._https_only:
            require_https(request.scope, headers)
        refuse_cross_origin(headers)

    def _count_try(self, address: str) -> None:
        now = self._database.clock.monotonic()
        recent = [at for at in self._tries.get(address, []) if now - at < 60]
        self._tries = {one: tries for one, tries in self._tries.items() if tries and now - tries[-1] < 60}
        self._tries[address] = [*recent, now]
        if len(recent) >= SIGN_INS_A_MINUTE:
            raise TooMany("Too many tries to sign in; wait a minute.", retry_after=60)


def routes(console: Console) -> list[HTTPRouteHandler]:
    """Give the console's routes."""

    @get("/", include_in_schema=False)
    async def home(request: Http) -> Response[str]:
        return await console.home(request)

    @post("/sign-in", include_in_schema=False)
    async def sign_in(
        request: Http, data: Annotated[SignIn, Body(media_type=RequestEncodingType.URL_ENCODED)]
    ) -> Response[Any]:
        return await console.sign_in(request, data)

    @post("/sign-out", include_in_schema=False)
    async def sign_out(request: Http) -> Response[Any]:
        return await console.sign_out(request)

    @post("/endpoints/{endpoint_id:str}/enable", include_in_schema=False)
    async def enable(request: Http, endpoint_id: FromPath[str]) -> Response[Any]:
        return await console.enable(request, endpoint_id)

    @get("/live", include_in_schema=False)
    async def live(request: Http) -> ServerSentEvent:
        return await console.live(request)

    @get("/console/{name:str}", include_in_schema=False)
    async def file(name: FromPath[str]) -> Response[bytes]:
        if name not in FILES:
            raise NotFoundException
        return Response((PAGES / name).read_bytes(), media_type=FILES[name])

    @get("/checkout/{outcome:str}", include_in_schema=False)
    async def back(outcome: FromPath[str]) -> Response[str]:
        said = "Thank you. Your tickets are on their way." if outcome == "paid" else "The payment was cancelled."
        return Response(said, media_type=MediaType.TEXT)

    return [home, sign_in, sign_out, enable, live, file, back]
