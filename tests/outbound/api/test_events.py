"""Events and ticket types through the API: every act, every named failure."""

import asyncio
from typing import Any

import pytest

from temula.domain.organizations import service as organizations
from tests.harness.house import Running, Tenant

EVENT = {
    "name": "Malam Pertama", "starts_at": "2027-05-01T20:00:00+08:00", "ends_at": "2027-05-01T23:00:00+08:00",
    "timezone": "Asia/Kuala_Lumpur", "currency": "MYR", "venue": "Dewan", "description": "\u0b85\u0bae\u0bcd",
}  # fmt: skip


async def test_an_event_from_draft_to_archive(tenant: Tenant) -> None:
    """Created as a draft with what was given, published, archived; times come back in UTC."""
    event = await tenant.api.post("/events", EVENT)
    assert {**event, "id": ..., "created_at": ..., "updated_at": ...} == {
        **EVENT, "id": ..., "created_at": ..., "updated_at": ..., "team_id": None, "state": "draft",
        "visibility": "public", "starts_at": "2027-05-01T12:00:00Z", "ends_at": "2027-05-01T15:00:00Z",
    }  # fmt: skip
    assert event["id"].startswith("evt_")
    path = f"/events/{event['id']}"
    assert await tenant.api.get(path) == event
    assert (await tenant.api.post(f"{path}/publish"))["state"] == "published"
    assert (await tenant.api.post(f"{path}/publish"))["state"] == "published"
    assert (await tenant.api.post(f"{path}/archive"))["state"] == "archived"
    assert (await tenant.api.post(f"{path}/archive"))["state"] == "archived"
    for method, further, body in (("PATCH", "", {"name": "X"}), ("POST", "/publish", None), ("DELETE", "", None)):
        refused = await tenant.api.call(method, path + further, body)
        assert (refused.status, refused.code) == (409, "event_state")
    added = await tenant.api.call("POST", f"{path}/ticket-types", {"name": "T", "price": 1})
    assert added.code == "event_state"


async def test_a_change_touches_what_it_names(temula: Running, tenant: Tenant) -> None:
    """PATCH leaves out what it does not name; null takes the team away; nothing changed changes nothing."""
    async with temula.house.database.unit(tenant.actor) as uow:
        team = await organizations.add_team(uow, "Team")
    event = await tenant.api.post("/events", {**EVENT, "team_id": team.id})
    changed = await tenant.api.patch(f"/events/{event['id']}", {"venue": "Hall 2", "team_id": None})
    assert {**event, "venue": "Hall 2", "team_id": None, "updated_at": changed["updated_at"]} == changed
    assert changed["updated_at"] > event["updated_at"]
    assert await tenant.api.patch(f"/events/{event['id']}", {"venue": "Hall 2"}) == changed
    assert await tenant.api.patch(f"/events/{event['id']}", {}) == changed


@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
async def test_an_event_that_is_not_there(temula: Running, tenant: Tenant, method: str) -> None:
    """Nobody's event, text that is no id, and another organization's event are not told apart."""
    theirs = await (await temula.tenant(connected=False)).api.post("/events", EVENT)
    for identifier in ("evt_00000000000000000000000000", "x", "..%2f", theirs["id"], theirs["id"].upper()):
        answer = await tenant.api.call(method, f"/events/{identifier}", {} if method == "PATCH" else None)
        assert (answer.status, answer.code) == (404, "event_not_found")


async def test_a_team_of_others_is_no_team(temula: Running, tenant: Tenant) -> None:
    """An event cannot be given to a team of another organization."""
    other = await temula.tenant(connected=False)
    async with temula.house.database.unit(other.actor) as uow:
        team = await organizations.add_team(uow, "Team")
    answer = await tenant.api.call("POST", "/events", {**EVENT, "team_id": team.id})
    assert answer.status == 404
    assert await tenant.api.every("/events") == []


async def test_a_draft_can_be_deleted_and_nothing_else(temula: Running, tenant: Tenant) -> None:
    """A draft goes with its ticket types and gates; what was published is archived instead, and the answer says so."""
    draft = await tenant.api.post("/events", EVENT)
    kind = await tenant.api.post(f"/events/{draft['id']}/ticket-types", {"name": "T", "price": 1})
    await tenant.api.post("/checkpoints", {"event_id": draft["id"], "name": "Gate"})
    await tenant.api.delete(f"/events/{draft['id']}")
    assert (await tenant.api.call("GET", f"/events/{draft['id']}")).code == "event_not_found"
    assert (await tenant.api.call("GET", f"/ticket-types/{kind['id']}")).code == "ticket_type_not_found"
    assert await tenant.api.every("/checkpoints") == []
    sold = (await temula.sale(tenant)).event
    refused = await tenant.api.call("DELETE", f"/events/{sold['id']}")
    assert (refused.status, refused.code) == (409, "event_state")
    assert "archive" in refused.json["detail"]


async def test_lists_are_newest_first_in_pages(tenant: Tenant) -> None:
    """Pages of any size give every event once, newest first; what comes in between moves nothing."""
    made = [(await tenant.api.post("/events", {**EVENT, "name": f"E{n}"}))["id"] for n in range(7)]
    for limit in (1, 2, 3, 7, 100):
        assert [one["id"] for one in await tenant.api.every("/events", limit)] == made[::-1]
    first = await tenant.api.get("/events?limit=3")
    await tenant.api.post("/events", EVENT)
    second = await tenant.api.get(f"/events?limit=4&cursor={first['next_cursor']}")
    assert [one["id"] for one in first["data"] + second["data"]] == made[::-1]
    assert second["next_cursor"] is None


async def test_a_cursor_belongs_to_its_list(temula: Running, tenant: Tenant) -> None:
    """A cursor of other filters, of another list or of another organization is refused."""
    for n in range(2):
        await tenant.api.post("/events", {**EVENT, "name": f"E{n}"})
    cursor = (await tenant.api.get("/events?limit=1"))["next_cursor"]
    other = await temula.tenant(connected=False)
    for answer in (
        await tenant.api.call("GET", f"/events?limit=1&state=draft&cursor={cursor}"),
        await tenant.api.call("GET", f"/registrations?cursor={cursor}"),
        await other.api.call("GET", f"/events?cursor={cursor}"),
    ):
        assert (answer.status, answer.json["errors"][0]["pointer"]) == (422, "/cursor")


async def test_events_are_filtered_by_state(tenant: Tenant) -> None:
    """`state` narrows to drafts, published or archived ones."""
    ids: dict[str, str] = {}
    for state, acts in (("draft", ()), ("published", ("publish",)), ("archived", ("publish", "archive"))):
        ids[state] = (await tenant.api.post("/events", EVENT))["id"]
        for act in acts:
            await tenant.api.post(f"/events/{ids[state]}/{act}")
    for state, identifier in ids.items():
        assert [one["id"] for one in await tenant.api.every(f"/events?state={state}")] == [identifier]


async def test_what_has_not_changed_is_not_sent_again(tenant: Tenant) -> None:
    """`If-None-Match` with the ETag of what the caller has gives 304 without a body, also for lists."""
    event = await tenant.api.post("/events", EVENT)
    for path in (f"/events/{event['id']}", "/events", "/organization"):
        first = await tenant.api.call("GET", path)
        etag = first.headers["etag"]
        for named in (etag, f'"other", {etag}', f"W/{etag}"):
            again = await tenant.api.call("GET", path, headers={"If-None-Match": named})
            assert (again.status, again.body, again.headers["etag"]) == (304, b"", etag)
        assert (await tenant.api.call("GET", path, headers={"If-None-Match": '"other"'})).body == first.body
    old = (await tenant.api.call("GET", f"/events/{event['id']}")).headers["etag"]
    changed = await tenant.api.call("PATCH", f"/events/{event['id']}", {"name": "New"})
    now = await tenant.api.call("GET", f"/events/{event['id']}", headers={"If-None-Match": old})
    assert (now.status, now.headers["etag"]) == (200, changed.headers["etag"])


async def test_only_what_was_seen_is_changed(tenant: Tenant) -> None:
    """`If-Match` of an older state is 412 and changes nothing, for every act on an event; `*` passes."""
    event = await tenant.api.post("/events", EVENT)
    path = f"/events/{event['id']}"
    old = {"If-Match": (await tenant.api.call("GET", path)).headers["etag"]}
    now = {"If-Match": (await tenant.api.call("PATCH", path, {"name": "B"}, headers=old)).headers["etag"]}
    acts: list[tuple[str, str, Any]] = [
        ("PATCH", path, {"name": "C"}), ("POST", f"{path}/publish", None), ("POST", f"{path}/archive", None),
        ("DELETE", path, None),
    ]  # fmt: skip
    for method, address, body in acts:
        refused = await tenant.api.call(method, address, body, headers=old)
        assert (refused.status, refused.code) == (412, "precondition_failed")
    assert (await tenant.api.get(path))["name"] == "B"
    assert (await tenant.api.call("PATCH", path, {"name": "C"}, headers={"If-Match": "*"})).status == 200
    assert (await tenant.api.call("PATCH", path, {"name": "D"}, headers=now)).status == 412
    last = (await tenant.api.call("GET", path)).headers["etag"]
    assert (await tenant.api.call("DELETE", path, headers={"If-Match": last})).status == 204


async def test_of_many_changes_to_what_was_seen_one_wins(tenant: Tenant) -> None:
    """Fifty changes at once under one ETag: one passes, the others are told."""
    event = await tenant.api.post("/events", EVENT)
    path = f"/events/{event['id']}"
    seen = {"If-Match": (await tenant.api.call("GET", path)).headers["etag"]}
    answers = await asyncio.gather(
        *(tenant.api.call("PATCH", path, {"name": f"N{n}"}, headers=seen) for n in range(50))
    )
    assert sorted(one.status for one in answers) == [200] + [412] * 49


async def test_ticket_types(tenant: Tenant) -> None:
    """Added in the event's currency, changed, listed, removed."""
    event = await tenant.api.post("/events", EVENT)
    path = f"/events/{event['id']}/ticket-types"
    made = await tenant.api.post(path, {"name": "VIP", "price": 15000, "quota": 10})
    assert (made["currency"], made["taken"], made["event_id"]) == ("MYR", 0, event["id"])
    free = await tenant.api.post(path, {"name": "Free", "price": 0})
    assert free["quota"] is None
    assert [one["id"] for one in await tenant.api.every(path, 1)] == [free["id"], made["id"]]
    one = f"/ticket-types/{made['id']}"
    changed = await tenant.api.patch(one, {"price": 20000, "quota": None, "sale_ends_at": "2027-01-01T00:00:00Z"})
    assert (changed["price"], changed["quota"], changed["sale_ends_at"]) == (20000, None, "2027-01-01T00:00:00Z")
    assert await tenant.api.get(one) == changed
    backwards = await tenant.api.call("PATCH", one, {"sale_starts_at": "2027-02-01T00:00:00Z"})
    assert backwards.json["errors"][0]["pointer"] == "/sale_ends_at"
    await tenant.api.delete(one)
    for method in ("GET", "PATCH", "DELETE"):
        assert (await tenant.api.call(method, one, {} if method == "PATCH" else None)).code == "ticket_type_not_found"
    assert (await tenant.api.call("GET", "/events/evt_x/ticket-types")).code == "event_not_found"
    assert (await tenant.api.call("POST", "/events/evt_x/ticket-types", {"name": "T", "price": 1})).status == 404


async def test_taken_tickets_hold_their_type(temula: Running, tenant: Tenant) -> None:
    """A type of which tickets are taken cannot be removed, and its quota not be set below them."""
    sale = await temula.sale(tenant, prices=(0,), quota=5)
    (kind,) = sale.types
    seats = [{"ticket_type_id": kind["id"]}] * 2
    order = {"event_id": sale.event["id"], "buyer": {"name": "A", "email": "a@example.org"}, "attendees": seats}
    await tenant.api.post("/registrations", order)
    path = f"/ticket-types/{kind['id']}"
    for refused in (await tenant.api.call("DELETE", path), await tenant.api.call("PATCH", path, {"quota": 1})):
        assert (refused.status, refused.code) == (409, "event_state")
    assert (await tenant.api.patch(path, {"quota": 2}))["taken"] == 2
