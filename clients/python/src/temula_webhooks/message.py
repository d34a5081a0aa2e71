"""What a webhook says."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any


@dataclass(frozen=True)
class Message:
    """One message. `event_id` is the same each time it is sent: remember it, and do nothing the second time."""

    event_id: str
    event_type: str
    timestamp: datetime
    organization_id: str
    team_id: str | None
    data: Mapping[str, Any]


def parse(body: bytes | str) -> Message:
    """Read a body whose signature was checked; raises `ValueError` if it is no message of Temula."""
    try:
        told = json.loads(body)
    except (ValueError, RecursionError):
        raise ValueError("The body is not JSON.") from None
    if not isinstance(told, dict):
        raise ValueError("The body is not a JSON object.")  # noqa: TRY004 - one kind, whatever is wrong
    for name in ("event_id", "event_type", "timestamp", "organization_id"):
        if not isinstance(told.get(name), str):
            raise ValueError(f"The body has no text {name!r}.")  # noqa: TRY004 - one kind, whatever is wrong
    team_id, data = told.get("team_id"), told.get("data", {})
    if not (team_id is None or isinstance(team_id, str)) or not isinstance(data, dict):
        raise ValueError("The body's 'team_id' is not text, or its 'data' is not an object.")
    at = _time(told["timestamp"])
    return Message(told["event_id"], told["event_type"], at, told["organization_id"], team_id, data)


def _time(text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        raise ValueError(f"The body's 'timestamp' cannot be read: {text[:40]!r}.") from None
    return at if at.tzinfo else at.replace(tzinfo=timezone.utc)
