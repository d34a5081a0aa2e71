"""What is past its time is archived, and then it goes: a whole day at once, or some organizations' rows of it."""

from collections.abc import Callable, Sequence
from datetime import date, timedelta
from typing import NamedTuple

import structlog

from temula.domain.organizations import service as organizations
from temula.kernel.database import Database
from temula.kernel.errors import TemulaError, Unavailable
from temula.kernel.ids import OrganizationId
from temula.outbound.webhooks import store
from temula.outbound.webhooks.service.archives import ALONE, Archives, Told, bounds

log = structlog.get_logger()

STEP = 5000
# A day's partition is dropped between two breaths of those who write the log.
TRIES, PAUSE = 200, 0.25


class Due(NamedTuple):
    """A day with organizations whose time for it is over; if that is all who have rows in it, it goes `whole`."""

    day: date
    over: Sequence[OrganizationId]
    whole: bool


class Seen(NamedTuple):
    """What of an organization is due in a day: for whoever only wants to look."""

    day: date
    organization_id: OrganizationId
    rows: int
    archived: bool
    whole: bool


class Progress(NamedTuple):
    """Who is told as it goes on: what begins with how many rows of whose day, and of rows that are done."""

    begun: Callable[[str, date, OrganizationId, int], None]
    done: Told


def _nobody(*_: object) -> None:
    """Tell nobody."""


QUIET = Progress(_nobody, _nobody)


async def due(database: Database, days: int) -> list[Due]:
    """Find what is past its time: `days`, or more where the plan says so. Oldest first."""
    now = database.clock.now()
    kept = {one.organization_id: one.delivery_days(days) for one in await organizations.every(database)}
    async with database.crossing("finding days of the log that are over") as uow:
        past = await store.days(uow, now.date() - timedelta(days=days))
    found = []
    for day in past:
        begin, end = bounds(day)
        async with database.crossing("finding whose attempts an old day holds") as uow:
            there = await store.organizations_of_day(uow, begin, end)
        over = [one for one in there if end + timedelta(days=kept.get(one, days)) <= now]
        if over or not there:
            found.append(Due(day, over, whole=len(over) == len(there)))
    return found


async def look(database: Database, archives: Archives | None, days: int) -> list[Seen]:
    """Tell what `forget` would do now, and do nothing."""
    seen = []
    for one in await due(database, days):
        for organization_id in one.over:
            rows = await _count(database, one.day, organization_id)
            seen.append(Seen(one.day, organization_id, rows, archives is not None, one.whole))
    return seen


async def forget(database: Database, archives: Archives | None, days: int, progress: Progress = QUIET) -> list[Due]:
    """Archive what is past its time, unless `archives` is None, and remove it; give what was done.

    Nothing goes that is not archived: whatever the storage raises ends it there, and it can be run again.
    """
    async with database.alone(ALONE) as still:
        done = await due(database, days)
        for one in done:
            for organization_id in one.over:
                await _archive(database, archives, one.day, organization_id, progress)
            await still()
            await _note(database, one)
            if one.whole:
                await _drop(database, one.day)
            else:
                for organization_id in one.over:
                    await _remove(database, one.day, organization_id, progress)
            log.info("log.day_is_over", day=str(one.day), organizations=len(one.over), dropped=one.whole)
        return done


async def _archive(
    database: Database, archives: Archives | None, day: date, organization_id: OrganizationId, progress: Progress
) -> None:
    if archives is None:
        return
    progress.begun("archiving", day, organization_id, await _count(database, day, organization_id))
    try:
        await archives.write(database, organization_id, day, progress.done)
    except TemulaError as error:
        log.warning("archive.failed", organization=organization_id, day=str(day), code=error.code, detail=error.detail)
        raise


async def _note(database: Database, gone: Due) -> None:
    """Say that it goes before it does: nobody shall take what is forgotten for what never was."""
    async with database.crossing("noting up to when logs are forgotten") as uow:
        await store.note_forgotten(uow, gone.over, bounds(gone.day)[1])


async def _drop(database: Database, day: date) -> None:
    for attempt in range(TRIES):
        try:
            async with database.crossing("dropping a day of the log") as uow:
                await store.drop_day(uow, day)
        except Unavailable:
            if attempt == TRIES - 1:
                raise
            await database.clock.sleep(PAUSE)
        else:
            return


async def _remove(database: Database, day: date, organization_id: OrganizationId, progress: Progress) -> None:
    progress.begun("removing", day, organization_id, await _count(database, day, organization_id))
    begin, end = bounds(day)
    gone = STEP
    while gone == STEP:
        async with database.crossing("removing an organization's attempts of an old day") as uow:
            gone = await store.delete_of_day(uow, organization_id, begin, end, STEP)
        progress.done(gone)


async def _count(database: Database, day: date, organization_id: OrganizationId) -> int:
    begin, end = bounds(day)
    async with database.crossing("counting attempts of an old day") as uow:
        return await store.attempts_of_day(uow, organization_id, begin, end)
