"""Which headers a customer may add to what we send, and which nobody may set because they frame the request."""

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Final, Literal

MAX_HEADERS: Final = 50
MAX_VALUE: Final = 8192

# They decide where a request ends, if its connection lives, or how often it came round: the client alone sets them.
FRAMING: Final = frozenset(
    {"host", "content-length", "transfer-encoding", "connection", "keep-alive", "te", "trailer", "trailers"}
    | {"upgrade", "expect", "http2-settings", "accept-encoding", "proxy-authorization", "proxy-connection"}
    | {"temula-hops"}
)
# Ours (identity and meaning of the message), those that proxies and frameworks trust, those that unlock metadata.
RESERVED: Final = FRAMING | frozenset(
    {"range", "cookie", "set-cookie", "user-agent", "content-type", "content-encoding", "date", "idempotency-key"}
    | {"traceparent", "tracestate", "baggage", "via", "forwarded", "x-real-ip", "true-client-ip", "cf-connecting-ip"}
    | {"metadata", "metadata-flavor", "x-http-method", "x-method-override", "x-rewrite-url"}
)
RESERVED_PREFIXES: Final = (
    *("webhook-", "temula-", "x-temula-", "proxy-", "sec-", "x-forwarded-", "x-original-", "x-http-method-"),
    *("x-amz-", "x-aws-", "x-azure-", "x-ms-", "x-goog-", "x-google-"),
)

HeaderCode = Literal[
    "header_name_invalid", "header_value_invalid", "header_reserved", "header_repeated", "too_many_headers"
]

_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,256}")
_VALUE = re.compile(r"[\t\x20-\x7e]*")


class HeaderRefused(ValueError):
    """The header may not be saved or sent; `code` is stable and public, and the value is never told."""

    def __init__(self, code: HeaderCode, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail


def check_customer_headers(headers: Mapping[str, str] | Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """The customer's headers as they are stored and sent, values trimmed; run it at save and again at send."""
    pairs = list(headers.items() if isinstance(headers, Mapping) else headers)
    if len(pairs) > MAX_HEADERS:
        raise HeaderRefused("too_many_headers", f"at most {MAX_HEADERS} headers")
    checked = _check_grammar(pairs)
    for name, _ in checked:
        folded = _folded(name)
        if folded in RESERVED or folded.startswith(RESERVED_PREFIXES):
            raise HeaderRefused("header_reserved", f"the header {name} is not yours to set")
    return checked


def header_lines(headers: Mapping[str, str], defaults: Mapping[str, str]) -> str:
    """The headers as they stand in a request, with those defaults that are not among them.

    Whoever asks, ours too: nothing passes that changes where the request ends or begins. Each request goes through it,
    so names are remembered, and plain values are seen as such. Raises `HeaderRefused`.
    """
    lines: list[str] = []
    names: set[str] = set()
    for name, value in headers.items():
        folded = _request_name(name)
        if folded in names:
            raise _repeated(name)
        names.add(folded)
        plain = value.isascii() and value.isprintable() and len(value) <= MAX_VALUE
        lines.append(f"{name}: {value if plain else _trimmed(name, value)}\r\n")
    lines.extend(f"{name}: {value}\r\n" for name, value in defaults.items() if _folded(name) not in names)
    return "".join(lines)


def check_names(names: Iterable[str]) -> None:
    """Check names alone. Raises `HeaderRefused`."""
    seen: set[str] = set()
    for name in names:
        folded = _request_name(name)
        if folded in seen:
            raise _repeated(name)
        seen.add(folded)


@lru_cache(4096)
def _request_name(name: str) -> str:
    """The name folded, if it may stand in a request. Raises `HeaderRefused`."""
    folded = _checked_name(name)
    if folded in FRAMING:
        raise HeaderRefused("header_reserved", f"the header {name} is set by the client alone")
    return folded


def _checked_name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise HeaderRefused("header_name_invalid", "a header's name is 1 to 256 letters, digits and dashes")
    return _folded(name)


def _trimmed(name: str, value: str) -> str:
    trimmed = value.strip(" \t")
    if len(trimmed) > MAX_VALUE or not _VALUE.fullmatch(trimmed):
        raise HeaderRefused("header_value_invalid", f"the value of {name} is too long or not printable ASCII")
    return trimmed


def _repeated(name: str) -> HeaderRefused:
    return HeaderRefused("header_repeated", f"the header {name} is given more than once")


def _check_grammar(pairs: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    seen: set[str] = set()
    checked = []
    for name, value in pairs:
        folded, trimmed = _checked_name(name), _trimmed(name, value)
        if folded in seen:
            raise _repeated(name)
        seen.add(folded)
        checked.append((name, trimmed))
    return checked


def _folded(name: str) -> str:
    # Behind CGI and WSGI an underscore and a dash are the same header.
    return name.lower().replace("_", "-")
