"""Errors as answers: RFC 9457 problem details, with the one table that gives each kind of error its HTTP status."""

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import asyncpg
import msgspec
import structlog
from litestar import MediaType, Request, Response
from litestar.exceptions import HTTPException, ValidationException

from temula.kernel import errors
from temula.kernel.crypto import Unopenable
from temula.kernel.ids import InvalidId
from temula.kernel.providers import ProviderError

log = structlog.get_logger()

PROBLEM_JSON = "application/problem+json"
DOCUMENTED_AT = "/api/problems"

# The first that fits counts, so the narrower stand first.
STATUS: tuple[tuple[type[errors.TemulaError], int], ...] = (
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


def status_of(error: errors.TemulaError) -> int:
    """Give the HTTP status of an error."""
    return next((status for kind, status in STATUS if isinstance(error, kind)), 500)


def problem(
    request: Request[Any, Any, Any], *, status: int, code: str, title: str, detail: str,
    fields: list[FieldError] | None = None, headers: Mapping[str, str] | None = None,
    extra: Mapping[str, object] | None = None,
) -> Response[bytes]:  # fmt: skip
    """Make a problem response."""
    body = Problem(
        f"{DOCUMENTED_AT}#{code}", title, status, detail, code, request.url.path,
        request.scope.get("state", {}).get("request_id"), fields or [], dict(extra or {}),
    )  # fmt: skip
    return Response(msgspec.json.encode(body), status_code=status, media_type=PROBLEM_JSON, headers=dict(headers or {}))


def on_temula_error(request: Request[Any, Any, Any], error: errors.TemulaError) -> Response[bytes]:
    """Answer an error that we raised on purpose."""
    status = status_of(error)
    headers: dict[str, str] = {}
    if isinstance(error, errors.TooMany | errors.Unavailable):
        headers["Retry-After"] = str(error.retry_after)
    if isinstance(error, errors.Unauthenticated):
        headers["WWW-Authenticate"] = 'Bearer realm="Temula"'
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        log.warning("request.failed", code=error.code, detail=error.detail, path=request.url.path)
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
    phrase = HTTPStatus(status).phrase
    code = phrase.lower().replace(" ", "_").replace("-", "_")
    detail = error.detail if status < HTTPStatus.INTERNAL_SERVER_ERROR else "The request could not be handled."
    return problem(request, status=status, code=code, title=phrase, detail=detail, headers=error.headers)


def on_invalid_id(request: Request[Any, Any, Any], error: InvalidId) -> Response[bytes]:
    """Answer an id that is none."""
    return problem(request, status=404, code="not_found", title="Not found", detail=str(error))


def on_unstorable_text(request: Request[Any, Any, Any], _error: Exception) -> Response[bytes]:
    """Answer text or a number that PostgreSQL cannot hold, such as a NUL character."""
    detail = "A text holds a character that cannot be stored (such as NUL), or a number is out of range."
    return problem(request, status=422, code="invalid_input", title="The input is not valid", detail=detail)


def on_database_error(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """Answer a database that is busy or away; nothing of what was asked has happened."""
    log.warning("request.database", error=type(error).__name__, path=request.url.path)
    return problem(
        request, status=503, code="unavailable", title="Temporarily unavailable",
        detail="The database could not do it in time; repeat the request.", headers={"Retry-After": "2"},
    )  # fmt: skip


def on_anything_else(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """Answer a bug: the log has it whole, the caller gets its number."""
    log.error("request.crashed", path=request.url.path, exc_info=error, level=logging.ERROR)
    return problem(
        request, status=500, code="internal_error", title="Internal error",
        detail="Something broke on our side; it was recorded under this request's id.",
    )  # fmt: skip


def _field(one: object) -> FieldError:
    if not isinstance(one, dict):
        return FieldError(str(one))
    key = str(one.get("key", "")).replace(".", "/")
    return FieldError(str(one.get("message", "")), f"/{key}" if key and key != "data" else None)


HANDLERS: dict[int | type[Exception], Any] = {
    errors.TemulaError: on_temula_error,
    HTTPException: on_http_exception,
    InvalidId: on_invalid_id,
    asyncpg.CharacterNotInRepertoireError: on_unstorable_text,
    asyncpg.UntranslatableCharacterError: on_unstorable_text,
    asyncpg.NumericValueOutOfRangeError: on_unstorable_text,
    asyncpg.DataError: on_unstorable_text,
    asyncpg.QueryCanceledError: on_database_error,
    asyncpg.LockNotAvailableError: on_database_error,
    asyncpg.PostgresConnectionError: on_database_error,
    asyncpg.InterfaceError: on_database_error,
    Exception: on_anything_else,
}

JSON = MediaType.JSON
