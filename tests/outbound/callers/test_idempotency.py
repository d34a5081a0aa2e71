"""Idempotency-Key: a write under a key happens once, however often and by whomever it is sent."""

import asyncio
from uuid import uuid4

import asyncpg
import pytest

from temula.kernel.clock import rfc3339
from tests.harness.api import Answer, Api
from tests.harness.house import Running, Tenant
from tests.outbound.callers.test_tokens import token_of

EVENT = {"name": "E", "starts_at": "2027-05-01T12:00:00Z", "ends_at": "2027-05-01T13:00:00Z", "currency": "MYR"}


async def write(api: Api, key: str, body: object = EVENT, path: str = "/events") -> Answer:
    return await api.call("POST", path, body, headers={"Idempotency-Key": key})


async def test_the_same_key_gives_the_same_answer(tenant: Tenant) -> None:
    """A repeat is answered as the first was, byte for byte, says so, and makes nothing."""
    key = uuid4().hex
    first, again = await write(tenant.api, key), await write(tenant.api, key)
    assert (first.status, again.status) == (201, 201)
    assert again.body == first.body
    assert again.headers["etag"] == first.headers["etag"]
    assert ("idempotent-replayed" in first.headers, again.headers["idempotent-replayed"]) == (False, "true")
    assert len(await tenant.api.every("/events")) == 1


async def test_a_key_is_for_one_request(tenant: Tenant) -> None:
    """Another body, another address or another query under the same key is refused and not done."""
    key = uuid4().hex
    event = (await write(tenant.api, key)).json
    others = [
        await write(tenant.api, key, {**EVENT, "name": "Other"}),
        await write(tenant.api, key, {}, f"/events/{event['id']}/publish"),
        await write(tenant.api, key, EVENT, "/events?x=1"),
    ]
    assert {(one.status, one.code) for one in others} == {(422, "idempotency_key_reused")}
    assert [one["state"] for one in await tenant.api.every("/events")] == ["draft"]


async def test_the_same_key_at_the_same_time_is_done_once(tenant: Tenant) -> None:
    """Of many at once one is done, and the others get its answer."""
    keys = [uuid4().hex for _ in range(5)]
    answers = await asyncio.gather(*(write(tenant.api, key) for key in keys * 8))
    assert {one.status for one in answers} == {201}
    assert len({one.json["id"] for one in answers}) == 5
    assert len(await tenant.api.every("/events")) == 5


async def test_registering_at_the_same_time_is_done_once(temula: Running, tenant: Tenant) -> None:
    """The same holds for a write that asks the payment provider in between."""
    sale = await temula.sale(tenant)
    order = {
        "event_id": sale.event["id"], "buyer": {"name": "A", "email": "a@example.org"},
        "attendees": [{"ticket_type_id": sale.types[0]["id"]}],
    }  # fmt: skip
    key = uuid4().hex
    answers = await asyncio.gather(*(write(tenant.api, key, order, "/registrations") for _ in range(10)))
    assert {one.status for one in answers} == {201}
    assert len({one.json["id"] for one in answers}) == 1
    urls = {one.json["payment"]["attempts"][0]["next_action"]["url"] for one in answers}
    assert len(urls) == 1
    assert len(await tenant.api.every("/registrations")) == 1
    assert (await tenant.api.get(f"/ticket-types/{sale.types[0]['id']}"))["taken"] == 1


async def kept(temula: Running, key: str) -> asyncpg.Record:
    connection = await asyncpg.connect(temula.owner_url)
    try:
        return await connection.fetchrow("SELECT * FROM idempotency_keys WHERE key = $1", key)
    finally:
        await connection.close()


async def test_a_secret_is_shown_to_the_repeat_and_kept_sealed(temula: Running, tenant: Tenant) -> None:
    """A lost answer that held a secret can be had again; the table does not hold it in clear."""
    key, body = uuid4().hex, {"url": "http://127.0.0.1:9/hooks"}
    first = await write(tenant.api, key, body, "/webhooks/endpoints")
    again = await write(tenant.api, key, body, "/webhooks/endpoints")
    secret = first.json["secret"]
    assert again.json["secret"] == secret
    row = await kept(temula, key)
    assert secret.encode() not in row["answer"]
    assert secret.removeprefix("whsec_").encode() not in row["answer"]


async def test_a_refused_request_leaves_its_key_free(tenant: Tenant) -> None:
    """What was refused has not happened, so its key may be used for the corrected request."""
    key = uuid4().hex
    assert (await write(tenant.api, key, {**EVENT, "ends_at": "2026-01-01T00:00:00Z"})).status == 422
    assert (await write(tenant.api, key, {**EVENT, "team_id": "team_none"})).status == 404
    assert (await write(tenant.api, key)).status == 201


async def test_keys_of_another_token_are_other_keys(temula: Running, tenant: Tenant) -> None:
    """Two tokens that choose the same key do not meet, not even in one organization."""
    _, secret = await token_of(temula, tenant, "events:write")
    key = uuid4().hex
    mine, theirs = await write(tenant.api, key), await write(temula.api(secret), key)
    assert mine.json["id"] != theirs.json["id"]
    other = await temula.tenant(connected=False)
    assert (await write(other.api, key)).json["id"] not in {mine.json["id"], theirs.json["id"]}


@pytest.mark.parametrize("key", ["", "x" * 256, "\u00fc", "a\tb"])
async def test_a_key_is_printable_and_short(tenant: Tenant, key: str) -> None:
    """1 to 255 printable ASCII characters."""
    assert (await write(tenant.api, key)).code == "invalid_input"
    assert await tenant.api.every("/events") == []


async def test_a_crash_in_the_middle_is_finished_by_the_repeat(temula: Running, tenant: Tenant) -> None:
    """Killed after the registration was written and before it was answered: the repeat answers with that one."""
    sale = await temula.sale(tenant)
    order = {
        "event_id": sale.event["id"], "buyer": {"name": "A", "email": "a@example.org"},
        "attendees": [{"ticket_type_id": sale.types[0]["id"]}],
    }  # fmt: skip
    key = uuid4().hex
    first = (await write(tenant.api, key, order, "/registrations")).json
    # What a kill between the two transactions leaves behind, the answer never written.
    connection = await asyncpg.connect(temula.owner_url)
    await connection.execute("UPDATE idempotency_keys SET status = NULL, answer = NULL WHERE key = $1", key)
    await connection.close()
    again = await write(tenant.api, key, order, "/registrations")
    assert again.status == 201
    assert again.json["id"] == first["id"]
    assert again.json["payment"]["attempts"] == first["payment"]["attempts"]
    assert "idempotent-replayed" not in again.headers
    assert (await kept(temula, key))["status"] == 201
    assert len(await tenant.api.every("/registrations")) == 1


async def test_a_half_done_write_of_another_body_is_refused(temula: Running, tenant: Tenant) -> None:
    """While the first is not answered, another request under its key does not get its resource."""
    sale = await temula.sale(tenant)
    order = {
        "event_id": sale.event["id"], "buyer": {"name": "A", "email": "a@example.org"},
        "attendees": [{"ticket_type_id": sale.types[0]["id"]}],
    }  # fmt: skip
    key = uuid4().hex
    await write(tenant.api, key, order, "/registrations")
    connection = await asyncpg.connect(temula.owner_url)
    await connection.execute("UPDATE idempotency_keys SET status = NULL, answer = NULL WHERE key = $1", key)
    await connection.close()
    order["buyer"] = {"name": rfc3339(temula.house.database.clock.now()), "email": "b@example.org"}
    assert (await write(tenant.api, key, order, "/registrations")).code == "idempotency_key_reused"
