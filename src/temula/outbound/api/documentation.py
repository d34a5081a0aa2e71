"""OpenAPI 3.1 and its page at `/api/docs`, from files of this package: it works without the internet."""

from functools import cache
from pathlib import Path
from typing import Any

import msgspec
from litestar import Litestar, MediaType, Request, Response, get
from litestar.exceptions import NotFoundException
from litestar.handlers import HTTPRouteHandler
from litestar.openapi import OpenAPIConfig
from litestar.openapi.spec import Components, SecurityScheme, Tag
from litestar.params import FromPath

from temula.kernel.errors import TemulaError
from temula.outbound.callers.problems import PROBLEM_JSON, status_of

ASSETS = {
    "swagger-ui-bundle.js": "text/javascript",
    "swagger-ui.css": "text/css",
    "start.js": "text/javascript",
    "page.css": "text/css",
}
HERE = Path(__file__).parent
POLICY = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; " \
    "connect-src 'self'; font-src 'self' data:; base-uri 'none'; frame-ancestors 'none'"  # fmt: skip

CONFIG = OpenAPIConfig(
    title="Temula API",
    version="1",
    description="Sell tickets, take payments, check people in, and hear of it by signed webhooks.\n\n"
    "Send `Authorization: Bearer tml_...`. Money is integer minor units with an ISO 4217 code, time is RFC 3339 in UTC."
    " Every write takes an `Idempotency-Key`: a repeat gives the first answer again and does nothing. Errors are"
    " `application/problem+json` (RFC 9457) with a stable `code`; see [the codes](/api/problems).",
    security=[{"token": []}],
    components=Components(security_schemes={"token": SecurityScheme(type="http", scheme="bearer")}),
    tags=[
        Tag(name="Organization"), Tag(name="Events"), Tag(name="Registrations"), Tag(name="Tickets"),
        Tag(name="Check-in"), Tag(name="Payments"), Tag(name="Webhooks"),
    ],
    path="/api/schema",
    render_plugins=[],
)  # fmt: skip

PROBLEMS = {
    "401": "No valid token", "403": "The token or the plan does not allow it", "404": "Not found",
    "409": "The present state does not allow it", "422": "The input is not valid", "429": "Too many requests",
    "503": "Temporarily unavailable",
}  # fmt: skip
IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key", "in": "header", "required": False,
    "description": "1 to 255 printable characters; a repeat within 72 hours gives the first answer and does nothing.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255},
}  # fmt: skip
PROBLEM = {
    "type": "object",
    "required": ["type", "title", "status", "detail", "code", "instance"],
    "properties": {
        "type": {"type": "string"}, "title": {"type": "string"}, "status": {"type": "integer"},
        "detail": {"type": "string"}, "code": {"type": "string"}, "instance": {"type": "string"},
        "request_id": {"type": "string"},
        "errors": {"type": "array", "items": {"type": "object", "properties": {
            "detail": {"type": "string"}, "pointer": {"type": "string"}}}},
        "extra": {"type": "object"},
    },
}  # fmt: skip


def document(app: Litestar) -> dict[str, Any]:
    """Give the OpenAPI document: what Litestar reads from the routes, and what every route has in common."""
    found: dict[str, Any] = app.openapi_schema.to_schema()
    found.setdefault("components", {}).setdefault("schemas", {})["Problem"] = PROBLEM
    for path in found["paths"].values():
        for method, operation in path.items():
            for status, description in PROBLEMS.items():
                operation["responses"][status] = {
                    "description": description,
                    "content": {PROBLEM_JSON: {"schema": {"$ref": "#/components/schemas/Problem"}}},
                }
            operation["responses"].pop("400", None)
            if method != "get":
                operation.setdefault("parameters", []).append(IDEMPOTENCY_KEY)
    return found


@cache
def codes() -> list[tuple[str, int, str, str]]:
    """List every problem code with its status, title and meaning, from the errors themselves."""
    found: dict[str, tuple[str, int, str, str]] = {}
    waiting: list[type[TemulaError]] = [TemulaError]
    while waiting:
        kind = waiting.pop()
        waiting.extend(kind.__subclasses__())
        status = status_of(kind.__new__(kind))
        found[kind.code] = (kind.code, status, kind.title, (kind.__doc__ or "").strip().splitlines()[0])
    return sorted(found.values())


PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="stylesheet" href="/api/assets/{css}"></head><body>{body}</body></html>"""


def routes() -> list[HTTPRouteHandler]:
    """Give the documentation's routes."""
    documents: dict[int, bytes] = {}

    @get("/api/openapi.json", include_in_schema=False)
    async def openapi(request: Request[Any, Any, Any]) -> Response[bytes]:
        if not documents:
            documents[0] = msgspec.json.encode(document(request.app))
        return Response(documents[0], media_type=MediaType.JSON)

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

    return [openapi, docs, problems, asset]


def _page(title: str, css: str, body: str) -> Response[str]:
    headers = {"Content-Security-Policy": POLICY, "X-Content-Type-Options": "nosniff"}
    return Response(PAGE.format(title=title, css=css, body=body), media_type=MediaType.HTML, headers=headers)
