"""The limit on requests: exact in every minute, told in headers, by plan."""

from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from temula.domain.organizations import service as organizations
from temula.domain.organizations.model import Mode, Organization, Plan
from temula.kernel.clock import ManualClock
from temula.kernel.ids import OrganizationId, TokenId
from temula.kernel.tenancy import Actor, ActorKind
from temula.outbound.callers.errors import RateLimited
from temula.outbound.callers.limits import WINDOW, Limiter
from temula.outbound.callers.model import Caller, Token
from tests.harness.house import Running, Tenant
from tests.outbound.conftest import Still

NOW = datetime(2026, 12, 1, 9, 0, tzinfo=UTC)
HERE = OrganizationId("org_x")


def caller(rate: int, name: str = "tok_1") -> Caller:
    organization = Organization(HERE, "x", Mode.SANDBOX, None, Plan.PRO, rate, [], False, NOW)
    identifier = TokenId(name)
    stored = Token(HERE, identifier, b"", "x", "x", ["*"], None, None, None, NOW)
    return Caller(Actor(ActorKind.TOKEN, identifier, HERE), organization, stored)


@given(st.integers(1, 8), st.lists(st.floats(0, 30, allow_nan=False), max_size=60))
def test_no_minute_has_more_than_the_rate(rate: int, pauses: list[float]) -> None:
    """Whatever the rhythm, no 60 seconds let more than the rate pass; who waits what is said passes."""
    clock = ManualClock(NOW)
    limiter, passed = Limiter(clock), []
    for pause in pauses:
        clock.advance(pause)
        try:
            standing = limiter.pass_or_raise(caller(rate))
        except RateLimited as refused:
            clock.advance(refused.retry_after)
            limiter.pass_or_raise(caller(rate))
        else:
            assert standing.remaining >= 0
        passed.append(clock.monotonic())
    for last in range(rate, len(passed)):
        assert passed[last] - passed[last - rate] >= WINDOW - 1e-6


def test_a_refused_request_costs_nothing_and_tokens_do_not_share() -> None:
    """Knocking while limited does not lengthen the wait, and another token is another count."""
    clock = ManualClock(NOW)
    limiter = Limiter(clock)
    limiter.pass_or_raise(caller(1))
    for _ in range(100):
        with pytest.raises(RateLimited) as refused:
            limiter.pass_or_raise(caller(1))
    assert refused.value.retry_after == 60
    limiter.pass_or_raise(caller(1, "tok_2"))
    clock.advance(60)
    limiter.pass_or_raise(caller(1))


def test_a_smaller_plan_counts_at_once() -> None:
    """A rate that shrinks is held against what has passed already."""
    clock = ManualClock(NOW)
    limiter = Limiter(clock)
    for _ in range(10):
        limiter.pass_or_raise(caller(10))
        clock.advance(1)
    with pytest.raises(RateLimited) as refused:
        limiter.pass_or_raise(caller(2))
    clock.advance(refused.value.retry_after)
    limiter.pass_or_raise(caller(2))


async def _at_rate(temula: Running, tenant: Tenant, rate: int) -> None:
    async with temula.house.database.unit(tenant.actor) as uow:
        await organizations.change(uow, msgspec.structs.replace(tenant.organization, requests_per_minute=rate))


async def test_too_many_requests_are_told_when_to_come_again(stopped: Still) -> None:
    """429 with Retry-After and RateLimit headers; a second before it is refused, at it passes."""
    tenant = await stopped.temula.tenant(connected=False)
    await _at_rate(stopped.temula, tenant, 3)
    stand = [await tenant.api.call("GET", "/events") for _ in range(3)]
    assert [one.headers["ratelimit"] for one in stand] == [f'"plan";r={left};t=60' for left in (2, 1, 0)]
    assert {one.headers["ratelimit-policy"] for one in stand} == {'"plan";q=3;w=60'}
    stopped.clock.advance(10)
    refused = await tenant.api.call("GET", "/events")
    assert (refused.status, refused.code) == (429, "rate_limited")
    assert refused.headers["retry-after"] == "50"
    assert refused.headers["ratelimit"] == '"plan";r=0;t=50'
    assert refused.headers["ratelimit-policy"] == '"plan";q=3;w=60'
    stopped.clock.advance(49)
    assert (await tenant.api.call("GET", "/events")).status == 429
    stopped.clock.advance(1)
    assert (await tenant.api.call("GET", "/events")).status == 200


@pytest.mark.parametrize(("plan", "rate"), [(Plan.STARTER, 1000), (Plan.PRO, 1000), (Plan.ENTERPRISE, 10_000)])
async def test_the_rate_is_the_plans(stopped: Still, plan: Plan, rate: int) -> None:
    """Starter and Pro have 1,000 a minute; Enterprise has its own figure."""
    tenant = await stopped.temula.tenant(plan=plan, connected=False)
    assert (await tenant.api.get("/organization"))["requests_per_minute"] == rate
    await _at_rate(stopped.temula, tenant, 77)
    stopped.clock.advance(6)
    answer = await tenant.api.call("GET", "/events")
    assert answer.headers["ratelimit-policy"] == '"plan";q=77;w=60'
