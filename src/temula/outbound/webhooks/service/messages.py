"""Use cases of messages that are asked for instead of sent: the one order of the log, nothing skipped."""

from typing import NamedTuple

from temula.kernel.database import UnitOfWork
from temula.kernel.errors import InvalidInput
from temula.kernel.facts import START, StoredFact
from temula.outbound.webhooks import store
from temula.outbound.webhooks.errors import NoSuchMessage
from temula.outbound.webhooks.model import covers

# The cursor before everything. Every other is the id of the last fact that was looked at.
BEGINNING = "msg_00000000000000000000000000"
# Asked for instead of a cursor: nothing of what there was, and the cursor behind it.
LATEST = "latest"
# So many facts are looked through for one page: a rare type in a long log is found over several.
LOOKED_THROUGH = 2000


class Pulled(NamedTuple):
    """Messages in the log's order, where to go on, and whether there is something there already."""

    messages: list[StoredFact]
    next_cursor: str
    has_more: bool


async def pull(uow: UnitOfWork, *, after: str | None, types: list[str], known: frozenset[str], limit: int) -> Pulled:
    """Give the next messages after a cursor, which may be any message's id; no types means `*`.

    What is given can never grow something before it: facts whose neighbours are still being written are not given yet.
    After `LATEST` none are given, only the cursor behind which what happens from now on is found.
    """
    if unknown := [one for one in types if not any(covers([one], type_) for type_ in known)]:
        raise InvalidInput(
            f"{unknown[0]!r} is no message type; there are: {', '.join(sorted(known))}.", pointer="/types"
        )
    wanted = [one for one in known if covers(types or ["*"], one)]
    if after == LATEST:
        return Pulled([], await store.end(uow) or BEGINNING, has_more=False)
    start = START
    if after is not None and after != BEGINNING:
        if (found := await store.position_of(uow, after)) is None:
            raise InvalidInput("The cursor does not belong to this list; start again without one.", pointer="/after")
        start = found
    looked = await store.look(uow, start, LOOKED_THROUGH)
    if looked is None:
        return Pulled([], after or BEGINNING, has_more=False)
    messages = await store.messages(uow, start, looked, wanted, limit)
    if len(messages) < limit:
        return Pulled(messages, looked.id, looked.more)
    return Pulled(messages, messages[-1].id, looked.more or messages[-1].id != looked.id)


async def message(uow: UnitOfWork, message_id: str) -> StoredFact:
    """Find a message of the organization, whole."""
    if (found := await store.message(uow, message_id)) is None:
        raise NoSuchMessage(f"There is no message {message_id}.")
    return found
