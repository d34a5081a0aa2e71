"""Background jobs as rows: enqueued in the caller's transaction, claimed by lease, retried with exponential backoff.

A job that fails for good stays in the table as `dead` with its last error, where operators see and retry it.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import ClassVar, NamedTuple

import msgspec

from temula.kernel.ids import JOB, JobId, OrganizationId
from temula.kernel.sql import Statement

TOPIC = "jobs"
LEASE = 30.0
FIRST_WAIT = 1.0
LONGEST_WAIT = 3600.0


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """Base of every job's payload. `dedupe` (if given) lets at most one such job wait for its first try at a time."""

    KIND: ClassVar[str]
    TRIES: ClassVar[int] = 15

    @property
    def dedupe(self) -> str | None:
        """A key under which a second waiting job of this kind is not enqueued."""
        return None


class Wanted(NamedTuple):
    """A job not yet written."""

    job: Job
    organization_id: OrganizationId
    delay: float


class Claimed(msgspec.Struct, frozen=True):
    """A job this worker holds by lease; `tries` counts this one and fences its outcome.

    `dead` tells that its workers died under it once too often, so that it is not run any more; `last` that no other
    try follows this one.
    """

    organization_id: OrganizationId
    id: JobId
    kind: str
    payload: bytes
    tries: int
    dead: bool
    last: bool


class Visible(msgspec.Struct, frozen=True):
    """A job as operators see it."""

    organization_id: OrganizationId
    id: JobId
    kind: str
    state: str
    tries: int
    run_at: datetime
    last_error: str | None


ENQUEUE = Statement("""
INSERT INTO jobs (organization_id, id, kind, payload, dedupe, run_at, tries_left)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::json[], $5::text[], $6::timestamptz[], $7::int[])
ON CONFLICT DO NOTHING
""")

# `run_at` is also the lease: a claimed job becomes due again when its worker stops renewing. One that is due while it
# is `running` has lost its worker; that counts as a failed try, or a job that kills workers would do so for ever.
CLAIM = Statement("""
WITH due AS MATERIALIZED (
    SELECT organization_id, id FROM jobs WHERE state IN ('ready', 'running') AND run_at <= $3
    ORDER BY run_at LIMIT $1 FOR UPDATE SKIP LOCKED)
UPDATE jobs j SET tries = tries + 1, dedupe = NULL, run_at = $3::timestamptz + make_interval(secs => $2),
    state = CASE WHEN state = 'running' AND tries_left <= 1 THEN 'dead' ELSE 'running' END,
    tries_left = tries_left - (state = 'running')::int,
    last_error = CASE WHEN state = 'running' THEN 'its worker died, or stood still' ELSE last_error END
FROM due WHERE j.organization_id = due.organization_id AND j.id = due.id
RETURNING j.organization_id, j.id, kind, payload, tries, state = 'dead', tries_left <= 1
""")

RENEW = Statement("""
UPDATE jobs SET run_at = $5::timestamptz + make_interval(secs => $4)
WHERE organization_id = $1 AND id = $2 AND tries = $3 AND state = 'running'
""")

FINISH = Statement("""
DELETE FROM jobs USING unnest($1::text[], $2::text[], $3::int[]) AS done (organization_id, id, tries)
WHERE jobs.organization_id = done.organization_id AND jobs.id = done.id AND jobs.tries = done.tries
""")

FAIL = Statement("""
UPDATE jobs SET state = CASE WHEN tries_left <= 1 THEN 'dead' ELSE 'ready' END, tries_left = tries_left - 1,
    run_at = $6::timestamptz + make_interval(secs => $4), last_error = $5
WHERE organization_id = $1 AND id = $2 AND tries = $3
""")

LIST = Statement("""
SELECT organization_id, id, kind, state, tries, run_at, last_error FROM jobs
WHERE state = $1 ORDER BY run_at LIMIT $2
""")

REVIVE = Statement("""
UPDATE jobs SET state = 'ready', run_at = $2, tries_left = 5 WHERE state = 'dead' AND ($1::text IS NULL OR id = $1)
""")

TICK = Statement("""
UPDATE job_schedules SET next_at = $2 WHERE name = $1 AND next_at <= $3
""")

SCHEDULE = Statement("""
INSERT INTO job_schedules (name, next_at) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING
""")


def arguments(wanted: Sequence[Wanted], now: datetime) -> tuple[object, ...]:
    """Give the arguments of `ENQUEUE`."""
    return (
        [item.organization_id for item in wanted],
        [JOB.new(now) for _ in wanted],
        [item.job.KIND for item in wanted],
        [msgspec.json.encode(item.job) for item in wanted],
        [item.job.dedupe for item in wanted],
        [now + timedelta(seconds=item.delay) for item in wanted],
        [item.job.TRIES for item in wanted],
    )


def wait_before(tries: int) -> float:
    """Give the seconds to wait after try number `tries`: 1, 2, 4... at most an hour."""
    return min(FIRST_WAIT * 2.0 ** (tries - 1), LONGEST_WAIT)
