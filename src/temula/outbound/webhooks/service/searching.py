"""Use cases of the log: attempts that fit, newest first, and one of them whole."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from temula.kernel import following
from temula.kernel.database import UnitOfWork
from temula.kernel.errors import InvalidInput, NotFound
from temula.kernel.ids import DELIVERY_ATTEMPT, MESSAGE, InvalidId, is_id
from temula.kernel.pages import FROM_THE_START, Window, cursor_at
from temula.outbound.webhooks import store
from temula.outbound.webhooks.errors import NoSuchAttempt
from temula.outbound.webhooks.model import Attempt, By, Logged, Sought, covers, envelope

# How many attempts are looked at for a page. What failed is asked in the index alone, anything else in the rows.
LOOKED_AT = {
    By.MESSAGES: 5000, By.ERROR: 8000, By.STATUS: 8000, By.FAILED_OF_ENDPOINT: 8000, By.FAILED: 8000, By.TYPE: 2000,
    By.ENDPOINT: 2000, By.TIME: 2000,
}  # fmt: skip
# Of how many facts about an object the attempts are read at once.
READ_AT_ONCE = 200
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# How far the clocks of two machines may be apart.
APART = timedelta(minutes=5)


class Found(NamedTuple):
    """Attempts that fit, where to go on, and how far back the log was searched (None: to its beginning)."""

    attempts: Sequence[Logged]
    next_cursor: str | None
    searched_to: datetime | None


def types_of(asked: str | None, known: Sequence[str]) -> tuple[str, ...] | None:
    """Read types with commas between (exact, `registration.*`); raises `InvalidInput` for one that there is not."""
    if asked is None:
        return None
    patterns = [one.strip() for one in asked.split(",")]
    for pattern in patterns:
        if not any(covers([pattern], one) or pattern == one for one in known):
            raise InvalidInput(
                f"{pattern[:40]!r} is no message type; there are: {', '.join(sorted(known))}.", pointer="/type"
            )
    return tuple(one for one in known if one in patterns or covers(patterns, one))


async def search(uow: UnitOfWork, window: Window, sought: Sought) -> Found:
    """Find attempts, newest first.

    A page looks at a bounded number of attempts, so one may hold few or none and still lead on: where several
    conditions hold for many attempts each, and for few together.
    """
    _check(sought)
    before = _place(window, sought.until or uow.now + APART)
    since = sought.since or EPOCH
    messages, ways = [], sought.ways()
    if sought.message_id is not None:
        messages = [sought.message_id]
    elif sought.object_id is not None:
        said = await store.said_of(uow, sought.object_id, READ_AT_ONCE + 1)
        if not said:
            return Found([], None, None)
        since = max(since, MESSAGE.time(MESSAGE.parse(said[0])) - APART)
        if len(said) <= READ_AT_ONCE:
            messages, sought = said, sought._replace(object_id=None)
    if messages:
        ways = [By.MESSAGES]
        since = max(since, min(MESSAGE.time(MESSAGE.parse(one)) for one in messages) - APART)
    return await _searched(uow, window, store.Stretch(before, since), sought, ways, messages)


async def _searched(
    uow: UnitOfWork, window: Window, stretch: store.Stretch, sought: Sought, ways: Sequence[By], messages: Sequence[str]
) -> Found:
    reached: list[tuple[store.Place, Sequence[store.Place]]] = []
    for by in ways:
        fit, last = await store.search(uow, by, stretch, sought, messages, LOOKED_AT[by], window.fetch)
        if len(fit) > window.limit:
            fit, last = fit[: window.limit], fit[window.limit - 1]
            return Found(await store.at_places(uow, fit), _cursor(window, last), last.at)
        if last is None:
            return Found(await store.at_places(uow, fit), None, None)
        reached.append((last, fit))
    last, fit = min(reached, key=lambda one: (one[0].at, one[0].id))
    return Found(await store.at_places(uow, fit), _cursor(window, last), last.at)


async def attempt(uow: UnitOfWork, attempt_id: str) -> tuple[Attempt, bytes | None]:
    """Give an attempt and the body that was sent; None if its message is no more."""
    found = None
    try:
        made = DELIVERY_ATTEMPT.time(DELIVERY_ATTEMPT.parse(attempt_id))
    except InvalidId:
        pass
    else:
        # Ids that are made within one millisecond can be of the one after it, never of one before.
        found = await store.attempt(uow, attempt_id, made - timedelta(seconds=1), made + timedelta(milliseconds=1))
    if found is None:
        raise NoSuchAttempt(f"There is no attempt {attempt_id[:64]} in the log; it may have been removed with its day.")
    if found.request_body is not None:
        return found, found.request_body
    try:
        fact = await following.get(uow, found.message_id)
    except NotFound:
        return found, None
    return found, envelope(fact.id, fact.type, fact.occurred_at, fact.organization_id, fact.team_id, fact.data)


def _check(sought: Sought) -> None:
    if sought.object_id is not None and not is_id(sought.object_id):
        raise InvalidInput("object_id is no id: give one like reg_ and 26 characters.", pointer="/object_id")
    if sought.message_id is not None:
        try:
            MESSAGE.parse(sought.message_id)
        except InvalidId as error:
            raise InvalidInput(str(error), pointer="/message_id") from None
    if sought.since is not None and sought.until is not None and sought.since >= sought.until:
        raise InvalidInput("Nothing lies between these times: `from` must be before `until`.", pointer="/from")


def _place(window: Window, until: datetime) -> store.Place:
    if window.before == FROM_THE_START:
        return store.Place(until, "")
    at, _, identifier = window.before.partition(" ")
    return store.Place(datetime.fromisoformat(at), identifier)


def _cursor(window: Window, last: store.Place) -> str:
    return cursor_at(window, f"{last.at.isoformat()} {last.id}")
