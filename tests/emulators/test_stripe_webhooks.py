"""The stand-in's events and signed webhooks: who gets which, when, how often, and what is told of them."""

import json

import pytest
import stripe

from emulators.payments.stripe.delivery import Retries


async def deliveries(buyer):
    return (await buyer.control("GET", "deliveries"))["deliveries"]


async def test_only_what_was_asked_for(client, buyer, emulator, shop, basket):
    """An endpoint hears of the types it asked for, from when it was made, and only of its own account."""
    session = await client.v1.checkout.sessions.create_async(basket)
    await shop.subscribe(client, "checkout.session.completed", "refund.created")
    await buyer.pay(session)
    await emulator.tick()
    assert shop.types == ["checkout.session.completed"]


async def test_accounts_apart(client, connect, buyer, emulator, shop, basket):
    """Each key is an account of its own: another key sees neither objects nor events."""
    other = connect(emulator, "rk_test_other_1234567890")
    await shop.subscribe(other)
    session = await client.v1.checkout.sessions.create_async(basket)
    await buyer.pay(session)
    await emulator.tick()
    assert shop.received == []
    with pytest.raises(stripe.InvalidRequestError) as refused:
        await other.v1.checkout.sessions.retrieve_async(session.id)
    assert refused.value.http_status == 404
    assert (await other.v1.events.list_async()).data == []


async def test_signature(client, emulator, shop):
    """A webhook is signed over its raw bytes: another secret, or one changed byte, and it is refused."""
    await shop.subscribe(client)
    await client.v1.customers.create_async({"name": "Renée"})
    await emulator.tick()
    body, signature = shop.received[0]
    event = stripe.Webhook.construct_event(body, signature, shop.secret)
    assert event.data.object.name == "Renée"
    assert event.api_version == stripe.api_version
    for wrong, secret in ((body, "whsec_wrong"), (body + b" ", shop.secret)):
        with pytest.raises(stripe.SignatureVerificationError):
            stripe.Webhook.construct_event(wrong, signature, secret)


async def test_secret_shown_once(client, shop):
    """The secret is in the answer to creation and nowhere else."""
    endpoint = await shop.subscribe(client)
    assert shop.secret.startswith("whsec_")
    assert "secret" not in await client.v1.webhook_endpoints.retrieve_async(endpoint.id)
    assert "secret" not in (await client.v1.webhook_endpoints.list_async()).data[0]


async def test_retried_with_backoff(client, buyer, emulator, shop, clock):
    """What is not answered 2xx is sent again after 1, 2, 4 ... s, the same event signed anew."""
    await shop.subscribe(client)
    shop.answers = [500, 302, 204]
    await client.v1.customers.create_async({"name": "A"})
    await emulator.tick()
    assert len(shop.received) == 1
    for wait, arrived in ((0.9, 1), (0.1, 2), (1.9, 2), (0.1, 3), (60, 3)):
        clock.move(wait)
        await emulator.tick()
        assert len(shop.received) == arrived
    assert len({event.id for event in shop.events}) == 1
    assert len({signature for _, signature in shop.received}) == 3
    delivery = (await deliveries(buyer))[0]
    assert delivery["state"] == "delivered"
    assert [attempt["status"] for attempt in delivery["attempts"]] == [500, 302, 204]


def test_schedule():
    """The waits double up to a minute."""
    retries = Retries()
    assert [retries.wait(failures) for failures in (1, 2, 3, 6, 7, 40)] == [1, 2, 4, 32, 60, 60]


async def test_given_up(client, buyer, emulator, shop, clock):
    """After the last try a delivery has failed, and the event can be found as undelivered."""
    emulator.sandbox.courier.retries = Retries(tries=2)
    await shop.subscribe(client)
    shop.answers = [500, 500]
    await client.v1.customers.create_async({"name": "A"})
    await emulator.tick()
    waiting = (await client.v1.events.list_async({"delivery_success": False})).data
    assert [event.pending_webhooks for event in waiting] == [1]
    clock.move(5)
    await emulator.tick()
    assert (await deliveries(buyer))[0]["state"] == "failed"
    lost = (await client.v1.events.list_async({"delivery_success": False})).data
    assert [event.pending_webhooks for event in lost] == [0]
    assert (await client.v1.events.list_async({"delivery_success": True})).data == []


async def test_nobody_listens(client, buyer, emulator, shop):
    """A shop that cannot be reached is an attempt with an error, to be retried."""
    await shop.subscribe(client)
    await shop.stop()
    await client.v1.customers.create_async({"name": "A"})
    await emulator.tick()
    delivery = (await deliveries(buyer))[0]
    assert delivery["state"] == "pending"
    assert delivery["attempts"][0]["status"] is None
    assert "Connect" in delivery["attempts"][0]["error"]


async def test_held_and_released(client, buyer, emulator, shop):
    """Held webhooks wait, in order, until they are released."""
    await shop.subscribe(client)
    await buyer.control("POST", "webhooks/hold")
    for name in "ABC":
        await client.v1.customers.create_async({"name": name})
    await emulator.tick()
    assert shop.received == []
    await buyer.control("POST", "webhooks/release")
    await emulator.tick()
    assert [event.data.object.name for event in shop.events] == ["A", "B", "C"]


async def test_endpoint_changed(client, emulator, shop):
    """An endpoint can be disabled, enabled with other types, and deleted."""
    endpoint = await shop.subscribe(client)
    changed = await client.v1.webhook_endpoints.update_async(endpoint.id, {"disabled": True})
    assert changed.status == "disabled"
    await client.v1.customers.create_async({"name": "A"})
    await client.v1.webhook_endpoints.update_async(
        endpoint.id, {"disabled": False, "enabled_events": ["refund.created"]}
    )
    await client.v1.customers.create_async({"name": "B"})
    await emulator.tick()
    assert shop.received == []
    assert (await client.v1.webhook_endpoints.delete_async(endpoint.id)).deleted
    assert (await client.v1.webhook_endpoints.list_async()).data == []


@pytest.mark.parametrize(
    "wanted", [{}, {"url": "nowhere", "enabled_events": ["*"]}, {"url": "http://x.test/", "enabled_events": []}]
)
async def test_endpoint_refused(client, wanted):
    """An endpoint needs an address and types that exist."""
    with pytest.raises(stripe.InvalidRequestError):
        await client.v1.webhook_endpoints.create_async(wanted)


async def test_unknown_type_refused(client):
    """A type that Stripe does not have is refused rather than never delivered."""
    wanted = {"url": "http://x.test/", "enabled_events": ["checkout.session.paid"]}
    with pytest.raises(stripe.InvalidRequestError, match="not a known event type"):
        await client.v1.webhook_endpoints.create_async(wanted)


async def test_events_listed(client, buyer, clock, basket):
    """Events can be read back by type, types and time, for thirty days."""
    session = await client.v1.checkout.sessions.create_async(basket)
    await buyer.pay(session)
    clock.move(60)
    await client.v1.customers.create_async({"name": "A"})
    list_events = client.v1.events.list_async
    assert [event.type for event in (await list_events({"type": "charge.succeeded"})).data] == ["charge.succeeded"]
    types = {"types": ["checkout.session.completed", "customer.created"]}
    assert [event.type for event in (await list_events(types)).data] == types["types"][::-1]
    late = await list_events({"created": {"gte": int(clock.now)}})
    assert [event.type for event in late.data] == ["customer.created"]
    one = await client.v1.events.retrieve_async(late.data[0].id)
    assert one.data.object.name == "A"
    clock.move(31 * 24 * 3600)
    assert (await list_events()).data == []


async def test_event_is_a_snapshot(client, buyer, emulator, shop, basket):
    """An event shows its object as it was then, whatever became of it since."""
    await shop.subscribe(client, "payment_intent.created")
    await buyer.control("POST", "webhooks/hold")
    await buyer.pay(await client.v1.checkout.sessions.create_async(basket))
    await buyer.control("POST", "webhooks/release")
    await emulator.tick()
    assert json.loads(shop.received[0][0])["data"]["object"]["status"] == "requires_payment_method"
