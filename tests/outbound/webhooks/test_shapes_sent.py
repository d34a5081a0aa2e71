"""What arrives in an endpoint's own shape: thin, masked, with its own headers."""

import asyncpg
import jsonschema

from temula.operations import catalogue
from tests.harness.house import Running, Tenant
from tests.harness.receiver import Receiver
from tests.outbound.webhooks.adding import EVENT, add, got

SCHEMAS = {one.type: one.schema for one in catalogue.event_types().data}


async def test_shapes_and_own_headers(tenant: Tenant, hooks: Receiver) -> None:
    """A thin message has ids and leads to the whole one; a masked one lacks what it should; headers come along."""
    api = tenant.api
    event = await api.post("/events", EVENT)
    thin = await add(api, hooks, payload="thin", headers={"X-Key": "one", "Authorization": "Bearer two"})
    masked = await add(api, hooks, mask=["data.visibility", "data.nothing"])
    await api.post(f"/events/{event['id']}/publish")
    (arrival,) = await got(hooks, thin, 1)
    assert arrival.message["data"] == {"event_id": event["id"]}
    assert (arrival.headers["x-key"], arrival.headers["authorization"]) == ("one", "Bearer two")
    assert arrival.verified_by(thin["secret"])
    whole = await api.get(f"/webhooks/messages/{arrival.message['event_id']}")
    assert whole["data"].keys() == {"event_id", "starts_at", "visibility"}
    jsonschema.validate(whole, SCHEMAS["event.published"])
    (arrival,) = await got(hooks, masked, 1)
    assert arrival.message["data"].keys() == {"event_id", "starts_at"}
    assert "x-key" not in arrival.headers


async def test_header_values_are_kept_and_not_shown(temula: Running, tenant: Tenant, hooks: Receiver) -> None:
    """Only names are shown; the sign that stands for a value keeps it; nothing of it is readable in the table."""
    api = tenant.api
    made = await add(api, hooks, types=["event.published"], headers={"X-Key": "first-key", "X-Other": "other-key"})
    assert made["headers"] == {"X-Key": "********", "X-Other": "********"}
    path = f"/webhooks/endpoints/{made['id']}"
    changed = await api.patch(path, {"headers": {"X-Key": "********", "X-New": "new-key"}})
    assert changed["headers"] == {"X-Key": "********", "X-New": "********"}
    event = await api.post("/events", EVENT)
    await api.post(f"/events/{event['id']}/publish")
    (arrival,) = await got(hooks, made, 1)
    assert (arrival.headers["x-key"], arrival.headers["x-new"]) == ("first-key", "new-key")
    assert "x-other" not in arrival.headers
    owner = await asyncpg.connect(temula.owner_url)
    row = await owner.fetchrow("SELECT e::text FROM webhook_endpoints e WHERE id = $1", made["id"])
    audited = await owner.fetchval("SELECT string_agg(a::text, ' ') FROM audit_entries a WHERE target = $1", made["id"])
    await owner.close()
    for value in ("first-key", "new-key"):
        assert value.encode().hex() not in row["e"]
        assert value not in row["e"] + audited
    assert (await api.patch(path, {"headers": {}}))["headers"] == {}
