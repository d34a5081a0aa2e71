"""The stand-in's Checkout: sessions made, paid, declined and expired, as the official library sees them."""

import pytest
import stripe

FIELDS_ONLY_ON_REQUEST = {"line_items", "optional_items", "presentment_details", "name_collection", "tax_id_collection"}
FIELDS_ONLY_ON_REQUEST |= {"origin_context"}
PAID = ["payment_intent.created", "payment_intent.succeeded", "charge.succeeded", "checkout.session.completed"]


async def test_paid(client, buyer, emulator, shop, basket):
    """A paid session is complete, and four verified events tell of it in order."""
    await shop.subscribe(client)
    session = await client.v1.checkout.sessions.create_async(basket)
    assert (session.status, session.payment_status, session.payment_intent) == ("open", "unpaid", None)
    assert session.url == f"{emulator.base_url}/checkout/{session.id}"
    assert session.id.startswith("cs_test_")
    assert session.amount_total == 3000

    paid = await buyer.pay(session)
    await emulator.tick()

    assert paid["redirect"] == f"https://shop.test/done?session={session.id}"
    assert shop.types == PAID
    completed = shop.events[-1].data.object
    assert (completed.status, completed.payment_status, completed.url) == ("complete", "paid", None)
    assert completed.client_reference_id == "pay_1"


async def test_metadata_apart(client, buyer, basket):
    """Metadata of the session and of its payment intent are kept apart, and items come when asked for."""
    session = await client.v1.checkout.sessions.create_async(basket)
    await buyer.pay(session)
    expand = ["payment_intent.latest_charge.balance_transaction", "line_items"]
    seen = await client.v1.checkout.sessions.retrieve_async(session.id, {"expand": expand})

    assert seen.metadata.to_dict() == {"registration": "reg_1"}
    assert seen.payment_intent.metadata.to_dict() == {"payment": "pay_1"}
    assert seen.payment_intent.latest_charge.payment_method_details.card.last4 == "4242"
    assert seen.payment_intent.latest_charge.balance_transaction.net == 2910
    assert [(item.description, item.quantity, item.amount_total) for item in seen.line_items.data] == [
        ("Seat", 2, 3000)
    ]


async def test_declined_then_paid(client, buyer, emulator, shop, basket):
    """A decline leaves the session open with the reason on its intent; the next try pays the same intent."""
    await shop.subscribe(client)
    session = await client.v1.checkout.sessions.create_async(basket)
    declined = await buyer.pay(session, "decline")
    await emulator.tick()

    assert declined["error"]["decline_code"] == "generic_decline"
    assert shop.types == ["payment_intent.created", "payment_intent.payment_failed", "charge.failed"]
    seen = await client.v1.checkout.sessions.retrieve_async(session.id, {"expand": ["payment_intent"]})
    assert seen.status == "open"
    assert seen.payment_intent.status == "requires_payment_method"
    assert seen.payment_intent.last_payment_error.code == "card_declined"

    paid = await buyer.pay(session)
    assert paid["payment_intent"] == seen.payment_intent.id


async def test_page(client, emulator, browser, basket):
    """The hosted page shows what is bought; its buttons decline, then pay and lead back to the shop."""
    basket["line_items"][0]["price_data"]["product_data"]["name"] = "<b>Front row</b>"
    session = await client.v1.checkout.sessions.create_async(basket)
    async with browser.get(session.url) as page:
        text = await page.text()
    assert "MYR 30.00" in text
    assert "&lt;b&gt;Front row&lt;/b&gt;" in text
    assert "https://shop.test/back" in text

    async with browser.post(f"{session.url}/pay", data={"card": "declined"}) as page:
        assert page.status == 402
        assert "Your card was declined." in await page.text()
    async with browser.post(f"{session.url}/pay", data={"card": "4242424242424242"}, allow_redirects=False) as answer:
        assert answer.status == 303
        assert answer.headers["Location"] == f"https://shop.test/done?session={session.id}"
    async with browser.get(session.url) as page:
        assert "all done here" in await page.text()


async def test_card_numbers_not_kept(client, buyer, emulator, basket):
    """No card number reaches the store."""
    session = await client.v1.checkout.sessions.create_async(basket)
    await buyer.pay(session, "5555555555554444")
    dump = "\n".join(emulator.sandbox.store.database.iterdump())
    assert "mastercard" in dump
    assert "5555555555554444" not in dump


async def test_expires_by_itself(client, buyer, emulator, shop, clock, basket):
    """A session expires by itself when its time is up, says so by event, and cannot be paid."""
    await shop.subscribe(client, "checkout.session.expired")
    session = await client.v1.checkout.sessions.create_async({**basket, "expires_at": int(clock.now) + 1800})
    clock.move(1800)
    await emulator.tick()

    assert shop.types == ["checkout.session.expired"]
    assert (await client.v1.checkout.sessions.retrieve_async(session.id)).status == "expired"
    assert (await buyer.pay(session))["status"] == "expired"


async def test_clock_moved_by_order(client, buyer, emulator, shop, basket):
    """Whoever runs the stand-in as a process can move its time on, and sessions expire."""
    await shop.subscribe(client)
    await client.v1.checkout.sessions.create_async(basket)
    await buyer.control("POST", "clock", {"advance": 24 * 3600})
    await emulator.tick()
    assert shop.types == ["checkout.session.expired"]


async def test_expired_by_order(client, basket):
    """An open session can be expired once; after that Stripe says that it is not open."""
    session = await client.v1.checkout.sessions.create_async(basket)
    assert (await client.v1.checkout.sessions.expire_async(session.id)).status == "expired"
    with pytest.raises(stripe.InvalidRequestError, match="status in"):
        await client.v1.checkout.sessions.expire_async(session.id)


async def test_delayed_method(client, buyer, emulator, shop, browser, basket):
    """A delayed method completes the session unpaid; settling it tells how it ended."""
    await shop.subscribe(client)
    session = await client.v1.checkout.sessions.create_async(basket)
    answer = await buyer.pay(session, "processing")
    assert (answer["status"], answer["payment_status"]) == ("complete", "unpaid")
    async with browser.post(
        f"{emulator.base_url}/checkout/{session.id}/settle", json={"outcome": "succeed"}
    ) as settled:
        assert (await settled.json())["payment_status"] == "paid"
    await emulator.tick()
    assert shop.types[1:3] == ["payment_intent.processing", "checkout.session.completed"]
    assert shop.types[-1] == "checkout.session.async_payment_succeeded"


async def test_free(client, buyer, basket):
    """A session of nothing is completed without any payment."""
    basket["line_items"][0]["price_data"]["unit_amount"] = 0
    session = await client.v1.checkout.sessions.create_async(basket)
    assert (await buyer.pay(session))["payment_status"] == "no_payment_required"


async def test_documented_fields(client, basket):
    """A session has every field that the library documents, but those that come only when asked for."""
    session = await client.v1.checkout.sessions.create_async(basket)
    documented = {name for name in stripe.checkout.Session.__annotations__ if name.islower()}
    assert documented - set(session.to_dict()) <= FIELDS_ONLY_ON_REQUEST


@pytest.mark.parametrize(
    ("change", "code", "param"),
    [
        ({"mode": None}, "parameter_missing", "mode"),
        ({"success_url": None}, "parameter_missing", "success_url"),
        ({"success_url": "shop"}, "url_invalid", "success_url"),
        ({"line_items": None}, "parameter_missing", "line_items"),
        ({"payment_method_types": ["card"]}, "parameter_unknown", "payment_method_types"),
        ({"payment_intent_data": {"colour": "red"}}, "parameter_unknown", "payment_intent_data[colour]"),
        ({"expires_at": 1}, None, "expires_at"),
        ({"mode": "subscription"}, "emulator_unsupported", "mode"),
        ({"customer": "cus_nobody"}, "resource_missing", "customer"),
        ({"client_reference_id": "x" * 201}, None, "client_reference_id"),
    ],
)
async def test_refused(client, basket, change, code, param):
    """What Stripe refuses is refused, with its code and the parameter at fault."""
    wanted = {name: value for name, value in {**basket, **change}.items() if value is not None}
    with pytest.raises(stripe.InvalidRequestError) as refused:
        await client.v1.checkout.sessions.create_async(wanted)
    assert (refused.value.http_status, refused.value.code, refused.value.param) == (400, code, param)


@pytest.mark.parametrize(
    ("price", "code", "param"),
    [
        ({"unit_amount": -1}, "parameter_invalid_integer", "line_items[0][price_data][unit_amount]"),
        ({"unit_amount": "12.5"}, "parameter_invalid_integer", "line_items[0][price_data][unit_amount]"),
        ({"unit_amount": None}, "parameter_missing", "line_items[0][price_data][unit_amount]"),
        ({"unit_amount": 50}, "amount_too_small", "line_items"),
        ({"currency": "xyz"}, None, "line_items[0][price_data][currency]"),
        ({"currency": "kwd", "unit_amount": 1001}, "parameter_invalid_integer", "line_items"),
        ({"colour": "red"}, "parameter_unknown", "line_items[0][price_data][colour]"),
        ({"product_data": {"name": ""}}, "parameter_invalid_empty", "line_items[0][price_data][product_data][name]"),
    ],
)
async def test_price_refused(client, basket, price, code, param):
    """A price that Stripe cannot charge is refused."""
    item = basket["line_items"][0]
    changed = {**item["price_data"], **price}
    item |= {"quantity": 1, "price_data": {name: value for name, value in changed.items() if value is not None}}
    with pytest.raises(stripe.InvalidRequestError) as refused:
        await client.v1.checkout.sessions.create_async(basket)
    assert (refused.value.code, refused.value.param) == (code, param)


async def test_expires_at_bounds(client, clock, basket):
    """A session lives from half an hour to a day."""
    now = int(clock.now)
    for expires_at in (now + 1799, now + 24 * 3600 + 1):
        with pytest.raises(stripe.InvalidRequestError, match="expires_at"):
            await client.v1.checkout.sessions.create_async({**basket, "expires_at": expires_at})
    session = await client.v1.checkout.sessions.create_async({**basket, "expires_at": now + 1800})
    assert session.expires_at == now + 1800


async def test_listed(client, buyer, basket):
    """Sessions are listed newest first, page by page without gap or repeat, and by payment intent."""
    made = [(await client.v1.checkout.sessions.create_async(basket)).id for _ in range(5)]
    first = await client.v1.checkout.sessions.list_async({"limit": 2})
    assert first.has_more
    assert [session.id async for session in first.auto_paging_iter()] == made[::-1]
    back = await client.v1.checkout.sessions.list_async({"limit": 2, "ending_before": made[0]})
    assert [session.id for session in back.data] == [made[2], made[1]]

    wanted = await client.v1.checkout.sessions.retrieve_async(made[1])
    intent = (await buyer.pay(wanted))["payment_intent"]
    found = await client.v1.checkout.sessions.list_async({"payment_intent": intent})
    assert [session.id for session in found.data] == [made[1]]


async def test_listed_since(client, clock, basket):
    """Sessions are listed by when they were made, newest first."""
    made = []
    for _ in range(3):
        made.insert(0, (await client.v1.checkout.sessions.create_async(basket)).id)
        clock.move(60)
    since = await client.v1.checkout.sessions.list_async({"created": {"gte": int(clock.now) - 120}})
    assert [session.id for session in since.data] == made[:2]
