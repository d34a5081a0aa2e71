"""The stand-in's intents, charges, refunds and ledger, as the official library sees them."""

import pytest
import stripe

ONLY_ON_REQUEST = {
    stripe.PaymentIntent: {"hooks", "managed_payments", "payment_details", "payment_record", "presentment_details"},
    stripe.Charge: {"authorization_code", "level3", "presentment_details", "refunds", "transfer"},
    stripe.Refund: {
        "description", "failure_balance_transaction", "failure_reason", "instructions_email", "next_action",
        "pending_reason", "presentment_details",
    },
    stripe.BalanceTransaction: set(),
    stripe.Event: {"account", "context"},
    stripe.WebhookEndpoint: {"deleted", "secret"},
    stripe.Customer: {
        "cash_balance", "deleted", "invoice_credit_balance", "sources", "subscriptions", "tax", "tax_ids",
    },
}  # fmt: skip


@pytest.fixture
async def paid(client, buyer, basket) -> stripe.PaymentIntent:
    session = await client.v1.checkout.sessions.create_async(basket)
    intent = (await buyer.pay(session))["payment_intent"]
    return await client.v1.payment_intents.retrieve_async(intent, {"expand": ["latest_charge"]})


async def test_refunded_in_part_then_whole(client, emulator, shop, paid):
    """Refunds may be made in part until all is given back; each says so by two events."""
    await shop.subscribe(client)
    first = await client.v1.refunds.create_async(
        {"payment_intent": paid.id, "amount": 1000, "reason": "requested_by_customer", "metadata": {"refund": "ref_1"}}
    )
    second = await client.v1.refunds.create_async({"charge": paid.latest_charge.id})
    await emulator.tick()

    assert (first.status, first.amount, second.amount) == ("succeeded", 1000, 2000)
    assert shop.types == ["refund.created", "charge.refunded"] * 2
    assert [event.data.object.refunded for event in shop.events[1::2]] == [False, True]
    charge = await client.v1.charges.retrieve_async(paid.latest_charge.id, {"expand": ["refunds"]})
    assert (charge.amount_refunded, charge.refunded) == (3000, True)
    assert [refund.id for refund in charge.refunds.data] == [second.id, first.id]
    listed = await client.v1.refunds.list_async({"payment_intent": paid.id})
    assert [refund.id for refund in listed.data] == [second.id, first.id]


async def test_never_more_than_paid(client, paid):
    """More than what is left cannot be refunded, and nothing can once all is."""
    await client.v1.refunds.create_async({"payment_intent": paid.id, "amount": 1000})
    with pytest.raises(stripe.InvalidRequestError, match="greater than unrefunded amount") as refused:
        await client.v1.refunds.create_async({"payment_intent": paid.id, "amount": 2001})
    assert refused.value.param == "amount"
    await client.v1.refunds.create_async({"payment_intent": paid.id})
    with pytest.raises(stripe.InvalidRequestError) as refused:
        await client.v1.refunds.create_async({"payment_intent": paid.id})
    assert refused.value.code == "charge_already_refunded"


async def test_refund_of_nothing(client, paid):
    """A refund names exactly one payment that was made."""
    open_one = await client.v1.payment_intents.create_async({"amount": 500, "currency": "myr"})
    for wanted in ({}, {"payment_intent": paid.id, "charge": paid.latest_charge.id}, {"payment_intent": open_one.id}):
        with pytest.raises(stripe.InvalidRequestError):
            await client.v1.refunds.create_async(wanted)
    with pytest.raises(stripe.InvalidRequestError) as refused:
        await client.v1.refunds.create_async({"payment_intent": "pi_unknown"})
    assert (refused.value.http_status, refused.value.code) == (400, "resource_missing")


async def test_intent_confirmed(client, emulator, shop):
    """An intent made by hand is paid once it is confirmed with a test card."""
    await shop.subscribe(client, "payment_intent.succeeded")
    made = await client.v1.payment_intents.create_async({"amount": 500, "currency": "MYR"})
    assert (made.status, made.currency) == ("requires_payment_method", "myr")
    confirmed = await client.v1.payment_intents.confirm_async(made.id, {"payment_method": "pm_card_visa"})
    await emulator.tick()
    assert (confirmed.status, confirmed.amount_received) == ("succeeded", 500)
    assert shop.types == ["payment_intent.succeeded"]
    with pytest.raises(stripe.InvalidRequestError) as refused:
        await client.v1.payment_intents.cancel_async(made.id)
    assert refused.value.code == "payment_intent_unexpected_state"


async def test_intent_declined(client):
    """A declined card is an error answer, and the intent remembers why."""
    wanted = {"amount": 500, "currency": "myr", "confirm": True, "payment_method": "pm_card_chargeDeclined"}
    with pytest.raises(stripe.CardError) as declined:
        await client.v1.payment_intents.create_async(wanted, {"idempotency_key": "declined"})
    assert (declined.value.http_status, declined.value.code) == (402, "card_declined")
    intent = (await client.v1.payment_intents.list_async()).data[0]
    assert intent.last_payment_error.decline_code == "generic_decline"
    with pytest.raises(stripe.CardError) as again:
        await client.v1.payment_intents.create_async(wanted, {"idempotency_key": "declined"})
    assert again.value.headers["Idempotent-Replayed"] == "true"


async def test_intent_canceled(client):
    """An open intent can be cancelled, with the reason."""
    made = await client.v1.payment_intents.create_async({"amount": 500, "currency": "myr"})
    gone = await client.v1.payment_intents.cancel_async(made.id, {"cancellation_reason": "abandoned"})
    assert (gone.status, gone.cancellation_reason) == ("canceled", "abandoned")


@pytest.mark.parametrize("amount", [0, -5, "1e3", 199, 100_000_000])
async def test_amount_refused(client, amount):
    """An amount is a whole number that Stripe can charge."""
    with pytest.raises(stripe.InvalidRequestError) as refused:
        await client.v1.payment_intents.create_async({"amount": amount, "currency": "myr"})
    assert refused.value.param == "amount"


async def test_ledger(client, paid, clock):
    """The balance is what was paid, less fees and refunds: first pending, then available."""
    await client.v1.refunds.create_async({"payment_intent": paid.id, "amount": 1000})
    before = await client.v1.balance.retrieve_async()
    assert (before.pending[0].amount, before.available[0].amount) == (1910, 0)
    clock.move(3 * 24 * 3600)
    after = await client.v1.balance.retrieve_async()
    assert (after.pending[0].amount, after.available[0].amount) == (0, 1910)
    booked = await client.v1.balance_transactions.list_async({"source": paid.latest_charge.id})
    assert [(line.type, line.fee, line.net, line.status) for line in booked.data] == [("charge", 90, 2910, "available")]


async def test_account_and_customer(client):
    """A key can be tried on the account, and a customer made, seen and sold to."""
    account = await client.v1.accounts.retrieve_current_async()
    assert account.charges_enabled
    customer = await client.v1.customers.create_async({"email": "a@example.com", "name": "A"})
    assert (await client.v1.customers.retrieve_async(customer.id)).email == "a@example.com"
    intent = await client.v1.payment_intents.create_async({"amount": 500, "currency": "myr", "customer": customer.id})
    seen = await client.v1.payment_intents.retrieve_async(intent.id, {"expand": ["customer"]})
    assert seen.customer.name == "A"


async def test_receipt(client, paid, browser):
    """A charge's receipt can be opened."""
    async with browser.get(paid.latest_charge.receipt_url) as page:
        assert "MYR 30.00 paid" in await page.text()


async def test_documented_fields(client, paid, shop):
    """Each object has every field that the library documents, but those that come only when asked for."""
    await shop.subscribe(client)
    refund = await client.v1.refunds.create_async({"payment_intent": paid.id, "amount": 100})
    seen = [
        paid,
        paid.latest_charge,
        await client.v1.refunds.retrieve_async(refund.id),
        (await client.v1.balance_transactions.list_async()).data[0],
        (await client.v1.events.list_async()).data[0],
        (await client.v1.webhook_endpoints.list_async()).data[0],
        await client.v1.customers.create_async({"email": "a@example.com"}),
    ]
    for shown in seen:
        documented = {name for name in type(shown).__annotations__ if name.islower()}
        assert documented - set(shown.to_dict()) <= ONLY_ON_REQUEST[type(shown)], type(shown)
