"""Messages that are asked for instead of sent: one order, nothing skipped, whoever writes at the same time."""

import asyncio
from typing import Any

from temula.domain.events.facts import EventArchived
from temula.kernel.database import Database, UnitOfWork
from temula.kernel.ids import EVENT
from temula.kernel.tenancy import Actor
from temula.operations import catalogue
from temula.outbound.webhooks import service
from temula.outbound.webhooks.service import BEGINNING
from tests.harness.ground import Happened, another, held_open, organization
from tests.harness.house import Running, Tenant

TYPES = frozenset(kind.TYPE for kind in catalogue.public_facts())
BODY = {"name": "E", "starts_at": "2027-05-01T12:00:00Z", "ends_at": "2027-05-01T13:00:00Z", "currency": "MYR"}


async def everything(api: Any, query: str = "", after: str | None = None) -> tuple[list[dict[str, Any]], str]:
    found: list[dict[str, Any]] = []
    while True:
        page = await api.get(f"/webhooks/messages?limit=2{query}" + (f"&after={after}" if after else ""))
        found += page["data"]
        after = page["next_cursor"]
        assert after is not None
        if not page["has_more"]:
            return found, after


async def test_pages_lead_on_and_a_cursor_is_always_given(tenant: Tenant) -> None:
    """Oldest first; the last cursor is where to go on tomorrow; any message's id is a cursor too."""
    api = tenant.api
    nothing, start = await everything(api)
    assert nothing == []
    assert (await api.get(f"/webhooks/messages?after={BEGINNING}"))["data"] == []
    event = await api.post("/events", BODY)
    path = f"/events/{event['id']}"
    await api.post(f"{path}/publish")
    for n in range(3):
        await api.patch(path, {"name": f"Night {n}"})
    found, cursor = await everything(api, after=start)
    assert [one["event_type"] for one in found] == ["event.published", *["event.updated"] * 3]
    assert [one["data"]["changes"]["name"]["to"] for one in found[1:]] == ["Night 0", "Night 1", "Night 2"]
    assert (await everything(api, after=cursor)) == ([], cursor)
    await api.post(f"{path}/archive")
    (archived,), _ = await everything(api, after=cursor)
    assert archived["event_type"] == "event.archived"
    assert [one["event_id"] for one in (await everything(api, after=found[1]["event_id"]))[0]] == [
        one["event_id"] for one in [*found[2:], archived]
    ]
    only, _ = await everything(api, "&types=event.published,event.archived")
    assert [one["event_type"] for one in only] == ["event.published", "event.archived"]
    assert len((await everything(api, "&types=event.*"))[0]) == 5
    assert (await everything(api, "&types=check_in.*"))[0] == []


async def test_one_can_begin_at_the_end(temula: Running, tenant: Tenant) -> None:
    """`latest` gives nothing of what there was and the cursor behind it, in a log of nothing too; types are checked."""
    fresh = (await temula.tenant(connected=False)).api
    empty = await fresh.get("/webhooks/messages?after=latest")
    assert empty == {"data": [], "next_cursor": BEGINNING, "has_more": False}
    api = tenant.api
    event = await api.post("/events", BODY)
    await api.post(f"/events/{event['id']}/publish")
    end = await api.get("/webhooks/messages?after=latest&types=event.*")
    assert (end["data"], end["has_more"]) == ([], False)
    assert end["next_cursor"] == (await everything(api))[1]
    await api.patch(f"/events/{event['id']}", {"name": "After"})
    found, _ = await everything(api, after=end["next_cursor"])
    assert [one["event_type"] for one in found] == ["event.updated"]
    assert (await everything(fresh, after=empty["next_cursor"]))[0] == []
    assert (await api.call("GET", "/webhooks/messages?after=latest&types=nope")).status == 422


async def test_the_end_is_before_what_is_still_being_written(database: Database, owner_url: str) -> None:
    """Who begins at the end while a transaction runs gets what it writes, and what was written beside it."""
    actor = await organization(database)
    async with another(owner_url, database) as writers:
        async with held_open(writers, actor, tell):
            async with database.unit(actor) as uow:
                await tell(uow)
            end = await pulled(database, actor, service.LATEST)
            assert (end.messages, end.has_more) == ([], False)
        assert len((await pulled(database, actor, end.next_cursor)).messages) == 2


async def test_what_is_no_cursor_is_refused(temula: Running, tenant: Tenant) -> None:
    """Another organization's message is none, nor is a type that there is not."""
    other = await temula.tenant(connected=False)
    await temula.sale(other)
    (theirs, *_), _ = await everything(other.api)
    for query in (f"after={theirs['event_id']}", "after=x", "types=nope", "types=event.published,nope", "limit=101"):
        answer = await tenant.api.call("GET", f"/webhooks/messages?{query}")
        assert answer.status == 422, query
    answer = await tenant.api.call("GET", f"/webhooks/messages/{theirs['event_id']}")
    assert (answer.status, answer.code) == (404, "webhook_message_not_found")
    assert (await other.api.get(f"/webhooks/messages/{theirs['event_id']}")) == theirs


async def tell(uow: UnitOfWork) -> None:
    uow.tell(EventArchived(event_id=EVENT.new(uow.now), archived_at="2027-05-01T12:00:00.000Z"))
    await uow.flush()
    uow._facts.clear()


async def pulled(database: Database, actor: Actor, after: str | None) -> service.Pulled:
    async with database.reading(actor) as uow:
        return await service.pull(uow, after=after, types=[], known=TYPES, limit=100)


async def test_nothing_appears_behind_a_cursor(database: Database, owner_url: str) -> None:
    """What is written by a transaction that is still running is not passed: the next page has it, in its place."""
    actor = await organization(database)
    async with another(owner_url, database) as writers:
        async with held_open(writers, actor, tell):
            async with database.unit(actor) as uow:
                await tell(uow)
            during = await pulled(database, actor, None)
            assert during.messages == []
        after = await pulled(database, actor, during.next_cursor)
    assert len(after.messages) == 2


async def test_nothing_is_missed_or_repeated_under_writers(database: Database) -> None:
    """Sixteen writers, and one who reads all the while: every message once, in the order of the log."""
    actor = await organization(database)
    writing = asyncio.gather(*(_write(database, actor, 10) for _ in range(16)))
    found: list[str] = []
    cursor: str | None = None
    while True:
        ended = writing.done()
        page = await pulled(database, actor, cursor)
        found += [one.id for one in page.messages]
        cursor = page.next_cursor
        if ended and not page.has_more and not page.messages:
            break
    assert len(found) == len(set(found)) == 160
    assert [one.id for one in (await _whole(database, actor))] == found


async def test_a_rare_type_is_found_over_several_pages(database: Database) -> None:
    """A page looks through 2,000 facts; where none of them fits it is empty and still leads on."""
    actor = await organization(database)
    for _ in range(5):
        async with database.unit(actor) as uow:
            for n in range(500):
                uow.tell(Happened(n=n))
    async with database.unit(actor) as uow:
        await tell(uow)
    first = await pulled(database, actor, None)
    assert (first.messages, first.has_more) == ([], True)
    second = await pulled(database, actor, first.next_cursor)
    assert (len(second.messages), second.has_more) == (1, False)


async def _write(database: Database, actor: Actor, times: int) -> None:
    for _ in range(times):
        async with database.unit(actor) as uow:
            await tell(uow)


async def _whole(database: Database, actor: Actor) -> list[Any]:
    found: list[Any] = []
    page = await pulled(database, actor, None)
    while page.messages:
        found += page.messages
        page = await pulled(database, actor, page.next_cursor)
    return found
