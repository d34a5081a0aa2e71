"""What the OpenAPI 3.1 document says beside what Litestar reads from the routes: answers and headers that all share."""

from functools import cache
from typing import Any

from litestar import Litestar, Request, Router
from litestar.exceptions import NotFoundException
from litestar.handlers import HTTPRouteHandler
from litestar.openapi import OpenAPIConfig
from litestar.openapi.spec import Components, License, SecurityScheme, Tag
from litestar.types import Method
from litestar.types.internal_types import PathParameterDefinition

from temula.kernel.errors import TemulaError
from temula.outbound.callers.problems import FRAMEWORK, PROBLEM_JSON, status_of


async def _hidden(_request: Request[Any, Any, Any]) -> None:
    """Answer Litestar's own pages of the document with 404: they load from the internet; ours is `/api/docs`."""
    raise NotFoundException


def _operation_id(handler: HTTPRouteHandler, _method: Method, _path: list[str | PathParameterDefinition]) -> str:
    first, *others = handler.handler_name.split("_")
    return first + "".join(word.capitalize() for word in others)


CONFIG = OpenAPIConfig(
    title="Temula API",
    version="1",
    description="Sell tickets, take payments, check people in, and hear of it by signed webhooks.\n\n"
    "Send `Authorization: Bearer tml_...`. Money is integer minor units with an ISO 4217 code, time is RFC 3339 in UTC."
    " Every write takes an `Idempotency-Key`: a repeat gives the first answer again and does nothing. Every JSON answer"
    " has an `ETag`: send it as `If-None-Match` to hear only of news, as `If-Match` to change only what you have seen."
    " Errors are `application/problem+json` (RFC 9457) with a stable `code`; see [the codes](/api/problems).",
    license=License(name="Apache-2.0", identifier="Apache-2.0"),
    security=[{"token": []}],
    components=Components(
        security_schemes={
            "token": SecurityScheme(type="http", scheme="bearer", description="`tml_live_...` or `tml_test_...`")
        }
    ),
    tags=[
        Tag(name="Organization", description="The tenant that a token belongs to."),
        Tag(name="Events", description="What people attend, and the ticket types on sale for it."),
        Tag(name="Registrations", description="Buyers' orders and the attendees in them."),
        Tag(name="Tickets", description="What admits one attendee: code, PDF, validity."),
        Tag(name="Check-in", description="Gates and who came in."),
        Tag(name="Payments", description="What is owed, was paid, and was given back."),
        Tag(name="Webhooks", description="Signed messages about what happens, to where you want them."),
    ],
    path="/api/schema",
    openapi_router=Router("/api/schema", route_handlers=[], include_in_schema=False, before_request=_hidden),
    operation_id_creator=_operation_id,
    use_handler_docstrings=True,
)

ANSWERS = {
    "400": "The body is not JSON", "401": "No valid token", "403": "The token or the plan does not allow it",
    "404": "Not found", "409": "The present state does not allow it",
    "412": "It was changed since the state that `If-Match` names", "413": "The body is larger than 1 MiB",
    "415": "The body is not sent as JSON", "422": "The input is not valid", "429": "Too many requests",
    "500": "Something broke on our side", "503": "Temporarily unavailable",
}  # fmt: skip
ALWAYS = ("401", "403", "422", "429", "500", "503")
IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key", "in": "header", "required": False,
    "description": "1 to 255 printable characters; a repeat within 72 hours gives the first answer and does nothing.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[ -~]+$"},
}  # fmt: skip
IF_MATCH = {
    "name": "If-Match", "in": "header", "required": False,
    "description": "The ETag of the state that you have seen: another one is not changed (412).",
    "schema": {"type": "string"},
}  # fmt: skip
IF_NONE_MATCH = {
    "name": "If-None-Match", "in": "header", "required": False,
    "description": "The ETag of what you have: the answer is 304, without a body, if it is still so.",
    "schema": {"type": "string"},
}  # fmt: skip
HEADERS = {
    "ETag": "Names this state; for `If-None-Match` and `If-Match`.",
    "RateLimit": '`"plan";r=950;t=3`: requests left, and seconds until one more is given back.',
    "RateLimit-Policy": '`"plan";q=1000;w=60`: requests a minute of this token.',
    "Retry-After": "Seconds to wait before the request is repeated.",
    "X-Request-Id": "Names the request when asking for help.",
    "Idempotent-Replayed": "`true` if this is the answer of an earlier request with the same Idempotency-Key.",
}
PROBLEM = {
    "type": "object",
    "description": "RFC 9457; `code` is stable, `errors` name fields of the body by JSON Pointer.",
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
EXAMPLES: dict[str, dict[str, Any]] = {
    "EventCreate": {
        "name": "First Night", "starts_at": "2027-05-01T12:00:00Z", "ends_at": "2027-05-01T16:00:00Z",
        "timezone": "Asia/Kuala_Lumpur", "currency": "MYR", "venue": "Dewan Filharmonik, Kuala Lumpur",
    },
    "EventPatch": {"venue": "Hall 2"},
    "TicketTypeCreate": {"name": "General admission", "price": 5000, "quota": 100},
    "EndpointCreate": {
        "url": "https://hooks.temula.com/in", "types": ["registration.*", "payment.succeeded"],
        "filter": {"path": "data.currency", "eq": "MYR"}, "mask": ["data.reason"], "order_by": "registration",
        "rate_limit": 50, "metadata": {"crm": "7"}, "description": "The CRM",
    },
    "EndpointPatch": {"filter": {"path": "data.amount", "gte": 100000}, "max_concurrency": 4},
    "PauseInput": {"reason": "The CRM moves"},
    "TestInput": {"type": "check_in.completed"},
}  # fmt: skip
# A write that changes nothing needs no key.
LOOKS = {"validate"}
# What can be changed only as it was seen.
GUARDED = {"updateEvent", "deleteEvent", "publishEvent", "archiveEvent"}


def document(app: Litestar) -> dict[str, Any]:
    """Give the OpenAPI document: what Litestar reads from the routes, and what every route has in common."""
    found: dict[str, Any] = app.openapi_schema.to_schema()
    components = found.setdefault("components", {})
    components.setdefault("schemas", {})["Problem"] = PROBLEM
    components["headers"] = {
        name: {"description": text, "schema": {"type": "string"}} for name, text in HEADERS.items()
    }
    for name, schema in components["schemas"].items():
        if name.endswith(("Create", "Patch", "Input")):
            schema["additionalProperties"] = False
        if name in EXAMPLES:
            schema["examples"] = [EXAMPLES[name]]
    for path, operations in found["paths"].items():
        for method, operation in operations.items():
            _complete(path, method, operation)
    return found


def _complete(path: str, method: str, operation: dict[str, Any]) -> None:
    responses, parameters = operation["responses"], operation.setdefault("parameters", [])
    guarded, raw = operation["operationId"] in GUARDED, path.endswith(("/pdf", "/qr"))
    writes = method != "get" and operation["operationId"] not in LOOKS
    refusals = set(ALWAYS)
    refusals.update(("404",) if "{" in path or method != "get" else ())
    refusals.update(("400", "413", "415") if "requestBody" in operation else ())
    refusals.update(("409",) if writes else ())
    refusals.update(("412",) if guarded else ())
    responses.pop("400", None)
    for status, answer in responses.items():
        answer["headers"] = _headers("RateLimit", "RateLimit-Policy", "X-Request-Id")
        if not raw and status != "204":
            answer["headers"] |= _headers("ETag")
        if writes:
            answer["headers"] |= _headers("Idempotent-Replayed")
    if "204" in responses:
        del responses["204"]["content"]
    if writes:
        parameters += [IDEMPOTENCY_KEY, *([IF_MATCH] if guarded else [])]
    elif method == "get" and not raw:
        parameters.append(IF_NONE_MATCH)
        responses["304"] = {"description": "Nothing new", "headers": _headers("ETag")}
    responses.update((status, _problem(status)) for status in sorted(refusals))


def _problem(status: str) -> dict[str, Any]:
    waits = ("Retry-After",) if status in ("429", "503") else ()
    return {
        "description": ANSWERS[status],
        "headers": _headers("X-Request-Id", *waits),
        "content": {PROBLEM_JSON: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }


def _headers(*names: str) -> dict[str, Any]:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


ANSWERED = ("temula.kernel.", "temula.domain.", "temula.inbound.", "temula.outbound.")


@cache
def codes() -> list[tuple[str, int, str, str]]:
    """List every problem code with its status, title and meaning, from the errors themselves."""
    found = {code: (code, status, title, detail) for status, (code, title, detail) in FRAMEWORK.items()}
    waiting: list[type[TemulaError]] = [TemulaError]
    while waiting:
        kind = waiting.pop()
        waiting.extend(kind.__subclasses__())
        # Errors of the command line never come over HTTP; which of them are imported is chance. One without a code of
        # its own, such as a connector's, is answered as what it is a case of.
        if not kind.__module__.startswith(ANSWERED) or "code" not in vars(kind):
            continue
        status = status_of(kind.__new__(kind))
        found[kind.code] = (kind.code, status, kind.title, (kind.__doc__ or "").strip().splitlines()[0])
    return sorted(found.values())
