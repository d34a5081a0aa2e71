"""Cursor pagination: newest first by id, opaque cursors bound to their list; nothing skipped, nothing repeated."""

import base64
import binascii
import zlib
from collections.abc import Callable
from typing import Generic, NamedTuple, TypeVar

from temula.kernel.errors import InvalidInput

R = TypeVar("R")

DEFAULT_LIMIT = 50
MAX_LIMIT = 100
# Above every id under the "C" collation, so that the first page needs no statement of its own.
FROM_THE_START = "~"


class Window(NamedTuple):
    """Which part of a list: up to `limit` items whose ids stand below `before`."""

    before: str
    limit: int
    scope: str

    @property
    def fetch(self) -> int:
        """How many rows to ask for: one more than shown tells whether there are more."""
        return self.limit + 1


class Page(NamedTuple, Generic[R]):
    """One page and the cursor of the next, if there is one."""

    items: list[R]
    next_cursor: str | None


def window(cursor: str | None, limit: int | None, *scope: str | None) -> Window:
    """Read a caller's cursor; `scope` is what the list depends on (organization, filters)."""
    limit = DEFAULT_LIMIT if limit is None else limit
    if not 1 <= limit <= MAX_LIMIT:
        raise InvalidInput(f"limit must be from 1 to {MAX_LIMIT}.", pointer="/limit")
    key = "\x1f".join(part or "" for part in scope)
    if cursor is None:
        return Window(FROM_THE_START, limit, key)
    try:
        raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode("ascii")
    except (binascii.Error, UnicodeError, ValueError):
        raw = ""
    before, _, check = raw.rpartition(".")
    if check != _check(before, key):
        raise InvalidInput("The cursor does not belong to this list; start again without one.", pointer="/cursor")
    return Window(before, limit, key)


def page(rows: list[R], asked: Window, id_of: Callable[[R], str]) -> Page[R]:
    """Cut the rows fetched for a window into its page."""
    if len(rows) <= asked.limit:
        return Page(rows, None)
    items = rows[: asked.limit]
    last = id_of(items[-1])
    token = base64.urlsafe_b64encode(f"{last}.{_check(last, asked.scope)}".encode()).decode().rstrip("=")
    return Page(items, token)


def _check(before: str, scope: str) -> str:
    return f"{zlib.crc32(f'{before}|{scope}'.encode()):08x}"
