"""Tells whether a unit of work is open in this task, so that nobody waits for a stranger inside a transaction."""

from contextvars import ContextVar

open_unit: ContextVar[str | None] = ContextVar("open_unit", default=None)
