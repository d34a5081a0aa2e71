"""Replays through the API: what is chosen, what is shown before and meanwhile, and that it is sent once."""

import asyncio
from collections import Counter
from datetime import datetime, timedelta
from typing import Any

import pytest

from temula.kernel.clock import rfc3339
from tests.harness.api import Api
from tests.harness.ground import found
from tests.harness.house import Running, Tenant, until
from tests.harness.receiver import Receiver
from tests.outbound.webhooks.adding import EVENT, add, for_endpoint, got

LONG_AGO = "2020-01-01T00:00:00Z"


async def replayed(api: Api, **asked: Any) -> dict[str, Any]:
    """Preview a replay, do it, and wait for its end: what was counted before is what was done."""
    preview = await api.post("/webhooks/replays", {**asked, "dry_run": True})
    made = await api.post("/webhooks/replays", asked)
    over = await ended(api, made["id"])
    assert preview["complete"]
    assert (preview["matched"], len(preview["sample"])) == (over["matched"], min(10, over["matched"]))
    assert over["added"] == over["matched"]
    return over


async def ended(api: Api, replay_id: str) -> dict[str, Any]:
    async def look() -> dict[str, Any] | None:
        shown = await api.get(f"/webhooks/replays/{replay_id}")
        return shown if shown["finished_at"] else None

    return await until(look)


async def told(api: Api, event: dict[str, Any], *names: str) -> None:
    for name in names:
        await api.patch(f"/events/{event['id']}", {"name": name})


async def quiet(tenant: Tenant) -> None:
    """All facts are fanned out and all that is due is delivered."""

    async def look() -> bool:
        facts = len((await tenant.api.get("/webhooks/messages?limit=100"))["data"])
        waiting = [one for one in await tenant.api.every("/webhooks/deliveries") if one["state"] == "pending"]
        return bool(facts) and not [one for one in waiting if one["attempts"] == 0 and one["next_attempt_at"]]

    await until(look)


def names(arrivals: list[Any]) -> list[str]:
    return [one.message["data"]["changes"]["name"]["to"] for one in arrivals]


async def test_missing_is_sent_to_an_endpoint_that_came_later(temula: Running, tenant: Tenant, hooks: Receiver) -> None:
    """Everything since a time that its subscription asks for, once, in its order; a second time there is nothing."""
    api = tenant.api
    event, other = await api.post("/events", EVENT), await api.post("/events", EVENT)
    await told(api, event, "One")
    since = rfc3339(temula.house.database.clock.now())
    await told(api, event, "Two", "Three", "Four", "Five")
    await told(api, other, "Elsewhere")
    endpoint = await add(
        api, hooks, types=["event.updated"], event_ids=[event["id"]], max_concurrency=1,
        filter={"not": {"path": "data.changes.name.to", "eq": "Four"}},
    )  # fmt: skip
    await told(api, event, "Six")
    await got(hooks, endpoint, 1)
    over = await replayed(api, kind="missing", endpoint_id=endpoint["id"], since=since)
    assert (over["matched"], over["delivered"], over["failed"], over["waiting"]) == (3, 3, 0, 0)
    arrivals = for_endpoint(hooks, endpoint)
    assert names(arrivals) == ["Six", "Two", "Three", "Five"]
    assert all(one.verified_by(endpoint["secret"]) for one in arrivals)
    again = await replayed(api, kind="missing", endpoint_id=endpoint["id"], since=since)
    assert (again["matched"], again["state"]) == (0, "done")
    assert len(for_endpoint(hooks, endpoint)) == 4


async def test_the_log_is_sent_again_by_a_filter(temula: Running, tenant: Tenant, hooks: Receiver) -> None:
    """Same ids, same bytes; narrowed by endpoint, type, event, time, outcome and status."""
    api = tenant.api
    event, other = await api.post("/events", EVENT), await api.post("/events", EVENT)
    endpoint, second = await add(api, hooks), await add(api, hooks, types=["event.updated"])
    await api.post(f"/events/{event['id']}/publish")
    await told(api, event, "One", "Two")
    await told(api, other, "Other")
    first = await got(hooks, endpoint, 4)
    await got(hooks, second, 3)
    await quiet(tenant)
    over = await replayed(api, kind="filter", endpoint_id=endpoint["id"])
    assert (over["matched"], over["delivered"]) == (4, 4)
    arrivals = for_endpoint(hooks, endpoint)
    assert Counter((one.id, one.body) for one in arrivals) == Counter((one.id, one.body) for one in [*first, *first])
    assert len(for_endpoint(hooks, second)) == 3
    for asked, number in (
        ({}, 7), ({"types": ["event.published"]}, 1), ({"types": ["event.*"], "event_id": other["id"]}, 2),
        ({"outcomes": ["delivered"]}, 7), ({"outcomes": ["exhausted", "gone"]}, 0), ({"statuses": ["2xx"]}, 7),
        ({"statuses": ["none", "5xx"]}, 0), ({"until": LONG_AGO}, 0), ({"since": LONG_AGO}, 7),
        ({"since": rfc3339(temula.house.database.clock.now() + timedelta(minutes=1))}, 0),
    ):  # fmt: skip
        preview = await api.post("/webhooks/replays", {"kind": "filter", **asked, "dry_run": True})
        assert preview["matched"] == number, asked
    assert len(await api.every("/webhooks/replays")) == 1, "previews are no replays"


async def test_what_failed_is_sent_and_what_waits_is_hurried(tenant: Tenant, hooks: Receiver) -> None:
    """A message that waits for a later try goes now, as the same delivery; one that got through since does not."""
    api = tenant.api
    event = await api.post("/events", EVENT)
    endpoint = await add(api, hooks, types=["event.updated"], max_concurrency=1)
    hooks.answers = [500, 200, 503]
    for name in ("One", "Two", "Three"):
        await told(api, event, name)
        await got(hooks, endpoint, len(hooks.arrivals) + 1)
    await quiet(tenant)
    assert names(for_endpoint(hooks, endpoint)) == ["One", "Two", "Three"]
    over = await replayed(api, kind="failed", since=LONG_AGO)
    assert (over["matched"], over["delivered"]) == (2, 2)
    assert sorted(names(for_endpoint(hooks, endpoint))[3:]) == ["One", "Three"]
    deliveries = await api.every(f"/webhooks/deliveries?endpoint_id={endpoint['id']}")
    assert sorted(one["attempts"] for one in deliveries) == [1, 2, 2], "no delivery more than before"
    assert (await replayed(api, kind="failed", since=LONG_AGO))["matched"] == 0
    only = {"kind": "filter", "statuses": ["5xx"], "dry_run": True}
    assert (await api.post("/webhooks/replays", only))["matched"] == 2, "the log still says that they failed once"


async def test_what_is_due_is_left_alone(tenant: Tenant, hooks: Receiver) -> None:
    """A message that is kept for a paused endpoint is on its way already: no replay adds it a second time."""
    api = tenant.api
    event, endpoint = await api.post("/events", EVENT), await add(api, hooks, types=["event.updated"])
    await told(api, event, "One")
    await got(hooks, endpoint, 1)
    path = f"/webhooks/endpoints/{endpoint['id']}"
    await api.post(f"{path}/pause", {})
    await told(api, event, "Two")

    async def kept() -> bool:
        return len(await api.every(f"/webhooks/deliveries?endpoint_id={endpoint['id']}")) == 2

    await until(kept)
    made = [await api.post("/webhooks/replays", {"kind": kind, "since": LONG_AGO}) for kind in ("missing", "filter")]
    assert (await ended(api, made[0]["id"]))["matched"] == 0

    async def counted() -> dict[str, Any] | None:
        shown = await api.get(f"/webhooks/replays/{made[1]['id']}")
        return None if shown["counting"] else shown

    held = await until(counted)
    assert (held["state"], held["matched"], held["added"]) == ("running", 1, 0)
    assert held["held_endpoint_ids"] == [endpoint["id"]]
    await api.post(f"{path}/resume", {})
    over = await ended(api, made[1]["id"])
    assert (over["state"], over["delivered"], over["held_endpoint_ids"]) == ("done", 1, [])
    await got(hooks, endpoint, 3)
    assert sorted(names(for_endpoint(hooks, endpoint))) == ["One", "One", "Two"]


async def test_two_replays_at_once_add_a_message_once(tenant: Tenant, hooks: Receiver) -> None:
    """Whoever comes second finds it waiting, or tried."""
    api = tenant.api
    event = await api.post("/events", EVENT)
    await told(api, event, *(f"Night {n}" for n in range(20)))
    endpoint = await add(api, hooks, types=["event.updated"])
    asked = {"kind": "missing", "endpoint_id": endpoint["id"], "since": LONG_AGO}
    made = await asyncio.gather(*(api.post("/webhooks/replays", asked) for _ in range(4)))
    over = [await ended(api, one["id"]) for one in made]
    assert sum(one["added"] for one in over) == 20
    assert Counter(names(for_endpoint(hooks, endpoint))) == Counter(f"Night {n}" for n in range(20))


async def test_a_partner_gets_what_it_was_granted(tenant: Tenant, hooks: Receiver) -> None:
    """Neither what it never might have, nor what it has had and may not have any more."""
    api = tenant.api
    event, other = await api.post("/events", EVENT), await api.post("/events", EVENT)
    await told(api, event, "One")
    await told(api, other, "Other")
    grant = {"reference": "caterer", "types": ["event.*"], "event_ids": None}
    endpoint = await add(api, hooks, partner=grant)
    narrowed = {**grant, "types": ["event.updated"], "event_ids": [event["id"]]}
    await api.patch(f"/webhooks/endpoints/{endpoint['id']}", {"partner": narrowed})
    over = await replayed(api, kind="missing", endpoint_id=endpoint["id"], since=LONG_AGO)
    assert (over["matched"], names(for_endpoint(hooks, endpoint))) == (1, ["One"])
    await api.patch(f"/webhooks/endpoints/{endpoint['id']}", {"partner": {**grant, "types": ["event.published"]}})
    assert (await replayed(api, kind="filter", endpoint_id=endpoint["id"]))["matched"] == 0
    (delivery,) = await api.every(f"/webhooks/deliveries?endpoint_id={endpoint['id']}")
    refused = await api.call("POST", f"/webhooks/deliveries/{delivery['id']}/replay", {})
    assert (refused.status, refused.code) == (409, "webhook_message_not_granted")


async def test_a_replay_takes_the_endpoint_as_it_is_now(tenant: Tenant, hooks: Receiver) -> None:
    """The present secret signs, the present mask masks, the own headers of now are sent."""
    api = tenant.api
    event, endpoint = await api.post("/events", EVENT), await add(api, hooks, types=["event.updated"])
    await told(api, event, "One")
    await got(hooks, endpoint, 1)
    await quiet(tenant)
    path = f"/webhooks/endpoints/{endpoint['id']}"
    changed = await api.post(f"{path}/rotate-secret", {"overlap_hours": 0})
    await api.patch(path, {"mask": ["data.changes"], "headers": {"X-Mine": "now"}})
    await replayed(api, kind="filter", endpoint_id=endpoint["id"])
    first, second = hooks.arrivals
    assert second.id == first.id
    assert second.verified_by(changed["secret"])
    assert "changes" not in second.message["data"]
    assert second.headers["x-mine"] == "now"


async def test_other_organizations_are_neither_chosen_nor_shown(
    temula: Running, tenant: Tenant, hooks: Receiver
) -> None:
    """A replay of all endpoints is of the caller's; nobody else sees it, cancels it, or is sent anything."""
    other = await temula.tenant(connected=False)
    endpoints = []
    for one in (tenant, other):
        event = await one.api.post("/events", EVENT)
        endpoints.append(await add(one.api, hooks, types=["event.updated"]))
        await told(one.api, event, "One")
        await got(hooks, endpoints[-1], 1)
        await quiet(one)
    over = await replayed(tenant.api, kind="filter")
    assert over["matched"] == 1
    assert [len(for_endpoint(hooks, one)) for one in endpoints] == [2, 1]
    assert await other.api.every("/webhooks/replays") == []
    for method, path in (("GET", ""), ("POST", "/cancel")):
        answer = await other.api.call(method, f"/webhooks/replays/{over['id']}{path}")
        assert (answer.status, answer.code) == (404, "webhook_replay_not_found")
    answer = await other.api.call("POST", "/webhooks/replays", {"kind": "filter", "endpoint_id": endpoints[0]["id"]})
    assert (answer.status, answer.code) == (404, "webhook_endpoint_not_found")


async def test_a_test_message_is_not_replayed(tenant: Tenant, hooks: Receiver) -> None:
    """It did not happen: the log has it, and no replay sends it."""
    api = tenant.api
    endpoint = await add(api, hooks)
    await api.post(f"/webhooks/endpoints/{endpoint['id']}/test", {"type": "event.updated"})
    await got(hooks, endpoint, 1)
    for kind in ("filter", "missing"):
        assert (await replayed(api, kind=kind, since=LONG_AGO))["matched"] == 0


async def test_a_deleted_endpoint_ends_its_part(tenant: Tenant, hooks: Receiver) -> None:
    """What was to be sent to it is not, and the replay is over."""
    api = tenant.api
    event, endpoint = await api.post("/events", EVENT), await add(api, hooks, types=["event.updated"])
    await told(api, event, "One")
    await got(hooks, endpoint, 1)
    await quiet(tenant)
    path = f"/webhooks/endpoints/{endpoint['id']}"
    await api.post(f"{path}/pause", {})
    made = await api.post("/webhooks/replays", {"kind": "filter"})
    await api.delete(path)
    over = await ended(api, made["id"])
    assert (over["state"], over["delivered"]) == ("done", 0)


@pytest.mark.parametrize(
    ("asked", "pointer"),
    [
        ({"kind": "failed"}, "/since"), ({"kind": "missing"}, "/since"),
        ({"kind": "missing", "since": LONG_AGO, "outcomes": ["gone"]}, "/outcomes"),
        ({"kind": "failed", "since": LONG_AGO, "statuses": ["5xx"]}, "/statuses"),
        ({"kind": "filter", "since": LONG_AGO, "until": LONG_AGO}, "/until"),
        ({"kind": "filter", "types": ["nope"]}, "/types"), ({"kind": "nope"}, "/kind"),
        ({"kind": "filter", "rate": 0}, "/rate"), ({"kind": "filter", "statuses": ["6xx"]}, "/statuses/0"),
        ({"kind": "filter", "since": "2026-01-01T00:00:00"}, "/since"),
    ],
)  # fmt: skip
async def test_what_cannot_be_is_refused(tenant: Tenant, asked: dict[str, Any], pointer: str) -> None:
    """The problem points to the place, and nothing was begun."""
    answer = await tenant.api.call("POST", "/webhooks/replays", asked)
    assert answer.status == 422
    assert pointer in answer.body.decode()
    assert await tenant.api.every("/webhooks/replays") == []


async def test_a_repeat_with_its_key_is_the_same_replay(tenant: Tenant) -> None:
    """Whoever lost the answer asks again, and nothing is sent twice."""
    first = await tenant.api.post("/webhooks/replays", {"kind": "filter"}, key="once")
    again = await tenant.api.post("/webhooks/replays", {"kind": "filter"}, key="once")
    assert first["id"] == again["id"]
    over = await ended(tenant.api, first["id"])
    assert (over["matched"], over["state"]) == (0, "done"), "without endpoints there is nothing"
    refused = await tenant.api.call("POST", f"/webhooks/replays/{first['id']}/cancel")
    assert (refused.status, refused.code) == (409, "webhook_replay_over")


async def test_order_by_key_holds_in_a_replay(temula: Running, tenant: Tenant, hooks: Receiver) -> None:
    """With `order_by` the messages of one registration come in their order, though many go at once."""
    api = tenant.api
    sale = await temula.sale(tenant, prices=(0,))
    orders = []
    for _ in range(6):
        seat = [{"ticket_type_id": sale.types[0]["id"]}]
        order = {"event_id": sale.event["id"], "buyer": {"name": "Bo", "email": "bo@example.org"}, "attendees": seat}
        orders.append((await api.post("/registrations", order))["id"])
        await api.post(f"/registrations/{orders[-1]}/cancel", {})
    endpoint = await add(api, hooks, types=["registration.*"], order_by="registration")
    over = await replayed(api, kind="missing", endpoint_id=endpoint["id"], since=LONG_AGO)
    assert over["delivered"] == 12
    arrivals = for_endpoint(hooks, endpoint)
    for order in orders:
        of_one = [one.type for one in arrivals if one.message["data"]["registration_id"] == order]
        assert of_one == ["registration.created", "registration.cancelled"]


async def test_the_log_says_which_replay_it_was(temula: Running, tenant: Tenant, hooks: Receiver) -> None:
    """Its deliveries name it, and times are those of the replay."""
    api = tenant.api
    event, endpoint = await api.post("/events", EVENT), await add(api, hooks, types=["event.updated"])
    await told(api, event, "One")
    await got(hooks, endpoint, 1)
    await quiet(tenant)
    over = await replayed(api, kind="filter")
    newest, oldest = await api.every("/webhooks/deliveries")
    assert (newest["replay_id"], oldest["replay_id"]) == (over["id"], None)
    assert datetime.fromisoformat(newest["created_at"]) >= datetime.fromisoformat(over["created_at"])
    rows = await found(temula.owner_url, "SELECT lane FROM webhook_deliveries WHERE organization_id = $1", tenant.id)
    assert rows == []
