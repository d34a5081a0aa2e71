"""What an endpoint gets: by team, by filter, by a partner's grant, and as a test; how endpoints are listed."""

import json
from typing import Any

import asyncpg
import jsonschema
import pytest

from temula.domain.organizations import service as organizations
from temula.operations import catalogue
from tests.harness.house import Running, Tenant, until
from tests.harness.receiver import Receiver
from tests.outbound.webhooks.adding import EVENT, add, for_endpoint, got

SCHEMAS = {one.type: one.schema for one in catalogue.event_types().data}


async def team(temula: Running, tenant: Tenant) -> str:
    async with temula.house.database.unit(tenant.actor) as uow:
        return (await organizations.add_team(uow, "Front of house")).id


async def test_by_team_filter_and_grant(temula: Running, tenant: Tenant, hooks: Receiver) -> None:
    """Each endpoint gets what it is narrowed to and nothing else, whatever a partner's endpoint asks for."""
    api, front = tenant.api, await team(temula, tenant)
    ours, other = await api.post("/events", {**EVENT, "team_id": front}), await api.post("/events", EVENT)
    renamed = {"path": "data.changes.name.to", "eq": "Second"}
    of_type = {"path": "event_type", "eq": "event.archived"}
    partner = {"reference": "caterer", "types": ["event.updated"], "event_ids": [other["id"]]}
    wanted: list[tuple[dict[str, Any], set[tuple[str, str]]]] = [
        ({}, {(kind, one["id"]) for kind in ("published", "updated", "archived") for one in (ours, other)}),
        ({"team_id": front}, {(kind, ours["id"]) for kind in ("published", "updated", "archived")}),
        ({"filter": {"or": [renamed, of_type]}, "event_ids": [other["id"]]}, {("archived", other["id"])}),
        ({"filter": renamed}, {("updated", ours["id"])}),
        ({"partner": partner}, {("updated", other["id"])}),
        ({"partner": {**partner, "event_ids": None}}, {("updated", ours["id"]), ("updated", other["id"])}),
        ({"partner": {**partner, "event_ids": []}}, set()),
        ({"partner": partner, "types": ["event.published"]}, set()),
    ]  # fmt: skip
    made = [await add(api, hooks, **asked) for asked, _ in wanted]
    for event, name in ((ours, "Second"), (other, "Third")):
        await api.post(f"/events/{event['id']}/publish")
        await api.patch(f"/events/{event['id']}", {"name": name})
        await api.post(f"/events/{event['id']}/archive")

    async def all_there() -> bool:
        return len(hooks.arrivals) >= sum(len(expected) for _, expected in wanted)

    await until(all_there)
    for endpoint, (asked, expected) in zip(made, wanted, strict=True):
        arrived = for_endpoint(hooks, endpoint)
        told = {(one.type.partition(".")[2], one.message["data"]["event_id"]) for one in arrived}
        assert told == expected, asked
        assert len(arrived) == len(expected)


async def test_every_type_can_be_tested(tenant: Tenant, hooks: Receiver) -> None:
    """An example of each, to the one endpoint, signed, valid by its schema and marked; nobody else hears of it."""
    api = tenant.api
    tested = await add(api, hooks, types=["ticket.void"])
    other = await add(api, hooks, types=["*", "endpoint.*"])
    for type_ in SCHEMAS:
        sent = await api.post(f"/webhooks/endpoints/{tested['id']}/test", {"type": type_})
        assert (sent["type"], sent["endpoint_id"]) == (type_, tested["id"])
    arrived = await got(hooks, tested, len(SCHEMAS))
    assert {arrival.type for arrival in arrived} == set(SCHEMAS)
    for arrival in arrived:
        assert arrival.verified_by(tested["secret"])
        assert arrival.message["data"]["test"] is True
        jsonschema.validate(arrival.message, SCHEMAS[arrival.type])
    pulled = await api.get("/webhooks/messages")
    assert pulled["data"] == []
    assert for_endpoint(hooks, other) == []

    async def logged() -> bool:
        found = await api.every(f"/webhooks/deliveries?endpoint_id={tested['id']}")
        return len([one for one in found if one["state"] == "delivered"]) == len(SCHEMAS)

    await until(logged)
    for asked, code, status in (({"type": "nope"}, "invalid_input", 422), ({"type": "*"}, "invalid_input", 422)):
        answer = await api.call("POST", f"/webhooks/endpoints/{tested['id']}/test", asked)
        assert (answer.status, answer.code) == (status, code)
    await api.post(f"/webhooks/endpoints/{tested['id']}/pause")
    answer = await api.call("POST", f"/webhooks/endpoints/{tested['id']}/test", {"type": "ticket.void"})
    assert (answer.status, answer.code) == (409, "webhook_endpoint_not_enabled")


async def test_a_test_message_moves_nothing_inside(temula: Running, tenant: Tenant, hooks: Receiver) -> None:
    """A payment that only an example tells of confirms no registration, and leaves no work behind that fails."""
    endpoint = await add(tenant.api, hooks)
    await tenant.api.post(f"/webhooks/endpoints/{endpoint['id']}/test", {"type": "payment.succeeded"})
    await got(hooks, endpoint, 1)
    event = await tenant.api.post("/events", EVENT)
    await tenant.api.post(f"/events/{event['id']}/publish")
    await got(hooks, endpoint, 2)  # the readers of the log have passed the test message
    owner = await asyncpg.connect(temula.owner_url)
    jobs = await owner.fetchval(
        "SELECT count(*) FROM jobs WHERE organization_id = $1 AND kind LIKE 'facts%'", tenant.id
    )
    followed = await owner.fetchval("SELECT count(*) FROM followed_facts WHERE organization_id = $1", tenant.id)
    await owner.close()
    assert (jobs, followed) == (0, 0)


async def test_pausing_says_why(tenant: Tenant, hooks: Receiver) -> None:
    """What comes while it is paused is kept and goes out when it is resumed."""
    api = tenant.api
    endpoint = await add(api, hooks)
    path = f"/webhooks/endpoints/{endpoint['id']}"
    paused = await api.post(f"{path}/pause", {"reason": "The CRM moves"})
    assert (paused["state"], paused["state_reason"]) == ("paused", "The CRM moves")
    event = await api.post("/events", EVENT)
    await api.post(f"/events/{event['id']}/publish")
    other = await add(api, hooks)
    await api.post(f"/events/{event['id']}/archive")
    await got(hooks, other, 1)
    assert for_endpoint(hooks, endpoint) == []
    resumed = await api.post(f"{path}/resume")
    assert (resumed["state"], resumed["state_reason"]) == ("enabled", None)
    arrived = await got(hooks, endpoint, 2)
    assert {one.type for one in arrived} == {"event.published", "event.archived"}


async def test_lists_are_narrowed(temula: Running, tenant: Tenant) -> None:
    """By state, team and partner; a cursor belongs to its filters."""
    api, front = tenant.api, await team(temula, tenant)
    grant = {"reference": "caterer", "types": ["*"], "event_ids": None}
    url = {"url": "http://127.0.0.1:9/hooks"}
    plain, of_team, of_partner = [
        (await api.post("/webhooks/endpoints", {**url, **more}))["id"]
        for more in ({}, {"team_id": front}, {"partner": grant})
    ]
    await api.post(f"/webhooks/endpoints/{plain}/pause")
    for asked, expected in (
        ("state=paused", [plain]), ("state=enabled", [of_partner, of_team]), (f"team_id={front}", [of_team]),
        ("partner=caterer", [of_partner]), ("partner=nobody", []), ("limit=1", [of_partner, of_team, plain]),
    ):  # fmt: skip
        assert [one["id"] for one in await api.every(f"/webhooks/endpoints?{asked}", 1)] == expected, asked
    cursor = (await api.get("/webhooks/endpoints?limit=1"))["next_cursor"]
    answer = await api.call("GET", f"/webhooks/endpoints?limit=1&state=paused&cursor={cursor}")
    assert answer.status == 422
    shown = await api.get(f"/webhooks/endpoints/{of_partner}")
    assert shown["partner"] == grant
    cleared = await api.patch(f"/webhooks/endpoints/{of_partner}", {"partner": None})
    assert cleared["partner"] is None


async def test_fields_come_back_as_they_were_given(tenant: Tenant) -> None:
    """Filter, metadata, limits and order are stored as given, and null takes a limit or a filter away."""
    asked = {
        "url": "http://127.0.0.1:9/hooks", "filter": {"path": "data.amount", "gte": 1}, "metadata": {"crm": "7"},
        "rate_limit": 5, "max_concurrency": 2, "order_by": "registration", "payload": "thin", "mask": ["data.reason"],
    }  # fmt: skip
    made = await tenant.api.post("/webhooks/endpoints", asked)
    assert {name: made[name] for name in asked} == asked
    nothing = {"filter": None, "rate_limit": None, "max_concurrency": None}
    changed = await tenant.api.patch(f"/webhooks/endpoints/{made['id']}", nothing)
    assert {name: changed[name] for name in asked} == {**asked, **nothing}


@pytest.mark.parametrize("document", ["asyncapi", "openapi"])
async def test_documents_are_served_to_anybody(temula: Running, document: str) -> None:
    """Who builds a receiver reads what comes before they have a token."""
    answer = await temula.api(None).call("GET", f"//api/{document}.json")
    assert answer.status == 200
    assert json.loads(answer.body)[document].startswith("3.")
