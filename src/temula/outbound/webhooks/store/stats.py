"""Every SQL statement that reads what was counted of attempts."""

from datetime import datetime

from temula.kernel.database import UnitOfWork
from temula.kernel.sql import Statement
from temula.outbound.webhooks.model.counting import BUCKETS, Counted, Step

# An array's elements are added one by one: to unnest them and to group them again takes three times as long.
_LATENCY = ", ".join(f"sum(latency[{n}])" for n in range(1, BUCKETS + 1))
_COUNTS = f"""
SELECT date_trunc($2::text, hour, 'UTC') AS start, sum(attempts) AS attempts, sum(delivered) AS delivered,
    sum(failures) AS failures, sum(retried) AS retries, ARRAY[{_LATENCY}] AS latency
FROM webhook_hours WHERE organization_id = $1 AND hour >= $3 AND hour < $4"""
COUNTS = Statement(f"{_COUNTS} GROUP BY 1 ORDER BY 1")
COUNTS_OF_ENDPOINT = Statement(f"{_COUNTS} AND endpoint_id = $5 GROUP BY 1 ORDER BY 1")


async def counts(
    uow: UnitOfWork, step: Step, since: datetime, until: datetime, endpoint_id: str | None
) -> list[Counted]:
    """Add up the counts of whole hours by step, oldest first; steps in which nothing was tried are not there."""
    asked = (uow.organization_id, step.value, since, until)
    if endpoint_id is None:
        return await uow.rows(Counted, COUNTS, *asked)
    return await uow.rows(Counted, COUNTS_OF_ENDPOINT, *asked, endpoint_id)
