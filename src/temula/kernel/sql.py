"""SQL statements as named constants, so that a test can prepare each one against the migrated schema."""

from typing import NewType

import msgspec

Statement = NewType("Statement", str)
"""One SQL statement, written by hand in a store; parameters are `$1`, `$2`..."""


def columns(struct: type[msgspec.Struct], prefix: str = "") -> str:
    """List the struct's fields as columns, in the order in which rows are decoded into it."""
    dot = f"{prefix}." if prefix else ""
    return ", ".join(f"{dot}{name}" for name in struct.__struct_fields__)
