"""The log of attempts, searched: by every condition, alone and together, in pages that neither skip nor repeat."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import msgspec
import pytest
from aiohttp import web

from temula.domain.events.facts import EventArchived
from temula.kernel.clock import rfc3339
from temula.kernel.ids import DELIVERY, DELIVERY_ATTEMPT, MESSAGE
from temula.outbound.webhooks import store
from temula.outbound.webhooks.model import Attempt, By, Outcome
from temula.outbound.webhooks.service import searching
from tests.harness.house import Running, until
from tests.harness.receiver import Receiver
from tests.outbound.webhooks.watched import Watched

NOBODYS = "msg_01kaqygtkve008000001yxg7pq"


async def logged(watched: Watched, number: int) -> list[dict[str, Any]]:
    """All attempts once there are so many, newest first."""

    async def look() -> list[dict[str, Any]] | None:
        found = await watched.api.every("/webhooks/attempts")
        return found if len(found) == number else None

    return await until(look)


async def found(watched: Watched, **asked: Any) -> list[str]:
    given = {name.rstrip("_"): value for name, value in asked.items()}
    return [one["id"] for one in await watched.api.every(f"/webhooks/attempts?{urlencode(given)}")]


async def pages(api: Any, query: str) -> list[list[dict[str, Any]]]:
    """Every page, those that are empty and lead on too."""
    read: list[list[dict[str, Any]]] = []
    cursor: str | None = None
    while True:
        page = await api.get(f"/webhooks/attempts?{query}" + (f"&cursor={cursor}" if cursor else ""))
        read.append(page["data"])
        assert (page["searched_to"] is None) == (page["next_cursor"] is None)
        if (cursor := page["next_cursor"]) is None:
            return read


async def add(watched: Watched, attempts: Sequence[Attempt]) -> None:
    async with watched.still.temula.house.database.crossing("a test logs") as uow:
        await store.add_attempts(uow, attempts)


async def template(watched: Watched) -> Attempt:
    """One attempt as the engine logged it, to make others of."""
    await watched.happen()
    delivery = await watched.tried(1)
    async with watched.still.temula.house.database.reading(watched.tenant.actor) as uow:
        (one,) = await store.attempts(uow, delivery["id"])
    return one


def like(one: Attempt, seconds: float, **changes: Any) -> Attempt:
    """Another attempt, made so much earlier."""
    at = one.at - timedelta(seconds=seconds)
    return msgspec.structs.replace(one, at=at, id=DELIVERY_ATTEMPT.new(at), message_id=MESSAGE.new(at), **changes)


async def test_it_is_searched_by_what_came_of_it(watched: Watched, hooks: Receiver) -> None:
    """By endpoint, type, status and its class, outcome, error, message and time, alone and together."""
    start = watched.still.clock.now()
    hooks.answers = [200, 503, 404, lambda: web.Response(status=202)]
    ids: list[str] = []
    for n in range(4):
        await watched.happen()
        await watched.tried(1, n)
        ids.insert(0, (await logged(watched, n + 1))[0]["id"])
        watched.still.clock.advance(1)
    accepted, missing, away, fine = ids
    other = await watched.api.post("/webhooks/endpoints", {"url": "http://127.0.0.1:9/hooks", "types": ["event.*"]})
    await watched.happen()
    (refused,) = [one for one in await logged(watched, 6) if one["status"] is None]
    both = {one["id"] for one in await logged(watched, 6)} - set(ids)
    (fifth,) = both - {refused["id"]}
    assert (refused["endpoint_id"], refused["error"], refused["status"]) == (other["id"], "connect_refused", None)

    assert await found(watched, endpoint_id=watched.endpoint["id"]) == [fifth, *ids]
    assert await found(watched, endpoint_id=other["id"]) == [refused["id"]]
    assert set(await found(watched, type="event.updated")) == {*both, *ids}
    assert await found(watched, type="event.archived") == []
    assert set(await found(watched, type="registration.*,event.*")) == {*both, *ids}
    for status, those in {
        "200": [fifth, fine], "503": [away], "404": [missing], "202": [accepted], "500": [],
        "2xx": [fifth, accepted, fine], "4xx": [missing], "3xx": [], "succeeded": [fifth, accepted, fine],
        "none": [refused["id"]],
    }.items():  # fmt: skip
        assert await found(watched, status=status) == those, status
    assert set(await found(watched, status="failed")) == {refused["id"], missing, away}
    assert await found(watched, status="failed", endpoint_id=watched.endpoint["id"]) == [missing, away]
    assert await found(watched, outcome="delivered") == [fifth, accepted, fine]
    assert set(await found(watched, outcome="retried")) == {refused["id"], missing, away}
    assert await found(watched, outcome="delivered", status="failed") == []
    assert await found(watched, error="connect_refused") == [refused["id"]]
    assert await found(watched, error="timeout") == []
    assert await found(watched, error="connect_refused", status="5xx") == []
    assert await found(watched, message_id=refused["message_id"], status="none") == [refused["id"]]
    assert set(await found(watched, message_id=refused["message_id"])) == both
    assert await found(watched, message_id=NOBODYS) == []
    second, third = (rfc3339(start + timedelta(seconds=n)) for n in (1, 2))
    assert await found(watched, from_=second, until=third) == [away]
    assert await found(watched, until=third) == [away, fine]
    assert await found(watched, from_=second, until=third, status="404") == []
    assert await found(watched, type="event.updated", status="5xx", endpoint_id=watched.endpoint["id"]) == [away]


async def test_an_attempt_is_shown_whole(watched: Watched, hooks: Receiver) -> None:
    """Request headers and body as they arrived, the signature, status, headers and body of the answer."""
    thin = await watched.api.post(
        "/webhooks/endpoints", {"url": hooks.url, "types": ["event.updated"], "payload": "thin"}
    )
    hooks.answers = [lambda: web.Response(status=503, body=b"\xffbusy", headers={"X-Id": "7"})] * 2
    await watched.happen()
    bodies = set()
    for one in await logged(watched, 2):
        whole = await watched.api.get(f"/webhooks/attempts/{one['id']}")
        secret = (thin if one["endpoint_id"] == thin["id"] else watched.endpoint)["secret"]
        (arrival,) = [arrival for arrival in hooks.arrivals if arrival.plainly_signed_by(secret)]
        assert {name: whole[name] for name in one} == one
        assert whole["request_body"].encode() == arrival.body
        assert whole["signature"] == arrival.headers["x-temula-signature"]
        sent = {name.lower(): value for name, value in whole["request_headers"].items()}
        assert {name: arrival.headers[name] for name in sent} == sent
        assert (whole["status"], whole["number"], whole["outcome"]) == (503, 1, "retried")
        assert whole["response_body"] == "\ufffdbusy"
        assert ["X-Id", "7"] in whole["response_headers"]
        assert whole["address"] == "127.0.0.1"
        bodies.add(whole["request_body"])
    assert len(bodies) == 2
    for nothing in ("dat_x", "dat_01kaqygtkve008000001yxg7pq"):
        answer = await watched.api.call("GET", f"/webhooks/attempts/{nothing}")
        assert (answer.status, answer.code) == (404, "webhook_attempt_not_found")


async def test_it_is_searched_by_what_it_is_about(temula: Running, hooks: Receiver) -> None:
    """A registration, its attendee, its ticket, its payment, the check-in and the event lead to their messages."""
    tenant = await temula.tenant()
    api = tenant.api
    await api.post("/webhooks/endpoints", {"url": hooks.url})
    sale = await temula.sale(tenant)
    event = sale.event["id"]
    order = {"event_id": event, "buyer": {"name": "A", "email": "a@example.org"}}
    made = []
    for _ in range(2):
        one = await api.post("/registrations", {**order, "attendees": [{"ticket_type_id": sale.types[0]["id"]}]})
        await temula.pay(one)
        made.append(one)

    async def issued() -> list[dict[str, Any]] | None:
        tickets = await api.every(f"/tickets?registration_id={made[0]['id']}")
        return tickets or None

    (ticket,) = await until(issued)
    check_in = await api.post("/check-ins", {"checkpoint_id": sale.gate["id"], "ticket_id": ticket["id"]})
    of_one = {"registration.created", "payment.succeeded", "ticket.issued"}
    at_the_gate = {"check_in.completed", "attendee.checked_in"}
    for about, types, number in (
        (made[0]["id"], of_one, 3), (made[0]["payment"]["id"], {"payment.succeeded"}, 1),
        (ticket["id"], {"ticket.issued", *at_the_gate}, 3), (check_in["id"], at_the_gate, 2),
        (ticket["attendee_id"], {"registration.created", "ticket.issued", *at_the_gate}, 4),
        (event, {"event.published", *of_one, *at_the_gate}, 9),
    ):  # fmt: skip

        async def look(about: str = about, number: int = number) -> list[dict[str, Any]] | None:
            here = await api.every(f"/webhooks/attempts?object_id={about}")
            return here if len(here) == number else None

        assert {one["type"] for one in await until(look)} == types, about
    paid = await api.every(f"/webhooks/attempts?object_id={event}&type=payment.*")
    assert [one["type"] for one in paid] == ["payment.succeeded"] * 2
    other = await temula.tenant(connected=False)
    assert await other.api.every(f"/webhooks/attempts?object_id={event}") == []


async def test_pages_neither_skip_nor_repeat(watched: Watched) -> None:
    """Many attempts of one instant, and more that are logged while pages are read: each that was there comes once."""
    one = await template(watched)
    await add(watched, [like(one, n // 7) for n in range(1, 60)])
    before = {item["id"] for item in await watched.api.every("/webhooks/attempts")}
    assert len(before) == 60
    for query in ("limit=7", f"limit=7&endpoint_id={watched.endpoint['id']}", "limit=7&type=event.updated"):
        read: list[dict[str, Any]] = []
        cursor = ""
        while True:
            page = await watched.api.get(f"/webhooks/attempts?{query}{cursor}")
            read += page["data"]
            await add(watched, [like(one, -1)])
            if page["next_cursor"] is None:
                break
            cursor = f"&cursor={page['next_cursor']}"
        ids = [item["id"] for item in read]
        assert len(ids) == len(set(ids))
        assert before <= set(ids)
        order = [(item["at"], item["id"]) for item in read]
        assert order == sorted(order, reverse=True)
    last = await watched.api.call("GET", "/webhooks/attempts?limit=7&status=failed" + cursor)
    assert (last.status, last.json["errors"][0]["pointer"]) == (422, "/cursor")


async def far_apart(watched: Watched) -> list[Attempt]:
    """Attempts of one message that was first sent eighty days ago, newest first; one was tried twice, the 11th here."""
    one = await template(watched)
    days = (80, 79.8, 79.1, 78, 76, 75, 60, 59, 58.5, 40, 20, 1)
    watched.still.clock.advance(80 * 86_400 + 1)
    made = []
    for at in (one.at + timedelta(days=n) for n in days):
        changes = {"at": at, "id": DELIVERY_ATTEMPT.new(at), "delivery_id": DELIVERY.new(at), "status": 503}
        made.append(msgspec.structs.replace(one, outcome=Outcome.EXHAUSTED, **changes))
    at = one.at + timedelta(days=0.5)
    tried = {"at": at, "id": DELIVERY_ATTEMPT.new(at), "delivery_id": DELIVERY.new(at), "outcome": Outcome.RETRIED}
    made.append(msgspec.structs.replace(made[-1], **tried))
    made[-3] = msgspec.structs.replace(made[-3], delivery_id=tried["delivery_id"], number=2)
    async with watched.still.temula.house.database.crossing("a test logs") as uow:
        for day in {each.at.date() for each in made}:
            await store.make_day(uow, day)
        await store.add_attempts(uow, made)
    return [*made, one]


async def test_what_lies_far_back_is_found(watched: Watched) -> None:
    """Over eighty days, pages of any size hold each attempt once, newest first, by each index."""
    made = await far_apart(watched)
    ids = [each.id for each in made]
    of_endpoint = f"endpoint_id={watched.endpoint['id']}"

    async def read(query: str) -> list[str]:
        return [item["id"] for page in await pages(watched.api, query) for item in page]

    for limit in (1, 2, 5, 100):
        for query in (of_endpoint, "type=event.updated", f"message_id={made[0].message_id}", ""):
            assert await read(f"limit={limit}&{query}") == ids, (query, limit)
    for query in ("status=failed", "status=503", f"status=failed&{of_endpoint}"):
        assert await read(f"limit=4&{query}") == ids[:-1], query
    between = f"from={rfc3339(made[9].at)}&until={rfc3339(made[3].at)}"
    for query in ("limit=2", "limit=50&status=503"):
        assert await read(f"{query}&{between}") == ids[4:10], query


async def test_deliveries_of_long_ago_are_found(watched: Watched) -> None:
    """Over eighty days, lists of any size hold each delivery once, newest first, and each has its attempts."""
    made = await far_apart(watched)
    again = made.pop(10)
    ids = [each.delivery_id for each in made]
    for limit in (1, 5, 100):
        for query in ("", f"?endpoint_id={watched.endpoint['id']}"):
            listed = await watched.api.every(f"/webhooks/deliveries{query}", limit)
            assert [item["id"] for item in listed] == ids, (query, limit)
    for each in made:
        found = await watched.api.get(f"/webhooks/deliveries/{each.delivery_id}")
        tries = [each, again] if each.delivery_id == again.delivery_id else [each]
        assert [tried["id"] for tried in found["attempts"]] == [tried.id for tried in tries]
        assert found["delivery"]["state"] == ("delivered" if each is made[-1] else "exhausted")


async def test_what_seldom_fits_is_found_over_several_pages(watched: Watched) -> None:
    """Conditions that fit many attempts each and hardly any together: pages are short, lead on, and hold them all."""
    one = await template(watched)
    number = searching.LOOKED_AT[By.TYPE] + 500
    elsewhere = "whe_01kaqygtkve008000001yxg7pq"
    rows = [like(one, n / 100, endpoint_id=elsewhere, type="event.published") for n in range(1, number)]
    rows += [like(one, 100 + n / 100) for n in range(number)]
    rows += [like(one, 200, endpoint_id=elsewhere), like(one, 300, endpoint_id=elsewhere)]
    for n in range(0, len(rows), 1000):
        await add(watched, rows[n : n + 1000])
    read = await pages(watched.api, f"type=event.updated&endpoint_id={elsewhere}")
    assert len(read) > 1
    assert read[0] == []
    assert [item["id"] for page in read for item in page] == [rows[-2].id, rows[-1].id]
    assert [len(page) for page in await pages(watched.api, "type=event.archived")] == [0]


async def test_an_object_of_which_much_is_said(watched: Watched) -> None:
    """More facts about an event than are looked up at once: their attempts are found all the same."""
    one = await template(watched)
    event = watched.event["id"]
    async with watched.still.temula.house.database.unit(watched.tenant.actor) as uow:
        for _ in range(searching.READ_AT_ONCE + 5):
            uow.tell(EventArchived(event_id=event, archived_at="2026-12-01T09:00:00.000Z"), event_id=event)
    await add(watched, [like(one, n) for n in range(1, 40)])
    assert await found(watched, object_id=event) == [one.id]
    assert await found(watched, object_id=event, outcome="exhausted") == []


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ("type=nope", "/type"), ("status=6", "/status"), ("status=2x", "/status"), ("object_id=x", "/object_id"),
        ("message_id=reg_1", "/message_id"), ("from=2026-12-02T00:00:00Z&until=2026-12-01T00:00:00Z", "/from"),
        ("cursor=x", "/cursor"),
    ],
)  # fmt: skip
async def test_what_cannot_be_searched_for_is_refused(watched: Watched, query: str, pointer: str) -> None:
    """A problem says what to give instead."""
    answer = await watched.api.call("GET", f"/webhooks/attempts?{query}")
    assert (answer.status, answer.json["errors"][0]["pointer"]) == (422, pointer)


async def test_a_removed_message_leaves_the_attempt(watched: Watched) -> None:
    """An attempt whose fact is not there any more is shown without the body that cannot be told."""
    one = await template(watched)
    orphan = like(one, 5, outcome=Outcome.EXHAUSTED)
    await add(watched, [orphan])
    whole = await watched.api.get(f"/webhooks/attempts/{orphan.id}")
    assert (whole["request_body"], whole["outcome"]) == (None, "exhausted")
