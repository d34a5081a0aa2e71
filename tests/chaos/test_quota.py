"""Never more tickets than the quota, whoever asks, from wherever, and whatever becomes of their payments."""

import asyncio
import random
from collections import Counter
from typing import Any

import pytest

from temula.domain.registrations import service as registrations
from tests.harness.api import Answer
from tests.harness.fleet import Fleet, fleet
from tests.harness.ground import found
from tests.harness.house import Running, Sale, Tenant, until

BUYER = {"name": "Aisyah", "email": "a@example.org"}


def basket(sale: Sale, *counts: int) -> dict[str, Any]:
    """A wish for so many tickets of each type."""
    wanted = [one["id"] for one, count in zip(sale.types, counts, strict=True) for _ in range(count)]
    return {"event_id": sale.event["id"], "buyer": BUYER, "attendees": [{"ticket_type_id": one} for one in wanted]}


async def rush(servers: Fleet, tenant: Tenant, wishes: list[dict[str, Any]]) -> list[Answer]:
    """All at the same time, spread over the processes."""
    return await asyncio.gather(
        *(
            servers.api(tenant, n).call("POST", "/registrations", wish, headers={"Idempotency-Key": f"rush-{n}"})
            for n, wish in enumerate(wishes)
        )
    )


async def taken(tenant: Tenant, sale: Sale) -> list[int]:
    """How many of each type are held or sold, as the API tells it."""
    by_id = {one["id"]: one for one in await tenant.api.every(f"/events/{sale.event['id']}/ticket-types")}
    return [by_id[one["id"]]["taken"] for one in sale.types]


async def coming(tenant: Tenant, sale: Sale) -> Counter[str]:
    """Attendees by ticket type, of those whose place is held or sold."""
    attendees = await tenant.api.every(f"/attendees?event_id={sale.event['id']}")
    return Counter(one["ticket_type_id"] for one in attendees if one["state"] in ("pending", "confirmed"))


@pytest.mark.parametrize("price", [0, 5000])
async def test_two_hundred_at_once_for_a_hundred_tickets(temula: Running, tenant: Tenant, price: int) -> None:
    """Free or paid, from three processes: exactly 100 are sold or held, the other 100 are told that it is sold out."""
    sale = await temula.sale(tenant, prices=(price,), quota=100)
    async with fleet(temula) as servers:
        answers = await rush(servers, tenant, [basket(sale, 1)] * 200)
        assert Counter(answer.status for answer in answers) == {201: 100, 409: 100}
        assert {answer.code for answer in answers if answer.status == 409} == {"sold_out"}
        assert await coming(tenant, sale) == {sale.types[0]["id"]: 100}
        assert await taken(tenant, sale) == [100]
        again = await rush(servers, tenant, [basket(sale, 1)] * 200)
    assert [answer.status for answer in again] == [answer.status for answer in answers]
    assert await taken(tenant, sale) == [100], "repeats under the same keys sell nothing more"


async def test_baskets_are_all_or_nothing(temula: Running, tenant: Tenant) -> None:
    """Baskets of several tickets of two types: each is had whole or not at all, and none is refused that would fit."""
    chance = random.Random(100)
    sale = await temula.sale(tenant, prices=(0, 0), quota=100)
    wishes = [(chance.randint(0, 3), chance.randint(1, 3)) for _ in range(120)]
    async with fleet(temula) as servers:
        answers = await rush(servers, tenant, [basket(sale, *wish) for wish in wishes])
    had = [wish for wish, answer in zip(wishes, answers, strict=True) if answer.status == 201]
    refused = [wish for wish, answer in zip(wishes, answers, strict=True) if answer.status == 409]
    assert len(had) + len(refused) == len(wishes)
    for wish, answer in zip(wishes, answers, strict=True):
        if answer.status == 201:
            assert len(answer.json["attendees"]) == sum(wish)
    sold = [sum(wish[kind] for wish in had) for kind in (0, 1)]
    assert await taken(tenant, sale) == sold
    counted = await coming(tenant, sale)
    assert [counted[one["id"]] for one in sale.types] == sold
    assert max(sold) <= 100
    left = [100 - number for number in sold]
    assert refused
    assert all(wish[0] > left[0] or wish[1] > left[1] for wish in refused)


async def lapse(temula: Running, registration: dict[str, Any]) -> None:
    """Let a hold run out now instead of in half an hour."""
    past = "UPDATE registrations SET hold_expires_at = now() - interval '1 second' WHERE id = $1"
    await found(temula.owner_url, past, registration["id"])
    await registrations.expire_holds(temula.house.database)


async def registration(tenant: Tenant, registration_id: str) -> dict[str, Any]:
    return await tenant.api.get(f"/registrations/{registration_id}")


async def test_a_hold_that_runs_out_gives_its_tickets_back(temula: Running, tenant: Tenant) -> None:
    """The registration is cancelled, and the next buyer gets the tickets."""
    sale = await temula.sale(tenant, quota=2)
    held = await tenant.api.post("/registrations", basket(sale, 2))
    refused = await tenant.api.call("POST", "/registrations", basket(sale, 1))
    assert refused.code == "sold_out"
    await lapse(temula, held)
    lapsed = await registration(tenant, held["id"])
    assert (lapsed["state"], lapsed["cancelled_reason"]) == ("cancelled", "hold_expired")
    assert await taken(tenant, sale) == [0]
    await tenant.api.post("/registrations", basket(sale, 2))
    assert await taken(tenant, sale) == [2]


async def test_paid_after_the_hold_ran_out_and_still_there(temula: Running, tenant: Tenant) -> None:
    """The tickets are taken once more, confirmed and issued."""
    sale = await temula.sale(tenant, quota=2)
    held = await tenant.api.post("/registrations", basket(sale, 2))
    await lapse(temula, held)
    await temula.pay(held)
    await until(lambda: _state(tenant, held, "confirmed"))
    assert await taken(tenant, sale) == [2]
    assert len(await until(lambda: tenant.api.every(f"/tickets?registration_id={held['id']}"))) == 2


async def test_paid_after_the_hold_ran_out_and_sold_out(temula: Running, tenant: Tenant) -> None:
    """The money goes back at the provider, once and whole; who came in between keeps their tickets."""
    sale = await temula.sale(tenant, quota=2)
    held = await tenant.api.post("/registrations", basket(sale, 2))
    await lapse(temula, held)
    await tenant.api.post("/registrations", basket(sale, 1))
    await temula.pay(held)

    async def refunded() -> bool:
        listed = await temula.stripe(tenant).v1.refunds.list_async()
        return [refund.amount for refund in listed.data if refund.status == "succeeded"] == [10000]

    await until(refunded)
    await until(lambda: _state(tenant, held, "refunded"))
    assert await taken(tenant, sale) == [1]
    assert await tenant.api.every(f"/tickets?registration_id={held['id']}") == []


async def _state(tenant: Tenant, made: dict[str, Any], state: str) -> bool:
    return (await registration(tenant, made["id"]))["state"] == state


async def test_holds_that_run_out_while_others_rush(temula: Running, tenant: Tenant) -> None:
    """Expiry, payments and new buyers at the same moment: what is taken is what is held and sold, never above."""
    sale = await temula.sale(tenant, quota=30)
    held = [await tenant.api.post("/registrations", basket(sale, 1)) for _ in range(30)]
    ids = [one["id"] for one in held]
    past = "UPDATE registrations SET hold_expires_at = now() - interval '1 second' WHERE id = ANY($1::text[])"
    await found(temula.owner_url, past, ids[:20])
    async with fleet(temula) as servers:
        _, _, _, answers = await asyncio.gather(
            asyncio.gather(*(temula.pay(one) for one in held[10:])),
            registrations.expire_holds(temula.house.database),
            registrations.expire_holds(temula.house.database),
            rush(servers, tenant, [basket(sale, 1)] * 60),
        )

    async def settled() -> bool:
        now = [await registration(tenant, one["id"]) for one in held]
        return all(
            one["state"] in ("confirmed", "refunded") if n >= 10 else one["state"] == "cancelled"
            for n, one in enumerate(now)
        )

    await until(settled)
    bought = sum(answer.status == 201 for answer in answers)
    assert bought <= 20
    counted = await coming(tenant, sale)
    assert await taken(tenant, sale) == [counted.total()]
    assert counted.total() <= 30
    paid_and_in = [one for one in ids if (await registration(tenant, one))["state"] == "confirmed"]
    assert counted.total() == len(paid_and_in) + bought
