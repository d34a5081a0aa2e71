"""Use cases of dashboards: what was counted of attempts, by hour or day."""

from datetime import UTC, datetime
from typing import NamedTuple

from temula.kernel.database import UnitOfWork
from temula.kernel.errors import InvalidInput
from temula.outbound.webhooks import store
from temula.outbound.webhooks.model import Counted, Step, together

USUAL_STEPS = {Step.HOUR: 24, Step.DAY: 30}
MOST_STEPS = {Step.HOUR: 14 * 24, Step.DAY: 366}


class Chart(NamedTuple):
    """Counts from `since` to `until`: each step, with nothing where nothing was tried, and all together."""

    step: Step
    since: datetime
    until: datetime
    steps: list[Counted]
    total: Counted


async def stats(
    uow: UnitOfWork, step: Step, since: datetime | None, until: datetime | None, endpoint_id: str | None
) -> Chart:
    """Add up by step, of one endpoint or of all; times are widened to whole steps.

    With no times it is the last 24 hours, or the last 30 days, the present one included. What was counted of a deleted
    endpoint stays; of one that never was it is nothing.
    """
    last = step.start((until or uow.now).astimezone(UTC))
    end = last if until is not None and last == until else last + step.length
    start = end - USUAL_STEPS[step] * step.length if since is None else step.start(since.astimezone(UTC))
    number = (end - start) // step.length
    if number < 1:
        raise InvalidInput("Nothing lies between these times: `from` must be before `until`.", pointer="/from")
    if number > MOST_STEPS[step]:
        raise InvalidInput(
            f"That are {number} steps, and {MOST_STEPS[step]} are the most: ask for less time, or by day.",
            pointer="/from",
        )
    counted = {one.start: one for one in await store.counts(uow, step, start, end, endpoint_id)}
    starts = [start + n * step.length for n in range(number)]
    return Chart(
        step, start, end, [counted.get(one) or Counted(one) for one in starts], together(start, list(counted.values()))
    )
