"""What a replay sends to one endpoint: the same answer for whoever previews it, counts it, and sends it."""

from datetime import datetime, timedelta

from temula.kernel.database import UnitOfWork
from temula.kernel.facts import StoredFact
from temula.kernel.ids import MESSAGE
from temula.outbound.webhooks import store
from temula.outbound.webhooks.model import (
    EARLIEST,
    NEVER,
    PAGE,
    Chosen,
    Criteria,
    Found,
    Had,
    OrderBy,
    Outcome,
    Replay,
    ReplayKind,
    Subscription,
)

# By how much the clocks of those who tell and those who send may differ.
SKEW = timedelta(hours=1)


async def choose(uow: UnitOfWork, replay: Replay, endpoint: Subscription, after_id: str, *, limit: int = PAGE) -> Found:
    """Look through the next page of messages after one, and choose up to `limit` of them.

    A message that waits for the endpoint and is due is on its way, and is left alone. One that waits for a later try is
    chosen with its delivery, which then goes at once: nothing is sent twice because it was late.
    """
    if replay.kind == ReplayKind.MISSING:
        found = await _missing(uow, replay, endpoint, after_id)
    else:
        found = await _logged(uow, replay, endpoint, after_id)
    if len(found.chosen) > limit:
        return Found(found.chosen[:limit], found.chosen[limit - 1].message_id, ended=False)
    return found


async def _logged(uow: UnitOfWork, replay: Replay, endpoint: Subscription, after_id: str) -> Found:
    asked, begins = replay.asked, replay.asked.since or EARLIEST
    if replay.kind == ReplayKind.FAILED:  # whatever came later counts: it may have been delivered since
        between = begins, NEVER, min(replay.created_at, asked.until or NEVER)
    else:
        between = begins, asked.until or NEVER, replay.created_at
    ordered = endpoint.order_by != OrderBy.NONE
    rows = await store.logged(uow, endpoint.id, after_id, asked, between, ordered=ordered)
    chosen = [
        Chosen(one.id, one.type, None if one.data is None else endpoint.key_in(one.data), one.waits)
        for one in rows
        if _fits(replay, asked, endpoint, one) and (one.waits_until is None or one.waits_until > uow.now)
    ]
    return Found(chosen, rows[-1].id if rows else after_id, len(rows) < PAGE)


def _fits(replay: Replay, asked: Criteria, endpoint: Subscription, one: Had) -> bool:
    if not (one.fits and one.public and asked.covers(one.type, one.event_id)):
        return False
    if replay.kind == ReplayKind.FAILED and one.last == Outcome.DELIVERED:
        return False
    return endpoint.may_have(one.type, one.event_id)


async def _missing(uow: UnitOfWork, replay: Replay, endpoint: Subscription, after_id: str) -> Found:
    asked = replay.asked
    since, until = asked.since or EARLIEST, asked.until or NEVER
    facts = await store.happened(uow, max(after_id, MESSAGE.first(since)), replay.horizon)
    wanted = [
        fact
        for fact in facts
        if since <= fact.occurred_at < until and asked.covers(fact.type, fact.event_id) and endpoint.matches(fact)
    ]
    ended = len(facts) < PAGE
    if wanted:
        # What waits first: what is recorded between the two looks is then seen by one of them.
        waits = await store.waits(uow, endpoint.id, [fact.id for fact in wanted])
        first = min(fact.occurred_at for fact in wanted) - SKEW
        had = await store.had(uow, endpoint.id, [fact.id for fact in wanted], first)
        # And behind both, because it is said before it goes: what went meanwhile is known to be gone.
        begins = await store.log_begins(uow) or EARLIEST
        wanted = [fact for fact in wanted if fact.id not in waits | had and _can_be_told(fact, endpoint, begins)]
    chosen = [Chosen(fact.id, fact.type, endpoint.order_key(fact), None) for fact in wanted]
    return Found(chosen, facts[-1].id if facts else after_id, ended)


def _can_be_told(fact: StoredFact, endpoint: Subscription, log_begins: datetime) -> bool:
    """Tell whether the log still says what the endpoint had of a fact: it forgets, and facts stay."""
    return fact.occurred_at >= log_begins or fact.transaction < endpoint.since
