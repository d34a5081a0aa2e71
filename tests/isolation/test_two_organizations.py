"""One tenant's token with the other tenant's ids, in every place of every operation that takes one."""

import re
from typing import Any

import asyncpg
import pytest

from temula.domain.tickets.model.code import TicketCode, encode, generate_key, product_hint
from temula.kernel.clock import SystemClock
from temula.kernel.ids import EVENT, ORGANIZATION, TICKET, TICKET_TYPE
from temula.kernel.tenancy import system
from temula.outbound.callers import service as callers
from tests.harness.api import Answer, Api
from tests.harness.furnished import Furnished
from tests.harness.house import Running
from tests.harness.operations import Operation, Place, new_ids, operations, with_id
from tests.isolation.conftest import Two

# What is not a 404, because it is an answer about the caller's own things: it names nothing of the other tenant's.
ANSWERS = {
    ("POST /check-ins", "ticket_id"): (409, "ticket_not_found"),  # a refused scan is kept at the caller's own gate
    ("POST /check-ins", "code"): (409, "ticket_code_unknown_key"),
    ("POST /refunds", "attendee_ids"): (409, "registration_state"),  # "is not of this registration"
    ("POST /tickets/validate", "code"): (200, None),  # "not valid" is what was asked
    ("GET /webhooks/stats", "endpoint_id"): (200, None),  # a chart in which nothing was tried
}


def everything(one: Furnished) -> dict[str, str]:
    return {**one.ids, "code": one.code}


def unknown() -> dict[str, str]:
    """Ids of every kind that nobody has, and a code that nobody's key has signed."""
    now = SystemClock().now()
    code = TicketCode(ORGANIZATION.new(now), EVENT.new(now), TICKET.new(now), 0, product_hint(TICKET_TYPE.new(now)))
    return {**new_ids(), "code": encode(code, generate_key())}


def plain(answer: Answer, *values: str) -> str:
    """The answer without what must differ: the id that was asked for, and the request's own."""
    text = answer.body.decode()
    for value in values:
        text = text.replace(value, "ID")
    return re.sub(r'"request_id":"req_[0-9a-f]+"|no key [0-9a-f]{8}', "", text)


async def asked(api: Api, operation: Operation, place: Place, value: str, own: dict[str, str]) -> Answer:
    """The operation as its caller would use it, but for one id."""
    given = {**own, place.kind: value} if place.where == "path" else own
    url, body = operation.url(given), operation.body(own)
    if place.where == "query":
        url += f"?{place.name}={value}"
    if place.where == "body":
        assert body is not None
        body = with_id(body, place, value)
        if place.name == "code":
            body.pop("ticket_id", None)  # a scan gives one or the other
    # Whose state it was, If-Match must not tell either.
    headers = {"If-Match": '"x"'} if place.where == "path" else {}
    return await api.call(operation.method, url, body, headers=headers)


async def rows_of(owner: asyncpg.Connection, organization_id: str) -> dict[str, str]:
    """A digest of all rows of an organization, table by table; jobs and queues move by themselves."""
    tables = await owner.fetch(
        "SELECT c.relname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'organization_id' "
        "WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace "
        "AND c.relname NOT IN ('jobs', 'webhook_queues')"
    )
    digest = "SELECT md5(coalesce(string_agg((to_jsonb(t) - 'last_used_at')::text, '' ORDER BY t::text), '')) "
    return {
        row["relname"]: await owner.fetchval(
            f"{digest} FROM {row['relname']} t WHERE organization_id = $1", organization_id
        )
        for row in tables
    }


async def tried(api: Api, operation: Operation, own: dict[str, str], foreign: dict[str, str]) -> list[str]:
    """Use each foreign id in its place, beside one that does not exist; tell what is not as it should be."""
    wrong = []
    nobody = unknown()
    for place in operation.places:
        theirs = await asked(api, operation, place, foreign[place.kind], own)
        none = await asked(api, operation, place, nobody[place.kind], own)
        where = f"{operation.name} {place.where} {place.name}"
        if (theirs.status, plain(theirs, foreign[place.kind])) != (none.status, plain(none, nobody[place.kind])):
            wrong.append(f"{where}: told apart: {theirs.body!r} {none.body!r}")
        expected = ANSWERS.get((operation.name, place.name), (404, None))
        if place.where == "query" and (operation.name, place.name) not in ANSWERS:
            if theirs.status != 200 or theirs.json["data"] != []:
                wrong.append(f"{where}: {theirs.status} {theirs.body!r}")
        elif theirs.status != expected[0] or (expected[1] and theirs.code != expected[1]):
            wrong.append(f"{where}: {theirs.status} {theirs.body!r}")
    return wrong


async def test_the_other_tenants_ids_do_not_exist(own_temula: Running, two: Two, owner: asyncpg.Connection) -> None:
    """In every place, of every operation in the document, a foreign id is answered like one that does not exist."""
    mine, theirs = two
    before = await rows_of(owner, mine.tenant.id)
    listed = await operations(theirs.tenant.api)
    wrong = []
    for operation in listed:
        wrong += await tried(theirs.tenant.api, operation, everything(theirs), everything(mine))
    assert not wrong, "\n".join(wrong)
    assert sum(len(operation.places) for operation in listed) > 45
    assert await rows_of(owner, mine.tenant.id) == before


async def test_lists_hold_nothing_of_the_others(two: Two) -> None:
    """No list without a filter shows anything of the other tenant: not one id of it is in any answer."""
    mine, theirs = two
    found = []
    for operation in await operations(theirs.tenant.api):
        if operation.method == "GET" and "{" not in operation.path:
            answer = await theirs.tenant.api.call("GET", f"{operation.path}")
            assert answer.status == 200
            found += [(operation.name, one) for one in mine.ids.values() if one in answer.body.decode()]
            found += [(operation.name, "organization")] if mine.tenant.id in answer.body.decode() else []
    assert found == []


async def test_the_live_twin_knows_nothing_of_the_sandbox(own_temula: Running, two: Two) -> None:
    """A live token does not reach what is in the sandbox, nor the other way round."""
    mine, _ = two
    live = system("test", mine.tenant.organization.twin_id)
    async with own_temula.house.database.unit(live) as uow:
        _, token = await callers.create_token(uow, name="live", abilities=["*"])
    assert token.startswith("tml_live_")
    api, own = own_temula.api(token), unknown()
    wrong = []
    for operation in await operations(api):
        above_body = operation._replace(places=tuple(one for one in operation.places if one.where != "body"))
        wrong += await tried(api, above_body, own, everything(mine))
    assert not wrong, "\n".join(wrong)


async def test_cursors_of_the_others_are_refused(own_temula: Running, two: Two) -> None:
    """A cursor counts for the organization, the route and the filters that it came from."""
    mine, theirs = two
    for api in (mine.tenant.api, theirs.tenant.api):
        await api.post(
            "/checkpoints", {"event_id": (mine if api is mine.tenant.api else theirs).ids["event"], "name": "Z"}
        )
    cursor = (await mine.tenant.api.get("/checkpoints?limit=1"))["next_cursor"]
    assert cursor
    assert (await mine.tenant.api.call("GET", f"/checkpoints?limit=1&cursor={cursor}")).status == 200
    event = mine.ids["event"]
    for api, url in (
        (theirs.tenant.api, f"/checkpoints?cursor={cursor}"),
        (mine.tenant.api, f"/check-ins?cursor={cursor}"),
        (mine.tenant.api, f"/checkpoints?event_id={event}&cursor={cursor}"),
    ):
        assert (await api.call("GET", url)).status == 422, url


async def test_idempotency_keys_are_each_tenants_own(two: Two) -> None:
    """The other tenant's key is a new key: it replays nothing and refuses nothing."""
    mine, theirs = two
    body: dict[str, Any] = {"name": "Once", "price": 0}
    key = "the same key in both organizations"
    first = await mine.tenant.api.post(f"/events/{mine.ids['event']}/ticket-types", body, key=key)
    second = await theirs.tenant.api.post(f"/events/{theirs.ids['event']}/ticket-types", body, key=key)
    assert first["event_id"] == mine.ids["event"]
    assert second["event_id"] == theirs.ids["event"]


@pytest.mark.parametrize("stolen", ["event", "ticket"])
async def test_the_probe_bites(two: Two, stolen: str) -> None:
    """Used by its own tenant an id is found: the probe tells that from an id that does not exist."""
    mine, _ = two
    place = Place("path", f"{stolen}_id")
    operation = Operation("GET", f"/{stolen}s/{{{stolen}_id}}", (place,), takes_body=False)
    assert len(await tried(mine.tenant.api, operation, everything(mine), everything(mine))) == 2
