"""The address providers call: `POST /in/{kind}/{provider}/{mode}/{token}`."""

from typing import Any

from litestar import Request, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from temula.inbound.door.service import Door


def routes(door: Door) -> list[HTTPRouteHandler]:
    """Give the door's one route."""

    @post("/in/{kind:str}/{provider:str}/{mode:str}/{token:str}", status_code=200, include_in_schema=False)
    async def accept(
        request: Request[Any, Any, Any],
        kind: FromPath[str],
        provider: FromPath[str],
        mode: FromPath[str],
        token: FromPath[str],
    ) -> dict[str, bool]:
        headers = {name.lower(): value for name, value in request.headers.items()}
        fresh = await door.accept(kind, provider, mode, token, headers, await request.body())
        return {"received": True, "repeated": not fresh}

    return [accept]
