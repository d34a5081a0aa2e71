"""The one door out: every HTTP request of Temula to somebody else leaves through `Http`.

What went wrong is named by what its reader should do next:

    HttpError
     * NotSent           no byte of the request left: send it again, it cannot have happened
     * OutcomeUnknown    it may have happened: look it up first, or send it again under the same key
    TransactionOpen      our bug: end the unit of work before waiting for a stranger
"""

from temula.kernel.http.client import Http
from temula.kernel.http.headers import HeaderRefused, check_customer_headers
from temula.kernel.http.model import (
    HttpError,
    NotSent,
    OutcomeUnknown,
    Request,
    Response,
    TransactionOpen,
    redact,
)
from temula.kernel.http.posting import Done, Fields, Posted, Poster, failed
from temula.kernel.http.reaching import Limits, MakeSocket
from temula.kernel.http.resolving import Resolve
from temula.kernel.http.scrubbing import Stored, scrubbed

__all__ = [
    "Done",
    "Fields",
    "HeaderRefused",
    "Http",
    "HttpError",
    "Limits",
    "MakeSocket",
    "NotSent",
    "OutcomeUnknown",
    "Posted",
    "Poster",
    "Request",
    "Resolve",
    "Response",
    "Stored",
    "TransactionOpen",
    "check_customer_headers",
    "failed",
    "redact",
    "scrubbed",
]
