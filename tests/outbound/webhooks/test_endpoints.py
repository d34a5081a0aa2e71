"""Webhook endpoints through the API: made, changed, refused, listed, removed."""

import json
from pathlib import Path
from typing import Any

import asyncpg
import jsonschema
import pytest

from tests.harness import house
from tests.harness.house import Running, Tenant, until
from tests.harness.postgres import Postgres
from tests.harness.receiver import Receiver, receiving

CASES = json.loads((Path(__file__).parents[2] / "testdata" / "ssrf_cases.json").read_text())["cases"]


async def test_an_endpoint_is_made_changed_and_removed(tenant: Tenant) -> None:
    """All types and events unless said; the secret comes once; what is left out of a change stays."""
    api = tenant.api
    made = await api.post("/webhooks/endpoints", {"url": "http://127.0.0.1:9/hooks"})
    assert (made["state"], made["types"], made["event_ids"], made["description"]) == ("enabled", ["*"], [], "")
    secret = made.pop("secret")
    assert secret.startswith("whsec_")
    path = f"/webhooks/endpoints/{made['id']}"
    assert await api.get(path) == made
    event = (await api.post("/events", EVENT))["id"]
    changes = {"types": ["registration.*", "check_in.completed"], "event_ids": [event], "description": "CRM"}
    changed = await api.patch(path, changes)
    assert {**made, **changes, "types": sorted(changes["types"]), "updated_at": changed["updated_at"]} == changed
    second = await api.post("/webhooks/endpoints", {"url": "http://127.0.0.1:9/two"})
    listed = await api.every("/webhooks/endpoints", 1)
    assert [one["id"] for one in listed] == [second["id"], made["id"]]
    assert "secret" not in json.dumps(await api.get("/webhooks/endpoints")).replace("previous_secret_until", "")
    await api.delete(path)
    for method in ("GET", "PATCH", "DELETE"):
        answer = await api.call(method, path, {} if method == "PATCH" else None)
        assert (answer.status, answer.code) == (404, "webhook_endpoint_not_found")
    assert (await api.call("POST", f"{path}/rotate-secret", {})).code == "webhook_endpoint_not_found"


EVENT = {"name": "E", "starts_at": "2027-05-01T12:00:00Z", "ends_at": "2027-05-01T13:00:00Z", "currency": "MYR"}


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"types": []}, "/types"), ({"types": ["nope"]}, "/types"), ({"types": ["check_in.*", "nope.*"]}, "/types"),
        ({"types": ["registration"]}, "/types"), ({"types": ["*.created"]}, "/types"), ({"types": [""]}, "/types"),
        ({"types": ["endpoint.deleted"]}, "/types"), ({"event_ids": ["evt_x"]}, "/event_ids/0"),
        ({"state": "disabled"}, "/state"), ({"url": "ftp://127.0.0.1/"}, "/url"), ({"secret": "mine"}, "/secret"),
        ({"team_id": "team_x"}, "/team_id"), ({"payload": "slim"}, "/payload"), ({"mask": ["event_id"]}, "/mask/0"),
        ({"mask": ["data."]}, "/mask/0"), ({"mask": ["data.ok", "data..x"]}, "/mask/1"),
        ({"rate_limit": 0}, "/rate_limit"), ({"rate_limit": 10_001}, "/rate_limit"),
        ({"max_concurrency": 0}, "/max_concurrency"),
        ({"order_by": "event"}, "/order_by"), ({"metadata": {"k": "v" * 501}}, "/metadata"),
        ({"metadata": {"": "v"}}, "/metadata"), ({"headers": {"Host": "x"}}, "/headers"),
        ({"headers": {"X-Key": "a\nb"}}, "/headers"), ({"headers": {"webhook-id": "x"}}, "/headers"),
        ({"headers": {"X-Key": "********"}}, "/headers"), ({"filter": {"path": "data.x"}}, "/filter"),
        ({"filter": {"not": {"path": "data.x", "like": 1}}}, "/filter/not"),
        ({"partner": {"reference": "x", "types": ["nope"], "event_ids": None}}, "/partner/types"),
        ({"partner": {"reference": "x", "types": ["*"], "event_ids": ["x"]}}, "/partner/event_ids/0"),
        ({"partner": {"reference": "x", "types": ["*"]}}, "/partner/event_ids"),
    ],
)  # fmt: skip
async def test_a_wrong_change_is_refused(tenant: Tenant, change: dict[str, Any], pointer: str) -> None:
    """Types that there are not, events that are none, states that only we set: 422, and nothing has changed."""
    made = await tenant.api.post("/webhooks/endpoints", {"url": "http://127.0.0.1:9/hooks"})
    path = f"/webhooks/endpoints/{made['id']}"
    answer = await tenant.api.call("PATCH", path, change)
    assert (answer.status, answer.json["errors"][0]["pointer"]) == (422, pointer)
    assert (await tenant.api.get(path))["updated_at"] == made["updated_at"]


async def test_every_address_of_the_table_gets_its_verdict(server: Postgres, tmp_path: Path) -> None:
    """In production each address of `ssrf_cases.json` is saved, or refused with the rule that it breaks."""
    async with server.database() as url, house.running(url, tmp_path, worker=False, production=True) as temula:
        tenant = await temula.tenant(connected=False)
        https = {"X-Forwarded-Proto": "https"}
        cases = [one for one in CASES if one["group"] == "url"]
        assert len(cases) > 100
        for case in cases:
            body = {"url": case["url"]}
            answer = await tenant.api.call("POST", "/webhooks/endpoints", body, headers=https)
            if case["expect"] == "allow":
                assert answer.status == 201, case
                path = f"/webhooks/endpoints/{answer.json['id']}"
                assert (await tenant.api.call("DELETE", path, headers=https)).status == 204
            elif len(case["url"]) in range(1, 2049):
                assert (answer.status, answer.code) == (422, "webhook_url_refused"), case
                assert answer.json["extra"]["reason"] == case["code"], case
                assert answer.json["errors"][0]["pointer"] == "/url"
            else:
                assert (answer.status, answer.json["errors"][0]["pointer"]) == (422, "/url")


async def test_secrets_are_sealed(temula: Running, tenant: Tenant) -> None:
    """Neither the present nor the previous secret stands in the table in any readable form."""
    made = await tenant.api.post("/webhooks/endpoints", {"url": "http://127.0.0.1:9/hooks"})
    rotated = await tenant.api.post(f"/webhooks/endpoints/{made['id']}/rotate-secret", {})
    assert rotated["secret"] != made["secret"]
    assert rotated["previous_secret_until"] is not None
    connection = await asyncpg.connect(temula.owner_url)
    row = await connection.fetchrow("SELECT * FROM webhook_endpoints WHERE id = $1", made["id"])
    await connection.close()
    for secret in (made["secret"], rotated["secret"]):
        for sealed in (row["secret"], row["previous_secret"]):
            assert secret.removeprefix("whsec_").encode() not in sealed


async def test_subscriptions(tenant: Tenant, hooks: Receiver) -> None:
    """Exact types, families, everything, and one event only: each endpoint gets its own and nothing else."""
    api = tenant.api
    one, two = await api.post("/events", EVENT), await api.post("/events", EVENT)
    kinds = ("published", "updated", "archived")
    wanted: list[tuple[dict[str, Any], set[tuple[str, str]]]] = [
        ({"types": ["*"]}, {(kind, event["id"]) for kind in kinds for event in (one, two)}),
        ({"types": ["event.*"], "event_ids": [two["id"]]}, {(kind, two["id"]) for kind in kinds}),
        ({"types": ["event.updated"]}, {("updated", one["id"]), ("updated", two["id"])}),
        ({"types": ["event.updated", "registration.*"], "event_ids": [one["id"]]}, {("updated", one["id"])}),
        ({"types": ["ticket.*"]}, set()),
    ]  # fmt: skip
    made = [await api.post("/webhooks/endpoints", {"url": hooks.url, **asked}) for asked, _ in wanted]
    for event in (one, two):
        await api.post(f"/events/{event['id']}/publish")
        await api.patch(f"/events/{event['id']}", {"name": "New"})
        await api.post(f"/events/{event['id']}/archive")

    async def all_there() -> bool:
        return len(hooks.arrivals) == sum(len(expected) for _, expected in wanted)

    await until(all_there)
    for endpoint, (_, expected) in zip(made, wanted, strict=True):
        secret = endpoint["secret"]
        arrived = [arrival for arrival in hooks.arrivals if arrival.plainly_signed_by(secret)]
        got = {(one.type.partition(".")[2], one.message["data"]["event_id"]) for one in arrived}
        assert got == expected
        assert len(arrived) == len(expected)


async def test_a_new_endpoint_hears_of_what_comes_next(tenant: Tenant, hooks: Receiver) -> None:
    """What happens right after an endpoint was added arrives, twenty times over."""
    for _ in range(20):
        event = await tenant.api.post("/events", EVENT)
        body = {"url": hooks.url, "event_ids": [event["id"]], "types": ["event.published"]}
        await tenant.api.post("/webhooks/endpoints", body)
        await tenant.api.post(f"/events/{event['id']}/publish")

    async def all_there() -> bool:
        return len(hooks.arrivals) == 20

    await until(all_there)


async def test_a_removed_endpoint_hears_nothing(tenant: Tenant, hooks: Receiver) -> None:
    """Not of what comes next, and not of what was kept for it."""
    api = tenant.api
    async with receiving() as gone:
        removed = await api.post("/webhooks/endpoints", {"url": gone.url})
        path = f"/webhooks/endpoints/{removed['id']}"
        await api.patch(path, {"state": "paused"})
        await api.post("/webhooks/endpoints", {"url": hooks.url})
        event = await api.post("/events", EVENT)
        await api.post(f"/events/{event['id']}/publish")

        async def told() -> bool:
            return len(hooks.arrivals) == 1

        await until(told)
        assert len(await api.every(f"/webhooks/deliveries?endpoint_id={removed['id']}")) == 1
        await api.delete(path)
        await api.post(f"/events/{event['id']}/archive")

        async def told_again() -> bool:
            return len(hooks.arrivals) == 2

        await until(told_again)
        assert gone.arrivals == []
        assert await api.every(f"/webhooks/deliveries?endpoint_id={removed['id']}") == []


async def test_message_types_are_listed(tenant: Tenant) -> None:
    """Each type with what it says; an endpoint can subscribe to each."""
    types = (await tenant.api.get("/webhooks/event-types"))["data"]
    assert {one["type"] for one in types} == {
        "registration.created", "registration.cancelled", "registration.refunded", "check_in.completed",
        "attendee.checked_in", "ticket.issued", "ticket.void", "event.published", "event.updated", "event.archived",
        "payment.succeeded", "payment.failed", "endpoint.disabled",
        "endpoint.failing",
    }  # fmt: skip
    for one in types:
        assert one["description"]
        assert one["version"] == 1
        assert one["operational"] == one["type"].startswith("endpoint.")
        jsonschema.Draft202012Validator.check_schema(one["schema"])
        jsonschema.validate(one["example"], one["schema"])
    body = {"url": "http://127.0.0.1:9/hooks", "types": [one["type"] for one in types]}
    assert (await tenant.api.post("/webhooks/endpoints", body))["types"] == sorted(body["types"])
