"""Names what aiohttp, the operating system or TLS raised, without quoting any of it: it may repeat our own headers."""

import errno
import ssl
from typing import Final

import aiohttp
from aiohttp.http_exceptions import (
    BadHttpMessage,
    ContentLengthError,
    HttpProcessingError,
    LineTooLong,
    TransferEncodingError,
)

from temula.kernel.addresses import AddressRefused
from temula.kernel.http.dialling import Attempt, NotChecked, Stage
from temula.kernel.http.headers import HeaderRefused
from temula.kernel.http.model import HttpError, NotSent, NotSentCode, OutcomeUnknown, Response, UnknownCode

MAX_HEADER_LINE: Final = 8190
# Not the same as above: the limit in aiohttp's error is all that tells an endless status line from an endless header.
MAX_STATUS_LINE: Final = 4096

FAILURES: Final = (
    aiohttp.ClientError,
    HttpProcessingError,
    AddressRefused,
    HeaderRefused,
    HttpError,
    OSError,
)

_TOO_LATE: Final[dict[Stage, NotSentCode]] = {
    Stage.WAITING: "timeout",
    Stage.RESOLVING: "dns_error",
    Stage.CONNECTING: "connect_timeout",
    Stage.HANDSHAKING: "tls_timeout",
}


def name_failure(error: BaseException, attempt: Attempt, answer: Response | None) -> HttpError:
    if isinstance(error, HttpError):
        return error
    if attempt.sent:
        return OutcomeUnknown(_unknown(error, attempt), answer)
    if isinstance(error, AddressRefused):
        return NotSent(error.code, error.detail)
    if isinstance(error, HeaderRefused):
        return NotSent("request_invalid", error.detail)
    if attempt.expired:
        return NotSent(_TOO_LATE[attempt.stage])
    return _not_connected(error, attempt)


def _unknown(error: BaseException, attempt: Attempt) -> UnknownCode:
    if attempt.expired:
        return "timeout"
    causes = _causes(error)
    if any(_is_too_large(cause) for cause in causes):
        return "response_headers_too_large"
    if any(isinstance(cause, (TransferEncodingError, ContentLengthError, OSError)) for cause in causes):
        return "connection_closed"  # the body, or a write, ended in the middle
    return "bad_response" if any(isinstance(cause, HttpProcessingError) for cause in causes) else "connection_closed"


def _is_too_large(cause: BaseException) -> bool:
    if isinstance(cause, LineTooLong):
        return cause.args != () and MAX_STATUS_LINE not in cause.args
    return isinstance(cause, BadHttpMessage) and cause.message.startswith("Too many headers")


def _causes(error: BaseException) -> list[BaseException]:
    causes = []
    at: BaseException | None = error
    while at is not None:
        causes.append(at)
        at = at.__cause__
    return causes


def _not_connected(error: BaseException, attempt: Attempt) -> HttpError:
    cause = _cause(error)
    if isinstance(cause, NotChecked):
        return NotSent("address_not_allowed", str(cause))
    if attempt.stage in {Stage.WAITING, Stage.RESOLVING}:
        return NotSent("dns_error")
    if isinstance(cause, ssl.SSLCertVerificationError):
        return NotSent("tls_error", f"the certificate was not accepted: {cause.verify_message}")
    # A handshake that is broken off looks like a reset, which no TCP connection that was never made can have.
    if isinstance(cause, (ssl.SSLError, ConnectionResetError, ConnectionAbortedError)) and attempt.secure:
        return NotSent("tls_error")
    refused = isinstance(cause, OSError) and cause.errno == errno.ECONNREFUSED
    return NotSent("connect_refused" if refused else "connect_failed")


def _cause(error: BaseException) -> BaseException:
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return error.certificate_error
    return error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
