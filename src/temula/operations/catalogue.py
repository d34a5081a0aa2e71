"""The message types, collected from the nouns' own facts: nothing lists them by hand."""

import importlib
import importlib.util
import pkgutil
import typing
from functools import cache
from typing import Annotated, Any
from uuid import UUID
from zlib import crc32

import msgspec

from temula import domain
from temula.kernel import ids
from temula.kernel.facts import Fact
from temula.outbound.schemas.webhooks import EventType, EventTypeList
from temula.outbound.webhooks.model import OPERATIONAL, OPERATIONAL_FACTS, TEST_MARK

DIALECT = "https://json-schema.org/draft/2020-12/schema"
TIMESTAMP = "2026-11-23T10:15:00.123Z"
TEST = {"const": True, "description": "There only in a message that was asked for as a test: act on nothing"}


@cache
def public_facts() -> tuple[type[Fact], ...]:
    """Find every public fact type of every noun, and those of the webhooks' own work."""
    found: list[type[Fact]] = [*OPERATIONAL_FACTS]
    for module in pkgutil.iter_modules(domain.__path__, domain.__name__ + "."):
        if importlib.util.find_spec(f"{module.name}.facts") is None:
            continue
        facts = importlib.import_module(f"{module.name}.facts")
        for value in vars(facts).values():
            own = isinstance(value, type) and issubclass(value, Fact) and value.__module__ == facts.__name__
            if own and value.PUBLIC:
                found.append(value)
    return tuple(sorted(found, key=lambda kind: kind.TYPE))


@cache
def event_types() -> EventTypeList:
    """Describe every message type."""
    return EventTypeList(
        [
            EventType(
                kind.TYPE, kind.VERSION, _about(kind), kind.TYPE in OPERATIONAL, message_schema(kind),
                example(kind),
            )
            for kind in public_facts()
        ]
    )  # fmt: skip


def examples() -> dict[str, dict[str, Any]]:
    """Give an example of each type's data."""
    return {kind.TYPE: example_data(kind) for kind in public_facts()}


def message_schema(kind: type[Fact]) -> dict[str, Any]:
    """Give the JSON Schema of a type's whole message, as it is published under its version."""
    text = {"type": "string"}
    properties = {
        "event_id": _id_schema(ids.MESSAGE),
        "event_type": {"const": kind.TYPE},
        "timestamp": {**text, "format": "date-time", "description": "When it happened"},
        "organization_id": _id_schema(ids.ORGANIZATION),
        "team_id": {**_id_schema(ids.TEAM), "type": ["string", "null"], "description": "The event's team, if any"},
        "data": data_schema(kind),
    }
    return {
        "$schema": DIALECT, "$id": f"urn:temula:message:{kind.TYPE}:v{kind.VERSION}", "title": kind.TYPE,
        "description": _about(kind), "type": "object", "properties": properties, "required": list(properties),
        "examples": [example(kind)],
    }  # fmt: skip


def data_schema(kind: type[Fact]) -> dict[str, Any]:
    """Give the JSON Schema of a type's `data`."""
    fields = {name: _schema(hint) for name, hint in _hints(kind)}
    return {"type": "object", "properties": {**fields, TEST_MARK: TEST}, "required": list(fields)}


def example(kind: type[Fact]) -> dict[str, Any]:
    """Give an example of a type's whole message."""
    return {
        "event_id": _example_id(ids.MESSAGE), "event_type": kind.TYPE, "timestamp": TIMESTAMP,
        "organization_id": _example_id(ids.ORGANIZATION),
        "team_id": None if kind.TYPE in OPERATIONAL else _example_id(ids.TEAM), "data": example_data(kind),
    }  # fmt: skip


def example_data(kind: type[Fact]) -> dict[str, Any]:
    """Give an example of a type's `data`; the same id stands for the same thing in all of them."""
    return {name: _example(_schema(hint)) for name, hint in _hints(kind)}


def _about(kind: type[Fact]) -> str:
    return " ".join((kind.__doc__ or "").split())


def _hints(kind: type[Fact]) -> list[tuple[str, Any]]:
    hints = typing.get_type_hints(kind, include_extras=True)
    return [(name, hints[name]) for name in kind.__struct_fields__]


@cache
def _kinds() -> dict[Any, ids.Kind[Any]]:
    """Which kind of id each of the types of `kernel.ids` is."""
    hints = typing.get_type_hints(ids)
    kinds = [(name, value) for name, value in vars(ids).items() if isinstance(value, ids.Kind)]
    return {typing.get_args(hints[name])[0]: value for name, value in kinds}


def _schema(hint: Any) -> dict[str, Any]:
    if hint in _kinds():
        return _id_schema(_kinds()[hint])
    if typing.get_origin(hint) is list:
        return {"type": "array", "items": _schema(typing.get_args(hint)[0])}
    if typing.get_origin(hint) is Annotated and typing.get_args(hint)[0] in _kinds():
        return {**msgspec.json.schema(hint), **_schema(typing.get_args(hint)[0])}
    return msgspec.json.schema(hint)


def _example(schema: dict[str, Any]) -> Any:
    if "examples" in schema:
        return schema["examples"][0]
    if schema["type"] == "array":
        return [_example(schema["items"])]
    raise TypeError(
        f"a field of a public fact has no example: {schema}; give it `Annotated[..., Meta(examples=[...])]`"
    )


def _id_schema(kind: ids.Kind[Any]) -> dict[str, Any]:
    pattern = f"^{kind.prefix}_[0-7][0-9a-hjkmnp-tv-z]{{25}}$"
    return {"type": "string", "pattern": pattern, "examples": [_example_id(kind)]}


def _example_id(kind: ids.Kind[Any]) -> str:
    return str(kind.of(UUID(f"019aafe8-6a7b-7000-8000-{crc32(kind.prefix.encode()):012x}")))
