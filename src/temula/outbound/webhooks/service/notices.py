"""Use cases of what the organization's people are told about its endpoints: who is in trouble now, and who was."""

from datetime import datetime
from typing import NamedTuple

import msgspec

from temula.kernel.database import UnitOfWork
from temula.outbound.webhooks import store
from temula.outbound.webhooks.model import WARN_AT, Endpoint, EndpointDisabled, EndpointFailing

MOST_TROUBLED = 10
MOST_NOTICES = 20
# So many are read for a list of notices, since the warnings of one row of failures are one notice.
READ = 100
# What waits is counted so far: whoever looks at it looks each second.
MOST_COUNTED = 1000

Told = EndpointDisabled | EndpointFailing
_KINDS: dict[str, type[Told]] = {EndpointDisabled.TYPE: EndpointDisabled, EndpointFailing.TYPE: EndpointFailing}


class Waits(NamedTuple):
    """How many messages wait for an endpoint; `more` if they were not counted to the end."""

    number: int
    more: bool

    def __str__(self) -> str:
        things = "message" if self.number == 1 and not self.more else "messages"
        return f"{'more than ' if self.more else ''}{self.number:,} {things}"


class Notice(NamedTuple):
    """That an endpoint failed or was disabled, and what it is now; None if it has been deleted since."""

    at: datetime
    told: Told
    endpoint: Endpoint | None


class Trouble(NamedTuple):
    """An endpoint that is disabled, or failing now; `last` is what was told of it last, if that is not long ago."""

    endpoint: Endpoint
    last: Notice | None
    waits: Waits


class Notices(NamedTuple):
    """Who is in trouble, the disabled first, and what was told, newest first."""

    troubled: list[Trouble]
    told: list[Notice]


async def waits(uow: UnitOfWork, endpoint_id: str) -> Waits:
    """Count what waits for an endpoint, to a thousand."""
    number = await store.waiting(uow, endpoint_id, MOST_COUNTED + 1)
    return Waits(min(number, MOST_COUNTED), number > MOST_COUNTED)


async def notices(uow: UnitOfWork) -> Notices:
    """Give at most ten endpoints in trouble, and the last twenty notices, of those too that are enabled again."""
    found = [(one.occurred_at, msgspec.json.decode(one.data, type=_KINDS[one.type]))
             for one in await store.warnings(uow, READ)]  # fmt: skip
    named = await store.named(uow, sorted({told.endpoint_id for _, told in found})) if found else []
    endpoints = {one.id: one for one in named}
    told: list[Notice] = []
    first: dict[str, Notice] = {}
    later: dict[str, Told] = {}
    for at, one in found:
        if not _of_one_row(one, later.get(one.endpoint_id)):
            told.append(Notice(at, one, endpoints.get(one.endpoint_id)))
            first.setdefault(one.endpoint_id, told[-1])
        later[one.endpoint_id] = one
    troubled = await store.troubled(uow, WARN_AT[0], MOST_TROUBLED)
    return Notices([Trouble(one, first.get(one.id), await waits(uow, one.id)) for one in troubled], told[:MOST_NOTICES])


def _of_one_row(earlier: Told, later: Told | None) -> bool:
    """Tell whether two warnings are of the same failures in a row: the later one says all."""
    if not isinstance(earlier, EndpointFailing) or not isinstance(later, EndpointFailing):
        return False
    return later.failures > earlier.failures
