"""The OpenAPI document and its page at `/api/docs`, from files of this package: it works without the internet."""

from pathlib import Path
from typing import Any

import msgspec
from litestar import MediaType, Request, Response, get
from litestar.exceptions import NotFoundException
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from temula.outbound.api.description import CONFIG, codes, document

__all__ = ["CONFIG", "codes", "document", "routes"]

ASSETS = {
    "swagger-ui-bundle.js": "text/javascript",
    "swagger-ui.css": "text/css",
    "start.js": "text/javascript",
    "page.css": "text/css",
}
HERE = Path(__file__).parent
POLICY = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; " \
    "connect-src 'self'; font-src 'self' data:; base-uri 'none'; frame-ancestors 'none'"  # fmt: skip

PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="icon" href="data:,">
<link rel="stylesheet" href="/api/assets/{css}"></head><body>{body}</body></html>"""


def routes(asyncapi: dict[str, Any]) -> list[HTTPRouteHandler]:
    """Give the documentation's routes; `asyncapi` describes what goes out."""
    messages = msgspec.json.encode(asyncapi)
    documents: dict[int, bytes] = {}

    @get("/api/openapi.json", include_in_schema=False)
    async def openapi(request: Request[Any, Any, Any]) -> Response[bytes]:
        if not documents:
            documents[0] = msgspec.json.encode(document(request.app))
        return Response(documents[0], media_type=MediaType.JSON)

    @get("/api/asyncapi.json", include_in_schema=False)
    async def channels() -> Response[bytes]:
        return Response(messages, media_type=MediaType.JSON)

    @get("/api/docs", include_in_schema=False)
    async def docs() -> Response[str]:
        body = '<div id="swagger-ui"></div><script src="/api/assets/swagger-ui-bundle.js"></script>' \
            '<script src="/api/assets/start.js"></script>'  # fmt: skip
        return _page("Temula API", "swagger-ui.css", body)

    @get("/api/problems", include_in_schema=False)
    async def problems() -> Response[str]:
        rows = "".join(
            f'<tr id="{code}"><td><code>{code}</code></td><td>{status}</td><td>{title}</td><td>{meaning}</td></tr>'
            for code, status, title, meaning in codes()
        )
        head = "<tr><th>code</th><th>status</th><th>title</th><th>meaning</th></tr>"
        return _page("Problem codes", "page.css", f"<main><h1>Problem codes</h1><table>{head}{rows}</table></main>")

    @get("/api/assets/{name:str}", include_in_schema=False)
    async def asset(name: FromPath[str]) -> Response[bytes]:
        if name not in ASSETS:
            raise NotFoundException
        body = (HERE / "assets" / name).read_bytes()
        return Response(body, media_type=ASSETS[name], headers={"Cache-Control": "public, max-age=3600"})

    return [openapi, channels, docs, problems, asset]


def _page(title: str, css: str, body: str) -> Response[str]:
    headers = {"Content-Security-Policy": POLICY, "X-Content-Type-Options": "nosniff"}
    return Response(PAGE.format(title=title, css=css, body=body), media_type=MediaType.HTML, headers=headers)
