"""What the console shows, as values; texts are made here, so that page and stream say the same."""

from datetime import datetime

import msgspec


class Sent(msgspec.Struct, frozen=True):
    """A message on its way to an endpoint, or there."""

    id: str
    type: str
    to: str
    state: str
    attempts: int
    at: datetime


class Trouble(msgspec.Struct, frozen=True):
    """An endpoint that is failing or disabled now, what to do, and whether who looks may enable it here."""

    id: str
    name: str
    url: str
    said: str
    todo: str
    disabled: bool
    can_enable: bool


class Notice(msgspec.Struct, frozen=True):
    """What was told of an endpoint, and what it is now."""

    at: datetime
    name: str
    said: str
    now: str


class Deliveries(msgspec.Struct, frozen=True):
    """What the console is told of webhooks; `latest` and `notices` are newest first."""

    last_hour: int
    disabled_endpoints: int
    latest: list[Sent]
    troubled: list[Trouble]
    notices: list[Notice]


class Live(msgspec.Struct, frozen=True):
    """What the home page shows; deliveries are those of the last hour."""

    registrations: int
    checked_in: int
    deliveries: int
    disabled_endpoints: int
    latest: list[Sent]
    troubled: list[Trouble]
    notices: list[Notice]
