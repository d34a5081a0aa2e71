"""Money in, through the API and Stripe: paid, declined, late, lost and found; the provider's ledger is the judge."""

import asyncio
from typing import Any

import pytest

from tests.flows.money.conftest import Shop
from tests.harness.house import until

LAPSE = "UPDATE registrations SET hold_expires_at = $2 WHERE organization_id = $1 AND id = $3"


async def lapse(shop: Shop, registration: dict[str, Any]) -> None:
    """Let the hold of a registration run out."""
    from temula.domain.registrations import service

    database = shop.temula.house.database
    async with database.crossing("a test lets a hold run out") as uow:
        await uow.run(LAPSE, shop.tenant.id, uow.now, registration["id"])
    await service.expire_holds(database)
    await shop.becomes(registration, "cancelled")


async def test_redirected_and_paid(shop: Shop) -> None:
    """A registration says where to pay; paid, it is confirmed, its payment has succeeded, and one webhook tells it."""
    made = await shop.register(0, 1)
    attempt = made["payment"]["attempts"][0]
    assert (made["state"], made["total_amount"], attempt["state"]) == ("pending", 7500, "requires_action")
    assert attempt["next_action"]["kind"] == "redirect"
    assert attempt["next_action"]["url"].startswith(shop.temula.emulator.base_url)
    assert attempt["on_platform"] is False

    await shop.temula.pay(made)
    await shop.becomes(made, "confirmed")
    payment = await shop.payment(made)
    (transaction,) = payment["transactions"]
    assert (payment["state"], payment["captured"], payment["refunded"]) == ("succeeded", 7500, 0)
    assert payment["attempts"][0]["next_action"] is None
    assert await shop.told("payment.succeeded", made) == [
        {
            "transaction_id": transaction["id"], "registration_id": made["id"], "amount": 7500, "currency": "MYR",
            "gateway": "stripe", "reference": transaction["reference"],
        }
    ]  # fmt: skip
    assert transaction["reference"].startswith("pi_")
    assert await shop.captured() == [7500]


async def test_declined_then_paid(shop: Shop) -> None:
    """Each declined card is told with how many came before it; the next card pays the same page."""
    made = await shop.register()
    for _ in range(2):
        await shop.temula.pay(made, "decline", status=402)
    failed = await shop.told("payment.failed", made, 2)
    transactions = (await shop.payment(made))["transactions"]
    assert failed == [
        {"transaction_id": one["id"], "registration_id": made["id"], "reason": "generic_decline", "retry_count": count}
        for count, one in enumerate(transactions)
    ]
    assert (await shop.look(made))["state"] == "pending"
    await shop.temula.pay(made)
    await shop.becomes(made, "confirmed")
    payment = await shop.payment(made)
    assert [one["state"] for one in payment["transactions"]] == ["failed", "failed", "succeeded"]
    assert (payment["attempts"][0]["declines"], payment["attempts"][0]["failure"]) == (2, None)
    assert await shop.captured() == [5000]


async def test_paid_late_while_there_are_tickets(shop: Shop) -> None:
    """Paid after the hold ran out, the tickets are taken again and issued."""
    made = await shop.register()
    await lapse(shop, made)
    await shop.temula.pay(made)
    await shop.becomes(made, "confirmed")

    async def issued() -> list[Any]:
        return await shop.tenant.api.every(f"/tickets?event_id={shop.sale.event['id']}")

    assert [ticket["state"] for ticket in await until(issued)] == ["issued"]
    assert await shop.given_back() == []


async def test_paid_late_when_they_are_gone(shop: Shop) -> None:
    """Paid after the hold ran out and the last ticket went to somebody else, the money goes back by itself."""
    scarce = shop._replace(sale=await shop.temula.sale(shop.tenant, quota=1))
    made = await scarce.register()
    await lapse(scarce, made)
    other = await scarce.confirmed()
    await scarce.temula.pay(made)
    payment = await _refund_asked(scarce, made)
    await scarce.becomes(made, "refunded")
    assert payment["captured"] == 5000
    assert await scarce.told("registration.refunded", made) == [
        {
            "registration_id": made["id"], "event_id": scarce.sale.event["id"], "amount": 5000, "currency": "MYR",
            "reason": "sold_out",
        }
    ]  # fmt: skip
    assert await scarce.given_back() == [5000]
    assert (await scarce.look(other))["state"] == "confirmed"


async def test_paid_after_it_was_cancelled(shop: Shop) -> None:
    """What is paid for a registration that somebody cancelled goes back."""
    made = await shop.register()
    await shop.tenant.api.post(f"/registrations/{made['id']}/cancel", {"reason": "changed my mind"})
    await shop.temula.pay(made)
    await _refund_asked(shop, made)
    await shop.becomes(made, "refunded")
    (refund,) = await shop.tenant.api.every(f"/refunds?registration_id={made['id']}")
    assert (refund["reason"], refund["state"]) == ("paid_after_cancellation", "succeeded")
    assert await shop.given_back() == [5000]


async def _refund_asked(shop: Shop, made: dict[str, Any]) -> dict[str, Any]:
    """Wait for the refund that Temula wants by itself, and let its time come."""

    async def wanted() -> bool:
        return (await shop.payment(made))["refunded"] > 0

    await until(wanted)
    await shop.temula.hurry(shop.tenant, "payments.ask_refund")
    return await shop.payment(made)


async def test_page_expired(shop: Shop) -> None:
    """When the payment page has run out, the registration is cancelled and its tickets are on sale again."""
    made = await shop.register()
    page = made["payment"]["attempts"][0]["next_action"]["url"].rpartition("/")[2]
    await shop.temula.stripe(shop.tenant).v1.checkout.sessions.expire_async(page)
    gone = await shop.becomes(made, "cancelled")
    assert gone["cancelled_reason"] == "payment_expired"
    types = await shop.tenant.api.every(f"/events/{shop.sale.event['id']}/ticket-types")
    assert [one["taken"] for one in types] == [0, 0, 0]


@pytest.mark.parametrize("outcome", ["succeed", "fail"])
async def test_delayed(shop: Shop, outcome: str) -> None:
    """A payment that was only promised holds the tickets; it then comes, or fails once and can be tried again."""
    made = await shop.register()
    await shop.temula.pay(made, "processing")

    async def processing() -> bool:
        return (await shop.payment(made))["state"] == "processing"

    await until(processing)
    page = made["payment"]["attempts"][0]["next_action"]["url"]
    async with shop.temula.web.post(f"{page}/settle", json={"outcome": outcome}) as settled:
        assert settled.status == 200
    if outcome == "succeed":
        await shop.becomes(made, "confirmed")
        return
    (failed,) = await shop.told("payment.failed", made)
    assert failed["retry_count"] == 0

    async def ended() -> bool:
        return (await shop.payment(made))["state"] == "failed"

    await until(ended)
    again = await shop.tenant.api.post(f"/registrations/{made['id']}/pay", {})
    await shop.temula.pay(again)
    await shop.becomes(made, "confirmed")
    assert len(await shop.told("payment.failed", made)) == 1
    assert await shop.captured() == [5000]


async def test_lost_callback_is_found_by_a_look(shop: Shop) -> None:
    """When all callbacks of a payment are lost, looks find each refused card and the payment, after one that failed."""
    made = await shop.register()
    await shop.temula.fault("lose-webhook", shop.tenant, count=10)
    await shop.temula.pay(made, "decline", status=402)
    await shop.temula.hurry(shop.tenant, "payments.look")
    await shop.told("payment.failed", made)
    await shop.temula.pay(made)
    await shop.temula.fault("busy", shop.tenant, method="GET", count=2)

    async def found() -> bool:
        await shop.temula.hurry(shop.tenant, "payments.look")
        return (await shop.look(made))["state"] == "confirmed"

    await until(found)
    assert len(await shop.told("payment.succeeded", made)) == 1


@pytest.mark.parametrize("fault", ["duplicate", "out-of-order", "bad-signature"])
async def test_callbacks_in_disorder(shop: Shop, fault: str) -> None:
    """Doubled, turned round or wrongly signed once, callbacks lead to the same end, told once."""
    made = await shop.register()
    await shop.temula.fault(fault, shop.tenant, count=2)
    await shop.temula.pay(made, "decline", status=402)
    await shop.temula.pay(made)
    await shop.becomes(made, "confirmed")
    assert len(await shop.told("payment.succeeded", made)) == 1
    (failed,) = await shop.told("payment.failed", made)
    assert failed["reason"] == "generic_decline"
    assert (await shop.payment(made))["attempts"][0]["failure"] is None


async def test_answer_lost(shop: Shop) -> None:
    """When Stripe's answer is lost the buyer is not charged twice: the page is found again by its key."""
    await shop.temula.fault("lose-answer", shop.tenant, path="/v1/checkout")
    made = await shop.register()
    assert (made["payment"]["state"], made["payment"]["attempts"][0]["next_action"]) == ("created", None)
    await shop.temula.hurry(shop.tenant, "payments.ask_charge")

    async def asked_again() -> dict[str, Any] | None:
        seen = await shop.look(made)
        return seen if seen["payment"]["attempts"][0]["next_action"] else None

    await shop.temula.pay(await until(asked_again))
    await shop.becomes(made, "confirmed")
    assert (await shop.sessions(), await shop.captured()) == (1, [5000])


async def test_key_spent_on_an_error(shop: Shop) -> None:
    """When Stripe goes on answering an error to a key, the attempt ends, and the next one has a key of its own."""
    await shop.temula.fault("server-error", shop.tenant, path="/v1/checkout")
    made = await shop.register()
    await shop.temula.hurry(shop.tenant, "payments.ask_charge")

    async def failed() -> bool:
        return (await shop.look(made))["payment"]["state"] == "failed"

    await until(failed)
    (told,) = await shop.told("payment.failed", made)
    assert told["reason"] == "provider_did_nothing"
    before = await shop.look(made)
    again = await shop.tenant.api.post(f"/registrations/{made['id']}/pay", {})
    assert again["hold_expires_at"] > before["hold_expires_at"]
    assert [one["number"] for one in again["payment"]["attempts"]] == [2]
    await shop.temula.pay(again)
    await shop.becomes(made, "confirmed")
    assert (await shop.sessions(), await shop.captured()) == (1, [5000])


async def test_given_up_is_left_to_a_person(shop: Shop) -> None:
    """When for hours nobody can say what became of a charge, it needs a person; it is neither paid nor failed."""
    await shop.temula.fault("garbage", shop.tenant, count=50)
    made = await shop.register()

    async def needs_review() -> bool:
        await shop.temula.hurry(shop.tenant, "payments.ask_charge", last=True)
        return (await shop.look(made))["payment"]["state"] == "needs_review"

    await until(needs_review)
    assert (await shop.payment(made))["attempts"][0]["failure"] == "unknown provider status"
    assert (await shop.look(made))["state"] == "pending"


async def test_callback_before_our_own_answer(shop: Shop) -> None:
    """A callback that arrives before our own request returned counts, and the late answer takes nothing back."""
    await shop.temula.fault("slow", shop.tenant, seconds=3, method="POST", path="/v1/checkout")
    asking = asyncio.create_task(shop.register())
    client = shop.temula.stripe(shop.tenant)

    async def opened() -> Any:
        return (await client.v1.checkout.sessions.list_async()).data

    (session,) = await until(opened)
    async with shop.temula.web.post(f"{session.url}/pay", json={"outcome": "succeed"}, allow_redirects=False) as paid:
        assert paid.status == 303

    async def captured() -> bool:
        return [one["captured"] for one in await shop.tenant.api.every("/payments")] == [5000]

    await until(captured)
    assert not asking.done()
    made = await asking
    await shop.becomes(made, "confirmed")
    assert (await shop.payment(made))["attempts"][0]["state"] == "succeeded"
    assert await shop.sessions() == 1


async def test_registering_again_under_one_key(shop: Shop) -> None:
    """A registration that is repeated under its Idempotency-Key opens one payment page, and answers the same."""
    first = await shop.register(key="order-1")
    assert await shop.register(key="order-1") == first
    assert await shop.sessions() == 1


async def test_no_account(shop: Shop) -> None:
    """Without an account with a provider only what is free can be had; the problem says what to do."""
    poor = await shop.temula.tenant(connected=False)
    bare = shop._replace(tenant=poor, sale=await shop.temula.sale(poor, prices=(5000, 0)))
    order = {"event_id": bare.sale.event["id"], "buyer": {"name": "A", "email": "a@example.org"}}
    seat = {"ticket_type_id": bare.sale.types[0]["id"], "name": "G"}
    answer = await poor.api.call("POST", "/registrations", {**order, "attendees": [seat]})
    assert (answer.status, answer.code) == (409, "no_connection")
    assert (await bare.register(1))["state"] == "confirmed"
