"""Whether a published JSON Schema of what we send may become another: who reads the old must still read the new."""

from typing import Any


def breaks(before: dict[str, Any], after: dict[str, Any], at: str = "") -> list[str]:
    """List what a receiver written for `before` could stumble over in `after`; additions are none of it.

    A field may come; none may go, change its type or form, or be left out where it was always there.
    """
    place = at or "the message"
    found = []
    if not _kinds(after) <= _kinds(before):
        found.append(f"{place} was {_named(before)} and becomes {_named(after)}")
    rules = [rule for rule in ("const", "format", "pattern", "enum") if rule in before]
    found += [f"{place} has another {rule}" for rule in rules if before[rule] != after.get(rule)]
    gone = set(before.get("required", ())) - set(after.get("required", ()))
    found += [f"{at}/{name} is no longer always there" for name in sorted(gone)]
    for name, inner in before.get("properties", {}).items():
        there = after.get("properties", {}).get(name)
        found += [f"{at}/{name} is gone"] if there is None else breaks(inner, there, f"{at}/{name}")
    for part in ("items", "additionalProperties"):
        if isinstance(before.get(part), dict):
            found += breaks(before[part], after.get(part) or {}, f"{at}/{part}")
    return found


def _kinds(schema: dict[str, Any]) -> set[str]:
    """The JSON types that a value may have; without a word about them it may have any."""
    if "const" in schema and "type" not in schema:
        return {"const"}
    kinds = schema.get("type", ["any"])
    return {kinds} if isinstance(kinds, str) else set(kinds)


def _named(schema: dict[str, Any]) -> str:
    return " or ".join(sorted(_kinds(schema)))
