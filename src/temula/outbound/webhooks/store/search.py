"""Every SQL statement that searches the log.

Each way goes through one index in the order of time, looks at a bounded number of attempts, and gives those that fit:
the inner LIMIT is what keeps the planner from any other index. Statements of a kind take the same arguments.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import msgspec

from temula.kernel.database import UnitOfWork
from temula.kernel.sql import Statement, columns
from temula.outbound.webhooks.model.delivery import Logged, LoggedWhole
from temula.outbound.webhooks.model.search import By, Sought

_LOOKED = """
    SELECT * FROM webhook_attempts
    WHERE organization_id = $1 AND at <= $2 AND (at, id) < ($2, $3) AND at >= $4 AND {way}
    ORDER BY at DESC, id DESC LIMIT $5"""
# An object of which much was said is asked for at each attempt: to read all that was said of it would take longer.
_FIT = f"""
SELECT {columns(Logged)} FROM ({_LOOKED}) AS looked
WHERE ($7::text IS NULL OR endpoint_id = $7) AND ($8::text[] IS NULL OR type = ANY($8))
    AND ($9::smallint IS NULL OR status >= $9) AND ($10::smallint IS NULL OR status <= $10)
    AND (NOT $11::bool OR status IS NULL) AND ($12::text[] IS NULL OR outcome = ANY($12))
    AND ($13::text IS NULL OR error = $13)
    AND ($14::text IS NULL OR (SELECT true FROM fact_objects o WHERE o.organization_id = $1 AND o.object_id = $14
        AND o.fact_id = looked.message_id LIMIT 1))
LIMIT $6
"""
# The last that was looked at, if there were as many as may be.
_END = f"SELECT at, id FROM ({_LOOKED}) AS looked OFFSET $5 - 1"
_OF_ENDPOINT, _FAILED = "endpoint_id = {}", "outcome <> 'delivered'"
_STATUS = "status = {} AND status <> 200"

FIT_BY_TIME = Statement(_FIT.format(way="true"))
END_BY_TIME = Statement(_END.format(way="true"))
FIT_BY_ENDPOINT = Statement(_FIT.format(way=_OF_ENDPOINT.format("$7")))
END_BY_ENDPOINT = Statement(_END.format(way=_OF_ENDPOINT.format("$6")))
FIT_BY_TYPE = Statement(_FIT.format(way="type = ($8::text[])[1]"))
END_BY_TYPE = Statement(_END.format(way="type = $6"))
FIT_BY_FAILED = Statement(_FIT.format(way=_FAILED))
END_BY_FAILED = Statement(_END.format(way=_FAILED))
FIT_BY_FAILED_OF_ENDPOINT = Statement(_FIT.format(way=f"{_OF_ENDPOINT.format('$7')} AND {_FAILED}"))
END_BY_FAILED_OF_ENDPOINT = Statement(_END.format(way=f"{_OF_ENDPOINT.format('$6')} AND {_FAILED}"))
FIT_BY_STATUS = Statement(_FIT.format(way=_STATUS.format("$9")))
END_BY_STATUS = Statement(_END.format(way=_STATUS.format("$6")))
FIT_BY_ERROR = Statement(_FIT.format(way="error = $13"))
END_BY_ERROR = Statement(_END.format(way="error = $6"))
FIT_BY_MESSAGES = Statement(_FIT.format(way="message_id = ANY($15::text[])"))
END_BY_MESSAGES = Statement(_END.format(way="message_id = ANY($6::text[])"))

SAID_OF = Statement("""
SELECT fact_id AS id FROM fact_objects WHERE organization_id = $1 AND object_id = $2 ORDER BY fact_id LIMIT $3
""")
# An id carries the time at which it was made, so that few partitions, and little of them, are looked at.
ATTEMPT = Statement(f"""
SELECT {columns(LoggedWhole)} FROM webhook_attempts
WHERE organization_id = $1 AND at >= $2 AND at <= $3 AND id = $4
""")

# What fits on each way, and where what was looked at ends.
SEARCHES = {
    By.TIME: (FIT_BY_TIME, END_BY_TIME),
    By.ENDPOINT: (FIT_BY_ENDPOINT, END_BY_ENDPOINT),
    By.TYPE: (FIT_BY_TYPE, END_BY_TYPE),
    By.FAILED: (FIT_BY_FAILED, END_BY_FAILED),
    By.FAILED_OF_ENDPOINT: (FIT_BY_FAILED_OF_ENDPOINT, END_BY_FAILED_OF_ENDPOINT),
    By.STATUS: (FIT_BY_STATUS, END_BY_STATUS),
    By.ERROR: (FIT_BY_ERROR, END_BY_ERROR),
    By.MESSAGES: (FIT_BY_MESSAGES, END_BY_MESSAGES),
}


class Place(msgspec.Struct, frozen=True, order=True):
    """A place in the log, whose order is that of time."""

    at: datetime
    id: str


class Stretch(NamedTuple):
    """The part of the log that is searched: what is older than `before` and not older than `since`."""

    before: Place
    since: datetime


class _Said(msgspec.Struct, frozen=True):
    id: str


async def fit(
    uow: UnitOfWork, by: By, stretch: Stretch, sought: Sought, messages: Sequence[str], look: int, limit: int
) -> list[Logged]:
    """Find what is sought among the newest `look` attempts that an index leads to, newest first."""
    one, answered = sought, sought.answered
    arguments = (
        *_arguments(uow, stretch, look), limit, one.endpoint_id, one.types, answered and answered.lowest,
        answered and answered.highest, answered is not None and answered.not_at_all, one.outcomes, one.error,
        one.object_id,
    )  # fmt: skip
    more = (messages,) if by is By.MESSAGES else ()
    return await uow.rows(Logged, SEARCHES[by][0], *arguments, *more)


async def end(
    uow: UnitOfWork, by: By, stretch: Stretch, sought: Sought, messages: Sequence[str], look: int
) -> Place | None:
    """Find the last of the newest `look` attempts that an index leads to; None if there are fewer."""
    asked = {
        By.ENDPOINT: sought.endpoint_id, By.FAILED_OF_ENDPOINT: sought.endpoint_id, By.ERROR: sought.error,
        By.TYPE: sought.types and sought.types[0], By.STATUS: sought.answered and sought.answered.lowest,
        By.MESSAGES: messages,
    }  # fmt: skip
    more = (asked[by],) if by in asked else ()
    return await uow.row(Place, SEARCHES[by][1], *_arguments(uow, stretch, look), *more)


async def said_of(uow: UnitOfWork, object_id: str, most: int) -> list[str]:
    """List the ids of facts about an object, the first ones first."""
    return [one.id for one in await uow.rows(_Said, SAID_OF, uow.organization_id, object_id, most)]


async def attempt(uow: UnitOfWork, attempt_id: str, earliest: datetime, latest: datetime) -> LoggedWhole | None:
    """Find an attempt that was made between two times, whole."""
    return await uow.row(LoggedWhole, ATTEMPT, uow.organization_id, earliest, latest, attempt_id)


def _arguments(uow: UnitOfWork, stretch: Stretch, look: int) -> tuple[object, ...]:
    return uow.organization_id, stretch.before.at, stretch.before.id, stretch.since, look
