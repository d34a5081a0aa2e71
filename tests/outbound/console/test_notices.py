"""The console's notices: endpoints that fail or were disabled, who is told, and enabling one again."""

import html
import re
from typing import Any

import asyncpg
import pytest

from temula.domain.organizations.model import Role
from temula.outbound.webhooks import service
from tests.harness.house import until
from tests.harness.receiver import Receiver
from tests.outbound.conftest import Still
from tests.outbound.console.test_console import cookie_of, home, member, sign_in
from tests.outbound.webhooks.watched import Watched, arrived, has, watching

HOSTILE = '<img src=x onerror="alert(1)">'


@pytest.fixture
async def watched(stopped: Still, hooks: Receiver) -> Watched:
    stopped.clock.advance(60)  # nobody has tried to sign in for a minute
    return await watching(stopped, f"{hooks.url}?q=%3Cb%3E")


async def signed_in(watched: Watched, role: Role = Role.OWNER) -> dict[str, str]:
    temula = watched.still.temula
    return cookie_of(await sign_in(temula, await member(temula, watched.tenant, role)))


async def give_up(watched: Watched, hooks: Receiver) -> dict[str, Any]:
    """Have the endpoint disabled, one message waiting for it."""
    hooks.answers = [410]
    await watched.happen()

    async def disabled() -> dict[str, Any] | None:
        endpoint = await watched.state()
        return endpoint if endpoint["state"] == "disabled" else None

    return await until(disabled)


async def enable(watched: Watched, cookie: dict[str, str], endpoint_id: str | None = None, **headers: str) -> Any:
    path = f"//endpoints/{endpoint_id or watched.endpoint['id']}/enable"
    return await watched.still.temula.api(None).call("POST", path, headers={**cookie, **headers})


def troubled(page: str) -> list[str]:
    """The text of each endpoint that is in trouble, its button included."""
    articles = re.findall(r"<article.*?</article>", page, re.DOTALL)
    return [" ".join(html.unescape(re.sub(r"<[^>]*>", " ", one)).split()) for one in articles]


def notices(page: str) -> list[list[str]]:
    """The cells of each notice, newest first."""
    (body,) = re.findall(r'<tbody id="notices">(.*?)</tbody>', page, re.DOTALL)
    rows = re.findall(r"<tr>(.*?)</tr>", body, re.DOTALL)
    return [
        [html.unescape(re.sub(r"<[^>]*>", "", cell)).strip() for cell in re.findall(r"<td>(.*?)</td>", row, re.DOTALL)]
        for row in rows
    ]


async def test_a_disabled_endpoint_is_told_of_and_enabled_again(watched: Watched, hooks: Receiver) -> None:
    """Why, since when, what waits and what to do; the button sends what was kept, and the notice stays."""
    cookie, endpoint = await signed_in(watched), watched.endpoint
    assert troubled(await home(watched.still.temula, cookie)) == []
    await watched.api.patch(f"/webhooks/endpoints/{endpoint['id']}", {"description": "The CRM"})
    await give_up(watched, hooks)
    await watched.happen()
    await until(lambda: has(watched, 2))
    at = f"{watched.still.clock.now():%d %b %Y, %H:%M} UTC"
    page = await home(watched.still.temula, cookie)
    (said,) = troubled(page)
    assert said.startswith(f"The CRM {endpoint['url']} Disabled on {at}. The endpoint answered 410 Gone.")
    assert f"failing since {at}. 2 messages wait for it." in said
    assert f"GET /api/v1/webhooks/deliveries?endpoint_id={endpoint['id']}" in said
    assert said.endswith("Enable again")
    (first,) = notices(page)
    assert first[1:] == ["The CRM", "Disabled. The endpoint answered 410 Gone.", "disabled"]

    answer = await enable(watched, cookie, Origin=watched.still.temula.base_url)
    assert (answer.status, answer.headers["location"]) == (303, "/")
    await until(arrived(hooks, 3))
    page = await home(watched.still.temula, cookie)
    assert troubled(page) == []
    assert notices(page) == [[*first[:3], "enabled"]]
    connection = await asyncpg.connect(watched.still.temula.owner_url)
    entry = await connection.fetchrow(
        """SELECT actor_kind, action FROM audit_entries WHERE organization_id = $1 AND target = $2
        ORDER BY sequence DESC""",
        watched.tenant.id, endpoint["id"],
    )  # fmt: skip
    await connection.close()
    assert tuple(entry) == ("user", "webhook_endpoint.update")
    await watched.api.delete(f"/webhooks/endpoints/{endpoint['id']}")
    ((_, name, _, now),) = notices(await home(watched.still.temula, cookie))
    assert (name, now) == (endpoint["id"], "deleted")


async def test_failures_are_told_of_early(watched: Watched, hooks: Receiver) -> None:
    """From the second in a row on; one row of failures is one notice, and stays when the endpoint works again."""
    cookie = await signed_in(watched)
    hooks.answers = [500] * 3
    await watched.happen()
    await watched.tried(1)
    assert troubled(await home(watched.still.temula, cookie)) == []
    for which in (1, 2):
        await watched.happen()
        await watched.tried(1, which)
    page = await home(watched.still.temula, cookie)
    (said,) = troubled(page)
    assert "3 attempts in a row have failed. The last: status 500." in said
    assert "3 messages wait for it." in said
    assert "Enable again" not in said
    assert [row[2:] for row in notices(page)] == [["3 attempts in a row failed; the last: status 500.", "enabled"]]
    await watched.happen()
    await watched.tried(1, 3)
    page = await home(watched.still.temula, cookie)
    assert (troubled(page), len(notices(page))) == ([], 1)


async def test_what_somebody_typed_is_only_text(watched: Watched, hooks: Receiver) -> None:
    """Description and address stand on the page as they are, and run nothing; test messages are no notices."""
    path = f"/webhooks/endpoints/{watched.endpoint['id']}"
    await watched.api.patch(path, {"description": HOSTILE})
    await watched.api.post(f"{path}/test", {"type": "endpoint.disabled"})
    await watched.tried(1)
    await give_up(watched, hooks)
    page = await home(watched.still.temula, await signed_in(watched))
    assert HOSTILE not in page
    assert troubled(page)[0].startswith(f"{HOSTILE} {watched.endpoint['url']}")
    assert [row[1] for row in notices(page)] == [HOSTILE]


async def test_only_its_own_organization_is_told_and_may_enable(watched: Watched, hooks: Receiver) -> None:
    """The page of another organization says nothing of it, and its owner's button does nothing to it."""
    await give_up(watched, hooks)
    other = await watching(watched.still, hooks.url)
    cookie = await signed_in(other)
    page = await home(watched.still.temula, cookie)
    assert (troubled(page), notices(page)) == ([], [])
    for endpoint_id in (watched.endpoint["id"], "whe_x"):
        assert (await enable(other, cookie, endpoint_id)).status == 303
    assert (await watched.state())["state"] == "disabled"


@pytest.mark.parametrize(("role", "told", "may"), [(Role.ADMIN, True, True), (Role.MANAGER, True, False),
                                                   (Role.VIEWER, True, False), (Role.STAFF, False, False)])  # fmt: skip
async def test_who_is_told_and_who_may_enable(
    watched: Watched, hooks: Receiver, role: Role, told: bool, may: bool
) -> None:
    """Who may see webhooks is told; the button is for who may change them."""
    await give_up(watched, hooks)
    cookie = await signed_in(watched, role)
    page = await home(watched.still.temula, cookie)
    assert (len(troubled(page)), len(notices(page))) == (told, told)
    assert ("Enable again" in page) == may
    answer = await enable(watched, cookie)
    assert (answer.status, (await watched.state())["state"]) == ((303, "enabled") if may else (403, "disabled"))
    assert may or answer.code == "missing_ability"


@pytest.mark.parametrize("headers", [{"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}])
async def test_other_pages_cannot_enable(watched: Watched, hooks: Receiver, headers: dict[str, str]) -> None:
    """Neither a form on another site nor somebody without a session."""
    await give_up(watched, hooks)
    answer = await enable(watched, await signed_in(watched), **headers)
    assert (answer.status, answer.code) == (403, "cross_origin_refused")
    assert (await enable(watched, {})).status == 303
    assert (await enable(watched, {"Cookie": "temula_session=x"})).status == 303
    assert (await watched.state())["state"] == "disabled"


async def test_a_paused_endpoint_stays_paused(watched: Watched) -> None:
    """An old page's button does not undo what somebody else has decided since."""
    await watched.api.post(f"/webhooks/endpoints/{watched.endpoint['id']}/pause", {})
    assert (await enable(watched, await signed_in(watched))).status == 303
    assert (await watched.state())["state"] == "paused"


async def test_a_long_queue_is_not_counted_to_its_end(watched: Watched) -> None:
    """A thousand, and then more than a thousand: whoever looks does so each second."""
    connection = await asyncpg.connect(watched.still.temula.owner_url)
    await watched.api.post(f"/webhooks/endpoints/{watched.endpoint['id']}/pause", {})
    said = []
    for number in (1, 999, 1):
        await connection.execute(
            """INSERT INTO webhook_deliveries (organization_id, id, endpoint_id, message_id, type, next_at, created_at)
            SELECT $1, 'dlv_' || gen_random_uuid(), $2, 'msg_x', 'x', now(), now() FROM generate_series(1, $3)""",
            watched.tenant.id, watched.endpoint["id"], number,
        )  # fmt: skip
        async with watched.still.temula.house.database.reading(watched.tenant.actor) as uow:
            said.append(str(await service.waits(uow, watched.endpoint["id"])))
    await connection.close()
    assert said == ["1 message", "1,000 messages", "more than 1,000 messages"]
