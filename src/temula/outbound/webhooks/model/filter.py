"""A filter on a message: a small expression in JSON that is read once, bounded, and cannot fail when it is asked.

    condition = {"and": [condition, ...]} | {"or": [condition, ...]} | {"not": condition} | test
    test      = {"path": "data.total_amount", operator: operand, ...}        all of its operators hold
    operator  = eq ne gt gte lt lte in exists

`docs/reference/webhook-filters.md` is the whole grammar.
"""

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Final, Protocol

import msgspec

MAX_DEPTH: Final = 8
MAX_CONDITIONS: Final = 64
MAX_CHOICES: Final = 100
MAX_TEXT: Final = 500
MAX_STEPS: Final = 8
MAX_BYTES: Final = 8192

# Where a path leads to nothing. JSON's null is something: `{"exists": true}` holds for it.
_NOTHING: Final = object()
_SCALARS = (str, int, float, bool, type(None))


class FilterRefused(ValueError):
    """The filter is not one; `pointer` (RFC 6901) says where, `detail` why."""

    def __init__(self, pointer: str, detail: str) -> None:
        super().__init__(f"{pointer or '/'}: {detail}")
        self.pointer = pointer
        self.detail = detail


class Condition(Protocol):
    """Something that holds for a message or does not."""

    def holds(self, message: Any) -> bool:
        """Tell; whatever the message is, there is an answer."""


class All(msgspec.Struct, frozen=True):
    """Each of them holds."""

    conditions: tuple[Any, ...]

    def holds(self, message: Any) -> bool:
        """Tell whether all hold."""
        return all(one.holds(message) for one in self.conditions)


class Some(msgspec.Struct, frozen=True):
    """At least one of them holds."""

    conditions: tuple[Any, ...]

    def holds(self, message: Any) -> bool:
        """Tell whether one holds."""
        return any(one.holds(message) for one in self.conditions)


class Not(msgspec.Struct, frozen=True):
    """It does not hold."""

    condition: Any

    def holds(self, message: Any) -> bool:
        """Tell whether it does not."""
        return not self.condition.holds(message)


class Probe(msgspec.Struct, frozen=True):
    """What stands at a path, asked each of the operators."""

    steps: tuple[str, ...]
    checks: tuple[tuple[str, Any], ...]

    def holds(self, message: Any) -> bool:
        """Tell whether every operator holds for what stands there."""
        found = _found(message, self.steps)
        return all(_OPERATORS[name](found, operand) for name, operand in self.checks)


def parse(expression: Any) -> Condition:
    """Read a filter; raises `FilterRefused` for what is no filter, or larger than the bounds."""
    if len(msgspec.json.encode(expression)) > MAX_BYTES:
        raise FilterRefused("", f"a filter has at most {MAX_BYTES} bytes")
    return _Reader().condition(expression, "", 1)


@lru_cache(maxsize=4096)
def compiled(stored: bytes) -> Condition:
    """Give the filter that was stored; it was read before it was saved."""
    return parse(msgspec.json.decode(stored))


class _Reader:
    """Reads one expression and counts its conditions."""

    def __init__(self) -> None:
        self._count = 0

    def condition(self, given: Any, at: str, depth: int) -> Condition:
        self._count += 1
        if depth > MAX_DEPTH or self._count > MAX_CONDITIONS:
            raise FilterRefused(at, f"at most {MAX_CONDITIONS} conditions, {MAX_DEPTH} within each other")
        if not isinstance(given, dict) or not given:
            raise FilterRefused(at, "a condition is an object: and, or, not, or a path with operators")
        if "path" in given:
            return _test(given, at)
        if len(given) != 1:
            raise FilterRefused(at, "give one of and, or, not, or a path with operators")
        ((name, inner),) = given.items()
        if name in ("and", "or"):
            conditions = self._several(inner, f"{at}/{name}", depth)
            return All(conditions) if name == "and" else Some(conditions)
        if name == "not":
            return Not(self.condition(inner, f"{at}/not", depth + 1))
        raise FilterRefused(at, f"{name[:40]!r} is none of and, or, not, path")

    def _several(self, given: Any, at: str, depth: int) -> tuple[Condition, ...]:
        if not isinstance(given, list) or not given:
            raise FilterRefused(at, "give a list of conditions, at least one")
        return tuple(self.condition(one, f"{at}/{n}", depth + 1) for n, one in enumerate(given))


def _test(given: dict[str, Any], at: str) -> Probe:
    path = given["path"]
    steps = path.split(".") if isinstance(path, str) else []
    if not (1 <= len(steps) <= MAX_STEPS and all(steps) and len(path) <= MAX_TEXT):
        raise FilterRefused(f"{at}/path", f"a path is 1 to {MAX_STEPS} names with dots between, as in data.amount")
    checks = tuple((name, operand) for name, operand in given.items() if name != "path")
    if not checks:
        raise FilterRefused(at, f"ask something of the path: {', '.join(_OPERATORS)}")
    for name, operand in checks:
        _check_operand(name, operand, at)
    return Probe(tuple(steps), checks)


def _check_operand(name: str, operand: Any, at: str) -> None:
    if name not in _OPERATORS:
        raise FilterRefused(at, f"{name[:40]!r} is none of {', '.join(_OPERATORS)}")
    at = f"{at}/{name}"
    if name == "exists":
        if not isinstance(operand, bool):
            raise FilterRefused(at, "exists asks true or false")
    elif name == "in":
        if not isinstance(operand, list) or not 1 <= len(operand) <= MAX_CHOICES:
            raise FilterRefused(at, f"in asks for a list of 1 to {MAX_CHOICES} values")
        for n, one in enumerate(operand):
            _check_scalar(one, f"{at}/{n}")
    elif name in ("eq", "ne"):
        _check_scalar(operand, at)
    elif isinstance(operand, bool) or not isinstance(operand, str | int | float):
        raise FilterRefused(at, f"{name} compares with a number or a text")
    else:
        _check_scalar(operand, at)


def _check_scalar(value: Any, at: str) -> None:
    if not isinstance(value, _SCALARS):
        raise FilterRefused(at, "compare with a text, a number, true, false or null")
    if isinstance(value, str) and len(value) > MAX_TEXT:
        raise FilterRefused(at, f"a text has at most {MAX_TEXT} characters")


def _found(message: Any, steps: tuple[str, ...]) -> Any:
    inside = message
    for step in steps:
        if isinstance(inside, dict):
            inside = inside.get(step, _NOTHING)
        elif isinstance(inside, list) and step.isascii() and step.isdigit() and int(step) < len(inside):
            inside = inside[int(step)]
        else:
            return _NOTHING
    return inside


def _same(found: Any, operand: Any) -> bool:
    # For Python True is 1; for JSON it is not.
    return isinstance(found, bool) == isinstance(operand, bool) and bool(found == operand)


def _comparable(found: Any, operand: Any) -> bool:
    if isinstance(found, bool):
        return False
    return isinstance(found, int | float) if isinstance(operand, int | float) else isinstance(found, str)


_OPERATORS: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "eq": _same,
    "ne": lambda found, operand: not _same(found, operand),
    "gt": lambda found, operand: _comparable(found, operand) and found > operand,
    "gte": lambda found, operand: _comparable(found, operand) and found >= operand,
    "lt": lambda found, operand: _comparable(found, operand) and found < operand,
    "lte": lambda found, operand: _comparable(found, operand) and found <= operand,
    "in": lambda found, operand: any(_same(found, one) for one in operand),
    "exists": lambda found, operand: (found is not _NOTHING) == operand,
}
