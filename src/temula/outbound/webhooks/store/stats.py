"""Every SQL statement that reads what was counted of attempts, and that adds days up."""

from datetime import datetime

from temula.kernel.database import UnitOfWork
from temula.kernel.sql import Statement
from temula.outbound.webhooks.model.counting import BUCKETS, Counted, Step

# An array's elements are added one by one: to unnest them and to group them again takes three times as long.
_LATENCY = ", ".join(f"sum(latency[{n}])" for n in range(1, BUCKETS + 1))
_SUMS = f"""sum(attempts)::bigint AS attempts, sum(delivered)::bigint AS delivered, sum(failures)::bigint AS failures,
    sum(retried)::bigint AS retries, ARRAY[{_LATENCY}]::bigint[] AS latency"""
_HOURS = f"""
SELECT hour AS start, {_SUMS} FROM webhook_hours
WHERE organization_id = $1 AND hour >= $2 AND hour < $3{{}} GROUP BY hour ORDER BY hour"""
# Days are there up to the last that an organization has, hours for what came after it. Of an organization that has none
# after a day, there was nothing.
_DAYS = f"""
SELECT day AS start, {_SUMS} FROM (
    SELECT day, attempts, delivered, failures, retried, latency FROM webhook_days
    WHERE organization_id = $1 AND day >= $2 AND day < $3{{0}}
    UNION ALL
    SELECT date_trunc('day', hour, 'UTC'), attempts, delivered, failures, retried, latency FROM webhook_hours
    WHERE organization_id = $1 AND hour < $3{{0}} AND hour >= greatest($2, (
        SELECT day + interval '24 hours' FROM webhook_days WHERE organization_id = $1 ORDER BY day DESC LIMIT 1))) AS c
GROUP BY day ORDER BY day"""
_OF_ENDPOINT = " AND endpoint_id = $4"
HOURS = Statement(_HOURS.format(""))
HOURS_OF_ENDPOINT = Statement(_HOURS.format(_OF_ENDPOINT))
DAYS = Statement(_DAYS.format(""))
DAYS_OF_ENDPOINT = Statement(_DAYS.format(_OF_ENDPOINT))

# From where on days are to be added up: the last that was, or the first of which there is an hour.
LAST_DAY = Statement("""
SELECT date_trunc('day', coalesce((SELECT max(day) FROM webhook_days), (SELECT min(hour) FROM webhook_hours)), 'UTC')
""")
ADD_UP_DAY = Statement(f"""
INSERT INTO webhook_days (organization_id, endpoint_id, day, attempts, delivered, failures, retried, latency)
SELECT organization_id, endpoint_id, $1::timestamptz, {_SUMS} FROM webhook_hours
WHERE hour >= $1 AND hour < $1::timestamptz + interval '24 hours' GROUP BY organization_id, endpoint_id
ON CONFLICT (organization_id, endpoint_id, day) DO UPDATE SET
    attempts = excluded.attempts, delivered = excluded.delivered, failures = excluded.failures,
    retried = excluded.retried, latency = excluded.latency
""")


async def counts(
    uow: UnitOfWork, step: Step, since: datetime, until: datetime, endpoint_id: str | None
) -> list[Counted]:
    """Give the counts of whole steps, oldest first; steps in which nothing was tried are not there."""
    asked = (uow.organization_id, since, until)
    if step is Step.HOUR:
        if endpoint_id is None:
            return await uow.rows(Counted, HOURS, *asked)
        return await uow.rows(Counted, HOURS_OF_ENDPOINT, *asked, endpoint_id)
    if endpoint_id is None:
        return await uow.rows(Counted, DAYS, *asked)
    return await uow.rows(Counted, DAYS_OF_ENDPOINT, *asked, endpoint_id)


async def last_day(uow: UnitOfWork) -> datetime | None:
    """Find the last day that was added up, or else the first that may be; None if nothing was ever counted."""
    found: datetime | None = await uow.value(LAST_DAY)
    return found


async def add_up_day(uow: UnitOfWork, day: datetime) -> int:
    """Add up a day from its hours, for every endpoint; done again it gives the same."""
    return await uow.run(ADD_UP_DAY, day)
