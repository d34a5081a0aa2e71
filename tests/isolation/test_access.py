"""Who gets through the door of each route: no token, a wrong one, each single ability, each plan."""

import asyncpg
import pytest
from litestar.routes import HTTPRoute

from temula.domain.organizations.model import Plan
from temula.operations import app
from temula.outbound.callers import service as callers
from temula.outbound.callers.model import ABILITIES, checksum, new_token
from tests.harness.api import Answer, Api
from tests.harness.house import Running, Tenant
from tests.harness.operations import Operation, new_ids, operations

# The noun of an ability, by the first word of the path; what is not so is below.
NOUNS = {
    "organization": "organization", "events": "events", "ticket-types": "events", "registrations": "registrations",
    "attendees": "attendees", "tickets": "tickets", "checkpoints": "check_ins", "check-ins": "check_ins",
    "payments": "payments", "refunds": "payments", "webhooks": "webhooks",
}  # fmt: skip
ELSE = {
    "POST /tickets/validate": "tickets:read",  # it looks and changes nothing
    "POST /checkpoints": "events:write",  # gates belong to the event's plan, not to who scans
}
# Every route beside the API that answers: each checks for itself who asks, or says nothing that is anybody's.
OPEN = {
    "/api/asyncapi.json": "the document of what webhooks tell",
    "/": "the way in; an organization's numbers only with a session", "/sign-in": "password",
    "/sign-out": "ends a session", "/endpoints/{endpoint_id:str}/enable": "session, and its ability",
    "/live": "session", "/console/{name:str}": "files of the page",
    "/console/live.js": "a file of the page", "/checkout/{outcome:str}": "says thank you",
    "/in/{kind:str}/{provider:str}/{mode:str}/{token:str}": "the secret token in it, and the provider's signature",
    "/livez": "says that it lives", "/readyz": "says whether the database answers", "/api/docs": "documentation",
    "/api/openapi.json": "documentation", "/api/problems": "documentation", "/api/assets/{name:str}": "documentation",
}  # fmt: skip


def ability_of(operation: Operation) -> str:
    noun = NOUNS[operation.path.split("/")[1]]
    return ELSE.get(operation.name, f"{noun}:{'read' if operation.method == 'GET' else 'write'}")


async def call(api: Api, operation: Operation) -> Answer:
    """The operation with ids that nobody has, so that whoever gets in changes nothing."""
    given = {**new_ids(), "code": "no code"}
    return await api.call(operation.method, operation.url(given), operation.body(given))


async def token(temula: Running, tenant: Tenant, *abilities: str) -> tuple[str, str]:
    """A new token's id and itself."""
    async with temula.house.database.unit(tenant.actor) as uow:
        made, secret = await callers.create_token(uow, name="test", abilities=list(abilities))
    return made.id, secret


async def expire(temula: Running, token_id: str) -> None:
    """Let a token's time be over."""
    owner = await asyncpg.connect(temula.owner_url)
    try:
        past = "UPDATE api_tokens SET expires_at = now() - interval '1 minute' WHERE id = $1"
        assert await owner.execute(past, token_id) == "UPDATE 1"
    finally:
        await owner.close()


async def test_nothing_answers_without_a_token(temula: Running, tenant: Tenant) -> None:
    """Every operation asks for a token; whatever is wrong with one is answered in the same words."""
    revoked_id, revoked = await token(temula, tenant, "*")
    async with temula.house.database.unit(tenant.actor) as uow:
        await callers.revoke_token(uow, revoked_id)
    expired_id, expired = await token(temula, tenant, "*")
    await expire(temula, expired_id)
    cut = tenant.token[:-6]
    typo = cut[:-1] + ("a" if cut[-1] != "a" else "b")
    wrong = [
        "tml_live_", "nonsense", tenant.token[:-1], tenant.token.replace("tml_test_", "tml_live_"),
        typo + checksum(typo), new_token(tenant.organization.mode), revoked, expired,
    ]  # fmt: skip
    for operation in await operations(tenant.api):
        answers = [await call(temula.api(one), operation) for one in wrong]
        assert {answer.status for answer in answers} == {401}, operation.name
        assert {answer.code for answer in answers} == {"invalid_token"}
        assert len({(answer.json["detail"], answer.headers["www-authenticate"]) for answer in answers}) == 1
        assert (await call(temula.api(None), operation)).code == "invalid_token", operation.name
        in_query = await temula.api(None).call("GET", f"/events?access_token={tenant.token}&token={tenant.token}")
        assert in_query.status == 401


@pytest.mark.parametrize("ability", [*ABILITIES, "events:*"])
async def test_each_ability_opens_its_own_routes_only(temula: Running, tenant: Tenant, ability: str) -> None:
    """With one ability alone its operations answer, and every other is refused, naming what it needs."""
    _, secret = await token(temula, tenant, ability)
    opened = 0
    for operation in await operations(tenant.api):
        answer, needed = await call(temula.api(secret), operation), ability_of(operation)
        if needed == ability or (ability == "events:*" and needed.startswith("events:")):
            assert answer.status not in (401, 403, 500), (operation.name, answer.body)
            opened += 1
        else:
            assert (answer.status, answer.code) == (403, "missing_ability"), (operation.name, answer.body)
            assert answer.json["extra"]["ability"] == needed, operation.name
    assert opened >= 1


async def test_a_free_plan_has_no_api(temula: Running) -> None:
    """Every operation is refused, naming the plans that have it."""
    free = await temula.tenant(plan=Plan.FREE, connected=False)
    for operation in await operations(free.api):
        answer = await call(free.api, operation)
        assert (answer.status, answer.code) == (403, "plan_without_api"), operation.name
        assert answer.json["extra"] == {"plan": "free", "plans": ["starter", "pro", "enterprise"]}
        assert "Starter, Pro and Enterprise" in answer.json["detail"]


@pytest.mark.parametrize("plan", [Plan.STARTER, Plan.PRO, Plan.ENTERPRISE])
async def test_other_plans_have_it(temula: Running, plan: Plan) -> None:
    """The plans that are named have API access."""
    tenant = await temula.tenant(plan=plan, connected=False)
    assert (await tenant.api.get("/organization"))["plan"] == plan


async def test_the_document_lists_what_is_served(temula: Running, tenant: Tenant) -> None:
    """Every route below /api/v1 is in the document and asks for an ability; any other is on a list with its reason."""
    served, beside = set(), set()
    for route in app.build(temula.house).routes:
        assert isinstance(route, HTTPRoute)
        for handler in route.route_handlers:
            if not route.path.startswith("/api/v1"):
                beside.add(route.path)
                continue
            assert "ability" in handler.opt or handler.http_methods == {"OPTIONS"}, route.path
            path = route.path.removeprefix("/api/v1").replace(":str}", "}")
            served |= {f"{method} {path}" for method in handler.http_methods - {"OPTIONS", "HEAD"}}
    assert served == {operation.name for operation in await operations(tenant.api)}
    for path in beside - set(OPEN):  # the framework's own pages, which are hidden
        assert (await temula.api(None).call("GET", f"/{path}")).code == "not_found", path
