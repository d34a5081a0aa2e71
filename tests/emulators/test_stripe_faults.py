"""The stand-in's faults to order: each does what it promises, as often as it was ordered, and no more."""

import asyncio

import pytest
import stripe


async def test_lost_answer(client, buyer, basket):
    """A lost answer was executed: the same key finds the session that was made."""
    await buyer.order("lose-answer", path="/v1/checkout")
    with pytest.raises(stripe.APIConnectionError):
        await client.v1.checkout.sessions.create_async(basket, {"idempotency_key": "k"})
    found = await client.v1.checkout.sessions.create_async(basket, {"idempotency_key": "k"})
    assert found.last_response.headers["Idempotent-Replayed"] == "true"
    assert [session.id for session in (await client.v1.checkout.sessions.list_async()).data] == [found.id]


async def test_lost_answer_retried_by_the_library(connect, emulator, buyer, basket):
    """The library's own retry has the same key, so that one session is made."""
    client = connect(emulator, retries=1)
    await buyer.order("lose-answer", method="POST")
    await client.v1.checkout.sessions.create_async(basket)
    assert len((await client.v1.checkout.sessions.list_async()).data) == 1


async def test_busy(client, buyer, basket):
    """A busy Stripe executes nothing: 429, or 503 by order, and the key stays free."""
    await buyer.order("busy")
    with pytest.raises(stripe.RateLimitError):
        await client.v1.checkout.sessions.create_async(basket, {"idempotency_key": "k"})
    await buyer.order("busy", status=503)
    with pytest.raises(stripe.APIError) as busy:
        await client.v1.checkout.sessions.create_async(basket, {"idempotency_key": "k"})
    assert busy.value.http_status == 503
    made = await client.v1.checkout.sessions.create_async(basket, {"idempotency_key": "k"})
    assert "Idempotent-Replayed" not in made.last_response.headers


async def test_server_error(client, buyer, basket):
    """An error once execution began is kept: its key answers 500 again, and another key works."""
    await buyer.order("server-error")
    for _ in range(2):
        with pytest.raises(stripe.APIError) as broken:
            await client.v1.checkout.sessions.create_async(basket, {"idempotency_key": "k"})
        assert broken.value.http_status == 500
    assert await client.v1.checkout.sessions.create_async(basket, {"idempotency_key": "l"})


async def test_garbage(client, buyer, basket):
    """Garbage is 200 without JSON; what was asked for was done."""
    await buyer.order("garbage")
    with pytest.raises(stripe.APIError, match="Invalid response body"):
        await client.v1.checkout.sessions.create_async(basket)
    assert len((await client.v1.checkout.sessions.list_async()).data) == 1


async def test_slow(client, buyer, basket):
    """A slow answer comes after the seconds ordered."""
    await buyer.order("slow", seconds=0.2)
    started = asyncio.get_running_loop().time()
    await client.v1.checkout.sessions.create_async(basket)
    assert asyncio.get_running_loop().time() - started >= 0.2


async def test_declined_by_order(client, buyer, basket):
    """The next payment is declined whatever the card, the one after is not."""
    await buyer.order("decline")
    session = await client.v1.checkout.sessions.create_async(basket)
    assert (await buyer.pay(session))["status"] == "declined"
    assert (await buyer.pay(session))["status"] == "complete"


async def test_duplicate(client, buyer, emulator, shop):
    """A duplicated event arrives three times under one id, the next one once."""
    await shop.subscribe(client)
    await buyer.order("duplicate")
    for name in "AB":
        await client.v1.customers.create_async({"name": name})
    await emulator.tick()
    assert sorted(event.data.object.name for event in shop.events) == ["A", "A", "A", "B"]
    assert len({event.id for event in shop.events}) == 2


async def test_out_of_order(client, buyer, emulator, shop):
    """The next events are held back until there are enough, then arrive in reverse."""
    await shop.subscribe(client)
    await buyer.order("out-of-order", count=3)
    for name in "AB":
        await client.v1.customers.create_async({"name": name})
    await emulator.tick()
    assert shop.received == []
    for name in "CD":
        await client.v1.customers.create_async({"name": name})
    await emulator.tick()
    assert [event.data.object.name for event in shop.events] == ["C", "B", "A", "D"]


async def test_bad_signature(client, buyer, emulator, shop, clock):
    """One webhook is signed by a stranger; it counts as failed and is retried signed rightly."""
    await shop.subscribe(client)
    await buyer.order("bad-signature")
    await client.v1.customers.create_async({"name": "A"})
    await emulator.tick()
    with pytest.raises(stripe.SignatureVerificationError):
        stripe.Webhook.construct_event(*shop.received.pop(), shop.secret)
    clock.move(1)
    await emulator.tick()
    assert shop.types == ["customer.created"]


async def test_lost_webhook(client, buyer, emulator, shop):
    """A lost webhook never comes, but its event can be found as undelivered."""
    await shop.subscribe(client)
    await buyer.order("lose-webhook")
    await client.v1.customers.create_async({"name": "A"})
    await emulator.tick()
    assert shop.received == []
    assert [event.type for event in (await client.v1.events.list_async({"delivery_success": False})).data] == [
        "customer.created"
    ]


@pytest.mark.parametrize("answered", ["pending", "succeeded"])
async def test_refund_fails(client, buyer, emulator, shop, basket, answered):
    """A refund that fails is answered as if it would not, then gives the amount back to be refunded again."""
    session = await client.v1.checkout.sessions.create_async(basket)
    intent = (await buyer.pay(session))["payment_intent"]
    await shop.subscribe(client)
    await buyer.order("refund-fails", status=answered)
    refund = await client.v1.refunds.create_async({"payment_intent": intent})
    await emulator.tick()
    assert refund.status == answered
    assert shop.types == ["refund.created", "charge.refunded", "refund.updated", "refund.failed"]
    failed = await client.v1.refunds.retrieve_async(refund.id)
    assert (failed.status, failed.failure_reason) == ("failed", "expired_or_canceled_card")
    assert (await client.v1.refunds.create_async({"payment_intent": intent})).status == "succeeded"


async def test_of_one_account_and_path(client, connect, emulator, buyer):
    """A fault ordered for one key, path and method leaves all others alone."""
    await buyer.order("busy", key="sk_test_other_1234567890", path="/v1/balance", method="GET")
    await client.v1.balance.retrieve_async()
    other = connect(emulator, "sk_test_other_1234567890")
    await other.v1.events.list_async()
    with pytest.raises(stripe.RateLimitError):
        await other.v1.balance.retrieve_async()
    await other.v1.balance.retrieve_async()


async def test_listed_and_withdrawn(client, buyer, emulator, browser):
    """Faults that wait can be seen and withdrawn; one that does not exist is refused."""
    await buyer.order("busy", count=5)
    faults = (await buyer.control("GET", "faults"))["faults"]
    assert [(fault["fault"], fault["count"]) for fault in faults] == [("busy", 5)]
    await buyer.control("DELETE", "faults")
    await client.v1.balance.retrieve_async()
    async with browser.post(f"{emulator.base_url}/_emulator/faults", json={"fault": "earthquake"}) as answer:
        assert answer.status == 400


async def test_reset(client, buyer, basket):
    """A reset leaves nothing."""
    await client.v1.checkout.sessions.create_async(basket)
    await buyer.control("POST", "reset")
    assert (await client.v1.checkout.sessions.list_async()).data == []
    assert (await buyer.control("GET", "health"))["status"] == "ok"
