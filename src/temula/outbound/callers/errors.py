"""How a caller is turned away.

Unauthenticated  x NoToken          send `Authorization: Bearer tml_...`
NotAllowed       x PlanWithoutApi   x MissingAbility   x HttpsRequired   x CrossOrigin
TooMany          x RateLimited      wait `Retry-After` seconds
InvalidInput     x KeyReused        a new request needs a new Idempotency-Key
                 x UnsupportedType  x MalformedJson
Conflict         x StillRunning     the first request with this key is not answered yet
                 x Changed          get it again, look, and send the new ETag
"""

from collections.abc import Mapping

from temula.kernel.errors import Conflict, InvalidInput, NotAllowed, TooMany, Unauthenticated


class NoToken(Unauthenticated):
    """No valid token: missing, malformed, unknown, revoked and expired are told apart to nobody."""

    code = "invalid_token"


class PlanWithoutApi(NotAllowed):
    """The organization's plan has no API access."""

    code = "plan_without_api"
    title = "The plan has no API access"


class MissingAbility(NotAllowed):
    """The token has not the ability that this needs."""

    code = "missing_ability"


class HttpsRequired(NotAllowed):
    """The request came without TLS."""

    code = "https_required"


class CrossOrigin(NotAllowed):
    """A browser sent the request from a page of another origin."""

    code = "cross_origin_refused"


class RateLimited(TooMany):
    """The token's requests per minute are used up; `headers` say how it stands."""

    code = "rate_limited"

    def __init__(self, detail: str, *, retry_after: int, headers: Mapping[str, str], **extra: object) -> None:
        super().__init__(detail, retry_after=retry_after, **extra)
        self.headers = headers


class KeyReused(InvalidInput):
    """The Idempotency-Key was used for another request."""

    code = "idempotency_key_reused"


class StillRunning(Conflict):
    """The first request with this Idempotency-Key is still being worked on."""

    code = "idempotency_key_in_use"


class UnsupportedType(InvalidInput):
    """The body is not sent as `application/json`."""

    code = "unsupported_media_type"
    title = "The body's type is not supported"


class MalformedJson(InvalidInput):
    """The body is not JSON."""

    code = "malformed_json"
    title = "The body is not JSON"


class Changed(Conflict):
    """What is to be changed is no longer what the caller's `If-Match` names."""

    code = "precondition_failed"
    title = "It was changed meanwhile"
