"""SQL statements as named constants, so that a test can prepare each one against the migrated schema."""

from collections.abc import Iterable
from typing import NewType

import msgspec

Statement = NewType("Statement", str)
"""One SQL statement, written by hand in a store; parameters are `$1`, `$2`..."""


def columns(struct: type[msgspec.Struct], prefix: str = "") -> str:
    """List the struct's fields as columns, in the order in which rows are decoded into it."""
    dot = f"{prefix}." if prefix else ""
    return ", ".join(f"{dot}{name}" for name in struct.__struct_fields__)


def array(values: Iterable[object]) -> str:
    """Write texts, numbers or None as PostgreSQL reads an array (its manual, 8.15.6); to be cast: `$1::text::text[]`.

    The driver asks each element of a list what it is, which for ten thousand rows a second costs more than this.
    """
    items = list(values)
    try:
        text = '","'.join(items)  # type: ignore[arg-type]  # most often all are texts: then nothing looks at each
    except TypeError:
        if None in items:
            return "{" + ",".join(["NULL" if item is None else _quoted(str(item)) for item in items]) + "}"
        text = '","'.join(map(str, items))
    if text.count('"') == 2 * (len(items) - 1) and "\\" not in text:
        return '{"' + text + '"}' if items else "{}"
    return "{" + ",".join([_quoted(str(item)) for item in items]) + "}"


def _quoted(text: str) -> str:
    if '"' in text or "\\" in text:
        text = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'
