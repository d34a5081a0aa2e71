"""Errors as answers: RFC 9457 problem details, with the one table that gives each kind of error its HTTP status."""

import logging
import re
import secrets
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import asyncpg
import msgspec
import structlog
from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException

from temula.kernel import errors
from temula.kernel.crypto import Unopenable
from temula.kernel.ids import InvalidId
from temula.kernel.providers import ProviderError
from temula.outbound.callers.errors import Changed, MalformedJson, RateLimited, UnsupportedType

log = structlog.get_logger()

PROBLEM_JSON = "application/problem+json"
DOCUMENTED_AT = "/api/problems"

# The first that fits counts, so the narrower stand first.
STATUS: tuple[tuple[type[errors.TemulaError], int], ...] = (
    (MalformedJson, 400),
    (Changed, 412),
    (UnsupportedType, 415),
    (errors.InvalidInput, 422),
    (errors.Unauthenticated, 401),
    (errors.NotAllowed, 403),
    (errors.NotFound, 404),
    (errors.Conflict, 409),
    (errors.TooMany, 429),
    (errors.Unavailable, 503),
    (Unopenable, 500),
    (errors.Misconfigured, 409),
    (ProviderError, 502),
)


# What the framework answers by itself: code, title, detail.
FRAMEWORK: dict[int, tuple[str, str, str]] = {
    400: ("bad_request", "The request cannot be read", "The request cannot be read."),
    404: ("not_found", "Not found", "There is nothing at this address."),
    405: ("method_not_allowed", "The method is not allowed here", "This address has other methods; see Allow."),
    413: ("request_too_large", "The request is too large", "A body may hold 1 MiB."),
    500: ("internal_error", "Internal error", "Something broke on our side; it was recorded under this request's id."),
}


class FieldError(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is wrong with one field; `pointer` is a JSON Pointer into the request body."""

    detail: str
    pointer: str | None = None


class Problem(msgspec.Struct, frozen=True, omit_defaults=True, rename={"kind": "type"}):
    """RFC 9457. `code` is stable; `request_id` is what to name when asking for help."""

    kind: str
    title: str
    status: int
    detail: str
    code: str
    instance: str
    request_id: str | None = None
    errors: list[FieldError] = []
    extra: dict[str, object] = {}


def new_request_id() -> str:
    """Make an id for a request, to name when asking for help."""
    return f"req_{secrets.token_hex(10)}"


def status_of(error: errors.TemulaError) -> int:
    """Give the HTTP status of an error."""
    return next((status for kind, status in STATUS if isinstance(error, kind)), 500)


def problem(
    request: Request[Any, Any, Any], *, status: int, code: str, title: str, detail: str,
    fields: list[FieldError] | None = None, headers: Mapping[str, str] | None = None,
    extra: Mapping[str, object] | None = None,
) -> Response[bytes]:  # fmt: skip
    """Make a problem response."""
    # What the router refuses has not come past the middleware that gives ids.
    request_id = request.scope["state"].get("request_id") or new_request_id()
    named = {"Cache-Control": "no-store", "X-Request-Id": request_id, **(headers or {})}
    body = Problem(
        f"{DOCUMENTED_AT}#{code}", title, status, detail, code, _place(request), request_id, fields or [],
        dict(extra or {}),
    )  # fmt: skip
    return Response(msgspec.json.encode(body), status_code=status, media_type=PROBLEM_JSON, headers=named)


def on_temula_error(request: Request[Any, Any, Any], error: errors.TemulaError) -> Response[bytes]:
    """Answer an error that we raised on purpose."""
    status = status_of(error)
    headers: dict[str, str] = {}
    if isinstance(error, errors.TooMany | errors.Unavailable):
        headers["Retry-After"] = str(error.retry_after)
    if isinstance(error, RateLimited):
        headers.update(error.headers)
    if isinstance(error, errors.Unauthenticated):
        headers["WWW-Authenticate"] = 'Bearer realm="Temula"'
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        log.warning("request.failed", code=error.code, detail=error.detail, path=_place(request))
    pointer = error.pointer if isinstance(error, errors.InvalidInput) else None
    fields = [FieldError(error.detail, pointer)] if pointer else None
    return problem(
        request, status=status, code=error.code, title=error.title, detail=error.detail, fields=fields,
        headers=headers, extra=error.extra,
    )  # fmt: skip


def on_http_exception(request: Request[Any, Any, Any], error: HTTPException) -> Response[bytes]:
    """Answer what the framework raised: unknown routes, wrong methods, bodies that do not fit their shape."""
    status = error.status_code
    if isinstance(error, ValidationException):
        fields = [_field(one) for one in error.extra] if isinstance(error.extra, list) else []
        detail = "The request does not fit its shape; see errors."
        return problem(
            request, status=422, code="invalid_input", title="The input is not valid", detail=detail, fields=fields
        )
    return _framework(request, status if status in FRAMEWORK else 400 if status < 500 else 500, error.headers)


def on_invalid_id(request: Request[Any, Any, Any], error: InvalidId) -> Response[bytes]:
    """Answer an id that is none."""
    return problem(request, status=404, code="not_found", title="Not found", detail=str(error))


def on_unstorable_text(request: Request[Any, Any, Any], _error: Exception) -> Response[bytes]:
    """Answer text or a number that PostgreSQL cannot hold, such as a NUL character."""
    detail = "A text holds a character that cannot be stored (such as NUL), or a number is out of range."
    return problem(request, status=422, code="invalid_input", title="The input is not valid", detail=detail)


def on_anything_else(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """Answer a bug: the log has it whole, the caller gets its number."""
    log.error("request.crashed", path=_place(request), exc_info=error, level=logging.ERROR)
    return _framework(request, 500)


def _framework(
    request: Request[Any, Any, Any], status: int, headers: Mapping[str, str] | None = None
) -> Response[bytes]:
    code, title, detail = FRAMEWORK[status]
    return problem(request, status=status, code=code, title=title, detail=detail, headers=headers)


def _place(request: Request[Any, Any, Any]) -> str:
    """Give the path to show: what follows kind, provider and mode in a callback's address is as good as a password."""
    path = request.url.path
    return "/".join([*path.split("/")[:5], "..."]) if path.startswith("/in/") else path


def _field(one: object) -> FieldError:
    """Name the field of one complaint: msgspec says `attendees[0].name`, or names it in the message alone."""
    if not isinstance(one, dict):
        return FieldError(str(one))
    message, key = str(one.get("message", "")), str(one.get("key", ""))
    if message == "'data'":
        return FieldError("The request needs a JSON body.", "")
    steps = [step.rstrip("_") for step in _STEP.findall("" if key == "data" else key)]
    if found := _NAMED.search(message):
        steps.append(found[1])
    return FieldError(message, "".join(f"/{step}" for step in steps))


_STEP = re.compile(r"[^.\[\]]+")
_NAMED = re.compile(r"(?:missing required|contains unknown) field `(.+)`")

HANDLERS: dict[int | type[Exception], Any] = {
    errors.TemulaError: on_temula_error,
    HTTPException: on_http_exception,
    InvalidId: on_invalid_id,
    asyncpg.CharacterNotInRepertoireError: on_unstorable_text,
    asyncpg.UntranslatableCharacterError: on_unstorable_text,
    asyncpg.NumericValueOutOfRangeError: on_unstorable_text,
    asyncpg.DataError: on_unstorable_text,
    Exception: on_anything_else,
}
