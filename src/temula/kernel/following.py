"""Following facts: a part names the types it follows; each is handled once, in a unit of work of its organization.

That it was handled is written in the same transaction, so a fact that is read again changes nothing. One whose handling
fails does not hold up the others: it becomes a job that tries again with backoff.
"""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any, NamedTuple

import msgspec
import structlog

from temula.kernel.consumers import Consumer
from temula.kernel.database import Database, UnitOfWork
from temula.kernel.errors import DatabaseAway, NotFound
from temula.kernel.facts import Fact, StoredFact
from temula.kernel.jobs import Job
from temula.kernel.runner import AnyHandler, Handler
from temula.kernel.sql import Statement, columns
from temula.kernel.tenancy import Actor, system

log = structlog.get_logger()

Follow = Callable[[UnitOfWork, Any], Awaitable[None]]

FOLLOWED = Statement("""
SELECT EXISTS (SELECT FROM followed_facts WHERE organization_id = $1 AND follower = $2 AND fact_id = $3)
""")
NOTE_FOLLOWED = Statement("""
INSERT INTO followed_facts (organization_id, follower, fact_id) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING
""")
GET = Statement(f"SELECT {columns(StoredFact)} FROM facts WHERE organization_id = $1 AND id = $2")


class FollowUp(Job, frozen=True, kw_only=True):
    """Handle a fact for a follower that failed at it before."""

    KIND = "facts.follow_up"
    follower: str
    fact_id: str

    @property
    def dedupe(self) -> str:
        """One waiting follow-up for each follower and fact."""
        return f"{self.follower}:{self.fact_id}"


class _DoneMeanwhile(Exception):
    """Another worker handled the fact at the same time: what was done here is rolled back."""


class Follower(NamedTuple):
    """Who follows which types of fact, and what it does with each."""

    name: str
    follows: Mapping[type[Fact], Follow]


def consumer(database: Database, follower: Follower) -> Consumer:
    """Give the consumer that reads for a follower."""

    async def handle(found: list[StoredFact]) -> None:
        for fact in found:
            try:
                await _follow(database, follower, fact)
            except DatabaseAway:
                raise
            except Exception as error:  # noqa: BLE001 - whatever it raises is tried again as a job
                log.warning("fact.follow_failed", follower=follower.name, fact=fact.id, error=str(error)[:300])
                async with database.unit(system(follower.name, fact.organization_id)) as uow:
                    uow.enqueue(FollowUp(follower=follower.name, fact_id=fact.id), delay=1.0)

    return Consumer(follower.name, handle)


def handlers(database: Database, followers: tuple[Follower, ...]) -> dict[str, AnyHandler]:
    """Give what runs follow-ups."""
    by_name = {follower.name: follower for follower in followers}

    async def follow_up(actor: Actor, job: FollowUp) -> None:
        async with database.reading(actor) as uow:
            fact = await get(uow, job.fact_id)
        await _follow(database, by_name[job.follower], fact)

    return {FollowUp.KIND: Handler(FollowUp, follow_up)}


async def get(uow: UnitOfWork, fact_id: str) -> StoredFact:
    """Find one of the organization's facts."""
    if (fact := await uow.row(StoredFact, GET, uow.organization_id, fact_id)) is None:
        raise NotFound(f"There is no message {fact_id}.")
    return fact


async def _follow(database: Database, follower: Follower, fact: StoredFact) -> None:
    for kind, follow in follower.follows.items():
        # A row of a public type that is not public itself is a test message: it did not happen.
        if fact.type == kind.TYPE and fact.public == kind.PUBLIC:
            work = partial(_once, follower=follower.name, fact=fact, follow=follow, kind=kind)
            with suppress(_DoneMeanwhile):
                await database.run(system(follower.name, fact.organization_id), work)


async def _once(uow: UnitOfWork, *, follower: str, fact: StoredFact, follow: Follow, kind: type[Fact]) -> None:
    row = (fact.organization_id, follower, fact.id)
    if await uow.value(FOLLOWED, *row):
        return
    await follow(uow, msgspec.json.decode(fact.data, type=kind))
    # Written last: whoever does the same at the same time waits here and then rolls back, and what only reads and draws
    # for long before it writes does not hold up the log's readers.
    if not await uow.run(NOTE_FOLLOWED, *row):
        raise _DoneMeanwhile
