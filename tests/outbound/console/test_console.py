"""The console: signing in and out, who is kept out, and the live numbers."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import aiohttp
import asyncpg
import pytest

from temula.domain.organizations import service as organizations
from temula.domain.organizations.model import Role
from temula.outbound.console.routes import SIGN_INS_A_MINUTE
from tests.harness import house
from tests.harness.api import Answer
from tests.harness.house import PUBLIC_URL, Running, Tenant, until
from tests.harness.postgres import Postgres
from tests.harness.receiver import Receiver
from tests.outbound.conftest import Still

PASSWORD = "correct horse battery staple"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


async def member(temula: Running, tenant: Tenant, role: Role = Role.OWNER) -> str:
    """Somebody of the tenant who may sign in; gives the email address."""
    email = f"{role}.{tenant.id}@example.org"
    async with temula.house.database.unit(tenant.actor) as uow:
        await organizations.add_member(uow, email=email, name="Admin", role=role, password=PASSWORD)
    return email


async def sign_in(temula: Running, email: str, password: str = PASSWORD, **headers: str) -> Answer:
    raw = urlencode({"email": email, "password": password}).encode()
    return await temula.api(None).call("POST", "//sign-in", raw=raw, headers={**FORM, **headers})


def cookie_of(answer: Answer) -> dict[str, str]:
    return {"Cookie": answer.headers["set-cookie"].partition(";")[0]}


async def home(temula: Running, cookie: dict[str, str]) -> str:
    page = await temula.api(None).call("GET", "//", headers=cookie)
    assert page.status == 200
    assert page.headers["cache-control"] == "no-store"
    assert page.headers["content-security-policy"].startswith("default-src 'none'; script-src 'self'")
    return page.body.decode()


async def test_who_signs_in_sees_the_organization(temula: Running, tenant: Tenant) -> None:
    """Email address and password open a session in a cookie that scripts do not see; signing out ends it."""
    email = await member(temula, tenant)
    answer = await sign_in(temula, email.upper())
    assert (answer.status, answer.headers["location"]) == (303, "/")
    flags = answer.headers["set-cookie"].lower()
    assert "httponly" in flags
    assert "samesite=lax" in flags
    assert "path=/" in flags
    assert "secure" not in flags
    cookie = cookie_of(answer)
    page = await home(temula, cookie)
    assert tenant.organization.name in page
    assert 'id="registrations">0<' in page
    out = await temula.api(None).call("POST", "//sign-out", headers=cookie)
    assert (out.status, out.headers["location"]) == (303, "/")
    assert 'action="/sign-in"' in await home(temula, cookie)
    assert (await temula.api(None).call("GET", "//live", headers=cookie)).code == "unauthenticated"


async def test_a_session_is_kept_as_its_hash(temula: Running, tenant: Tenant) -> None:
    """The table holds no secret that would open a session."""
    cookie = cookie_of(await sign_in(temula, await member(temula, tenant)))
    secret = cookie["Cookie"].partition("=")[2]
    connection = await asyncpg.connect(temula.owner_url)
    rows = await connection.fetch("SELECT s::text AS whole FROM sessions s WHERE organization_id = $1", tenant.id)
    await connection.close()
    assert len(rows) == 1
    assert secret not in rows[0]["whole"]


@pytest.mark.parametrize("cookie", [{}, {"Cookie": "temula_session=x"}, {"Cookie": "temula_session="}])
async def test_who_is_not_signed_in_sees_the_way_in(temula: Running, cookie: dict[str, str]) -> None:
    """Nothing of any organization, and no live numbers."""
    page = await home(temula, cookie)
    assert 'action="/sign-in"' in page
    assert "live.js" not in page
    assert (await temula.api(None).call("GET", "//live", headers=cookie)).status == 401


async def test_a_wrong_password_says_no_more(temula: Running, tenant: Tenant) -> None:
    """Unknown address and wrong password get the same page, and no cookie."""
    email = await member(temula, tenant)
    wrong, unknown = await sign_in(temula, email, "wrong"), await sign_in(temula, "nobody@example.org")
    for answer in (wrong, unknown):
        assert answer.status == 401
        assert "do not fit" in answer.body.decode()
        assert "set-cookie" not in answer.headers
    assert wrong.body == unknown.body


async def test_trying_passwords_is_slowed_down(stopped: Still) -> None:
    """After twenty tries in a minute from one address even the right password waits a minute."""
    tenant = await stopped.temula.tenant(connected=False)
    email = await member(stopped.temula, tenant)
    stopped.clock.advance(60)
    for _ in range(SIGN_INS_A_MINUTE):
        assert (await sign_in(stopped.temula, email, "wrong")).status == 401
    refused = await sign_in(stopped.temula, email)
    assert (refused.status, refused.code, refused.headers["retry-after"]) == (429, "rate_limited", "60")
    stopped.clock.advance(60)
    assert (await sign_in(stopped.temula, email)).status == 303


@pytest.mark.parametrize(
    "headers", [{"Origin": "https://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}]
)
async def test_other_pages_cannot_act_for_the_signed_in(
    temula: Running, tenant: Tenant, headers: dict[str, str]
) -> None:
    """A form on another site can neither sign somebody in nor out."""
    email = await member(temula, tenant)
    assert (await sign_in(temula, email, **headers)).code == "cross_origin_refused"
    cookie = cookie_of(await sign_in(temula, email, Origin=temula.base_url))
    refused = await temula.api(None).call("POST", "//sign-out", headers={**cookie, **headers})
    assert refused.code == "cross_origin_refused"
    assert tenant.organization.name in await home(temula, cookie)


@pytest.mark.parametrize("raw", [b"", b"email=x", b"\xff\xfe", b"{}"])
async def test_a_form_that_is_none_is_a_problem(temula: Running, raw: bytes) -> None:
    """Whatever is posted to the door, the answer is 4xx."""
    answer = await temula.api(None).call("POST", "//sign-in", raw=raw, headers=FORM)
    assert 400 <= answer.status < 500


async def test_in_production_only_https_signs_in(server: Postgres, tmp_path: Path) -> None:
    """In clear no password is taken; with TLS the cookie is for TLS alone."""
    async with server.database() as url, house.running(url, tmp_path, worker=False, production=True) as temula:
        email = await member(temula, await temula.tenant(connected=False))
        assert (await sign_in(temula, email)).code == "https_required"
        host = PUBLIC_URL.partition("://")[2]
        proxied = {"X-Forwarded-Proto": "https", "Host": host, "Origin": PUBLIC_URL}
        answer = await sign_in(temula, email, **proxied)
        assert answer.status == 303
        assert "secure" in answer.headers["set-cookie"].lower()


@asynccontextmanager
async def listening(temula: Running, cookie: dict[str, str]) -> AsyncIterator[aiohttp.StreamReader]:
    async with temula.web.get(f"{temula.base_url}/live", headers=cookie) as answer:
        assert answer.status == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        yield answer.content


async def heard(stream: aiohttp.StreamReader) -> dict[str, Any] | None:
    """The next numbers; None at the end of the stream."""
    async with asyncio.timeout(10):
        while line := await stream.readline():
            if line.startswith(b"data: "):
                return json.loads(line[6:])
    return None


async def test_numbers_come_at_once_and_when_they_change(temula: Running, tenant: Tenant, hooks: Receiver) -> None:
    """The stream tells how things stand, then each change, and ends with the session."""
    cookie = cookie_of(await sign_in(temula, await member(temula, tenant)))
    sale = await temula.sale(tenant, prices=(0,))
    await tenant.api.post("/webhooks/endpoints", {"url": hooks.url, "types": ["registration.*"]})
    async with listening(temula, cookie) as stream:
        first = await heard(stream)
        assert first == {
            "registrations": 0, "checked_in": 0, "deliveries": 0, "disabled_endpoints": 0, "latest": [],
            "troubled": [], "notices": [],
        }  # fmt: skip
        seats = [{"ticket_type_id": sale.types[0]["id"]}]
        order = {"event_id": sale.event["id"], "buyer": {"name": "A", "email": "a@example.org"}, "attendees": seats}
        await tenant.api.post("/registrations", order)
        now = first
        while now is not None and (now["registrations"], now["deliveries"]) != (1, 1):
            now = await heard(stream)
        assert now is not None
        (sent,) = now["latest"]
        assert (sent["type"], sent["state"]) == ("registration.created", "delivered")
        assert sent["to"] in hooks.url

        async def issued() -> list[dict[str, Any]]:
            return await tenant.api.every("/tickets")

        (ticket,) = await until(issued)
        await tenant.api.post("/check-ins", {"ticket_id": ticket["id"], "checkpoint_id": sale.gate["id"]})
        while now is not None and now["checked_in"] != 1:
            now = await heard(stream)
        page = await home(temula, cookie)
        numbers = dict(re.findall(r'<b id="(\w+)">(\d+)<', page))
        assert numbers == {"registrations": "1", "checked_in": "1", "deliveries": "1", "disabled_endpoints": "0"}
        await temula.api(None).call("POST", "//sign-out", headers=cookie)
        while now is not None:
            now = await heard(stream)
    assert (await temula.api(None).call("GET", "//live", headers=cookie)).status == 401


async def test_nobody_sees_the_numbers_of_others(temula: Running, tenant: Tenant) -> None:
    """A session shows its own organization, whatever happens in another."""
    cookie = cookie_of(await sign_in(temula, await member(temula, tenant)))
    other = await temula.tenant(connected=False)
    sale = await temula.sale(other, prices=(0,))
    async with listening(temula, cookie) as stream:
        assert (await heard(stream) or {})["registrations"] == 0
        seats = [{"ticket_type_id": sale.types[0]["id"]}]
        order = {"event_id": sale.event["id"], "buyer": {"name": "A", "email": "a@example.org"}, "attendees": seats}
        await other.api.post("/registrations", order)
        mine = await temula.sale(tenant, prices=(0,))
        order |= {"event_id": mine.event["id"], "attendees": [{"ticket_type_id": mine.types[0]["id"]}]}
        await tenant.api.post("/registrations", order)
        assert (await heard(stream) or {})["registrations"] == 1
