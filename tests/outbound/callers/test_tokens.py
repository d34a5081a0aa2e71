"""Tokens: their form, what is kept of them, and who is turned away by what, in which order."""

import asyncio
import hashlib
import re
import sys
from datetime import timedelta
from pathlib import Path

import asyncpg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from temula.domain.organizations.model import Mode, Plan
from temula.kernel.errors import InvalidInput
from temula.outbound.callers import service as callers
from temula.outbound.callers.model import ALPHABET, new_token, well_formed
from tests.harness import house
from tests.harness.house import Running, Tenant, until
from tests.harness.postgres import Postgres
from tests.outbound.conftest import Still

FORM = re.compile(r"tml_(live|test)_[0-9A-Za-z]{33}[0-9A-Za-z]{6}")


async def token_of(temula: Running, tenant: Tenant, *abilities: str, **more: object) -> tuple[str, str]:
    """A further token of the tenant: its id and itself."""
    async with temula.house.database.unit(tenant.actor) as uow:
        token, secret = await callers.create_token(uow, name="test", abilities=list(abilities), **more)
    return token.id, secret


@pytest.mark.parametrize(("mode", "prefix"), [(Mode.LIVE, "tml_live_"), (Mode.SANDBOX, "tml_test_")])
def test_a_token_has_its_form(mode: Mode, prefix: str) -> None:
    """Prefix by mode, 33 base62 characters, 6 of checksum; no two are the same."""
    made = {new_token(mode) for _ in range(100)}
    assert len(made) == 100
    assert all(FORM.fullmatch(one) and one.startswith(prefix) and well_formed(one) for one in made)


@given(st.data())
def test_a_typo_is_no_token(data: st.DataObject) -> None:
    """One wrong character anywhere behind the prefix is seen before the database is asked."""
    token = new_token(Mode.SANDBOX)
    at = data.draw(st.integers(9, len(token) - 1))
    other = data.draw(st.sampled_from([one for one in ALPHABET if one != token[at]]))
    assert not well_formed(token[:at] + other + token[at + 1 :])


async def test_only_the_hash_is_kept(temula: Running, tenant: Tenant) -> None:
    """The table holds SHA-256 of a token and a hint, nowhere the token itself."""
    connection = await asyncpg.connect(temula.owner_url)
    try:
        rows = await connection.fetch(
            "SELECT t.hash, t.hint, t::text AS whole FROM api_tokens t WHERE organization_id = $1", tenant.id
        )
    finally:
        await connection.close()
    (row,) = rows
    assert row["hash"] == hashlib.sha256(tenant.token.encode()).digest()
    assert row["hint"] == f"{tenant.token[:9]}...{tenant.token[-4:]}"
    assert tenant.token[9:-4] not in row["whole"]


@pytest.mark.parametrize(
    "header",
    [
        None, "", "Bearer", "Bearer ", "Basic dXNlcjpwdw==", "Bearer tml_test_short", "Bearer \u00fc",
        f"Bearer {new_token(Mode.SANDBOX)}", f"Bearer {new_token(Mode.LIVE)[:-1]}!",
    ],
)  # fmt: skip
async def test_who_has_no_token_is_told_nothing_more(temula: Running, header: str | None) -> None:
    """Missing, malformed and unknown tokens get the same code, a challenge, and no RateLimit headers."""
    headers = {} if header is None else {"Authorization": header}
    answer = await temula.api(None).call("GET", "/events", headers=headers)
    assert (answer.status, answer.code) == (401, "invalid_token")
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert "ratelimit" not in answer.headers


async def test_a_token_in_the_query_string_counts_for_nothing(temula: Running, tenant: Tenant) -> None:
    """Addresses land in logs: a token there opens nothing."""
    answer = await temula.api(None).call("GET", f"/events?token={tenant.token}&access_token={tenant.token}")
    assert answer.code == "invalid_token"


async def test_a_revoked_token_is_refused_within_five_seconds(stopped: Still) -> None:
    """What was remembered of a token is forgotten in five seconds; revoking it twice is a mistake that is told."""
    tenant = await stopped.temula.tenant(connected=False)
    identifier, secret = await token_of(stopped.temula, tenant, "events:read")
    api = stopped.temula.api(secret)
    assert (await api.call("GET", "/events")).status == 200
    async with stopped.temula.house.database.unit(tenant.actor) as uow:
        await callers.revoke_token(uow, identifier)
    stopped.clock.advance(5.001)
    assert (await api.call("GET", "/events")).code == "invalid_token"
    assert (await tenant.api.call("GET", "/events")).status == 200


async def test_a_token_expires_to_the_second(stopped: Still) -> None:
    """An expiry needs no cache to run out, and cannot lie in the past."""
    tenant = await stopped.temula.tenant(connected=False)
    expires = stopped.clock.now() + timedelta(seconds=3)
    _, secret = await token_of(stopped.temula, tenant, "events:read", expires_at=expires)
    api = stopped.temula.api(secret)
    stopped.clock.advance(2.999)
    assert (await api.call("GET", "/events")).status == 200
    stopped.clock.advance(0.001)
    assert (await api.call("GET", "/events")).code == "invalid_token"
    with pytest.raises(InvalidInput):
        await token_of(stopped.temula, tenant, "events:read", expires_at=stopped.clock.now())


async def test_last_use_is_written_once_a_minute(stopped: Still) -> None:
    """However often a token is used, a minute writes one time of last use."""
    tenant = await stopped.temula.tenant(connected=False)
    for _ in range(5):
        await tenant.api.get("/events")

    async def noted() -> object:
        async with stopped.temula.house.database.reading(tenant.actor) as uow:
            return (await callers.tokens(uow))[0].last_used_at

    assert await noted() is None
    stopped.clock.advance(60)
    assert await until(noted) == stopped.clock.now()


@pytest.mark.parametrize("abilities", [[], ["events"], ["events:fly"], ["nothing:*"], ["*:read"], ["events:read", ""]])
async def test_only_abilities_that_exist_are_given(temula: Running, tenant: Tenant, abilities: list[str]) -> None:
    """A misspelt ability is refused when the token is made, not found out later."""
    with pytest.raises(InvalidInput):
        await token_of(temula, tenant, *abilities)


async def test_every_operation_asks_for_one_ability(temula: Running, tenant: Tenant) -> None:
    """Each operation of the document is refused with all other abilities, and not with the one that it names."""
    document = (await tenant.api.call("GET", "//api/openapi.json")).json
    _, none = await token_of(temula, tenant, "organization:read")
    named = {}
    for path, operations in document["paths"].items():
        for method in operations:
            if (method, path) == ("get", "/api/v1/organization"):
                continue
            concrete = "/" + re.sub(r"\{[^}]+\}", "none", path)
            answer = await temula.api(none).call(method.upper(), concrete)
            assert (answer.status, answer.code) == (403, "missing_ability"), (method, path)
            named[method, concrete] = answer.json["extra"]["ability"]
            action = named[method, concrete].partition(":")[2]
            assert action == "read" or method != "get", (method, path)
    for (method, path), ability in named.items():
        _, only = await token_of(temula, tenant, ability)
        assert (await temula.api(only).call(method.upper(), path)).status != 403, (method, path)


async def test_who_is_turned_away_by_what_first(server: Postgres, tmp_path: Path) -> None:
    """In production: https, then the token, then its ability, then the plan, then the limit."""
    async with server.database() as url, house.running(url, tmp_path, worker=False, production=True) as temula:
        free = await temula.tenant(plan=Plan.FREE, connected=False)
        _, weak = await token_of(temula, free, "tickets:read")
        https = {"X-Forwarded-Proto": "https"}
        assert (await free.api.call("GET", "/events")).code == "https_required"
        assert (await temula.api(None).call("GET", "/events")).code == "https_required"
        assert (await temula.api(None).call("GET", "/events", headers=https)).code == "invalid_token"
        assert (await temula.api(weak).call("GET", "/events", headers=https)).code == "missing_ability"
        refused = await free.api.call("GET", "/events", headers=https)
        assert (refused.status, refused.code) == (403, "plan_without_api")
        assert refused.json["extra"] == {"plan": "free", "plans": ["starter", "pro", "enterprise"]}
        assert "ratelimit" not in refused.headers
        paying = await temula.tenant(plan=Plan.STARTER, connected=False)
        passed = await paying.api.call("GET", "/events", headers=https)
        assert passed.headers["ratelimit-policy"] == '"plan";q=1000;w=60'


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"}, {"Origin": "http://localhost:1"},
    ],
)  # fmt: skip
async def test_pages_of_other_origins_are_refused(tenant: Tenant, headers: dict[str, str]) -> None:
    """A browser that sends for another page gets nothing, whatever token the page has."""
    answer = await tenant.api.call("GET", "/events", headers=headers)
    assert (answer.status, answer.code) == (403, "cross_origin_refused")


async def test_there_are_no_cors_headers(tenant: Tenant) -> None:
    """Neither an answer nor a preflight allows another origin; the server's own pages may call."""
    asked = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    preflight = await tenant.api.call("OPTIONS", "/events", headers=asked)
    own = await tenant.api.call("GET", "/events", headers={"Origin": tenant.api.base_url})
    assert own.status == 200
    for answer in (preflight, own):
        assert not [name for name in answer.headers if name.startswith("access-control")]


async def temula_says(temula: Running, *words: str) -> tuple[int, str]:
    """The command line against the running Temula's database."""
    settings = temula.house.configuration
    environment = {
        "PATH": str(Path(sys.executable).parent), "TEMULA_DATABASE_URL": temula.owner_url,
        "TEMULA_KEYS_RING": settings.keys.ring or "", "TEMULA_DATA_DIR": settings.data.dir, "COLUMNS": "300",
    }  # fmt: skip
    process = await asyncio.create_subprocess_exec(
        str(Path(sys.executable).parent / "temula"), *words, env=environment, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    out, _ = await process.communicate()
    return process.returncode or 0, out.decode()


async def test_the_command_line_makes_lists_and_revokes(temula: Running, tenant: Tenant) -> None:
    """`temula tokens create` shows a token once, `list` never again, `revoke` ends it."""
    of = ("--organization", tenant.id)
    made, secret = await temula_says(
        temula, "tokens", "create", *of, "--name", "gate", "--ability", "events:read", "--expires-days", "30"
    )
    assert made == 0
    assert FORM.fullmatch(secret.strip())
    api = temula.api(secret.strip())
    assert (await api.call("GET", "/events")).status == 200
    assert (await api.call("POST", "/events", {})).code == "missing_ability"
    _, listed = await temula_says(temula, "tokens", "list", *of)
    (line,) = [one for one in listed.splitlines() if "gate" in one]
    assert secret.strip() not in listed
    assert "events:read" in line
    identifier = re.search(r"tok_\w+", line)
    assert identifier is not None
    revoked, _ = await temula_says(temula, "tokens", "revoke", identifier[0], *of)
    assert revoked == 0
    again, said = await temula_says(temula, "tokens", "revoke", identifier[0], *of)
    assert (again, len(said.splitlines())) == (2, 1)
    unknown, said = await temula_says(temula, "tokens", "create", *of, "--name", "x", "--ability", "fly")
    assert (unknown, len(said.splitlines())) == (2, 1)

    async def refused() -> bool:
        return (await api.call("GET", "/events")).status == 401

    await until(refused, 6)
