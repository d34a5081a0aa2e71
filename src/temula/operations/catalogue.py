"""The message types, collected from the nouns' own facts: nothing lists them by hand."""

import importlib
import importlib.util
import pkgutil
import typing

from temula import domain
from temula.kernel.facts import Fact
from temula.outbound.schemas.webhooks import EventType, EventTypeList


def public_facts() -> list[type[Fact]]:
    """Find every public fact type of every noun."""
    found: list[type[Fact]] = []
    for module in pkgutil.iter_modules(domain.__path__, domain.__name__ + "."):
        if importlib.util.find_spec(f"{module.name}.facts") is None:
            continue
        facts = importlib.import_module(f"{module.name}.facts")
        for value in vars(facts).values():
            own = isinstance(value, type) and issubclass(value, Fact) and value.__module__ == facts.__name__
            if own and value.PUBLIC:
                found.append(value)
    return sorted(found, key=lambda kind: kind.TYPE)


def event_types() -> EventTypeList:
    """Describe every message type."""
    return EventTypeList([_described(kind) for kind in public_facts()])


def _described(kind: type[Fact]) -> EventType:
    hints = typing.get_type_hints(kind)
    fields = {name: _shown(hints[name]) for name in kind.__struct_fields__}
    return EventType(kind.TYPE, (kind.__doc__ or "").strip(), fields)


def _shown(hint: object) -> str:
    plain = getattr(hint, "__supertype__", hint)
    if typing.get_origin(plain) is list:
        return f"array of {_shown(typing.get_args(plain)[0])}"
    return {str: "string", int: "integer", bool: "boolean"}.get(plain, "object")  # type: ignore[call-overload,no-any-return]
