"""Whatever goes wrong is answered as problem+json with a stable code, and tells nothing of our inside."""

import asyncio
import io
import re

import pytest

from temula.outbound.callers.problems import PROBLEM_JSON
from tests.harness.api import Answer
from tests.harness.house import Running, Tenant

EVENT = {"name": "E", "starts_at": "2027-05-01T12:00:00Z", "ends_at": "2027-05-01T13:00:00Z", "currency": "MYR"}
JSON = {"Content-Type": "application/json"}
INSIDE = re.compile(rb"Traceback|asyncpg|litestar|temula\.|\.py|SELECT |INSERT |<html|<!doctype", re.IGNORECASE)


def whole(answer: Answer) -> dict:
    """The problem, after every promise about problems was looked at."""
    problem = answer.json
    assert answer.headers["content-type"] == PROBLEM_JSON
    assert problem["status"] == answer.status
    assert problem["type"] == f"/api/problems#{problem['code']}"
    assert problem["request_id"] == answer.headers["x-request-id"]
    assert {"title", "detail", "instance"} <= problem.keys()
    assert not INSIDE.search(answer.body)
    return problem


@pytest.mark.parametrize(
    "path", ["/nope", "//nope", "//api/v2/events", "//api/schema", "//api/assets/x", "//console/x"]
)
async def test_an_unknown_address_is_a_problem(tenant: Tenant, path: str) -> None:
    """404, also outside the API and where the framework would show a page of its own."""
    answer = await tenant.api.call("GET", path)
    assert (answer.status, whole(answer)["code"]) == (404, "not_found")


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH"])
async def test_a_wrong_method_is_a_problem(tenant: Tenant, method: str) -> None:
    """405, with the methods that there are."""
    answer = await tenant.api.call(method, "/events")
    assert (answer.status, whole(answer)["code"]) == (405, "method_not_allowed")
    assert {"GET", "POST"} <= set(answer.headers["allow"].split(", "))


@pytest.mark.parametrize(
    "body",
    [b"{nope", b'{"name":', b"[" * 100_000, b'{"name":"\xff"}', b'{"name":"\\ud800"}', b'{"a":1}x', b"\x00", b"NaN"],
)
async def test_what_is_not_json_is_a_problem(tenant: Tenant, body: bytes) -> None:
    """400, however it is broken: cut, nested without end, not UTF-8."""
    answer = await tenant.api.call("POST", "/events", raw=body, headers=JSON)
    assert (answer.status, whole(answer)["code"]) == (400, "malformed_json")


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"])
async def test_a_body_must_say_that_it_is_json(tenant: Tenant, kind: str) -> None:
    """415 for any other type; a parameter of the right one is fine."""
    answer = await tenant.api.call("POST", "/events", raw=b"{}", headers={"Content-Type": kind})
    assert (answer.status, whole(answer)["code"]) == (415, "unsupported_media_type")
    good = {"Content-Type": "application/json; charset=utf-8"}
    assert (await tenant.api.call("POST", "/events", raw=b"{}", headers=good)).status == 422


@pytest.mark.parametrize("length", [True, False])
async def test_a_large_body_is_a_problem(tenant: Tenant, *, length: bool) -> None:
    """413 over 1 MiB, whether the length is told before or found on the way."""

    async def pieces():
        for _ in range(20):
            yield b" " * 65536
            await asyncio.sleep(0)

    body = io.BytesIO(b" " * 20 * 65536) if length else pieces()
    answer = await tenant.api.call("POST", "/events", raw=body, headers=JSON)  # type: ignore[arg-type]
    assert (answer.status, whole(answer)["code"]) == (413, "request_too_large")


ORDER = {"event_id": "evt_x", "buyer": {"name": "A", "email": "a@example.org"}, "attendees": [{"ticket_type_id": "x"}]}


@pytest.mark.parametrize(
    ("path", "body", "pointer"),
    [
        ("/events", {**EVENT, "name": 5}, "/name"),
        ("/events", {**EVENT, "name": ""}, "/name"),
        ("/events", {**EVENT, "name": " "}, "/name"),
        ("/events", {**EVENT, "name": "x" * 201}, "/name"),
        ("/events", {**EVENT, "currency": "myr"}, "/currency"),
        ("/events", {**EVENT, "currency": "XXX"}, "/currency"),
        ("/events", {**EVENT, "starts_at": "tomorrow"}, "/starts_at"),
        ("/events", {**EVENT, "starts_at": "2027-05-01T12:00:00"}, "/starts_at"),
        ("/events", {**EVENT, "ends_at": "2027-05-01T11:00:00Z"}, "/ends_at"),
        ("/events", {**EVENT, "timezone": "Mars/Olympus"}, "/timezone"),
        ("/events", {**EVENT, "timezone": "../../etc/passwd"}, "/timezone"),
        ("/events", {**EVENT, "visibility": "secret"}, "/visibility"),
        ("/events", {**EVENT, "id": "evt_mine"}, "/id"),
        ("/events", {"name": "E"}, "/starts_at"),
        ("/registrations", {**ORDER, "buyer": {"name": "A"}}, "/buyer/email"),
        ("/registrations", {**ORDER, "buyer": {**ORDER["buyer"], "age": 3}}, "/buyer/age"),  # type: ignore[dict-item]
        ("/registrations", {**ORDER, "attendees": []}, "/attendees"),
        ("/registrations", {**ORDER, "attendees": [*ORDER["attendees"], {}]}, "/attendees/1/ticket_type_id"),
        ("/registrations", {**ORDER, "attendees": [{"ticket_type_id": 5}]}, "/attendees/0/ticket_type_id"),
        ("/events", {**EVENT, "timezone": "posixrules"}, "/timezone"),
        ("/events", {**EVENT, "name": "a\r\nBcc: b"}, "/name"),
        ("/events", {**EVENT, "description": "a\0"}, "/description"),
        ("/registrations", {**ORDER, "success_url": "javascript:alert(1)"}, "/success_url"),
        ("/registrations", {**ORDER, "success_url": "https://"}, "/success_url"),
        ("/registrations", {**ORDER, "success_url": "https://a.test/\r\nx"}, "/success_url"),
        ("/registrations", {**ORDER, "cancel_url": "https://a b/"}, "/cancel_url"),
        ("/registrations", {**ORDER, "cancel_url": "https://[/"}, "/cancel_url"),
        ("/webhooks/endpoints", {"url": "http://10.0.0.1/"}, "/url"),
        ("/webhooks/endpoints", {"url": "http://127.0.0.1:9/", "types": ["nope"]}, "/types"),
        ("/webhooks/endpoints", {"url": "http://127.0.0.1:9/", "event_ids": ["x"]}, "/event_ids/0"),
        ("/check-ins", {"checkpoint_id": "x"}, "/code"),
        ("/events", None, ""),
        ("/events", [], ""),
    ],
)
async def test_a_wrong_field_is_named(tenant: Tenant, path: str, body: object, pointer: str) -> None:
    """422 with a JSON Pointer to the field, as deep as it stands, under the name that the caller gave it."""
    raw = None if body is not None else b""
    answer = await tenant.api.call("POST", path, body, raw=raw, headers=JSON)
    assert answer.status == 422
    assert [one.get("pointer", "") for one in whole(answer)["errors"]] == [pointer]


@pytest.mark.parametrize(
    ("query", "name"), [("limit=0", "/limit"), ("limit=101", "/limit"), ("limit=x", "/limit"), ("state=x", "/state"),
                        ("cursor=x", "/cursor"), ("cursor=" + "a" * 5000, "/cursor"), ("cursor=%00", "/cursor")],
)  # fmt: skip
async def test_a_wrong_parameter_is_named(tenant: Tenant, query: str, name: str) -> None:
    """422 for the query as for the body."""
    answer = await tenant.api.call("GET", f"/events?{query}")
    assert answer.status == 422
    assert whole(answer)["errors"][0]["pointer"] == name


async def test_text_that_cannot_be_stored_is_refused(tenant: Tenant) -> None:
    """PostgreSQL cannot hold NUL: that is the caller's mistake, in a body and in an address."""
    for answer in (
        await tenant.api.call("POST", "/events", {**EVENT, "venue": "a\x00b"}),
        await tenant.api.call("GET", "/events/a%00b"),
    ):
        assert (answer.status, whole(answer)["code"]) == (422, "invalid_input")


async def test_a_number_that_cannot_be_stored_is_refused(temula: Running, tenant: Tenant) -> None:
    """An amount beyond what the world can carry exactly is the caller's mistake."""
    event = await tenant.api.post("/events", EVENT)
    path = f"/events/{event['id']}/ticket-types"
    for price, quota in ((2**53, 1), (-1, 1), (1, 2**40), (1, -1), (10**400, 1)):
        answer = await tenant.api.call("POST", path, {"name": "T", "price": price, "quota": quota})
        assert answer.status in (400, 422), answer
        whole(answer)


async def test_a_bug_shows_its_number_alone(temula: Running, tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    """500 tells the request's id, which the log has too, and nothing of what broke."""

    async def broken(*_: object, **__: object) -> object:
        raise RuntimeError("password=hunter2")

    monkeypatch.setattr("temula.domain.events.service.listed", broken)
    answer = await tenant.api.call("GET", "/events")
    assert (answer.status, whole(answer)["code"]) == (500, "internal_error")
    assert b"hunter2" not in answer.body


async def test_every_code_is_documented(tenant: Tenant) -> None:
    """The page of codes has an anchor for each, and codes of refused scans are among them."""
    page = (await tenant.api.call("GET", "//api/problems")).body.decode()
    anchors = set(re.findall(r'<tr id="([^"]+)"', page))
    assert {
        "not_found", "method_not_allowed", "malformed_json", "unsupported_media_type", "request_too_large",
        "invalid_input", "invalid_token", "missing_ability", "plan_without_api", "rate_limited", "https_required",
        "cross_origin_refused", "idempotency_key_reused", "precondition_failed", "internal_error", "unavailable",
        "event_not_found", "event_state", "sold_out", "not_on_sale", "registration_state", "not_refundable",
        "webhook_url_refused", "ticket_already_used", "ticket_void",
    } <= anchors  # fmt: skip
