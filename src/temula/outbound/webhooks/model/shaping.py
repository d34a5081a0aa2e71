"""A message as an endpoint wants it: whole, thin, or without what the endpoint is not to see."""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from typing import Any, Protocol

import msgspec

from temula.kernel.clock import rfc3339
from temula.kernel.stringify import stringify

# In `data` of a message that was asked for as a test, whatever its type.
TEST_MARK = "test"
_ROOT = "data."


class Payload(StrEnum):
    """How much a message says: all that the type has, or only the ids, for a receiver that fetches the rest."""

    FAT = "fat"
    THIN = "thin"


class Shape(Protocol):
    """What of an endpoint decides about the bytes of its messages."""

    @property
    def payload(self) -> str:
        """`fat` or `thin`."""

    @property
    def mask(self) -> Sequence[str]:
        """Paths that are removed: `data.location`."""


class Envelope(msgspec.Struct, frozen=True):
    """A message as it goes out."""

    event_id: str
    event_type: str
    timestamp: str
    organization_id: str
    team_id: str | None
    data: msgspec.Raw


def envelope(
    message_id: str, type_: str, occurred_at: datetime, organization_id: str, team_id: str | None, data: bytes
) -> bytes:
    """Give a message's bytes, with all that it says."""
    message = Envelope(message_id, type_, rfc3339(occurred_at), organization_id, team_id, msgspec.Raw(data))
    return msgspec.json.encode(message)


def reshapes(shape: Shape) -> bool:
    """Tell whether the endpoint's messages differ from the whole ones."""
    return shape.payload != Payload.FAT or bool(shape.mask)


def shaped(
    shape: Shape, message_id: str, type_: str, occurred_at: datetime, organization_id: str, team_id: str | None,
    data: bytes,
) -> bytes:  # fmt: skip
    """Give a message's bytes for an endpoint: compact UTF-8, equal to `JSON.stringify(JSON.parse(bytes))`.

    `data` is the fact's, as it is stored. A path of the mask that the message does not have changes nothing; one that
    leads through an array goes through each of its items.
    """
    if reshapes(shape):
        said: dict[str, Any] = msgspec.json.decode(data)
        if shape.payload == Payload.THIN:
            said = {name: value for name, value in said.items() if _stays_when_thin(name)}
        for path in shape.mask:
            _remove(said, _steps(path))
        data = stringify(said)
    return envelope(message_id, type_, occurred_at, organization_id, team_id, data)


def maskable(path: str) -> bool:
    """Tell whether a path can be removed: one below `data`, of at most 8 names that are not empty."""
    names = path.removeprefix(_ROOT).split(".")
    return path.startswith(_ROOT) and len(path) <= 200 and len(names) <= 8 and all(names)


def _stays_when_thin(name: str) -> bool:
    return name.endswith(("_id", "_ids")) or name == TEST_MARK


@lru_cache(maxsize=1024)
def _steps(path: str) -> tuple[str, ...]:
    return tuple(path.removeprefix(_ROOT).split("."))


def _remove(inside: Any, steps: tuple[str, ...]) -> None:
    if isinstance(inside, list):
        for item in inside:
            _remove(item, steps)
    elif isinstance(inside, dict) and steps[0] in inside:
        if len(steps) == 1:
            del inside[steps[0]]
        else:
            _remove(inside[steps[0]], steps[1:])
