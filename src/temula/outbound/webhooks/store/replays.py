"""Every SQL statement of replays: what is asked, how far each is, what goes into the queues and out again."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec

from temula.kernel.database import UnitOfWork
from temula.kernel.pages import Window
from temula.kernel.sql import Statement, columns
from temula.outbound.webhooks.model import Part, Progress, Replay, ReplayState, Standing, Subscription

ADD_REPLAY = Statement("""
INSERT INTO webhook_replays (organization_id, id, kind, endpoint_id, criteria, rate, created_at)
VALUES ($1, $2, $3, $4, $5, $6, $7)
""")
ADD_PARTS = Statement("""
INSERT INTO webhook_replay_parts (organization_id, replay_id, endpoint_id, fed_at, step_at)
SELECT organization_id, $2, id, $4, $4 FROM webhook_endpoints
WHERE organization_id = $1 AND deleted_at IS NULL AND ($3::text IS NULL OR id = $3)
""")
# What waits and what came of it is counted where it stands, until nothing can come any more; then it is written down.
_DELIVERED = """
SELECT count(*) FROM webhook_attempts a WHERE a.organization_id = r.organization_id AND a.replay_id = r.id
    AND a.at >= r.created_at - interval '1 minute' AND a.outcome = 'delivered'"""
_FAILED = _DELIVERED.replace("= 'delivered'", "IN ('exhausted', 'gone')")
_PROGRESS = f"""
SELECT r.organization_id, r.id, r.kind, r.endpoint_id, r.criteria, r.rate, r.state, p.counting, p.matched, p.added,
    CASE WHEN r.finished_at IS NOT NULL THEN 0 ELSE (
        SELECT count(*) FROM webhook_deliveries d
        WHERE d.organization_id = r.organization_id AND d.replay_id = r.id) END AS waiting,
    coalesce(r.delivered, ({_DELIVERED})) AS delivered, coalesce(r.failed, ({_FAILED})) AS failed, p.held,
    r.created_at, r.finished_at
FROM webhook_replays r CROSS JOIN LATERAL (
    SELECT coalesce(bool_or(q.state = 'counting'), false) AS counting,
        coalesce(sum(q.matched), 0)::bigint AS matched, coalesce(sum(q.added), 0)::bigint AS added,
        coalesce(array_agg(q.endpoint_id ORDER BY q.endpoint_id)
            FILTER (WHERE q.state <> 'over' AND e.state <> 'enabled'), '{{}}') AS held
    FROM webhook_replay_parts q
    JOIN webhook_endpoints e ON e.organization_id = q.organization_id AND e.id = q.endpoint_id
    WHERE q.organization_id = r.organization_id AND q.replay_id = r.id) AS p
WHERE r.organization_id = $1"""
PROGRESS = Statement(f"{_PROGRESS} AND r.id = $2")
REPLAYS = Statement(f"{_PROGRESS} AND r.id < $2 ORDER BY r.id DESC LIMIT $3")
REPLAY = Statement(f"SELECT {columns(Replay)} FROM webhook_replays WHERE organization_id = $1 AND id = $2")
LOCK_REPLAY = Statement(f"{REPLAY} FOR UPDATE")
# In the order in which a step locks: its part, then the replay.
LOCK_PARTS = Statement(f"""
SELECT {columns(Part)} FROM webhook_replay_parts WHERE organization_id = $1 AND replay_id = $2
ORDER BY endpoint_id FOR UPDATE
""")
CANCEL = Statement("UPDATE webhook_replays SET state = 'cancelled' WHERE organization_id = $1 AND id = $2")
CANCEL_PARTS = Statement("""
UPDATE webhook_replay_parts SET state = 'removing', step_at = $3
WHERE organization_id = $1 AND replay_id = $2 AND state <> 'over'
""")
NEXT_PARTS = Statement(f"""
SELECT {columns(Part)} FROM webhook_replay_parts WHERE state <> 'over' ORDER BY step_at LIMIT $1
""")
# One that is locked is at work: its next step is somebody's already.
TAKE_PART = Statement(f"""
SELECT {columns(Part)} FROM webhook_replay_parts
WHERE organization_id = $1 AND replay_id = $2 AND endpoint_id = $3 AND state <> 'over' AND step_at <= $4
FOR UPDATE SKIP LOCKED
""")
KEEP_PART = Statement("""
UPDATE webhook_replay_parts SET state = $4, matched = $5, added = $6, looked_to = $7, allowance = $8, fed_at = $9,
    step_at = $10
WHERE organization_id = $1 AND replay_id = $2 AND endpoint_id = $3
""")
# After `LOCK_REPLAY`, in a statement of its own: its snapshot then has every part that is over.
FINISH = Statement("""
UPDATE webhook_replays r SET finished_at = $3, state = CASE state WHEN 'cancelled' THEN state ELSE 'done' END
WHERE organization_id = $1 AND id = $2 AND NOT EXISTS (
    SELECT FROM webhook_replay_parts q
    WHERE q.organization_id = r.organization_id AND q.replay_id = r.id AND q.state <> 'over')
""")
# Of what was taken back, by cancelling or with its endpoint, some was under way, and is logged when it has ended.
COUNT_ENDED = Statement(f"""
UPDATE webhook_replays r SET delivered = ({_DELIVERED}), failed = ({_FAILED})
WHERE organization_id = $1 AND id = $2 AND state = 'done' AND delivered IS NULL AND NOT EXISTS (
    SELECT FROM webhook_replay_parts q
    JOIN webhook_endpoints e ON e.organization_id = q.organization_id AND e.id = q.endpoint_id
    WHERE q.organization_id = r.organization_id AND q.replay_id = r.id AND e.deleted_at IS NOT NULL)
""")
COUNT_SETTLED = Statement(f"""
UPDATE webhook_replays r SET delivered = ({_DELIVERED}), failed = ({_FAILED})
WHERE (organization_id, id) = (
    SELECT organization_id, id FROM webhook_replays WHERE finished_at < $1 AND delivered IS NULL LIMIT 1)
""")
STANDING = Statement("""
SELECT count(*) FILTER (WHERE next_at <= $4) AS due,
    count(*) FILTER (WHERE next_at > $4 AND next_at <= $5) AS coming, count(*) AS waiting, min(next_at) AS first
FROM webhook_deliveries WHERE organization_id = $1 AND replay_id = $2 AND endpoint_id = $3
""")
HURRY_SOME = Statement("""
UPDATE webhook_deliveries SET next_at = $4, lane = 2, replay_id = $3
WHERE organization_id = $1 AND id = ANY($2::text[]) AND next_at > $4
""")
HURRY_QUEUE = Statement("""
UPDATE webhook_queues SET due_at = $3 WHERE organization_id = $1 AND endpoint_id = $2 AND due_at > $3
""")
# What a replay has hurried was there before it, and stays. What a worker is recording is left to it.
REMOVE_SOME = Statement("""
DELETE FROM webhook_deliveries WHERE organization_id = $1 AND id IN (
    SELECT id FROM webhook_deliveries
    WHERE organization_id = $1 AND replay_id = $2 AND endpoint_id = $3 AND created_at >= $4
    ORDER BY id LIMIT $5 FOR UPDATE SKIP LOCKED)
""")
LEFT = Statement("""
SELECT EXISTS (SELECT FROM webhook_deliveries
    WHERE organization_id = $1 AND replay_id = $2 AND endpoint_id = $3 AND created_at >= $4)
""")
SUBSCRIPTION = Statement(f"""
SELECT {columns(Subscription)} FROM webhook_endpoints WHERE organization_id = $1 AND id = $2 AND deleted_at IS NULL
""")
# Shared, so that it is not paused between this look and what is added for it.
SHARE_SUBSCRIPTION = Statement(f"{SUBSCRIPTION} FOR SHARE")
ENDPOINT_IDS = Statement("""
SELECT id FROM webhook_endpoints WHERE organization_id = $1 AND deleted_at IS NULL ORDER BY id
""")
# One step at an endpoint at a time, whichever replay it is of: two could add the same message.
ALONE = Statement("SELECT pg_advisory_xact_lock(hashtextextended('webhook_replays|' || $1::text, 0))")
FORGET_REPLAYS = Statement("DELETE FROM webhook_replays WHERE finished_at < $1")


class _Named(msgspec.Struct, frozen=True):
    """An id."""

    id: str


async def add_replay(uow: UnitOfWork, replay: Replay) -> None:
    """Add a replay and its part for each endpoint; its horizon is this transaction."""
    r = replay
    await uow.run(ADD_REPLAY, r.organization_id, r.id, r.kind, r.endpoint_id, r.criteria, r.rate, r.created_at)
    await uow.run(ADD_PARTS, r.organization_id, r.id, r.endpoint_id, r.created_at)


async def progress(uow: UnitOfWork, replay_id: str) -> Progress | None:
    """Find a replay and how far it is."""
    return await uow.row(Progress, PROGRESS, uow.organization_id, replay_id)


async def replays(uow: UnitOfWork, window: Window) -> list[Progress]:
    """List replays, newest first."""
    return await uow.rows(Progress, REPLAYS, uow.organization_id, window.before, window.fetch)


async def replay(uow: UnitOfWork, replay_id: str) -> Replay | None:
    """Find a replay as it was asked for."""
    return await uow.row(Replay, REPLAY, uow.organization_id, replay_id)


async def cancel(uow: UnitOfWork, replay_id: str) -> ReplayState | None:
    """Cancel a replay that is running; give what it was before, None if there is none."""
    await uow.rows(Part, LOCK_PARTS, uow.organization_id, replay_id)
    before = await uow.row(Replay, LOCK_REPLAY, uow.organization_id, replay_id)
    if before is not None and before.state == ReplayState.RUNNING:
        await uow.run(CANCEL, uow.organization_id, replay_id)
        await uow.run(CANCEL_PARTS, uow.organization_id, replay_id, uow.now)
    return None if before is None else before.state


async def next_parts(uow: UnitOfWork, most: int) -> list[Part]:
    """List the parts whose next step is due first; only a crossing unit of work sees them all."""
    return await uow.rows(Part, NEXT_PARTS, most)


async def take_part(uow: UnitOfWork, part: Part) -> Part | None:
    """Lock a part for its next step, if nobody else is at it."""
    return await uow.row(Part, TAKE_PART, uow.organization_id, part.replay_id, part.endpoint_id, uow.now)


async def keep_part(uow: UnitOfWork, p: Part) -> None:
    """Write where a part's next step goes on."""
    await uow.run(
        KEEP_PART, p.organization_id, p.replay_id, p.endpoint_id, p.state, p.matched, p.added, p.looked_to, p.allowance,
        p.fed_at, p.step_at,
    )  # fmt: skip


async def finish(uow: UnitOfWork, replay_id: str) -> bool:
    """End a replay all parts of which are over, and write down what came of it, unless more can come."""
    await uow.row(Replay, LOCK_REPLAY, uow.organization_id, replay_id)
    ended = bool(await uow.run(FINISH, uow.organization_id, replay_id, uow.now))
    if ended:
        await uow.run(COUNT_ENDED, uow.organization_id, replay_id)
    return ended


async def settle_one(uow: UnitOfWork, before: datetime) -> bool:
    """Write down what came of a replay that ended before a time, if there is one of which it is not written.

    One at a time, because it can be a million attempts; only a crossing unit of work sees them all.
    """
    return bool(await uow.run(COUNT_SETTLED, before))


async def standing(uow: UnitOfWork, part: Part, within: timedelta) -> Standing:
    """Count what waits of a replay at an endpoint."""
    found = await uow.row(
        Standing, STANDING, uow.organization_id, part.replay_id, part.endpoint_id, uow.now, uow.now + within
    )
    return found or Standing(0, 0, 0, None)


async def hurry(uow: UnitOfWork, part: Part, delivery_ids: Sequence[str]) -> int:
    """Let deliveries that wait for a later time go now, as part of a replay."""
    if not delivery_ids:
        return 0
    number = await uow.run(HURRY_SOME, uow.organization_id, list(delivery_ids), part.replay_id, uow.now)
    await uow.run(HURRY_QUEUE, uow.organization_id, part.endpoint_id, uow.now)
    return number


async def remove_some(uow: UnitOfWork, part: Part, since: datetime, most: int) -> bool:
    """Remove what a replay has added and what still waits; tell whether there is more of it."""
    named = (uow.organization_id, part.replay_id, part.endpoint_id, since)
    await uow.run(REMOVE_SOME, *named, most)
    return bool(await uow.value(LEFT, *named))


async def subscription(uow: UnitOfWork, endpoint_id: str, *, share: bool = False) -> Subscription | None:
    """Find what an endpoint wants to hear of; `share` keeps others from changing it until the commit."""
    if share:
        return await uow.row(Subscription, SHARE_SUBSCRIPTION, uow.organization_id, endpoint_id)
    return await uow.row(Subscription, SUBSCRIPTION, uow.organization_id, endpoint_id)


async def endpoint_ids(uow: UnitOfWork) -> list[str]:
    """List the organization's endpoints."""
    return [one.id for one in await uow.rows(_Named, ENDPOINT_IDS, uow.organization_id)]


async def alone(uow: UnitOfWork, endpoint_id: str) -> None:
    """Wait until no other replay takes a step at the endpoint."""
    await uow.value(ALONE, endpoint_id)


async def forget_replays(uow: UnitOfWork, before: datetime) -> int:
    """Remove replays that ended before a time; only a crossing unit of work sees them all."""
    return await uow.run(FORGET_REPLAYS, before)
