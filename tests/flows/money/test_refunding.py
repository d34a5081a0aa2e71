"""Money back, through the API and Stripe: whole, by attendee, by amount; lost, failed later, or made by hand."""

import asyncio
from typing import Any

import pytest

from tests.flows.money.conftest import Shop
from tests.harness.house import until


async def tickets(shop: Shop) -> dict[str, str]:
    found = await shop.tenant.api.every(f"/tickets?event_id={shop.sale.event['id']}")
    return {ticket["attendee_id"]: ticket["state"] for ticket in found}


async def sums(shop: Shop, registration: dict[str, Any]) -> tuple[int, int]:
    payment = await shop.payment(registration)
    return payment["captured"], payment["refunded"]


async def all_issued(shop: Shop, count: int) -> None:
    async def issued() -> bool:
        return list((await tickets(shop)).values()) == ["issued"] * count

    await until(issued)


async def test_whole(shop: Shop) -> None:
    """All that was paid goes back: nobody comes any more, the tickets are void, and one webhook tells it."""
    made = await shop.confirmed(0, 1, 2)
    await all_issued(shop, 3)
    refund = await shop.refund(made, reason="rained off")
    assert (refund["state"], refund["amount"], refund["currency"]) == ("succeeded", 7500, "MYR")
    gone = await shop.becomes(made, "refunded")
    assert {attendee["state"] for attendee in gone["attendees"]} == {"refunded"}
    assert await shop.told("registration.refunded", made) == [
        {
            "registration_id": made["id"], "event_id": shop.sale.event["id"], "amount": 7500, "currency": "MYR",
            "reason": "rained off",
        }
    ]  # fmt: skip

    async def void() -> bool:
        return set((await tickets(shop)).values()) == {"void"}

    await until(void)
    assert await sums(shop, made) == (7500, 7500)
    assert await shop.given_back() == [7500]


async def test_by_attendee(shop: Shop) -> None:
    """One attendee's price goes back and their ticket is void; the others come, and so does who came free."""
    made = await shop.confirmed(0, 1, 2)
    await all_issued(shop, 3)
    fifty, twentyfive, free = [one["id"] for one in sorted(made["attendees"], key=lambda one: -one["price"])]
    assert (await shop.refund(made, attendee_ids=[twentyfive]))["amount"] == 2500

    async def void() -> bool:
        return (await tickets(shop)) == {fifty: "issued", twentyfive: "void", free: "issued"}

    await until(void)
    assert (await shop.look(made))["state"] == "confirmed"
    again = await shop.tenant.api.call(
        "POST", "/refunds", {"registration_id": made["id"], "attendee_ids": [twentyfive]}
    )  # fmt: skip
    assert (again.status, again.code) == (409, "registration_state")

    await shop.refund(made, attendee_ids=[fifty])
    assert len(await shop.told("registration.refunded", made, 2)) == 2
    assert (await shop.look(made))["state"] == "confirmed"
    assert await tickets(shop) == {fifty: "void", twentyfive: "void", free: "issued"}
    assert await shop.given_back() == [2500, 5000]


async def test_by_amount_then_what_is_left(shop: Shop) -> None:
    """Odd amounts go back to the cent and let nobody go; what is left goes back whole, and never more."""
    made = await shop.confirmed(0, 1)
    for amount in (1, 3333):
        assert (await shop.refund(made, amount=amount))["amount"] == amount
    assert (await shop.look(made))["state"] == "confirmed"
    over = await shop.tenant.api.call("POST", "/refunds", {"registration_id": made["id"], "amount": 4167})
    assert (over.status, over.code) == (409, "not_refundable")
    assert over.json["extra"] == {"refundable": 4166}
    assert (await shop.refund(made))["amount"] == 4166
    await shop.becomes(made, "refunded")
    assert await shop.given_back() == [1, 3333, 4166]
    nothing = await shop.tenant.api.call("POST", "/refunds", {"registration_id": made["id"]})
    assert (nothing.status, nothing.code) == (409, "registration_state")


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        ({"amount": 0}, 422),
        ({"amount": -1}, 422),
        ({"amount": 1.5}, 422),
        ({"amount": 100, "attendee_ids": ["att_x"]}, 422),
        ({"attendee_ids": ["att_of_somebody_else"]}, 409),
        ({"card_number": "4242424242424242"}, 422),
    ],
)
async def test_refused(shop: Shop, asked: dict[str, Any], status: int) -> None:
    """What cannot be refunded is refused as a problem, and nothing goes back."""
    made = await shop.confirmed()
    answer = await shop.tenant.api.call("POST", "/refunds", {"registration_id": made["id"], **asked})
    assert (answer.status, answer.headers["content-type"]) == (status, "application/problem+json")
    assert await shop.given_back() == []


async def test_not_paid_yet(shop: Shop) -> None:
    """A registration that holds no money has none to give back."""
    made = await shop.register()
    answer = await shop.tenant.api.call("POST", "/refunds", {"registration_id": made["id"]})
    assert (answer.status, answer.code) == (409, "registration_state")


async def test_many_at_once_never_beyond_what_was_paid(shop: Shop) -> None:
    """Of twelve refunds of 10.00 at the same time as many are made as were paid for, and no more."""
    made = await shop.confirmed()
    ask = {"registration_id": made["id"], "amount": 1000}
    answers = await asyncio.gather(*(shop.tenant.api.call("POST", "/refunds", ask) for _ in range(12)))
    assert sorted(answer.status for answer in answers) == [201] * 5 + [409] * 7
    assert {answer.code for answer in answers if answer.status == 409} == {"not_refundable"}
    assert await shop.given_back() == [1000] * 5
    assert await sums(shop, made) == (5000, 5000)
    await shop.becomes(made, "refunded")


async def test_asked_again_under_its_key(shop: Shop) -> None:
    """Repeated under its Idempotency-Key a refund is answered again, word for word, and made once."""
    made = await shop.confirmed()
    ask = {"registration_id": made["id"], "amount": 1000}
    headers = {"Idempotency-Key": "refund-1"}
    answers = [await shop.tenant.api.call("POST", "/refunds", ask, headers=headers) for _ in range(3)]
    assert {(answer.status, answer.body) for answer in answers} == {(201, answers[0].body)}
    assert [answer.headers.get("idempotent-replayed") for answer in answers] == [None, "true", "true"]
    other = await shop.tenant.api.call("POST", "/refunds", {**ask, "amount": 1001}, headers=headers)
    assert (other.status, other.code) == (422, "idempotency_key_reused")
    assert await shop.given_back() == [1000]


@pytest.mark.parametrize("fault", ["lose-answer", "garbage"])
async def test_answer_lost(shop: Shop, fault: str) -> None:
    """When Stripe's answer is lost the refund is found by our id: the money goes back once."""
    made = await shop.confirmed()
    await shop.temula.fault(fault, shop.tenant, path="/v1/refunds", method="POST")
    assert (await shop.refund(made))["state"] == "succeeded"
    await shop.becomes(made, "refunded")
    await shop.temula.hurry(shop.tenant, "payments.ask_refund")
    assert await shop.given_back() == [5000]


async def test_stripe_away(shop: Shop) -> None:
    """When Stripe cannot do it now, the amount stays reserved and a job asks for it later, once."""
    made = await shop.confirmed()
    await shop.temula.fault("busy", shop.tenant, path="/v1/refunds", count=2)
    refund = await shop.refund(made, amount=4000)
    assert refund["state"] == "requested"
    over = await shop.tenant.api.call("POST", "/refunds", {"registration_id": made["id"], "amount": 1001})
    assert over.code == "not_refundable"

    async def done() -> bool:
        await shop.temula.hurry(shop.tenant, "payments.ask_refund")
        return (await shop.tenant.api.get(f"/refunds/{refund['id']}"))["state"] == "succeeded"

    await until(done)
    assert await shop.given_back() == [4000]


async def test_server_error_asks_once(shop: Shop) -> None:
    """When Stripe repeats an error to the key, it is looked for before each try and never asked for under another."""
    made = await shop.confirmed()
    await shop.temula.fault("server-error", shop.tenant, path="/v1/refunds", method="POST")
    refund = await shop.refund(made)
    assert refund["state"] == "requested"
    # Stripe forgets its answers after a day; only then the same key does something.
    shop.temula.emulator.sandbox.store.database.execute("DELETE FROM answers WHERE key LIKE ?", (f"%{refund['id']}",))

    async def done() -> bool:
        await shop.temula.hurry(shop.tenant, "payments.ask_refund")
        return (await shop.tenant.api.get(f"/refunds/{refund['id']}"))["state"] == "succeeded"

    await until(done)
    assert await shop.given_back() == [5000]


# One that Stripe called succeeded is not looked at any more: that it failed after all is told by callback only.
@pytest.mark.parametrize(("answered", "told"), [("pending", True), ("succeeded", True), ("pending", False)])
async def test_fails_later(shop: Shop, answered: str, told: bool) -> None:
    """A refund that fails at the provider puts the sums right again; the money is owed, and can be given back anew."""
    made = await shop.confirmed()
    await shop.temula.fault("refund-fails", shop.tenant, status=answered)
    if not told:
        await shop.temula.fault("lose-webhook", shop.tenant, count=10)
    refund = await shop.refund(made)

    async def failed() -> bool:
        if not told:
            await shop.temula.hurry(shop.tenant, "payments.look_at_refund")
        return (await shop.tenant.api.get(f"/refunds/{refund['id']}"))["state"] == "failed"

    await until(failed)
    seen = await shop.tenant.api.get(f"/refunds/{refund['id']}")
    assert seen["failure"] == "expired_or_canceled_card"
    assert await sums(shop, made) == (5000, 0)
    lines = [(one["kind"], one["state"], one["amount"]) for one in (await shop.payment(made))["transactions"]]
    assert lines[-1] == ("refund", "failed", 5000)
    if ("refund", "succeeded", 5000) in lines:
        gone = await shop.becomes(made, "cancelled")
        assert gone["cancelled_reason"] == "refund_failed"

    assert (await shop.refund(made))["state"] == "succeeded"
    await shop.becomes(made, "refunded")
    assert await sums(shop, made) == (5000, 5000)
    assert await shop.given_back() == [5000]


async def test_made_by_hand(shop: Shop) -> None:
    """A refund made in Stripe's own dashboard is adopted once, though several callbacks tell of it, and is told."""
    made = await shop.confirmed()
    client = shop.temula.stripe(shop.tenant)
    intent = (await shop.payment(made))["transactions"][0]["reference"]
    await shop.temula.fault("duplicate", shop.tenant, count=4)
    first = await client.v1.refunds.create_async({"payment_intent": intent, "amount": 1500})
    for number in range(4):
        await client.v1.refunds.update_async(first.id, {"metadata": {"note": str(number)}})
    (told,) = await shop.told("registration.refunded", made)
    assert (told["amount"], told["reason"]) == (1500, "made_at_provider")
    await client.v1.refunds.create_async({"payment_intent": intent})
    await shop.becomes(made, "refunded")
    refunds = await shop.tenant.api.every(f"/refunds?registration_id={made['id']}")
    assert sorted(one["amount"] for one in refunds) == [1500, 3500]
    assert await sums(shop, made) == (5000, 5000)


async def test_callbacks_lost(shop: Shop) -> None:
    """When a refund's callbacks are lost its answer is enough, and nothing is told twice when they come after all."""
    made = await shop.confirmed()
    await shop.temula.fault("out-of-order", shop.tenant, count=1)
    await shop.temula.fault("duplicate", shop.tenant, count=2)
    await shop.refund(made, amount=100)
    await shop.refund(made, amount=200)
    assert sorted(one["amount"] for one in await shop.told("registration.refunded", made, 2)) == [100, 200]
    assert await sums(shop, made) == (5000, 300)


async def test_after_it_was_cancelled(shop: Shop) -> None:
    """Cancelling gives no money back by itself; afterwards it can be refunded, by attendee too."""
    made = await shop.confirmed(0, 1)
    await shop.tenant.api.post(f"/registrations/{made['id']}/cancel", {"reason": "rained off"})
    assert await shop.given_back() == []
    cheap = min(made["attendees"], key=lambda one: one["price"])["id"]
    assert (await shop.refund(made, attendee_ids=[cheap]))["amount"] == 2500
    assert (await shop.refund(made))["amount"] == 5000
    await shop.becomes(made, "refunded")
    assert await shop.given_back() == [2500, 5000]
