"""Cursor pagination: newest first by id, signed cursors bound to their list; nothing skipped, nothing repeated."""

import base64
import binascii
from collections.abc import Callable
from typing import Generic, NamedTuple, TypeVar

import msgspec

from temula.kernel.crypto import TAG, KeyRing
from temula.kernel.errors import InvalidInput

R = TypeVar("R")

DEFAULT_LIMIT = 50
MAX_LIMIT = 100
# Above every id under the "C" collation, so that the first page needs no statement of its own.
FROM_THE_START = "~"


class Window(NamedTuple):
    """Which part of a list: up to `limit` items whose ids stand below `before`. `scope` is what the list depends on."""

    before: str
    limit: int
    scope: str
    ring: KeyRing

    @property
    def fetch(self) -> int:
        """How many rows to ask for: one more than shown tells whether there are more."""
        return self.limit + 1


class Page(NamedTuple, Generic[R]):
    """One page and the cursor of the next, if there is one."""

    items: list[R]
    next_cursor: str | None


def window(ring: KeyRing, cursor: str | None, limit: int | None, *scope: str | None) -> Window:
    """Read a caller's cursor; `scope` is what the list depends on (organization, route, filters).

    Raises `InvalidInput` for a cursor that this ring has not signed for this very list.
    """
    limit = DEFAULT_LIMIT if limit is None else limit
    if not 1 <= limit <= MAX_LIMIT:
        raise InvalidInput(f"limit must be from 1 to {MAX_LIMIT}.", pointer="/limit")
    key = msgspec.json.encode(scope).decode()
    if cursor is None:
        return Window(FROM_THE_START, limit, key, ring)
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        before, tag = raw[:-TAG].decode("ascii"), raw[-TAG:]
    except (binascii.Error, ValueError):
        before, tag = "", b""
    if not ring.has_tagged(before + key, tag):
        raise InvalidInput("The cursor does not belong to this list; start again without one.", pointer="/cursor")
    return Window(before, limit, key, ring)


def page(rows: list[R], asked: Window, id_of: Callable[[R], str]) -> Page[R]:
    """Cut the rows fetched for a window into its page."""
    if len(rows) <= asked.limit:
        return Page(rows, None)
    items = rows[: asked.limit]
    return Page(items, cursor_at(asked, id_of(items[-1])))


def cursor_at(asked: Window, last: str) -> str:
    """Give the cursor of what stands below `last` in the list; `last` is ASCII."""
    signed = last.encode() + asked.ring.tag(last + asked.scope)
    return base64.urlsafe_b64encode(signed).decode().rstrip("=")
