"""Reads Stripe's form encoding with bracket nesting, and refuses what Stripe refuses.

See https://docs.stripe.com/api and https://docs.stripe.com/error-codes.
"""

import re
from collections.abc import Iterable
from typing import Any

from emulators.payments.stripe.errors import Json, Refusal, missing, unknown

NAME = re.compile(r"^([^\[\]]+)((?:\[[^\[\]]*\])*)$")
SEGMENT = re.compile(r"\[([^\[\]]*)\]")
DEEPEST = 8
FREE_MAPS = {"metadata"}  # their keys are the caller's, so "0" is a name there and not a position


def decode(pairs: Iterable[tuple[str, str]]) -> Json:
    tree: Json = {}
    for name, value in pairs:
        match = NAME.match(name)
        if match is None:
            raise unknown(name)
        path = [match[1], *SEGMENT.findall(match[2])]
        if len(path) > DEEPEST:
            raise unknown(name)
        _insert(tree, path, value)
    return {name: _settle(name, value) for name, value in tree.items()}


def _insert(tree: Json, path: list[str], value: str) -> None:
    node = tree
    for step in path[:-1]:
        inner = node.setdefault(step or str(len(node)), {})
        if not isinstance(inner, dict):
            raise Refusal(f"Invalid object: {path[0]}", param=path[0])
        node = inner
    node[path[-1] or str(len(node))] = value


def _settle(name: str, value: Any) -> Any:
    if not isinstance(value, dict) or name in FREE_MAPS:
        return value
    settled = {key: _settle(key, inner) for key, inner in value.items()}
    if settled and all(key.isdigit() for key in settled):
        return [settled[key] for key in sorted(settled, key=int)]
    return settled


class Fields:
    """The parameters of one request, or of one nested object in it, read by name and kind."""

    def __init__(self, values: Json, path: str = "") -> None:
        self.values = values
        self.path = path

    def name(self, name: str) -> str:
        return f"{self.path}[{name}]" if self.path else name

    def only(self, *names: str) -> None:
        for name in self.values:
            if name not in names:
                raise unknown(self.name(name))

    def has(self, name: str) -> bool:
        return name in self.values

    def text(self, name: str, *, longest: int = 5000) -> str | None:
        value = self.values.get(name)
        if value is None:
            return None
        if not isinstance(value, str):
            raise Refusal(f"Invalid string: {value}", param=self.name(name))
        if not value:
            detail = "We assume empty values are an attempt to unset a parameter; however it cannot be unset."
            message = f"You passed an empty string for '{self.name(name)}'. {detail}"
            raise Refusal(message, code="parameter_invalid_empty", param=self.name(name))
        if len(value) > longest:
            message = f"Invalid string: {value[:12]}...; must be at most {longest} characters"
            raise Refusal(message, param=self.name(name))
        return value

    def need_text(self, name: str) -> str:
        value = self.text(name)
        if value is None:
            raise missing(self.name(name))
        return value

    def integer(self, name: str, *, least: int = 0, most: int = 10**12) -> int | None:
        value = self.text(name)
        if value is None:
            return None
        if not re.fullmatch(r"-?[0-9]{1,15}", value):
            raise Refusal(f"Invalid integer: {value}", code="parameter_invalid_integer", param=self.name(name))
        number = int(value)
        if number < least:
            message = f"This value must be greater than or equal to {least}."
            raise Refusal(message, code="parameter_invalid_integer", param=self.name(name))
        if number > most:
            message = f"This value must be less than or equal to {most}."
            raise Refusal(message, code="parameter_invalid_integer", param=self.name(name))
        return number

    def need_integer(self, name: str, *, least: int = 0) -> int:
        value = self.integer(name, least=least)
        if value is None:
            raise missing(self.name(name))
        return value

    def flag(self, name: str) -> bool | None:
        value = self.text(name)
        if value not in {None, "true", "false"}:
            raise Refusal(f"Invalid boolean: {value}", param=self.name(name))
        return None if value is None else value == "true"

    def choice(self, name: str, *allowed: str) -> str | None:
        value = self.text(name)
        if value is not None and value not in allowed:
            raise Refusal(f"Invalid {name}: must be one of {', '.join(allowed)}", param=self.name(name))
        return value

    def url(self, name: str) -> str | None:
        value = self.text(name)
        if value is not None and not re.match(r"https?://[^/\s]+", value):
            raise Refusal("Not a valid URL", code="url_invalid", param=self.name(name))
        return value

    def nested(self, name: str) -> "Fields | None":
        value = self.values.get(name)
        if value is None or value == "":
            return None
        if not isinstance(value, dict):
            raise Refusal(f"Invalid object: {name}", param=self.name(name))
        return Fields(value, self.name(name))

    def items(self, name: str) -> list["Fields"]:
        value = self.values.get(name)
        if value is None or value == "":
            return []
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            raise Refusal("Invalid array", param=self.name(name))
        return [Fields(item, f"{self.name(name)}[{position}]") for position, item in enumerate(value)]

    def texts(self, name: str) -> list[str]:
        value = self.values.get(name, [])
        if not isinstance(value, list) or not all(isinstance(item, str) and item for item in value):
            raise Refusal("Invalid array", param=self.name(name))
        return list(value)

    def metadata(self, before: Json | None = None) -> Json:
        """The metadata after this request: named keys change, empty ones go, an empty string clears all."""
        given = self.values.get("metadata")
        if given == "":
            return {}
        if given is None:
            return dict(before or {})
        if not isinstance(given, dict) or not all(isinstance(value, str) for value in given.values()):
            raise Refusal("Invalid hash", param=self.name("metadata"))
        after = {key: value for key, value in {**(before or {}), **given}.items() if value != ""}
        _within_limits(after, self.name("metadata"))
        return after


def _within_limits(metadata: Json, param: str) -> None:
    """https://docs.stripe.com/metadata#data."""
    if len(metadata) > 50:
        raise Refusal("Metadata can have at most 50 keys.", param=param)
    for key, value in metadata.items():
        if len(key) > 40:
            raise Refusal(f"Metadata keys can be at most 40 characters long: {key[:40]}...", param=param)
        if len(value) > 500:
            message = f"Metadata values can have up to 500 characters, but you passed in {len(value)} for '{key}'."
            raise Refusal(message, param=f"{param}[{key}]")
