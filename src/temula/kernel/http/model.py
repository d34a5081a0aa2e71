"""A request, its answer, and what can go wrong between the two; none of them shows a header or a body when printed."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from temula.kernel.addresses import AddressCode

NotSentCode = Literal[
    "request_invalid",
    "loop_detected",
    "dns_error",
    "connect_refused",
    "connect_failed",
    "connect_timeout",
    "tls_error",
    "tls_timeout",
    "timeout",
]
UnknownCode = Literal["timeout", "connection_closed", "bad_response", "response_headers_too_large"]

DETAILS: Final[Mapping[str, str]] = {
    "request_invalid": "the request cannot be written as it is",
    "loop_detected": "the message has come round to us too often",
    "dns_error": "the name could not be resolved",
    "connect_refused": "the connection was refused",
    "connect_failed": "the host could not be reached",
    "connect_timeout": "the host did not accept a connection in time",
    "tls_error": "no trusted TLS connection could be made",
    "tls_timeout": "the TLS handshake did not end in time",
    "timeout": "the deadline passed before the answer was complete",
    "connection_closed": "the connection was closed before the answer was complete",
    "bad_response": "the answer is not valid HTTP",
    "response_headers_too_large": "the headers of the answer are too large",
}

REDACTED: Final = "[redacted]"


@dataclass(frozen=True, slots=True)
class Request:
    """`deadline` is in seconds for everything: name, connection, TLS, headers and body.

    `hops` says how often what is told here has already been delivered to a customer and come back; the next one is
    told, and the third is the last.
    """

    method: str
    url: str = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)
    deadline: float = 20.0
    max_response_bytes: int = 65536
    hops: int = 0


@dataclass(frozen=True, slots=True)
class Response:
    """Whatever the status. `truncated` says that the body went on beyond the cap; it is never decompressed.

    `address` is the one that was dialled, for this request or for the earlier one whose connection it went over.
    """

    status: int
    headers: list[tuple[str, str]] = field(repr=False)
    body: bytes = field(repr=False)
    truncated: bool
    duration: float
    address: str

    def header(self, name: str) -> str | None:
        """The first value of the header, whatever its case."""
        wanted = name.lower()
        return next((value for key, value in self.headers if key.lower() == wanted), None)


class HttpError(Exception):
    """No complete answer; `code` is stable and may be shown to a customer, `detail` never quotes the other side."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail


class NotSent(HttpError):
    """No byte of the request left us; `code` is a `NotSentCode`, or why the address was refused."""

    def __init__(self, code: "NotSentCode | AddressCode", detail: str | None = None) -> None:
        super().__init__(code, detail or DETAILS[code])


class OutcomeUnknown(HttpError):
    """The request may have arrived. `answer` holds the status, headers and as much of the body as came, if any."""

    def __init__(self, code: UnknownCode, answer: Response | None = None) -> None:
        super().__init__(code, DETAILS[code])
        self.answer = answer


class TransactionOpen(RuntimeError):
    """A unit of work is open in this task: it would hold its locks while a stranger takes their time."""


def redact(text: str, secrets: Collection[str]) -> str:
    """The text without the secrets, the longest first so that no tail of one is left."""
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        text = text.replace(secret, REDACTED)
    return text
